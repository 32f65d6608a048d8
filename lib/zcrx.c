/* SPDX-License-Identifier: MIT */
/*
 * Zero-copy receive: the kernel names buffers of the area that hold a connection's bytes. Which registration stands
 * behind the area makes the backend; all that follows it is the same: `zcrx`, a NIC's queue, which wrote the bytes there
 * itself; and `nodev`, the interface without a NIC, where the kernel copies each received page or part of one into a free
 * buffer of its own choice. On a queue the kernel does that, too, with what did not come through it.
 *
 * Nobody posts buffers for a connection, so a quota can only be kept by how much a receive is asked for: its byte
 * count, guessed from how full this connection's buffers were lately. Small segments can prove the guess wrong; then
 * the receive is cancelled. What arrives until that takes effect is packed into the buffers before it without a NIC. On
 * a queue it lies in its buffers already, and is bounded by what the socket could hold (budget.h). What came through
 * another queue is copied piece by piece, each into a buffer of its own: that only the byte count bounds, and the area.
 *
 * How a receive ends, other than by the peer or an error (io_zcrx_recv_skb and io_recvzc in the kernel):
 *   0 after all that was asked   armed again when the quota has room
 *   -ECANCELED                   the same
 *   -ENOMEM                      there was no buffer to copy into: see starvation.h
 *   -ENOSPC                      the completion ring was full: armed again at once. No byte was lost, they wait in TCP.
 */
#include "zcrx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "refusal.h"
#include "spill.h"
#include "zcrx_abi.h"

enum {
	FILL_UNIT = 16,    /* what the average is kept in, and how many buffers it remembers */
	FILL_FIRST = 1024, /* on a NIC's queue, where a packet is a buffer: less than most carry */
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

static struct zcrx_state *state_of(const struct szc_rx *rx)
{
	return rx->backend_state;
}

static bool without_nic(const struct szc_rx *rx)
{
	return rx->ops->kernel_copies;
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

/*
 * Those that found the area empty go on in their order. Without a NIC no more of them than there are buffers; with one
 * nobody can say how many there are, and who finds none waits again.
 */
static void arm_queued(struct szc_rx *rx, bool relieved)
{
	unsigned buffers = without_nic(rx) ? rx->refill.free_count : relieved ? UINT32_MAX : 0;
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

void szc_zcrx_receive(struct szc_conn *conn)
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
		/* It waits for its own buffers now; when they are back the shortage may be long over, and forgotten. */
		zcrx->area_empty = false;
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

/* A fragment for the next completion. */
static int ready(struct szc_rx *rx)
{
	return rx->refill.free_count ? 0 : szc_refill_grow(&rx->refill);
}

/*
 * Without a NIC a buffer holds one completion's bytes and nobody else's, at its beginning (io_zcrx_copy_chunk). A NIC may
 * have packed several packets into it, of several connections, or be writing the next one behind this.
 */
static void take(struct szc_conn *conn, const struct io_uring_cqe *cqe)
{
	const struct szc_zcrx_cqe *where = (const struct szc_zcrx_cqe *)(cqe + 1);
	struct szc_rx *rx = conn->rx;
	struct zcrx_conn *zcrx = conn->backend_state;
	uint32_t buffer_size = (uint32_t)rx->options.buffer_size;
	struct szc_frag *frag = szc_refill_take(&rx->refill, conn);

	frag->len = (uint32_t)cqe->res;
	frag->base = szc_ifq_at(&state_of(rx)->ifq, where->off, frag->len);
	frag->cap = without_nic(rx) ? buffer_size - (uint32_t)(where->off % buffer_size) : frag->len;
	frag->off = where->off;
	zcrx->got += frag->len;
	learn(zcrx, frag->len, buffer_size);
	conn->held++;
	szc_conn_received(conn, frag);
}

static void died(struct szc_conn *conn, int error)
{
	const char *sentence = szc_refusal_receive(error, conn->rx->options.dmabuf_fd);

	if (sentence)
		szc_layer_fail(conn, error, "%s", sentence);
	szc_conn_fin(conn, error);
}

static void ended(struct szc_conn *conn, int result)
{
	struct zcrx_conn *zcrx = conn->backend_state;
	struct szc_rx *rx = conn->rx;

	zcrx->cancelling = false;
	switch (result) {
	case 0:
		if (zcrx->got < zcrx->asked)
			szc_conn_fin(conn, 0);
		break;
	case -ENOMEM:
		if (rx->options.dmabuf_fd) {
			died(conn, result);
			break;
		}
		zcrx->area_empty = true;
		szc_starvation_receive(rx, &state_of(rx)->starvation, &state_of(rx)->ifq);
		break;
	case -ENOSPC:
		rx->stats.cq_full++;
		break;
	case -ECANCELED:
	case -EINTR:
		break;
	default:
		died(conn, result);
		break;
	}
}

static void received(struct szc_conn *conn, const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_MORE)
		take(conn, cqe);
	else
		ended(conn, cqe->res);
	if (without_nic(conn->rx) && conn->held > conn->quota && !conn->stopped)
		szc_conn_compact(conn);
	szc_zcrx_receive(conn);
}

static void event(struct szc_rx *rx, int type)
{
	struct zcrx_state *state = state_of(rx);

	if (type == SZC_ZCRX_EVENT_ALLOC_FAIL)
		szc_starvation_event(rx, &state->starvation, &state->ifq);
}

/* ---- a connection's and the engine's beginning and end */

int szc_zcrx_attach(struct szc_conn *conn)
{
	struct zcrx_conn *zcrx = calloc(1, sizeof(*zcrx));

	if (!zcrx)
		return -ENOMEM;
	zcrx->conn = conn;
	zcrx->fill = (without_nic(conn->rx) ? (uint32_t)conn->rx->options.buffer_size : FILL_FIRST) * FILL_UNIT;
	conn->backend_state = zcrx;
	return 0;
}

static void idle(struct szc_conn *conn)
{
	struct zcrx_conn *zcrx = conn->backend_state;

	unqueue(zcrx);
	conn->backend_state = NULL;
	free(zcrx);
	szc_conn_gone(conn);
}

void szc_zcrx_recycle(struct szc_rx *rx, struct szc_frag *frag)
{
	if (!szc_spill_recycle(frag))
		szc_ifq_return(rx, &state_of(rx)->ifq, frag);
}

static void go_on(struct szc_rx *rx)
{
	struct zcrx_state *state = state_of(rx);

	/* A NIC reads the ring by itself when it needs buffers; only if they do not fit it must be made to. */
	if (without_nic(rx) || szc_ifq_settle(rx, &state->ifq))
		szc_ifq_flush(rx, &state->ifq);
	arm_queued(rx, szc_starvation_relieve(rx, &state->starvation, &state->ifq));
}

int szc_zcrx_wait(struct szc_rx *rx, int timeout_ms)
{
	go_on(rx);
	return szc_uring_wait(rx, timeout_ms);
}

void szc_zcrx_submit(struct szc_rx *rx)
{
	go_on(rx);
	szc_uring_submit(rx);
}

int szc_zcrx_make(struct szc_rx *rx, size_t completions)
{
	struct zcrx_state *state = calloc(1, sizeof(*state));
	bool mixed;
	int error;

	if (!state)
		return szc_rx_fail(rx, -ENOMEM, "no memory for the %s backend", rx->ops->name);
	TAILQ_INIT(&state->to_arm);
	szc_features_query(&state->features);
	mixed = state->features.cqe_mixed;
	if (mixed)
		completions *= 2;
	error = szc_uring_open(rx, &state->uring, (unsigned)completions,
			       mixed ? SZC_IORING_SETUP_CQE_MIXED : IORING_SETUP_CQE32);
	if (error) {
		free(state);
		return error;
	}
	state->uring.received = received;
	state->uring.idle = idle;
	state->uring.ready = ready;
	state->uring.event = event;
	state->ifq.uring = &state->uring;
	state->registration.features = &state->features;
	rx->backend_state = state;
	return 0;
}

void szc_zcrx_close(struct szc_rx *rx)
{
	struct zcrx_state *state = rx->backend_state;

	if (!state)
		return;
	szc_uring_close(&state->uring);
	szc_ifq_close(&state->ifq);
	free(state);
	rx->backend_state = NULL;
}
