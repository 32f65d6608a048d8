/* SPDX-License-Identifier: MIT */
#include "uring.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "zcrx_abi.h"

enum {
	SUBMISSIONS = 256,
	COMPLETIONS_MIN = 512,
	COMPLETIONS_MAX = 32768,
};

static const char *setup_refused(int error)
{
	switch (-error) {
	case ENOSYS:
		return "this kernel has no io_uring, or a sandbox hides it";
	case EPERM:
	case EACCES:
		return "io_uring is forbidden here (sysctl kernel.io_uring_disabled, or a container's seccomp filter)";
	case EINVAL:
		return "this kernel's io_uring is older than Linux 6.1 (no DEFER_TASKRUN)";
	case ENOMEM:
		return "io_uring may not lock memory: raise the limit (ulimit -l)";
	case EMFILE:
	case ENFILE:
		return "too many open files for an io_uring: raise the limit (ulimit -n)";
	default:
		return strerror(-error);
	}
}

int szc_uring_open(struct szc_rx *rx, struct szc_uring *uring, unsigned completions, unsigned flags)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
			 IORING_SETUP_CLAMP | flags,
		.cq_entries = COMPLETIONS_MIN,
	};
	int error;

	uring->event_fd = -1;
	while (params.cq_entries < completions && params.cq_entries < COMPLETIONS_MAX)
		params.cq_entries *= 2;
	error = io_uring_queue_init_params(SUBMISSIONS, &uring->ring, &params);
	if (error)
		return szc_rx_fail(rx, SZC_E_BACKEND, "%s", setup_refused(error));
	/* A child that kept the ring's pages would keep the ring, and on a NIC its queue, alive. */
	error = io_uring_ring_dontfork(&uring->ring);
	if (error) {
		io_uring_queue_exit(&uring->ring);
		return szc_rx_fail(rx, SZC_E_BACKEND, "the ring cannot be kept out of forks: %s", strerror(-error));
	}
	return 0;
}

int szc_uring_register(struct szc_uring *uring, unsigned opcode, void *arg, unsigned count)
{
	int fd = uring->ring.ring_fd;
	long done;

	if (uring->detached) {
		fd = uring->ring.enter_ring_fd;
		opcode |= SZC_IORING_REGISTER_USE_REGISTERED_RING;
	}
	done = syscall(__NR_io_uring_register, fd, opcode, arg, count);
	return done < 0 ? -errno : (int)done;
}

void szc_uring_forget_fd(struct szc_uring *uring)
{
	if (io_uring_register_ring_fd(&uring->ring) != 1)
		return;
	close(uring->ring.ring_fd);
	uring->ring.ring_fd = -1;
	uring->detached = true;
}

void szc_uring_close(struct szc_uring *uring)
{
	struct io_uring_rsrc_update place = {.offset = (uint32_t)uring->ring.enter_ring_fd};

	/* Not left to liburing: some of its versions would do it through the descriptor that is closed. */
	if (uring->detached)
		szc_uring_register(uring, IORING_UNREGISTER_RING_FDS, &place, 1);
	io_uring_queue_exit(&uring->ring);
	if (uring->event_fd >= 0)
		close(uring->event_fd);
}

/* There is no way on without the ring, and none back: somebody's buffers may be the kernel's. */
static _Noreturn void broken(int error)
{
	fprintf(stderr, "szc: the kernel takes nothing more from this io_uring: %s%s\n", strerror(-error),
		error == -EEXIST ? "; an engine belongs to the thread that opened it" : "");
	abort();
}

struct io_uring_sqe *szc_uring_sqe(struct szc_uring *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	while (!sqe) {
		int done = io_uring_submit(&uring->ring);

		if (done < 0 && done != -EINTR && done != -EAGAIN && done != -EBUSY)
			broken(done);
		sqe = io_uring_get_sqe(&uring->ring);
	}
	return sqe;
}

void szc_uring_tag(struct io_uring_sqe *sqe, void *owner, enum szc_uring_tag tag)
{
	sqe->user_data = (uint64_t)(uintptr_t)owner | tag;
}

void szc_uring_cancel(struct szc_uring *uring, void *owner, enum szc_uring_tag tag)
{
	struct io_uring_sqe *sqe = szc_uring_sqe(uring);

	io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)owner | tag, 0);
	szc_uring_tag(sqe, NULL, SZC_URING_NONE);
}

void szc_uring_submit(struct szc_rx *rx)
{
	struct szc_uring *uring = rx->backend_state;

	if (io_uring_sq_ready(&uring->ring))
		io_uring_submit(&uring->ring);
}

int szc_uring_want_write(struct szc_conn *conn)
{
	struct szc_uring_conn *state = conn->backend_state;
	struct io_uring_sqe *sqe;

	if (state->write_armed)
		return 0;
	sqe = szc_uring_sqe(conn->rx->backend_state);
	/* Multishot, and so told of edges only: io_uring waits for a peer's FIN too, whatever it is asked to wait for,
	 * and after one a single shot would be over at once, again and again. */
	io_uring_prep_poll_multishot(sqe, conn->fd, POLLOUT);
	szc_uring_tag(sqe, conn, SZC_URING_WRITE);
	state->write_armed = true;
	return 0;
}

void szc_uring_stop(struct szc_conn *conn)
{
	struct szc_uring_conn *state = conn->backend_state;

	if (state->recv_armed)
		szc_uring_cancel(conn->rx->backend_state, conn, SZC_URING_RECV);
}

static void detach_if_idle(struct szc_conn *conn)
{
	struct szc_uring_conn *state = conn->backend_state;
	struct szc_uring *uring = conn->rx->backend_state;

	if (state->detaching && !state->recv_armed && !state->write_armed)
		uring->idle(conn);
}

void szc_uring_detach(struct szc_conn *conn)
{
	struct szc_uring_conn *state = conn->backend_state;

	state->detaching = true;
	szc_uring_stop(conn);
	if (state->write_armed)
		szc_uring_cancel(conn->rx->backend_state, conn, SZC_URING_WRITE);
	detach_if_idle(conn);
}

int szc_uring_watch(struct szc_rx *rx, struct szc_watch *watch)
{
	struct io_uring_sqe *sqe;

	if (watch->armed)
		return 0;
	sqe = szc_uring_sqe(rx->backend_state);
	io_uring_prep_poll_add(sqe, watch->fd, POLLIN);
	szc_uring_tag(sqe, watch, SZC_URING_WATCH);
	watch->armed = true;
	return 0;
}

void szc_uring_unwatch(struct szc_rx *rx, struct szc_watch *watch)
{
	watch->doomed = true;
	if (watch->armed)
		szc_uring_cancel(rx->backend_state, watch, SZC_URING_WATCH);
	else
		watch->fired(watch);
}

static void written(struct szc_conn *conn, const struct io_uring_cqe *cqe)
{
	struct szc_uring_conn *state = conn->backend_state;

	state->write_armed = cqe->flags & IORING_CQE_F_MORE;
	if (!state->detaching)
		szc_conn_writable(conn);
	detach_if_idle(conn);
}

static void received(struct szc_uring *uring, struct szc_conn *conn, const struct io_uring_cqe *cqe)
{
	struct szc_uring_conn *state = conn->backend_state;

	state->recv_armed = cqe->flags & IORING_CQE_F_MORE;
	uring->received(conn, cqe);
	detach_if_idle(conn);
}

static void dispatch(struct szc_uring *uring, const struct io_uring_cqe *cqe)
{
	void *owner = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)SZC_URING_TAGS);
	struct szc_watch *watch = owner;

	switch (cqe->user_data & SZC_URING_TAGS) {
	case SZC_URING_RECV:
		received(uring, owner, cqe);
		break;
	case SZC_URING_WRITE:
		written(owner, cqe);
		break;
	case SZC_URING_WATCH:
		watch->armed = false;
		watch->fired(watch);
		break;
	case SZC_URING_EVENT:
		uring->event(owner, cqe->res);
		break;
	default:
		break;
	}
}

static int enter(struct io_uring *ring, int timeout_ms)
{
	struct __kernel_timespec ts = {timeout_ms / 1000, (long long)(timeout_ms % 1000) * 1000000};
	struct io_uring_cqe *cqe;
	int done;

	if (timeout_ms < 0)
		done = io_uring_submit_and_wait(ring, 1);
	else if (timeout_ms == 0)
		done = io_uring_submit_and_get_events(ring);
	else
		done = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &ts, NULL);
	/* EBUSY and EAGAIN: completions must be taken before more can be submitted, which is what follows. */
	return done < 0 && done != -ETIME && done != -EBUSY && done != -EAGAIN ? done : 0;
}

/* How many places of the ring a completion takes. */
static unsigned places(const struct szc_uring *uring, const struct io_uring_cqe *cqe)
{
	bool mixed = uring->ring.flags & SZC_IORING_SETUP_CQE_MIXED;

	return mixed && (cqe->flags & SZC_IORING_CQE_F_32) ? 2 : 1;
}

static int take_completions(struct szc_rx *rx)
{
	struct szc_uring *uring = rx->backend_state;
	bool wide = uring->ring.flags & IORING_SETUP_CQE32;
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&uring->ring, &cqe)) {
		int error = uring->ready ? uring->ready(rx) : 0;
		unsigned taken = places(uring, cqe);
		union {
			struct io_uring_cqe cqe;
			uint8_t bytes[2 * sizeof(struct io_uring_cqe)];
		} copy;

		if (error)
			return error;
		memcpy(copy.bytes, cqe, sizeof(*cqe) * (wide ? 2 : taken));
		/* Given back first: what a completion sets off may itself submit, and need the room. */
		io_uring_cq_advance(&uring->ring, taken);
		if (!(copy.cqe.flags & SZC_IORING_CQE_F_SKIP))
			dispatch(uring, &copy.cqe);
	}
	return 0;
}

int szc_uring_wait(struct szc_rx *rx, int timeout_ms)
{
	struct szc_uring *uring = rx->backend_state;
	int error;

	/* Before the ring is looked at: what comes later counts anew. */
	if (uring->event_fd >= 0)
		eventfd_read(uring->event_fd, &(eventfd_t){0});
	error = enter(&uring->ring, timeout_ms);
	if (error)
		return error;
	rx->now_ms = szc_clock_ms();
	return take_completions(rx);
}

int szc_uring_fd(const struct szc_rx *rx)
{
	struct szc_uring *uring = rx->backend_state;
	int fd, error;

	/* Not the ring's own descriptor: with DEFER_TASKRUN most kernels do not wake those who poll that. */
	if (uring->event_fd >= 0)
		return uring->event_fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	error = szc_uring_register(uring, IORING_REGISTER_EVENTFD, &fd, 1);
	if (error < 0) {
		close(fd);
		return error;
	}
	uring->event_fd = fd;
	return fd;
}
