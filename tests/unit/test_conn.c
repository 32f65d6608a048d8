/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "records.h"

enum { BUFFER = 4096 };

static struct szc_rx *open_one(void **state)
{
	return fixture_open(state, fixture_least(1, BUFFER));
}

/* Takes what arrives until `type`, which it returns; `total` bytes of stream 1 must have come before. */
static struct szc_event read_until(struct szc_rx *rx, enum szc_event_type type, uint64_t total)
{
	uint64_t got = 0;

	for (;;) {
		struct szc_event event = fixture_event(rx, FIXTURE_MS);

		if (event.type == type) {
			assert_int_equal(got, total);
			return event;
		}
		if (event.type != SZC_EV_DATA)
			fail_msg("event %d after %llu bytes", (int)event.type, (unsigned long long)got);
		got += fixture_check(event.view, 1, got);
		szc_view_release(event.view);
	}
}

/* ---- adopting */

static void not_adopted(struct szc_rx *rx, int fd, int error)
{
	struct szc_conn *conn;

	assert_int_equal(szc_rx_adopt(rx, fd, &conn), error);
	assert_true(szc_rx_last_error(rx)[0]);
	if (fd >= 0)
		assert_int_equal(close(fd), 0); /* still the caller's */
}

static void what_is_no_connection_is_refused(void **state)
{
	struct szc_rx *rx = open_one(state);
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	not_adopted(rx, pipes[0], -ENOTSOCK);
	close(pipes[1]);
	not_adopted(rx, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -ENOTCONN);
	not_adopted(rx, -1, -EBADF);
	fixture_close(rx);
}

static void more_than_there_are_slots(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn;
	int peer, fds[2];

	conn = fixture_conn(rx, &peer);
	fixture_tcp_pair(fds);
	not_adopted(rx, fds[0], SZC_E_LIMIT);
	assert_non_null(strstr(szc_rx_last_error(rx), "all 1 connection slots are in use"));
	close(fds[1]);
	/* Closed, and the slot is used again at once or as soon as the backend let go. */
	szc_conn_close(conn);
	fixture_quiet(rx, 10);
	conn = fixture_conn(rx, &fds[1]);
	fixture_write(fds[1], 100, 1, 0);
	szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
	close(peer);
	close(fds[1]);
	fixture_close(rx);
}

/* A server that accepts for itself most likely made its sockets non-blocking. */
static void a_non_blocking_descriptor_works(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) | O_NONBLOCK), 0);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	/* io_uring gives back EAGAIN for such descriptors, when is a matter of the kernel's version. */
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	fixture_expect(rx, SZC_EV_READY);
	fixture_quiet(rx, 20);
	for (uint64_t at = 0; at < 50000; at += 5000)
		fixture_write(fds[1], 5000, 1, at);
	shutdown(fds[1], SHUT_WR);
	read_until(rx, SZC_EV_EOF, 50000);
	assert_int_equal(szc_conn_send_all(conn, "x", 1, FIXTURE_MS), 0);
	assert_int_equal(fixture_recv(fds[1], (char[1]){0}, 1), 1);
	close(fds[1]);
	fixture_close(rx);
}

static void what_waits_already_is_received(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	fixture_write(fds[1], 10000, 1, 0);
	shutdown(fds[1], SHUT_WR);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	assert_int_equal(szc_conn_fd(conn), fds[0]);
	szc_conn_close(NULL);
	fixture_expect(rx, SZC_EV_READY);
	assert_ptr_equal(read_until(rx, SZC_EV_EOF, 10000).conn, conn);
	close(fds[1]);
	fixture_close(rx);
}

/* ---- connecting */

static int listen_on(unsigned *port, int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void it_connects(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn;
	char address[40];
	unsigned port;
	int listener = listen_on(&port, 1), peer;

	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_int_equal(szc_rx_connect(rx, address, FIXTURE_MS, &conn), 0);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	fixture_write(peer, 30000, 1, 0);
	shutdown(peer, SHUT_WR);
	assert_ptr_equal(fixture_expect(rx, SZC_EV_READY).conn, conn);
	read_until(rx, SZC_EV_EOF, 30000);
	szc_conn_close(conn);
	close(peer);
	/* By name: every address is tried, and one of them listens. */
	fixture_quiet(rx, 10);
	snprintf(address, sizeof(address), "localhost:%u", port);
	assert_int_equal(szc_rx_connect(rx, address, FIXTURE_MS, &conn), 0);
	close(listener);
	fixture_close(rx);
}

static void connecting_in_vain_says_why(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn = NULL;
	char address[40];
	unsigned port;
	int before = fixture_open_files(), listener = listen_on(&port, 1);

	close(listener);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_int_equal(szc_rx_connect(rx, address, FIXTURE_MS, &conn), -ECONNREFUSED);
	assert_non_null(strstr(szc_rx_last_error(rx), address));
	assert_non_null(strstr(szc_rx_last_error(rx), "refused"));
	assert_int_equal(szc_rx_connect(rx, "127.0.0.1", FIXTURE_MS, &conn), SZC_E_ADDRESS);
	assert_non_null(strstr(szc_rx_last_error(rx), "there is no port"));
	assert_int_equal(fixture_open_files(), before);
	fixture_close(rx);
}

static void connecting_has_a_time_limit(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn;
	char address[40];
	unsigned port;
	int listener = listen_on(&port, 0), waiting[8], count = 0;
	uint64_t begin = fixture_now_ms();

	/* A full backlog drops what comes. */
	for (; count < 8; count++) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

		to.sin_port = htons((uint16_t)port);
		waiting[count] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(waiting[count], (struct sockaddr *)&to, sizeof(to));
	}
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_int_equal(szc_rx_connect(rx, address, 150, &conn), -ETIMEDOUT);
	assert_in_range(fixture_now_ms() - begin, 140, FIXTURE_MS);
	while (count)
		close(waiting[--count]);
	close(listener);
	fixture_close(rx);
}

/* ---- the end of it */

static void half_closed_it_still_sends(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn;
	int peer;

	conn = fixture_conn(rx, &peer);
	fixture_write(peer, 100000, 1, 0);
	shutdown(peer, SHUT_WR);
	read_until(rx, SZC_EV_EOF, 100000);
	fixture_quiet(rx, 20);
	for (uint64_t at = 0; at < 20000; at += 1000) {
		uint8_t bytes[1000];

		fixture_fill(bytes, sizeof(bytes), 2, at);
		assert_int_equal(szc_conn_send(conn, &(struct iovec){bytes, sizeof(bytes)}, 1), sizeof(bytes));
	}
	fixture_read(peer, 20000, 2, 0);
	assert_int_equal(szc_conn_shutdown(conn), 0);
	fixture_expect(rx, SZC_EV_SENT);
	assert_int_equal(fixture_recv(peer, (char[1]){0}, 1), 0);
	fixture_quiet(rx, 20);
	assert_string_equal(szc_conn_last_error(conn), "");
	close(peer);
	fixture_close(rx);
}

static void a_reset_follows_what_came_before_it(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_event event;
	struct szc_conn *conn;
	int peer;

	conn = fixture_conn(rx, &peer);
	fixture_write(peer, 1000, 1, 0);
	szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
	fixture_reset_on_close(peer);
	close(peer);
	event = fixture_expect(rx, SZC_EV_ERROR);
	assert_ptr_equal(event.conn, conn);
	assert_int_equal(event.error, -ECONNRESET);
	assert_true(szc_conn_last_error(conn)[0]);
	fixture_quiet(rx, 20);
	assert_true(szc_conn_send(conn, &(struct iovec){"x", 1}, 1) < 0);
	assert_true(szc_conn_shutdown(conn) < 0);
	szc_conn_close(conn);
	fixture_close(rx);
}

static void a_layer_tells_an_early_end(void **state)
{
	struct records records = {.payload = 100};
	struct szc_rx *rx = open_one(state);
	struct szc_event event;
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	assert_int_equal(records_attach(conn, &records), 0);
	fixture_write(fds[1], 250, 1, 0);
	shutdown(fds[1], SHUT_WR);
	fixture_expect(rx, SZC_EV_READY);
	event = read_until(rx, SZC_EV_ERROR, 200);
	assert_int_equal(event.error, SZC_E_TRUNCATED);
	assert_string_equal(szc_conn_last_error(conn), "the stream ended inside of a record");
	assert_int_equal(records.started, 1);
	assert_int_equal(records.ended, 1);
	assert_int_equal(records.freed, 0);
	szc_conn_close(conn);
	assert_int_equal(records.freed, 1);
	close(fds[1]);
	fixture_close(rx);
}

static void a_layer_comes_before_the_first_byte_or_not_at_all(void **state)
{
	struct records records = {.payload = 100}, second = {.payload = 1};
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	assert_int_equal(records_attach(conn, &records), 0);
	assert_int_equal(records_attach(conn, &second), SZC_E_STATE);
	assert_int_equal(second.freed, 1);
	szc_conn_close(conn);
	close(fds[1]);
	fixture_quiet(rx, 10);
	conn = fixture_conn(rx, &fds[1]);
	assert_int_equal(records_attach(conn, &second), SZC_E_STATE);
	assert_int_equal(second.freed, 2);
	close(fds[1]);
	fixture_close(rx);
}

static void closed_in_the_middle_it_is_silent(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_conn *conn, *other;
	struct szc_view *view;
	struct szc_rx_stats stats;
	int peers[2];

	for (int round = 0; round < 50; round++) {
		conn = fixture_conn(rx, &peers[0]);
		other = fixture_conn(rx, &peers[1]);
		fixture_write(peers[0], 20000, 1, 0);
		/* With nothing taken, with a view taken, with one out, and with both directions busy. */
		view = NULL;
		if (round % 4)
			view = fixture_expect(rx, SZC_EV_DATA).view;
		if (round % 4 == 1) {
			szc_view_release(view);
			view = NULL;
		}
		if (round % 4 == 3)
			szc_conn_send(conn, &(struct iovec){"hello", 5}, 1);
		szc_conn_close(conn);
		fixture_write(peers[1], 10, 1, 0);
		szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
		szc_conn_close(other);
		szc_view_release(view);
		for (int i = 0; i < 100; i++) {
			fixture_quiet(rx, 1);
			szc_rx_stats(rx, &stats);
			if (!stats.connections)
				break;
		}
		assert_int_equal(stats.connections, 0);
		assert_int_equal(stats.buffers_out, 0);
		close(peers[0]);
		close(peers[1]);
	}
	fixture_close(rx);
}

/* ---- mistakes of the program */

/* Two ends in one batch of events; false if they did not come together. */
static bool two_ends(struct szc_rx *rx, int peers[2], struct szc_event events[2])
{
	int count;

	for (int i = 0; i < 2; i++)
		fixture_conn(rx, &peers[i]);
	fixture_quiet(rx, 0);
	for (int i = 0; i < 2; i++)
		shutdown(peers[i], SHUT_WR);
	usleep(20000);
	count = fixture_wait(rx, events, 2, FIXTURE_MS);
	assert_in_range(count, 1, 2);
	for (int i = 0; i < count; i++)
		assert_int_equal(events[i].type, SZC_EV_EOF);
	return count == 2;
}

/* The application handles the first of two events by closing the connection of the other one and taking another in its
 * place: the second event, which it has yet to look at, must not seem to be about the newcomer. */
static void what_is_closed_in_a_batch_is_not_replaced_within_it(void **state)
{
	struct szc_conn *newcomer, *another;
	struct szc_event events[2];
	struct szc_rx *rx = NULL;
	int peers[2], fds[2], more[2], tries = 0;

	do {
		if (rx)
			fixture_close(rx);
		assert_true(tries++ < 20);
		rx = fixture_open(state, fixture_least(3, BUFFER));
	} while (!two_ends(rx, peers, events));
	szc_conn_close(events[1].conn);
	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &newcomer), 0);
	assert_ptr_not_equal(newcomer, events[1].conn);
	assert_ptr_not_equal(newcomer, events[0].conn);
	/* Every slot may be needed by what the batch names, so there is none left. */
	fixture_tcp_pair(more);
	assert_int_equal(szc_rx_adopt(rx, more[0], &another), SZC_E_LIMIT);
	/* With the next call for events that is over. */
	assert_ptr_equal(fixture_expect(rx, SZC_EV_READY).conn, newcomer);
	fixture_quiet(rx, 0);
	assert_int_equal(szc_rx_adopt(rx, more[0], &another), 0);
	assert_ptr_equal(fixture_expect(rx, SZC_EV_READY).conn, another);
	fixture_write(fds[1], 100, 1, 0);
	events[0] = fixture_expect(rx, SZC_EV_DATA);
	assert_ptr_equal(events[0].conn, newcomer);
	fixture_check(events[0].view, 1, 0);
	szc_view_release(events[0].view);
	for (int i = 0; i < 2; i++)
		close(peers[i]);
	close(fds[1]);
	close(more[1]);
	fixture_close(rx);
}

static void close_twice(void *conn)
{
	szc_conn_close(conn);
	szc_conn_close(conn);
}

static void send_after_close(void *conn)
{
	szc_conn_close(conn);
	szc_conn_send(conn, &(struct iovec){"x", 1}, 1);
}

static void wait_after_close(void *conn)
{
	struct szc_view *view;

	szc_conn_close(conn);
	szc_conn_recv(conn, &view, 0);
}

static void shutdown_after_close(void *conn)
{
	szc_conn_close(conn);
	szc_conn_shutdown(conn);
}

static void a_closed_connection_must_not_be_used(void **state)
{
	struct szc_rx *rx = open_one(state);
	struct szc_conn *conn;
	int peer;

	conn = fixture_conn(rx, &peer);
#ifndef NDEBUG
	if (*(enum szc_backend *)*state == SZC_BACKEND_EPOLL) {
		/* (A ring does not follow into a child: the messages are the same.) */
		fixture_aborts(close_twice, conn, "szc_conn_close was called on a connection that was closed");
		fixture_aborts(send_after_close, conn, "szc_conn_send was called on a connection that was closed");
		fixture_aborts(wait_after_close, conn, "szc_conn_recv was called on a connection that was closed");
		fixture_aborts(shutdown_after_close, conn,
			       "szc_conn_shutdown was called on a connection that was closed");
	}
#else
	(void)close_twice;
	(void)send_after_close;
	(void)wait_after_close;
	(void)shutdown_after_close;
	szc_conn_close(conn);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), SZC_E_STATE);
#endif
	close(peer);
	fixture_close(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_BACKEND(what_is_no_connection_is_refused),
		EACH_BACKEND(more_than_there_are_slots),
		EACH_BACKEND(a_non_blocking_descriptor_works),
		EACH_BACKEND(what_waits_already_is_received),
		EACH_BACKEND(it_connects),
		EACH_BACKEND(connecting_in_vain_says_why),
		EACH_BACKEND(connecting_has_a_time_limit),
		EACH_BACKEND(half_closed_it_still_sends),
		EACH_BACKEND(a_reset_follows_what_came_before_it),
		EACH_BACKEND(a_layer_tells_an_early_end),
		EACH_BACKEND(a_layer_comes_before_the_first_byte_or_not_at_all),
		EACH_BACKEND(closed_in_the_middle_it_is_silent),
		EACH_BACKEND(what_is_closed_in_a_batch_is_not_replaced_within_it),
		EACH_BACKEND(a_closed_connection_must_not_be_used),
	};

	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
