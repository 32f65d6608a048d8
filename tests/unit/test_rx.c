/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 4096, MANY = 24 };

static void it_leaves_nothing_behind(void **state)
{
	struct szc_rx_options options = {.max_connections = 8};
	struct szc_rx *rx = fixture_open(state, options);
	int before, peers[8];

	fixture_close(rx);
	before = fixture_open_files();
	for (int round = 0; round < 5; round++) {
		rx = fixture_open(state, options);
		assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, NULL), 0);
		assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, NULL), 0);
		for (int i = 0; i < 8; i++) {
			struct szc_conn *conn = fixture_conn(rx, &peers[i]);

			/* Some never looked at, some dead, some closed. */
			if (i % 2)
				fixture_write(peers[i], 10000, 1, 0);
			if (i % 3 == 0)
				szc_conn_close(conn);
		}
		szc_view_release(fixture_event(rx, 0).view);
		fixture_close(rx);
		for (int i = 0; i < 8; i++)
			close(peers[i]);
	}
	assert_int_equal(fixture_open_files(), before);
	assert_int_equal(szc_rx_close(NULL), 0);
}

/* What the engine opens is not handed on to programs that are started. */
static void nothing_survives_exec(void **state)
{
	bool before[1024];
	struct szc_listener *listener;
	struct szc_conn *conn;
	char address[40];
	struct szc_rx *rx;
	int opened = 0;

	for (int fd = 0; fd < 1024; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	rx = fixture_open(state, fixture_least(3, BUFFER));
	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", szc_listener_port(listener));
	assert_int_equal(szc_rx_connect(rx, address, FIXTURE_MS, &conn), 0);
	assert_true(szc_rx_fd(rx) >= 0);
	for (int taken = 0; taken < 3; taken++) /* ready, accepted, ready */
		assert_true(fixture_event(rx, FIXTURE_MS).type != 0);
	for (int fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags < 0 || before[fd])
			continue;
		opened++;
		if (!(flags & FD_CLOEXEC))
			fail_msg("descriptor %d would be handed on", fd);
	}
	assert_true(opened >= 6); /* epoll or ring, wake-up, timer, listener, two ends of a connection */
	fixture_close(rx);
}

static void closing_with_views_out_says_how_many(void **state)
{
	struct szc_rx_options options = {.max_connections = 2, .buffer_size = BUFFER};
	struct szc_rx *rx = fixture_open(state, options);
	struct szc_view *views[2];
	struct szc_conn *conn;
	int peer;

	conn = fixture_conn(rx, &peer);
	for (int i = 0; i < 2; i++) {
		fixture_write(peer, 100, 1, (uint64_t)i * 100);
		views[i] = fixture_expect(rx, SZC_EV_DATA).view;
	}
	assert_int_equal(szc_rx_close(rx), SZC_E_VIEWS_OUT);
	assert_non_null(strstr(szc_rx_last_error(rx), "2 views"));
	szc_view_release(views[0]);
	assert_int_equal(szc_rx_close(rx), SZC_E_VIEWS_OUT);
	assert_non_null(strstr(szc_rx_last_error(rx), "1 view"));
	/* It did nothing: the connection still works. */
	fixture_check(views[1], 1, 100);
	fixture_write(peer, 50, 1, 200);
	szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"x", 1}, 1), 1);
	szc_view_release(views[1]);
	fixture_close(rx);
	close(peer);
}

static void views_outlive_their_connection(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_conn *first, *second;
	struct szc_rx_stats stats;
	struct szc_view *view;
	struct szc_trips trips;
	uint64_t at = 0;
	int peers[2];

	first = fixture_conn(rx, &peers[0]);
	second = fixture_conn(rx, &peers[1]);
	fixture_write(peers[0], 5000, 1, 0);
	view = fixture_expect(rx, SZC_EV_DATA).view;
	at = szc_view_size(view);
	szc_conn_close(first);
	close(peers[0]);
	/* Its slot is not free yet, and the other one may use every buffer it can get. */
	szc_rx_stats(rx, &stats);
	assert_int_equal(stats.connections, 2);
	assert_int_equal(stats.views_out, 1);
	for (uint64_t got = 0; got < 1000000;) {
		struct szc_view *other;

		fixture_write(peers[1], 20000, 2, got);
		for (uint64_t until = got + 20000; got < until;) {
			other = fixture_expect(rx, SZC_EV_DATA).view;
			got += fixture_check(other, 2, got);
			szc_view_release(other);
		}
	}
	assert_true(at > 0);
	fixture_check(view, 1, 0);
	szc_view_release(view);
	fixture_quiet(rx, 0);
	szc_rx_stats(rx, &stats);
	assert_int_equal(stats.connections, 1);
	assert_int_equal(stats.views_out, 0);
	szc_conn_close(second);
	close(peers[1]);
	/* The engine's ledger has the closed ones too. */
	szc_rx_trips(rx, &trips);
	assert_int_equal(trips.bytes, 1000000 + at);
	fixture_close(rx);
}

static void the_ledger_adds_up(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
	struct szc_trips trips;
	struct szc_conn *conn;
	int peer;

	conn = fixture_conn(rx, &peer);
	fixture_write(peer, 9000, 1, 0);
	for (size_t got = 0; got < 9000;) {
		struct szc_view *view = fixture_expect(rx, SZC_EV_DATA).view;

		got += fixture_check(view, 1, got);
		szc_view_release(view);
	}
	assert_int_equal(szc_conn_send(conn, &(struct iovec){"abc", 3}, 1), 3);
	szc_conn_trips(conn, &trips);
	assert_int_equal(trips.bytes, 9000);
	assert_int_equal(trips.bytes_received, 9000);
	assert_int_equal(trips.bytes_kernel_copied, 9000);
	assert_int_equal(trips.bytes_zero_copy, 0);
	assert_int_equal(trips.bytes_user_copied, 0);
	assert_int_equal(trips.bytes_sent, 3);
	assert_true(szc_trips_measured(&trips) == 1.0 && szc_trips_assumed(&trips) == 1.0);
	close(peer);
	fixture_close(rx);
}

static void payload_lies_in_the_area(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
	struct szc_view *view;
	const struct iovec *iov;
	void *base;
	size_t size;
	int peer, iovcnt;

	fixture_conn(rx, &peer);
	szc_rx_area(rx, &base, &size);
	fixture_write(peer, 3000, 1, 0);
	view = fixture_expect(rx, SZC_EV_DATA).view;
	iov = szc_view_iov(view, &iovcnt);
	for (int i = 0; i < iovcnt; i++) {
		assert_true((uint8_t *)iov[i].iov_base >= (uint8_t *)base);
		assert_true((uint8_t *)iov[i].iov_base + iov[i].iov_len <= (uint8_t *)base + size);
	}
	szc_view_release(view);
	close(peer);
	fixture_close(rx);
}

/* Every connection has more than one view's worth waiting: none gets a second event before each had one. */
static void events_go_round(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(MANY, BUFFER));
	uint64_t got[MANY] = {0};
	int peers[MANY], events_of[MANY] = {0}, at_its_end = 0;

	for (intptr_t i = 0; i < MANY; i++) {
		struct szc_conn *conn = fixture_conn(rx, &peers[i]);

		szc_conn_set_user(conn, (void *)i);
	}
	for (int i = 0; i < MANY; i++)
		/* One talks much more than the others. */
		fixture_write(peers[i], i ? 60000 : 120000, (unsigned)i, 0);
	while (!at_its_end) {
		struct szc_event events[5];
		bool seen[MANY] = {false};
		int count = fixture_wait(rx, events, 5, FIXTURE_MS), least = 1 << 30, most = 0;

		assert_in_range(count, 1, 5);
		for (int i = 0; i < count; i++) {
			intptr_t n = (intptr_t)szc_conn_user(events[i].conn);

			assert_int_equal(events[i].type, SZC_EV_DATA);
			assert_false(seen[n]);
			seen[n] = true;
			events_of[n]++;
			got[n] += fixture_check(events[i].view, (unsigned)n, got[n]);
			szc_view_release(events[i].view);
			at_its_end |= got[n] >= (n ? 60000 : 120000);
		}
		for (int i = 0; i < MANY; i++) {
			least = events_of[i] < least ? events_of[i] : least;
			most = events_of[i] > most ? events_of[i] : most;
		}
		if (most > least + 2)
			fail_msg("one connection had %d events, another %d", most, least);
	}
	for (int i = 0; i < MANY; i++)
		close(peers[i]);
	fixture_close(rx);
}

/* ---- in somebody else's loop */

static bool readable(int fd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int ready;

	do {
		ready = poll(&poll_fd, 1, timeout_ms);
	} while (ready < 0 && errno == EINTR);
	return ready == 1;
}

static void *trickle(void *arg)
{
	struct fixture_sender *sender = arg;
	uint64_t seed = 5, at = 0;

	while (at < sender->total) {
		uint8_t bytes[200];
		size_t len = 1 + fixture_random(&seed, sizeof(bytes));

		fixture_fill(bytes, len, sender->seed, at);
		if (send(sender->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
			break;
		at += len;
		usleep(fixture_random(&seed, 400));
	}
	sender->total = at;
	shutdown(sender->fd, SHUT_WR);
	return NULL;
}

static void in_an_epoll_loop_no_wakeup_is_lost_or_idle(void **state)
{
	enum { TALKERS = 3 };
	struct szc_rx *rx = fixture_open(state, fixture_least(TALKERS, BUFFER));
	struct fixture_sender senders[TALKERS];
	int epfd = epoll_create1(EPOLL_CLOEXEC), ended = 0, wakeups = 0, idle = 0;
	uint64_t got[TALKERS] = {0};

	assert_true(epfd >= 0);
	assert_int_equal(epoll_ctl(epfd, EPOLL_CTL_ADD, szc_rx_fd(rx), &(struct epoll_event){.events = EPOLLIN}), 0);
	for (intptr_t i = 0; i < TALKERS; i++) {
		struct szc_conn *conn;
		int peer;

		conn = fixture_conn(rx, &peer);
		szc_conn_set_user(conn, (void *)i);
		senders[i] = (struct fixture_sender){.fd = peer, .total = 100000, .seed = (unsigned)i};
	}
	fixture_quiet(rx, 0);
	for (int i = 0; i < TALKERS; i++)
		assert_int_equal(pthread_create(&senders[i].thread, NULL, trickle, &senders[i]), 0);
	while (ended < TALKERS) {
		struct szc_event event;
		int events = 0, ready;

		do {
			ready = epoll_wait(epfd, &(struct epoll_event){0}, 1, FIXTURE_MS);
		} while (ready < 0 && errno == EINTR);
		if (ready != 1)
			fail_msg("asleep for good after %d wake-ups, %d of %d ended", wakeups, ended, TALKERS);
		wakeups++;
		while ((event = fixture_event(rx, 0)).type) {
			intptr_t n = (intptr_t)szc_conn_user(event.conn);

			events++;
			if (event.type == SZC_EV_DATA) {
				got[n] += fixture_check(event.view, (unsigned)n, got[n]);
				szc_view_release(event.view);
			} else {
				assert_int_equal(event.type, SZC_EV_EOF);
				ended++;
			}
		}
		idle += !events;
	}
	for (int i = 0; i < TALKERS; i++) {
		pthread_join(senders[i].thread, NULL);
		assert_int_equal(got[i], senders[i].total);
		close(senders[i].fd);
	}
	/* A completion may have been taken with the one before it; a loop that turns for nothing is something else. */
	if (idle * 4 > wakeups)
		fail_msg("%d of %d wake-ups were for nothing", idle, wakeups);
	close(epfd);
	fixture_close(rx);
}

static void an_engine_with_nothing_to_do_is_not_readable(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_view *views[16];
	int peers[2], fd = szc_rx_fd(rx), held = 0;
	struct szc_event event;

	fixture_quiet(rx, 0);
	assert_false(readable(fd, 50));
	fixture_conn(rx, &peers[0]);
	fixture_quiet(rx, 0);
	assert_false(readable(fd, 50));
	/* Parked, with more waiting in the socket. */
	fixture_write(peers[0], 80000, 1, 0);
	while ((event = fixture_event(rx, 50)).type == SZC_EV_DATA)
		views[held++] = event.view;
	assert_true(held > 0);
	fixture_quiet(rx, 0);
	assert_false(readable(fd, 50));
	/* And the peer gone. */
	fixture_reset_on_close(peers[0]);
	close(peers[0]);
	fixture_quiet(rx, 0);
	usleep(20000);
	fixture_quiet(rx, 0);
	assert_false(readable(fd, 50));
	/* A listener whose backlog cannot be served: both slots are in use. */
	fixture_conn(rx, &peers[0]);
	{
		struct szc_listener *listener;

		assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
		peers[1] = fixture_connect(szc_listener_port(listener));
		fixture_quiet(rx, 20);
		fixture_quiet(rx, 0);
		assert_false(readable(fd, 50));
	}
	while (held)
		szc_view_release(views[--held]);
	close(peers[0]);
	close(peers[1]);
	/* The releases wake it. */
	assert_true(readable(fd, FIXTURE_MS));
	fixture_close(rx);
}

static void it_waits_as_long_as_it_is_told(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
	uint64_t begin = fixture_now_ms();

	fixture_quiet(rx, 120);
	assert_in_range(fixture_now_ms() - begin, 119, FIXTURE_MS);
	begin = fixture_now_ms();
	for (int i = 0; i < 100; i++)
		fixture_quiet(rx, 0);
	assert_in_range(fixture_now_ms() - begin, 0, 5000);
	assert_int_equal(szc_rx_wait(rx, NULL, 0, 0), SZC_E_OPTION);
	fixture_close(rx);
}

static void errors_have_sentences(void **state)
{
	(void)state;
	for (int error = SZC_E_PSP_EXPIRED; error <= SZC_E_STATE; error++) {
		assert_true(strlen(szc_strerror(error)) > 10);
		assert_string_not_equal(szc_strerror(error), "not an error of this library");
		for (int other = SZC_E_PSP_EXPIRED; other < error; other++)
			assert_string_not_equal(szc_strerror(error), szc_strerror(other));
	}
	assert_string_equal(szc_strerror(-2), strerror(2));
	assert_string_equal(szc_strerror(0), "no error");
	assert_non_null(szc_strerror(5));
	assert_non_null(szc_strerror(-99999));
	assert_non_null(strchr(szc_version(), '.'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_BACKEND(it_leaves_nothing_behind),
		EACH_BACKEND(nothing_survives_exec),
		EACH_BACKEND(closing_with_views_out_says_how_many),
		EACH_BACKEND(views_outlive_their_connection),
		EACH_BACKEND(the_ledger_adds_up),
		EACH_BACKEND(payload_lies_in_the_area),
		EACH_BACKEND(events_go_round),
		EACH_BACKEND(in_an_epoll_loop_no_wakeup_is_lost_or_idle),
		EACH_BACKEND(an_engine_with_nothing_to_do_is_not_readable),
		EACH_BACKEND(it_waits_as_long_as_it_is_told),
		cmocka_unit_test(errors_have_sentences),
	};

	return cmocka_run_group_tests_name("rx", tests, NULL, NULL);
}
