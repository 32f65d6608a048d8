/* SPDX-License-Identifier: MIT */
/* The `epoll` backend: recv() into the area's buffers, for machines that forbid io_uring (many containers do). */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"

enum {
	EVENTS = 64,
	RECV_BATCH = 4, /* buffers a connection fills before the others have their turn */
};

struct epoll_state {
	int epfd;
};

/* What a connection is registered for; 0: not registered. Lives in backend_state itself. */
static uint32_t mask_of(const struct szc_conn *conn)
{
	return (uint32_t)(uintptr_t)conn->backend_state;
}

/* Connections and watches share one pointer in epoll_data: the lowest bit tells them apart. */
static void *tagged(struct szc_watch *watch)
{
	return (void *)((uintptr_t)watch | 1);
}

static int set_mask(struct szc_conn *conn, uint32_t mask)
{
	struct epoll_state *state = conn->rx->backend_state;
	struct epoll_event event = {.events = mask, .data.ptr = conn};
	uint32_t before = mask_of(conn);
	int op = !before ? EPOLL_CTL_ADD : mask ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	if (mask == before)
		return 0;
	/* A parked connection is taken out: hang-ups are reported whatever the mask, and would spin. */
	if (epoll_ctl(state->epfd, op, conn->fd, &event))
		return -errno;
	conn->backend_state = (void *)(uintptr_t)mask;
	return 0;
}

static int epoll_open(struct szc_rx *rx)
{
	struct epoll_state *state = malloc(sizeof(*state));

	if (!state)
		return szc_rx_fail(rx, -ENOMEM, "no memory for the epoll backend");
	state->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (state->epfd < 0) {
		free(state);
		return szc_rx_fail(rx, -errno, "epoll cannot be set up: too many open files?");
	}
	rx->backend_state = state;
	return 0;
}

static void epoll_close(struct szc_rx *rx)
{
	struct epoll_state *state = rx->backend_state;

	if (!state)
		return;
	close(state->epfd);
	free(state);
	rx->backend_state = NULL;
}

static int epoll_attach(struct szc_conn *conn)
{
	conn->backend_state = NULL;
	return 0;
}

static void epoll_receive(struct szc_conn *conn)
{
	bool full = conn->held >= conn->quota;
	int error;

	if (conn->stopped || conn->fin)
		return;
	szc_conn_park(conn, full);
	error = set_mask(conn, full ? mask_of(conn) & ~(uint32_t)EPOLLIN : mask_of(conn) | EPOLLIN);
	if (error)
		szc_conn_fin(conn, error);
}

static void epoll_stop(struct szc_conn *conn)
{
	set_mask(conn, mask_of(conn) & ~(uint32_t)EPOLLIN);
}

static int epoll_want_write(struct szc_conn *conn)
{
	return set_mask(conn, mask_of(conn) | EPOLLOUT);
}

static void epoll_detach(struct szc_conn *conn)
{
	set_mask(conn, 0);
	szc_conn_gone(conn);
}

static void epoll_recycle(struct szc_rx *rx, struct szc_frag *frag)
{
	szc_refill_put(&rx->refill, frag);
}

/* Disarmed by the kernel when it fires, and kept: to arm it again takes no memory, so that it cannot be refused, and a
 * listener or timer cannot fall silent. */
static int epoll_watch(struct szc_rx *rx, struct szc_watch *watch)
{
	struct epoll_state *state = rx->backend_state;
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = tagged(watch)};

	if (watch->armed)
		return 0;
	if (epoll_ctl(state->epfd, EPOLL_CTL_MOD, watch->fd, &event) &&
	    (errno != ENOENT || epoll_ctl(state->epfd, EPOLL_CTL_ADD, watch->fd, &event)))
		return -errno;
	watch->armed = true;
	return 0;
}

static void epoll_unwatch(struct szc_rx *rx, struct szc_watch *watch)
{
	struct epoll_state *state = rx->backend_state;

	epoll_ctl(state->epfd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->armed = false;
	watch->doomed = true;
	watch->fired(watch);
}

/* Fills one buffer. Returns whether more may be waiting. */
static bool fill_one(struct szc_conn *conn)
{
	struct szc_rx *rx = conn->rx;
	struct szc_frag *frag = szc_refill_take(&rx->refill, conn);
	ssize_t got;

	if (!frag)
		return false;
	got = recv(conn->fd, frag->base, frag->cap, MSG_DONTWAIT);
	if (got > 0) {
		frag->len = (uint32_t)got;
		conn->held++;
		szc_conn_received(conn, frag);
		return (size_t)got == frag->cap;
	}
	szc_refill_put(&rx->refill, frag);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	szc_conn_fin(conn, got ? -errno : 0);
	set_mask(conn, mask_of(conn) & ~(uint32_t)EPOLLIN);
	return false;
}

static void readable(struct szc_conn *conn)
{
	int i;

	for (i = 0; i < RECV_BATCH && conn->held < conn->quota; i++)
		if (!fill_one(conn))
			break;
	epoll_receive(conn);
}

static void conn_event(struct szc_conn *conn, uint32_t events)
{
	if ((events & EPOLLOUT) || ((events & (EPOLLHUP | EPOLLERR)) && (mask_of(conn) & EPOLLOUT))) {
		set_mask(conn, mask_of(conn) & ~(uint32_t)EPOLLOUT);
		szc_conn_writable(conn);
	}
	if (mask_of(conn) & EPOLLIN)
		readable(conn);
}

static int epoll_wait_once(struct szc_rx *rx, int timeout_ms)
{
	struct epoll_state *state = rx->backend_state;
	struct epoll_event events[EVENTS];
	int count = epoll_wait(state->epfd, events, EVENTS, timeout_ms), i;

	if (count < 0)
		return -errno;
	rx->now_ms = szc_clock_ms();
	for (i = 0; i < count; i++) {
		uintptr_t tag = (uintptr_t)events[i].data.ptr;
		struct szc_watch *watch = (struct szc_watch *)(tag & ~(uintptr_t)1);

		if (tag & 1) {
			watch->armed = false;
			watch->fired(watch);
		} else {
			conn_event(events[i].data.ptr, events[i].events);
		}
	}
	return 0;
}

/* Nothing is put off here. */
static void epoll_submit(struct szc_rx *rx)
{
	(void)rx;
}

static int epoll_fd(const struct szc_rx *rx)
{
	const struct epoll_state *state = rx->backend_state;

	return state->epfd;
}

const struct szc_backend_ops szc_backend_epoll = {
	.name = "epoll",
	.kernel_copies = true,
	.exclusive_buffers = true,
	.derive = szc_options_derive,
	.open = epoll_open,
	.close = epoll_close,
	.attach = epoll_attach,
	.receive = epoll_receive,
	.stop = epoll_stop,
	.want_write = epoll_want_write,
	.detach = epoll_detach,
	.recycle = epoll_recycle,
	.watch = epoll_watch,
	.unwatch = epoll_unwatch,
	.wait = epoll_wait_once,
	.submit = epoll_submit,
	.fd = epoll_fd,
};
