/* SPDX-License-Identifier: MIT */
/*
 * Zero-copy receive: the kernel names buffers of the area that hold a connection's bytes. Which registration stands
 * behind the area makes the backend; all that follows it is the same. Here is `nodev`, the interface without a NIC: the
 * kernel copies each received page or part of one into a free buffer of its own choice, and reports it as a completion.
 *
 * Nobody posts buffers for a connection, so a quota can only be kept by how much a receive is asked for: its byte
 * count, guessed from how full this connection's buffers were lately. Small segments can prove the guess wrong; then
 * the receive is cancelled, and what arrives until that takes effect is packed into the buffers before it.
 *
 * How a receive ends, other than by the peer or an error (io_zcrx_recv_skb and io_recvzc in the kernel):
 *   0 after all that was asked   armed again when the quota has room
 *   -ECANCELED                   the same
 *   -ENOMEM                      the area is empty: armed again when a buffer is back, whoever had it. (A NIC says
 *                                nothing in that place: its queue runs dry. Then the event ALLOC_FAIL tells.)
 *   -ENOSPC                      the completion ring was full: armed again at once. No byte was lost, they wait in TCP.
 */
#include "uring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "ifq.h"
#include "zcrx_abi.h"

enum {
	COMPLETIONS = 4096, /* at most; a full ring is no loss */
	FILL_UNIT = 16,     /* what the average is kept in, and how many buffers it remembers */
};

struct zcrx_conn {
	struct szc_uring_conn uring; /* first: see uring.h */
	struct szc_conn *conn;
	TAILQ_ENTRY(zcrx_conn) entry;
	bool queued; /* on to_arm */
	bool cancelling;
	bool area_empty;
	uint32_t asked; /* bytes, by the receive that is armed or was last */
	uint32_t got;
	uint32_t fill; /* bytes in a buffer of late, times FILL_UNIT */
};

struct zcrx_state {
	struct szc_uring uring; /* first: see uring.h */
	struct szc_ifq ifq;
	/* Connections that may receive. Armed before the next sleep, so that all that is released by then counts. */
	TAILQ_HEAD(, zcrx_conn) to_arm;
};

static struct zcrx_state *state_of(const struct szc_rx *rx)
{
	return rx->backend_state;
}

/* ---- arming */

static void arm(struct szc_conn *conn)
{
	struct zcrx_state *state = state_of(conn->rx);
	struct zcrx_conn *zcrx = conn->backend_state;
	struct io_uring_sqe *sqe = szc_uring_sqe(&state->uring);
	/* Half of what the room should hold: only segments far smaller than before can then overshoot it. */
	uint64_t ask = (uint64_t)(conn->quota - conn->held) * zcrx->fill / FILL_UNIT / 2;

	/* 0 would mean no limit. */
	zcrx->asked = ask > INT32_MAX ? INT32_MAX : ask ? (uint32_t)ask : 1;
	zcrx->got = 0;
	zcrx->cancelling = false;
	io_uring_prep_rw(SZC_IORING_OP_RECV_ZC, sqe, conn->fd, NULL, zcrx->asked, 0);
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->file_index = state->ifq.id; /* the place of zcrx_ifq_idx */
	szc_uring_tag(sqe, conn, SZC_URING_RECV);
	zcrx->uring.recv_armed = true;
	szc_conn_park(conn, false);
}

static void unqueue(struct zcrx_conn *zcrx)
{
	if (zcrx->queued)
		TAILQ_REMOVE(&state_of(zcrx->conn->rx)->to_arm, zcrx, entry);
	zcrx->queued = false;
}

/* Those that found the area empty go on in their order, no more of them than there are buffers. */
static void arm_queued(struct szc_rx *rx)
{
	unsigned buffers = rx->refill.free_count;
	struct zcrx_conn *zcrx, *next;

	for (zcrx = TAILQ_FIRST(&state_of(rx)->to_arm); zcrx; zcrx = next) {
		struct szc_conn *conn = zcrx->conn;

		next = TAILQ_NEXT(zcrx, entry);
		if (zcrx->area_empty && !buffers)
			continue;
		if (zcrx->area_empty)
			buffers--;
		zcrx->area_empty = false;
		unqueue(zcrx);
		if (!conn->stopped && !conn->fin && conn->held < conn->quota)
			arm(conn);
	}
}

static void zcrx_receive(struct szc_conn *conn)
{
	struct zcrx_state *state = state_of(conn->rx);
	struct zcrx_conn *zcrx = conn->backend_state;

	if (conn->stopped || conn->fin)
		return;
	if (conn->held >= conn->quota) {
		if (zcrx->uring.recv_armed && !zcrx->cancelling && zcrx->got < zcrx->asked) {
			szc_uring_cancel(&state->uring, conn, SZC_URING_RECV);
			zcrx->cancelling = true;
		}
		szc_conn_park(conn, true);
		return;
	}
	szc_conn_park(conn, zcrx->area_empty);
	if (zcrx->uring.recv_armed || zcrx->queued)
		return;
	TAILQ_INSERT_TAIL(&state->to_arm, zcrx, entry);
	zcrx->queued = true;
}

/* ---- completions */

/*
 * How full buffers are. A fragment that our own asking cut short says little: it may only raise the average, by as much
 * that a receive for half a buffer's worth asks for more the next time. Else small asks would teach ever smaller ones.
 */
static void learn(struct zcrx_conn *zcrx, uint32_t len, uint32_t buffer_size)
{
	bool cut = zcrx->got == zcrx->asked;

	if (cut)
		len = len < buffer_size / 4 ? 4 * len : buffer_size;
	if (!cut || len > zcrx->fill / FILL_UNIT)
		zcrx->fill += len - zcrx->fill / FILL_UNIT;
}

/* A buffer holds one completion's bytes and nobody else's: the kernel copied them to its beginning
 * (io_zcrx_copy_chunk). */
static void take(struct szc_conn *conn, const struct io_uring_cqe *cqe)
{
	const struct szc_zcrx_cqe *where = (const struct szc_zcrx_cqe *)(cqe + 1);
	struct szc_rx *rx = conn->rx;
	struct zcrx_conn *zcrx = conn->backend_state;
	size_t offset = where->off & ~SZC_ZCRX_AREA_MASK;
	size_t within = offset % rx->options.buffer_size;
	struct szc_frag *frag = szc_refill_take(&rx->refill, conn);

	if (!frag)
		abort(); /* there is one for each buffer: the kernel lent one twice, to be shared by two connections */
	frag->base = rx->buffers + offset;
	frag->len = (uint32_t)cqe->res;
	frag->cap = (uint32_t)(rx->options.buffer_size - within);
	frag->buffer = (uint32_t)(offset / rx->options.buffer_size);
	zcrx->got += frag->len;
	learn(zcrx, frag->len, (uint32_t)rx->options.buffer_size);
	conn->held++;
	szc_conn_received(conn, frag);
}

static void ended(struct szc_conn *conn, int result)
{
	struct zcrx_conn *zcrx = conn->backend_state;

	zcrx->cancelling = false;
	switch (result) {
	case 0:
		if (zcrx->got < zcrx->asked)
			szc_conn_fin(conn, 0);
		break;
	case -ENOMEM:
		conn->rx->stats.area_empty++;
		zcrx->area_empty = true;
		break;
	case -ENOSPC:
		conn->rx->stats.cq_full++;
		break;
	case -ECANCELED:
	case -EINTR:
		break;
	default:
		szc_conn_fin(conn, result);
		break;
	}
}

static void zcrx_received(struct szc_conn *conn, const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_MORE)
		take(conn, cqe);
	else
		ended(conn, cqe->res);
	if (conn->held > conn->quota && !conn->stopped)
		szc_conn_compact(conn);
	zcrx_receive(conn);
}

/* ---- a connection's and the engine's beginning and end */

static int zcrx_attach(struct szc_conn *conn)
{
	struct zcrx_conn *zcrx = calloc(1, sizeof(*zcrx));

	if (!zcrx)
		return -ENOMEM;
	zcrx->conn = conn;
	zcrx->fill = (uint32_t)conn->rx->options.buffer_size * FILL_UNIT;
	conn->backend_state = zcrx;
	return 0;
}

static void zcrx_idle(struct szc_conn *conn)
{
	struct zcrx_conn *zcrx = conn->backend_state;

	unqueue(zcrx);
	conn->backend_state = NULL;
	free(zcrx);
	szc_conn_gone(conn);
}

static void zcrx_recycle(struct szc_rx *rx, struct szc_frag *frag)
{
	szc_ifq_return(rx, &state_of(rx)->ifq, frag);
}

static void go_on(struct szc_rx *rx)
{
	szc_ifq_flush(rx, &state_of(rx)->ifq);
	arm_queued(rx);
}

static int zcrx_wait(struct szc_rx *rx, int timeout_ms)
{
	go_on(rx);
	return szc_uring_wait(rx, timeout_ms);
}

static void zcrx_submit(struct szc_rx *rx)
{
	go_on(rx);
	szc_uring_submit(rx);
}

static int nodev_open(struct szc_rx *rx)
{
	struct zcrx_state *state = calloc(1, sizeof(*state));
	unsigned completions = rx->refill.count < COMPLETIONS ? rx->refill.count : COMPLETIONS;
	int error;

	if (!state)
		return szc_rx_fail(rx, -ENOMEM, "no memory for the nodev backend");
	TAILQ_INIT(&state->to_arm);
	error = szc_uring_open(rx, &state->uring, completions, IORING_SETUP_CQE32);
	if (error)
		goto no_ring;
	error = szc_ifq_open(rx, &state->ifq, state->uring.ring.ring_fd, SZC_ZCRX_REG_NODEV);
	if (error)
		goto no_ifq;
	state->uring.received = zcrx_received;
	state->uring.idle = zcrx_idle;
	rx->backend_state = state;
	return 0;

no_ifq:
	szc_uring_close(&state->uring);
no_ring:
	free(state);
	return error;
}

static void zcrx_close(struct szc_rx *rx)
{
	struct zcrx_state *state = rx->backend_state;

	if (!state)
		return;
	szc_uring_close(&state->uring);
	free(state);
	rx->backend_state = NULL;
}

const struct szc_backend_ops szc_backend_nodev = {
	.name = "nodev",
	.kernel_copies = true,
	.exclusive_buffers = false,
	.overhead = szc_ifq_overhead,
	.open = nodev_open,
	.close = zcrx_close,
	.attach = zcrx_attach,
	.receive = zcrx_receive,
	.stop = szc_uring_stop,
	.want_write = szc_uring_want_write,
	.detach = szc_uring_detach,
	.recycle = zcrx_recycle,
	.watch = szc_uring_watch,
	.unwatch = szc_uring_unwatch,
	.wait = zcrx_wait,
	.submit = zcrx_submit,
	.fd = szc_uring_fd,
};
