/* SPDX-License-Identifier: MIT */
/* The limits of time that an engine puts on its connections: until they are ready, and while nothing moves. */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "records.h"

/* In milliseconds. Where a pause has to stay below the limit, a busy machine may make it longer: PATIENT. */
enum { BUFFER = 4096, LIMIT = 150, PATIENT = 1000, SLACK = 3000 };

static struct szc_rx *open_with(void **state, int handshake, int idle)
{
	struct szc_rx_options options = fixture_least(3, BUFFER);

	options.handshake_timeout = handshake;
	options.idle_timeout = idle;
	return fixture_open(state, options);
}

static struct szc_conn *mute_conn(struct szc_rx *rx, struct records *records, int *peer)
{
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	assert_int_equal(records_attach(conn, records), 0);
	*peer = fds[1];
	return conn;
}

/* SZC_E_TIMEOUT of that connection, at that time and with those words. */
static void expect_timeout(struct szc_rx *rx, struct szc_conn *conn, int limit, uint64_t begin, const char *words)
{
	struct szc_event event = fixture_event(rx, FIXTURE_MS); /* woken by its own timer, long before */
	uint64_t after = fixture_now_ms() - begin;

	assert_int_equal(event.type, SZC_EV_ERROR);
	assert_int_equal(event.error, SZC_E_TIMEOUT);
	assert_ptr_equal(event.conn, conn);
	if (after < (uint64_t)limit - 2 || after > (uint64_t)limit + SLACK)
		fail_msg("the limit of %d ms passed after %llu", limit, (unsigned long long)after);
	if (!strstr(szc_conn_last_error(conn), words))
		fail_msg("\"%s\" does not say \"%s\"", szc_conn_last_error(conn), words);
}

static void a_handshake_that_does_not_end(void **state)
{
	struct records records = {.payload = 1000, .mute = true};
	struct szc_rx *rx = open_with(state, LIMIT, 0);
	uint64_t begin = fixture_now_ms();
	struct szc_conn *conn;
	int peers[2];

	/* A connection that is ready has no such limit. */
	fixture_conn(rx, &peers[1]);
	conn = mute_conn(rx, &records, &peers[0]);
	/* Bytes that lead nowhere do not help. */
	fixture_write(peers[0], 500, 1, 0);
	expect_timeout(rx, conn, LIMIT, begin, "handshake was not finished within 150 ms");
	fixture_quiet(rx, 2 * LIMIT);
	szc_conn_close(conn);
	assert_int_equal(records.freed, 1);
	close(peers[0]);
	close(peers[1]);
	fixture_close(rx);
}

static void each_has_its_own_limit(void **state)
{
	struct records records = {.payload = 1000, .mute = true};
	struct szc_rx *rx = open_with(state, LIMIT, 0);
	uint64_t begins[2];
	struct szc_conn *conns[2];
	int peers[2];

	for (int i = 0; i < 2; i++) {
		begins[i] = fixture_now_ms();
		conns[i] = mute_conn(rx, &records, &peers[i]);
		if (!i)
			fixture_quiet(rx, 60);
	}
	expect_timeout(rx, conns[0], LIMIT, begins[0], "handshake");
	expect_timeout(rx, conns[1], LIMIT, begins[1], "handshake");
	close(peers[0]);
	close(peers[1]);
	fixture_close(rx);
}

static void no_limit_if_told_so(void **state)
{
	struct records records = {.payload = 1000, .mute = true};
	struct szc_rx *rx = open_with(state, -1, 0);
	int peer;

	mute_conn(rx, &records, &peer);
	fixture_quiet(rx, 300);
	close(peer);
	fixture_expect(rx, SZC_EV_ERROR);
	fixture_close(rx);
}

static void an_idle_connection(void **state)
{
	struct szc_rx *rx = open_with(state, 0, LIMIT);
	uint64_t begin = fixture_now_ms();
	struct szc_conn *conn;
	int peer;

	conn = fixture_conn(rx, &peer);
	expect_timeout(rx, conn, LIMIT, begin, "no payload moved for 150 ms");
	close(peer);
	fixture_close(rx);
}

static void traffic_either_way_puts_it_off(void **state)
{
	struct szc_rx *rx = open_with(state, 0, PATIENT);
	struct szc_conn *conn;
	uint64_t begin = 0, at = 0;
	int peer;

	conn = fixture_conn(rx, &peer);
	for (int i = 0; i < 5; i++) {
		begin = fixture_now_ms();
		if (i % 2) {
			fixture_write(peer, 10, 1, at);
			at += 10;
			szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
		} else {
			assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), 1);
		}
		fixture_quiet(rx, PATIENT / 3);
	}
	expect_timeout(rx, conn, PATIENT, begin, "no payload moved");
	close(peer);
	fixture_close(rx);
}

/* The application holds it up, not the peer: the clock starts when the views are back. */
static void not_while_the_application_holds_views(void **state)
{
	struct szc_rx *rx = open_with(state, 0, LIMIT);
	struct szc_conn *conn;
	struct szc_view *view;
	uint64_t begin;
	int peer;

	conn = fixture_conn(rx, &peer);
	fixture_write(peer, 10, 1, 0);
	view = fixture_expect(rx, SZC_EV_DATA).view;
	fixture_quiet(rx, 4 * LIMIT);
	szc_view_release(view);
	begin = fixture_now_ms();
	/* It was seen busy last when the timer went off last, at most a limit ago. */
	expect_timeout(rx, conn, LIMIT, begin - LIMIT, "no payload moved");
	close(peer);
	fixture_close(rx);
}

static void not_while_it_is_parked(void **state)
{
	struct szc_rx *rx = open_with(state, 0, LIMIT);
	struct szc_view *views[16];
	struct szc_event event;
	int peer, count = 0;

	fixture_conn(rx, &peer);
	fixture_write(peer, 60000, 1, 0);
	while ((event = fixture_event(rx, 2 * LIMIT)).type == SZC_EV_DATA)
		views[count++] = event.view;
	assert_int_equal(event.type, 0);
	while (count)
		szc_view_release(views[--count]);
	szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
	close(peer);
	fixture_close(rx);
}

/* A peer that does not read: bytes wait in the queue, and none moves. */
static void a_peer_that_does_not_read_is_idle(void **state)
{
	struct szc_rx *rx = open_with(state, 0, LIMIT);
	static uint8_t bytes[65536];
	struct szc_conn *conn;
	uint64_t begin;
	int peer;

	conn = fixture_conn(rx, &peer);
	begin = fixture_now_ms();
	while (szc_conn_send(conn, &(struct iovec){bytes, sizeof(bytes)}, 1) > 0)
		;
	assert_true(szc_conn_unsent(conn) > 0);
	expect_timeout(rx, conn, LIMIT, begin, "no payload moved");
	close(peer);
	fixture_close(rx);
}

/* Its end does not make it a peer that may sleep for ever on what it asked for. */
static void a_peer_that_ended_and_does_not_read_is_idle(void **state)
{
	struct szc_rx *rx = open_with(state, 0, LIMIT);
	static uint8_t bytes[65536];
	struct szc_conn *conn;
	uint64_t begin;
	int peer;

	conn = fixture_conn(rx, &peer);
	shutdown(peer, SHUT_WR);
	fixture_expect(rx, SZC_EV_EOF);
	begin = fixture_now_ms();
	while (szc_conn_send(conn, &(struct iovec){bytes, sizeof(bytes)}, 1) > 0)
		;
	assert_true(szc_conn_unsent(conn) > 0);
	expect_timeout(rx, conn, LIMIT, begin, "no payload moved");
	close(peer);
	fixture_close(rx);
}

/* With nothing queued it is the application that everybody waits for. */
static void a_peer_that_ended_waits_for_its_answer(void **state)
{
	struct szc_rx *rx = open_with(state, 0, LIMIT);
	struct szc_conn *conn;
	int peer;

	conn = fixture_conn(rx, &peer);
	shutdown(peer, SHUT_WR);
	fixture_expect(rx, SZC_EV_EOF);
	fixture_quiet(rx, 3 * LIMIT);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), 1);
	assert_int_equal(fixture_recv(peer, (char[1]){0}, 1), 1);
	close(peer);
	fixture_close(rx);
}

/* An application that was busy elsewhere for longer than the limit finds what came meanwhile. */
static void bytes_that_waited_for_the_application_count(void **state)
{
	struct szc_rx *rx = open_with(state, 0, PATIENT);
	int peers[3];

	for (int i = 0; i < 3; i++)
		fixture_conn(rx, &peers[i]);
	fixture_quiet(rx, 0);
	for (int i = 0; i < 3; i++)
		fixture_write(peers[i], 10, 1, 0);
	usleep(PATIENT * 3 / 2 * 1000);
	for (int i = 0; i < 3; i++)
		szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
	fixture_quiet(rx, PATIENT / 3);
	for (int i = 0; i < 3; i++)
		close(peers[i]);
	fixture_close(rx);
}

static void bytes_sent_after_a_pause_count_from_then(void **state)
{
	struct szc_rx *rx = open_with(state, 0, LIMIT);
	struct szc_conn *conn;
	uint64_t begin;
	int peer;

	conn = fixture_conn(rx, &peer);
	usleep(3 * LIMIT * 1000);
	begin = fixture_now_ms();
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), 1);
	expect_timeout(rx, conn, LIMIT, begin, "no payload moved");
	close(peer);
	fixture_close(rx);
}

static void the_timer_makes_the_descriptor_readable(void **state)
{
	struct szc_rx *rx = open_with(state, 0, LIMIT);
	struct pollfd poll_fd = {.events = POLLIN};
	struct szc_event event;
	int peer;

	poll_fd.fd = szc_rx_fd(rx);
	fixture_conn(rx, &peer);
	for (int wakeups = 0; !(event = fixture_event(rx, 0)).type; wakeups++) {
		int ready;

		assert_true(wakeups < 20);
		do {
			ready = poll(&poll_fd, 1, FIXTURE_MS);
		} while (ready < 0 && errno == EINTR);
		assert_int_equal(ready, 1);
	}
	assert_int_equal(event.error, SZC_E_TIMEOUT);
	close(peer);
	fixture_close(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_BACKEND(a_handshake_that_does_not_end),
		EACH_BACKEND(each_has_its_own_limit),
		EACH_BACKEND(no_limit_if_told_so),
		EACH_BACKEND(an_idle_connection),
		EACH_BACKEND(traffic_either_way_puts_it_off),
		EACH_BACKEND(not_while_the_application_holds_views),
		EACH_BACKEND(not_while_it_is_parked),
		EACH_BACKEND(a_peer_that_does_not_read_is_idle),
		EACH_BACKEND(a_peer_that_ended_and_does_not_read_is_idle),
		EACH_BACKEND(a_peer_that_ended_waits_for_its_answer),
		EACH_BACKEND(bytes_that_waited_for_the_application_count),
		EACH_BACKEND(bytes_sent_after_a_pause_count_from_then),
		EACH_BACKEND(the_timer_makes_the_descriptor_readable),
	};

	return cmocka_run_group_tests_name("timeout", tests, NULL, NULL);
}
