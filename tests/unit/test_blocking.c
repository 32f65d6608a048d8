/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "records.h"

enum { BUFFER = 4096, LIMIT = 64 * 1024, MIB = 1 << 20 };

static struct szc_rx *open_few(void **state, unsigned connections)
{
	struct szc_rx_options options = fixture_least(connections, BUFFER);

	options.send_limit = LIMIT;
	return fixture_open(state, options);
}

static void a_stream_from_its_begin_to_its_end(void **state)
{
	struct szc_rx *rx = open_few(state, 1);
	struct fixture_sender sender = {.total = 3 * MIB, .seed = 1, .end = true};
	struct szc_conn *conn;
	struct szc_view *view;
	uint64_t got = 0;
	int result;

	conn = fixture_conn(rx, &sender.fd);
	assert_int_equal(szc_conn_wait_ready(conn, 0), 0);
	fixture_sender_start(&sender);
	while ((result = szc_conn_recv(conn, &view, FIXTURE_MS)) == 1) {
		got += fixture_check(view, 1, got);
		szc_view_release(view);
	}
	assert_int_equal(result, 0);
	assert_null(view);
	assert_int_equal(got, sender.total);
	/* It stays at its end. */
	assert_int_equal(szc_conn_recv(conn, &view, FIXTURE_MS), 0);
	fixture_sender_join(&sender);
	close(sender.fd);
	fixture_close(rx);
}

static void nothing_comes_in_time(void **state)
{
	struct records records = {.payload = 10, .mute = true};
	struct szc_rx *rx = open_few(state, 2);
	uint64_t begin = fixture_now_ms();
	struct szc_conn *conn, *mute;
	struct szc_view *view;
	int peer, fds[2];

	conn = fixture_conn(rx, &peer);
	assert_int_equal(szc_conn_recv(conn, &view, 0), SZC_E_TIMEOUT);
	assert_int_equal(szc_conn_recv(conn, &view, 100), SZC_E_TIMEOUT);
	assert_null(view);
	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &mute), 0);
	assert_int_equal(records_attach(mute, &records), 0);
	assert_int_equal(szc_conn_wait_ready(mute, 0), SZC_E_TIMEOUT);
	assert_int_equal(szc_conn_wait_ready(mute, 50), SZC_E_TIMEOUT);
	assert_in_range(fixture_now_ms() - begin, 149, FIXTURE_MS);
	/* Late is not never. */
	fixture_write(peer, 10, 1, 0);
	assert_int_equal(szc_conn_recv(conn, &view, FIXTURE_MS), 1);
	szc_view_release(view);
	close(peer);
	close(fds[1]);
	fixture_close(rx);
}

static void an_error_is_told_each_time(void **state)
{
	struct records records = {.payload = 10, .mute = true};
	struct szc_rx *rx = open_few(state, 2);
	struct szc_conn *conn, *mute;
	struct szc_view *view;
	int peer, fds[2];

	conn = fixture_conn(rx, &peer);
	fixture_reset_on_close(peer);
	close(peer);
	assert_int_equal(szc_conn_recv(conn, &view, FIXTURE_MS), -ECONNRESET);
	assert_int_equal(szc_conn_recv(conn, &view, FIXTURE_MS), -ECONNRESET);
	assert_int_equal(szc_conn_send_all(conn, "x", 1, FIXTURE_MS), -ECONNRESET);
	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &mute), 0);
	assert_int_equal(records_attach(mute, &records), 0);
	close(fds[1]);
	assert_int_equal(szc_conn_wait_ready(mute, FIXTURE_MS), SZC_E_TRUNCATED);
	assert_int_equal(szc_conn_wait_ready(mute, FIXTURE_MS), SZC_E_TRUNCATED);
	fixture_close(rx);
}

/* Whoever waits for one connection loses nothing of the others. */
static void events_of_others_are_kept(void **state)
{
	struct szc_rx *rx = open_few(state, 3);
	struct szc_listener *listener;
	struct szc_conn *conn, *other;
	struct szc_view *view;
	bool accepted = false, data = false;
	int peers[3];

	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	conn = fixture_conn(rx, &peers[0]);
	other = fixture_conn(rx, &peers[1]);
	fixture_write(peers[1], 1000, 2, 0);
	peers[2] = fixture_connect(szc_listener_port(listener));
	assert_int_equal(szc_conn_recv(conn, &view, 50), SZC_E_TIMEOUT);
	fixture_write(peers[0], 1000, 1, 0);
	assert_int_equal(szc_conn_recv(conn, &view, FIXTURE_MS), 1);
	fixture_check(view, 1, 0);
	szc_view_release(view);
	while (!accepted || !data) {
		struct szc_event event = fixture_event(rx, FIXTURE_MS);

		assert_true(event.type != 0);
		accepted |= event.type == SZC_EV_ACCEPTED;
		if (event.type == SZC_EV_DATA) {
			assert_ptr_equal(event.conn, other);
			assert_int_equal(fixture_check(event.view, 2, 0), 1000);
			szc_view_release(event.view);
			data = true;
		}
	}
	for (int i = 0; i < 3; i++)
		close(peers[i]);
	fixture_close(rx);
}

struct reader {
	int fd;
	size_t total;
	bool right;
	pthread_t thread;
};

static void *read_all(void *arg)
{
	struct reader *reader = arg;
	uint8_t bytes[20000];
	uint64_t at = 0;
	ssize_t got;

	reader->right = true;
	while ((got = recv(reader->fd, bytes, sizeof(bytes), 0)) > 0)
		for (ssize_t i = 0; i < got; i++, at++)
			reader->right &= bytes[i] == fixture_byte(1, at);
	reader->right &= at == reader->total;
	return NULL;
}

static void all_is_sent(void **state)
{
	struct szc_rx *rx = open_few(state, 1);
	static uint8_t bytes[2 * MIB];
	struct reader reader = {.total = sizeof(bytes)};
	struct szc_conn *conn;

	conn = fixture_conn(rx, &reader.fd);
	assert_int_equal(pthread_create(&reader.thread, NULL, read_all, &reader), 0);
	fixture_fill(bytes, sizeof(bytes), 1, 0);
	assert_int_equal(szc_conn_send_all(conn, bytes, sizeof(bytes), FIXTURE_MS), 0);
	assert_int_equal(szc_conn_send_all(conn, bytes, 0, 0), 0);
	assert_int_equal(szc_conn_shutdown(conn), 0);
	fixture_expect(rx, SZC_EV_SENT);
	pthread_join(reader.thread, NULL);
	assert_true(reader.right);
	close(reader.fd);
	fixture_close(rx);
}

static uint64_t cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static void *release_soon(void *view)
{
	usleep(20000);
	szc_view_release(view);
	return NULL;
}

/* The peer reads nothing: the time limit is kept, asleep, though views come back meanwhile that nobody waits for here. */
static void sending_has_a_time_limit_and_no_fever(void **state)
{
	struct szc_rx *rx = open_few(state, 2);
	static uint8_t bytes[8 * MIB];
	struct szc_conn *conn;
	struct szc_event event;
	struct szc_view *views[16], *last = NULL;
	uint64_t begin, cpu;
	pthread_t thread;
	int peers[2], count = 0;

	conn = fixture_conn(rx, &peers[0]);
	fixture_conn(rx, &peers[1]);
	fixture_write(peers[1], 100000, 1, 0);
	while ((event = fixture_event(rx, 50)).type == SZC_EV_DATA)
		views[count++] = event.view;
	assert_true(count > 0);
	last = views[--count];
	assert_int_equal(pthread_create(&thread, NULL, release_soon, last), 0);
	begin = fixture_now_ms();
	cpu = cpu_ms();
	assert_int_equal(szc_conn_send_all(conn, bytes, sizeof(bytes), 600), SZC_E_TIMEOUT);
	cpu = cpu_ms() - cpu;
	assert_in_range(fixture_now_ms() - begin, 599, FIXTURE_MS);
	if (cpu > 300)
		fail_msg("%llu ms of CPU time for 600 ms of waiting", (unsigned long long)cpu);
	pthread_join(thread, NULL);
	while (count)
		szc_view_release(views[--count]);
	/* The parked one goes on. */
	szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
	close(peers[0]);
	close(peers[1]);
	fixture_close(rx);
}

static void a_dead_peer_ends_sending(void **state)
{
	struct szc_rx *rx = open_few(state, 1);
	static uint8_t bytes[8 * MIB];
	struct szc_conn *conn;
	int peer, result;

	conn = fixture_conn(rx, &peer);
	assert_int_equal(szc_conn_send_all(conn, bytes, sizeof(bytes), 50), SZC_E_TIMEOUT);
	fixture_reset_on_close(peer);
	close(peer);
	result = szc_conn_send_all(conn, bytes, sizeof(bytes), FIXTURE_MS);
	assert_true(result == -ECONNRESET || result == -EPIPE);
	fixture_close(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_BACKEND(a_stream_from_its_begin_to_its_end),
		EACH_BACKEND(nothing_comes_in_time),
		EACH_BACKEND(an_error_is_told_each_time),
		EACH_BACKEND(events_of_others_are_kept),
		EACH_BACKEND(all_is_sent),
		EACH_BACKEND(sending_has_a_time_limit_and_no_fever),
		EACH_BACKEND(a_dead_peer_ends_sending),
	};

	return cmocka_run_group_tests_name("blocking", tests, NULL, NULL);
}
