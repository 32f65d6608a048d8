/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "records.h"

enum { BUFFER = 4096, LIMIT = 64 * 1024, MIB = 1 << 20 };

/* A small socket on our side: the queue fills, not the kernel. */
static struct szc_conn *narrow_conn(struct szc_rx *rx, int *peer)
{
	struct szc_conn *conn = fixture_conn(rx, peer);
	int size = 16 * 1024;

	assert_int_equal(setsockopt(szc_conn_fd(conn), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	return conn;
}

static ssize_t send_stream(struct szc_conn *conn, size_t len, uint64_t at)
{
	static uint8_t bytes[MIB];
	size_t half = len / 2;
	struct iovec iov[3] = {{bytes, half}, {bytes, 0}, {bytes + half, len - half}};
	ssize_t taken;

	fixture_fill(bytes, len, 1, at);
	taken = szc_conn_send(conn, iov, 3);
	memset(bytes, 0xff, len); /* ours again at once */
	return taken;
}

/* Fills the connection until it takes no more. Returns how many bytes it took. */
static uint64_t fill(struct szc_conn *conn, uint64_t at)
{
	uint64_t taken = 0;
	ssize_t last;

	do {
		last = send_stream(conn, 300000, at + taken);
		assert_true(last >= 0);
		taken += (uint64_t)last;
		assert_true(szc_conn_unsent(conn) <= LIMIT);
	} while (last);
	return taken;
}

/* What is there, of at most `most` bytes. Returns how many. */
static size_t read_some(int peer, size_t most, uint64_t at)
{
	uint8_t bytes[10000];
	ssize_t got = recv(peer, bytes, most < sizeof(bytes) ? most : sizeof(bytes), MSG_DONTWAIT);

	for (ssize_t i = 0; i < got; i++)
		assert_int_equal(bytes[i], fixture_byte(1, at + (uint64_t)i));
	return got > 0 ? (size_t)got : 0;
}

/* Until the kernel takes no more either. */
static uint64_t fill_up(struct szc_rx *rx, struct szc_conn *conn)
{
	uint64_t taken = 0;
	struct szc_event event;

	do {
		taken += fill(conn, taken);
		event = fixture_event(rx, 50);
		assert_true(event.type == 0 || event.type == SZC_EV_WRITABLE);
	} while (event.type);
	assert_int_equal(szc_conn_unsent(conn), LIMIT);
	return taken;
}

static void before_it_is_ready_nothing_is_sent(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), SZC_E_STATE);
	assert_int_equal(szc_conn_shutdown(conn), SZC_E_STATE);
	fixture_expect(rx, SZC_EV_READY);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), 1);
	assert_int_equal(szc_conn_send(conn, NULL, 0), 0);
	fixture_quiet(rx, 10);
	assert_int_equal(fixture_recv(fds[1], (char[1]){0}, 1), 1);
	assert_int_equal(recv(fds[1], (char[1]){0}, 1, MSG_DONTWAIT), -1);
	close(fds[1]);
	fixture_close(rx);
}

static void the_queue_has_a_bound(void **state)
{
	struct szc_rx_options options = fixture_least(1, BUFFER);
	struct szc_rx *rx;
	struct szc_conn *conn;
	uint64_t taken, read = 0;
	int peer;

	options.send_limit = LIMIT;
	rx = fixture_open(state, options);
	conn = narrow_conn(rx, &peer);
	taken = fill_up(rx, conn);
	assert_true(taken > LIMIT);
	/* To send nothing is no answer to a refusal: the event is still owed. */
	assert_int_equal(szc_conn_send(conn, NULL, 0), 0);
	for (int round = 0; round < 20; round++) {
		struct szc_event event = {0};

		while (!(event = fixture_event(rx, 0)).type) {
			read += read_some(peer, 4096, read);
			assert_true(read < taken);
		}
		assert_int_equal(event.type, SZC_EV_WRITABLE);
		/* One event for one refusal. */
		fixture_quiet(rx, 0);
		assert_true(szc_conn_unsent(conn) < LIMIT);
		for (ssize_t more = 1; more > 0; taken += (uint64_t)more)
			more = send_stream(conn, 100000, taken);
	}
	assert_int_equal(szc_conn_shutdown(conn), 0);
	assert_int_equal(szc_conn_shutdown(conn), 0);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), SZC_E_STATE);
	for (struct szc_event event = {0}; event.type != SZC_EV_SENT; event = fixture_event(rx, 0)) {
		assert_true(event.type == 0 || event.type == SZC_EV_WRITABLE);
		read += read_some(peer, 10000, read);
	}
	assert_int_equal(szc_conn_unsent(conn), 0);
	fixture_read(peer, (size_t)(taken - read), 1, read);
	assert_int_equal(fixture_recv(peer, (char[1]){0}, 1), 0);
	fixture_quiet(rx, 10);
	close(peer);
	fixture_close(rx);
}

static void nothing_queued_is_sent_at_once(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
	struct szc_conn *conn;
	struct szc_trips trips;
	int peer;

	conn = fixture_conn(rx, &peer);
	assert_int_equal(send_stream(conn, 5000, 0), 5000);
	assert_int_equal(szc_conn_unsent(conn), 0);
	fixture_read(peer, 5000, 1, 0);
	assert_int_equal(szc_conn_shutdown(conn), 0);
	assert_int_equal(fixture_recv(peer, (char[1]){0}, 1), 0);
	fixture_expect(rx, SZC_EV_SENT);
	szc_conn_trips(conn, &trips);
	assert_int_equal(trips.bytes_sent, 5000);
	close(peer);
	fixture_close(rx);
}

/* As far as the queue takes it. Returns whether the view was sent whole, and then it is released. */
static bool send_back(struct szc_conn *conn, struct szc_view *view, size_t *done)
{
	size_t skip = *done;
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (int i = 0; i < iovcnt; i++) {
		size_t part = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		struct iovec rest = {(uint8_t *)iov[i].iov_base + part, iov[i].iov_len - part};
		ssize_t taken;

		skip -= part;
		if (!rest.iov_len)
			continue;
		taken = szc_conn_send(conn, &rest, 1);
		assert_true(taken >= 0);
		*done += (size_t)taken;
		if ((size_t)taken < rest.iov_len)
			return false;
	}
	*done = 0;
	szc_view_release(view);
	return true;
}

/* Views are sent back as they are, to a peer that sends and reads at the same time; what the queue does not take is kept,
 * the quota stops the receive, and TCP the sender. */
static void an_echo_both_ways(void **state)
{
	struct szc_rx_options options = fixture_least(1, BUFFER);
	struct fixture_sender sender = {.total = 4 * MIB, .seed = 1, .end = true};
	struct szc_view *waiting[16];
	struct szc_conn *conn;
	struct szc_rx *rx;
	uint64_t read = 0;
	size_t done = 0;
	int count = 0;

	options.send_limit = LIMIT;
	rx = fixture_open(state, options);
	conn = narrow_conn(rx, &sender.fd);
	fixture_sender_start(&sender);
	while (read < sender.total) {
		struct szc_event event = fixture_event(rx, 1);
		uint8_t bytes[8192];
		ssize_t got = recv(sender.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		for (ssize_t i = 0; i < got; i++, read++)
			assert_int_equal(bytes[i], fixture_byte(1, read));
		if (event.type == SZC_EV_DATA) {
			assert_true(count < 16);
			waiting[count++] = event.view;
		}
		while (count &&
		       (event.type == SZC_EV_WRITABLE || event.type == SZC_EV_DATA || !szc_conn_unsent(conn)) &&
		       send_back(conn, waiting[0], &done))
			memmove(waiting, waiting + 1, (size_t)--count * sizeof(waiting[0]));
		if (event.type == SZC_EV_EOF && !count)
			assert_int_equal(szc_conn_shutdown(conn), 0);
	}
	assert_int_equal(count, 0);
	fixture_sender_join(&sender);
	close(sender.fd);
	fixture_close(rx);
}

/* The kernel tells of a reset once: if that is to a send, the receive that follows sees what looks like a proper end. */
static void a_reset_met_by_a_send_is_no_proper_end(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
	struct szc_event event;
	struct szc_conn *conn;
	int peer;

	conn = fixture_conn(rx, &peer);
	fixture_write(peer, 100, 2, 0);
	szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
	fixture_reset_on_close(peer);
	close(peer);
	usleep(1000);
	szc_conn_send(conn, &(struct iovec){"x", 1}, 1);
	event = fixture_expect(rx, SZC_EV_ERROR);
	assert_int_equal(event.error, -ECONNRESET);
	fixture_quiet(rx, 20);
	fixture_close(rx);
}

static void a_peer_that_goes_ends_the_queue(void **state)
{
	struct szc_rx_options options = fixture_least(1, BUFFER);
	struct szc_event event;
	struct szc_conn *conn;
	struct szc_rx *rx;
	int peer;

	options.send_limit = LIMIT;
	rx = fixture_open(state, options);
	conn = narrow_conn(rx, &peer);
	fill_up(rx, conn);
	fixture_reset_on_close(peer);
	close(peer);
	event = fixture_expect(rx, SZC_EV_ERROR);
	assert_true(event.error == -ECONNRESET || event.error == -EPIPE);
	assert_true(szc_conn_last_error(conn)[0]);
	assert_int_equal(szc_conn_unsent(conn), 0);
	fixture_quiet(rx, 20);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), event.error);
	fixture_close(rx);
}

/* What came before is delivered first, though the socket refuses to send already. */
static void what_came_is_delivered_before_a_refusal_to_send(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
	struct szc_conn *conn;
	struct szc_event event;
	uint64_t got = 0;
	int peer;

	conn = fixture_conn(rx, &peer);
	fixture_write(peer, 10000, 2, 0);
	close(peer);
	/* The first answer is met by a reset, the second finds it. */
	for (int i = 0; i < 5; i++) {
		szc_conn_send(conn, &(struct iovec){"x", 1}, 1);
		usleep(2000);
	}
	while ((event = fixture_event(rx, FIXTURE_MS)).type == SZC_EV_DATA) {
		got += fixture_check(event.view, 2, got);
		szc_view_release(event.view);
	}
	assert_int_equal(got, 10000);
	if (event.type == SZC_EV_EOF)
		event = fixture_event(rx, FIXTURE_MS);
	assert_int_equal(event.type, SZC_EV_ERROR);
	fixture_close(rx);
}

static void a_layer_hears_what_was_sent(void **state)
{
	struct records records = {.payload = 10, .farewell = 6};
	struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
	struct szc_conn *conn;
	char bytes[20];
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	assert_int_equal(records_attach(conn, &records), 0);
	fixture_expect(rx, SZC_EV_READY);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"hello", 5}, 1), 5);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"world", 5}, 1), 5);
	fixture_quiet(rx, 0);
	assert_int_equal(records.sent, 2);
	assert_int_equal(szc_conn_shutdown(conn), 0);
	fixture_expect(rx, SZC_EV_SENT);
	assert_int_equal(fixture_recv(fds[1], bytes, 16), 16);
	assert_memory_equal(bytes, "helloworldffffff", 16);
	close(fds[1]);
	fixture_close(rx);
}

static void closing_loses_the_queue(void **state)
{
	struct szc_rx_options options = fixture_least(1, BUFFER);
	struct szc_conn *conn;
	struct szc_rx *rx;
	struct szc_rx_stats stats;
	int peer;

	options.send_limit = LIMIT;
	rx = fixture_open(state, options);
	for (int i = 0; i < 5; i++) {
		conn = narrow_conn(rx, &peer);
		fill(conn, 0);
		szc_conn_close(conn);
		for (int j = 0; j < 100; j++) {
			fixture_quiet(rx, 1);
			szc_rx_stats(rx, &stats);
			if (!stats.connections)
				break;
		}
		assert_int_equal(stats.connections, 0);
		close(peer);
	}
	fixture_close(rx);
}

/* ---- a peer that ended its direction: that is no reason to stop sending, and none to wake up for */

/* Until the engine's descriptor is not readable any more. What room there is meanwhile is filled. */
static void fall_asleep(struct szc_rx *rx, struct szc_conn *conn, uint64_t *taken)
{
	struct pollfd poll_fd = {.fd = szc_rx_fd(rx), .events = POLLIN};

	for (int turns = 0; poll(&poll_fd, 1, 50); turns++) {
		struct szc_event event = fixture_event(rx, 0);

		assert_true(event.type == 0 || event.type == SZC_EV_WRITABLE);
		if (event.type)
			*taken += fill(conn, *taken);
		if (turns == 100)
			fail_msg("with nothing to do it was woken %d times", turns);
	}
}

static uint64_t read_until_writable(struct szc_rx *rx, int peer, uint64_t read, uint64_t taken)
{
	while (!fixture_event(rx, 0).type) {
		read += read_some(peer, 4096, read);
		assert_true(read < taken);
	}
	return read;
}

static void a_peer_that_ended_and_does_not_read(void **state)
{
	struct szc_rx_options options = fixture_least(1, BUFFER);

	options.send_limit = LIMIT;
	for (int ends_first = 0; ends_first < 2; ends_first++) {
		struct szc_rx *rx = fixture_open(state, options);
		uint64_t taken, read = 0;
		struct szc_conn *conn;
		int peer;

		conn = narrow_conn(rx, &peer);
		if (ends_first) {
			shutdown(peer, SHUT_WR);
			fixture_expect(rx, SZC_EV_EOF);
		}
		taken = fill_up(rx, conn);
		if (!ends_first) {
			shutdown(peer, SHUT_WR);
			fixture_expect(rx, SZC_EV_EOF);
		}
		fall_asleep(rx, conn, &taken);
		/* It reads a little, and stops again: each time there is one event, then silence. */
		for (int stalls = 0; stalls < 3; stalls++) {
			read = read_until_writable(rx, peer, read, taken);
			taken += fill(conn, taken);
			fall_asleep(rx, conn, &taken);
		}
		assert_int_equal(szc_conn_shutdown(conn), 0);
		while (read < taken) {
			read += read_some(peer, 10000, read);
			if (fixture_event(rx, 0).type == SZC_EV_SENT)
				assert_int_equal(szc_conn_unsent(conn), 0);
		}
		assert_int_equal(fixture_recv(peer, (char[1]){0}, 1), 0);
		close(peer);
		fixture_close(rx);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_BACKEND(before_it_is_ready_nothing_is_sent),
		EACH_BACKEND(the_queue_has_a_bound),
		EACH_BACKEND(nothing_queued_is_sent_at_once),
		EACH_BACKEND(an_echo_both_ways),
		EACH_BACKEND(a_reset_met_by_a_send_is_no_proper_end),
		EACH_BACKEND(a_peer_that_goes_ends_the_queue),
		EACH_BACKEND(what_came_is_delivered_before_a_refusal_to_send),
		EACH_BACKEND(a_layer_hears_what_was_sent),
		EACH_BACKEND(closing_loses_the_queue),
		EACH_BACKEND(a_peer_that_ended_and_does_not_read),
	};

	return cmocka_run_group_tests_name("outbound", tests, NULL, NULL);
}
