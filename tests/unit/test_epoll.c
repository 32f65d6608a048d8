/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BUFFER = 4096, DESCRIPTORS = 256 };

/* What the backend asks epoll for, seen on its way to the kernel. */
static int added[DESCRIPTORS];
static bool no_memory; /* the kernel has none to keep one more interest in */

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && no_memory) {
		errno = ENOMEM;
		return -1;
	}
	if (op == EPOLL_CTL_ADD && fd < DESCRIPTORS)
		added[fd]++;
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static struct szc_rx *open_engine(void **state)
{
	struct szc_rx_options options = fixture_least(2, BUFFER);

	no_memory = false;
	options.idle_timeout = 100;
	return fixture_open(state, options);
}

/* The listener, the timer and the wake-up: what was asked for once is never again in want of memory, as a refusal would
 * leave the engine deaf. */
static void interests_are_renewed_without_memory(void **state)
{
	struct szc_rx *rx = open_engine(state);
	struct szc_listener *listener;
	int adds = 0, before = 0;

	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	for (int round = 0; round < 4; round++) {
		struct szc_view *views[16];
		struct szc_event event;
		int peer, count = 0;

		adds = 0;
		for (int fd = 0; fd < DESCRIPTORS; fd++)
			adds += added[fd];
		if (round)
			/* The connection's own: received, parked, received again. */
			assert_in_range(adds - before, 1, 2);
		before = adds;
		peer = fixture_connect(szc_listener_port(listener));
		fixture_expect(rx, SZC_EV_ACCEPTED);
		fixture_expect(rx, SZC_EV_READY);
		fixture_write(peer, 60000, 1, 0);
		while ((event = fixture_event(rx, 20)).type == SZC_EV_DATA)
			views[count++] = event.view;
		while (count)
			szc_view_release(views[--count]);
		event = fixture_expect(rx, SZC_EV_DATA); /* woken by the releases */
		szc_view_release(event.view);
		close(peer);
		do {
			event = fixture_event(rx, FIXTURE_MS);
			if (event.type == SZC_EV_DATA)
				szc_view_release(event.view);
		} while (event.type == SZC_EV_DATA);
		assert_int_equal(event.type, SZC_EV_EOF);
		szc_conn_close(event.conn);
	}
	fixture_close(rx);
}

static void without_memory_for_it_a_connection_says_so(void **state)
{
	struct szc_rx *rx = open_engine(state);
	struct szc_event event;
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	no_memory = true;
	fixture_expect(rx, SZC_EV_READY);
	event = fixture_expect(rx, SZC_EV_ERROR);
	no_memory = false;
	assert_int_equal(event.error, -ENOMEM);
	assert_true(szc_conn_last_error(conn)[0]);
	close(fds[1]);
	fixture_close(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"interests_are_renewed_without_memory", interests_are_renewed_without_memory, NULL, NULL,
		 &fixture_epoll},
		{"without_memory_for_it_a_connection_says_so", without_memory_for_it_a_connection_says_so, NULL, NULL,
		 &fixture_epoll},
	};

	return cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
}
