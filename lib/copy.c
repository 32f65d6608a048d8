/* SPDX-License-Identifier: MIT */
/*
 * The `copy` backend: io_uring multishot receive, the kernel copies into buffers of the area.
 *
 * Each connection has a buffer ring of its own, inside the area, that never holds more than its quota leaves. So a
 * quota needs no cancelling and cannot be overshot: a connection at its quota has an empty ring, the receive ends by
 * itself with ENOBUFS, and what the peer sends waits in the socket.
 */
#include "uring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

enum {
	RING_ENTRIES = 8,  /* buffers posted at once; few, so that the same ones stay in the cache */
	RING_BYTES = 4096, /* its memory is registered by whole pages */
};

struct copy_state {
	struct szc_uring uring; /* first: see uring.h */
};

struct copy_conn {
	struct szc_uring_conn uring; /* first: see uring.h */
	struct io_uring_buf_ring *ring;
	unsigned tail;
	struct szc_frag *posted[RING_ENTRIES]; /* by buffer id */
};

static size_t copy_overhead(unsigned max_connections, unsigned quota)
{
	(void)quota;
	return (size_t)max_connections * RING_BYTES;
}

static int copy_attach(struct szc_conn *conn)
{
	struct copy_state *state = conn->rx->backend_state;
	struct copy_conn *copy = calloc(1, sizeof(*copy));
	struct io_uring_buf_reg reg = {.ring_entries = RING_ENTRIES, .bgid = (uint16_t)conn->slot};
	int error;

	if (!copy)
		return -ENOMEM;
	copy->ring = (struct io_uring_buf_ring *)(conn->rx->area.base + (size_t)conn->slot * RING_BYTES);
	io_uring_buf_ring_init(copy->ring);
	reg.ring_addr = (uint64_t)(uintptr_t)copy->ring;
	error = io_uring_register_buf_ring(&state->uring.ring, &reg, 0);
	if (error) {
		free(copy);
		return szc_rx_fail(conn->rx, error, "the kernel refused a connection's buffer ring: %s%s",
				   strerror(-error), error == -ENOMEM ? " (ulimit -l?)" : "");
	}
	conn->backend_state = copy;
	return 0;
}

static void post(struct szc_conn *conn, struct szc_frag *frag)
{
	struct copy_conn *copy = conn->backend_state;
	unsigned id = copy->tail++ % RING_ENTRIES;

	copy->posted[id] = frag;
	io_uring_buf_ring_add(copy->ring, frag->base, frag->cap, (unsigned short)id, RING_ENTRIES - 1, 0);
	io_uring_buf_ring_advance(copy->ring, 1);
	conn->posted++;
}

static void arm(struct szc_conn *conn)
{
	struct copy_conn *copy = conn->backend_state;
	struct io_uring_sqe *sqe = szc_uring_sqe(conn->rx->backend_state);

	io_uring_prep_recv_multishot(sqe, conn->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)conn->slot;
	szc_uring_tag(sqe, conn, SZC_URING_RECV);
	copy->uring.recv_armed = true;
}

static void copy_receive(struct szc_conn *conn)
{
	struct copy_conn *copy = conn->backend_state;
	struct szc_frag *frag;

	if (conn->stopped || conn->fin)
		return;
	while (conn->posted < RING_ENTRIES && conn->held + conn->posted < conn->quota) {
		frag = szc_refill_take(&conn->rx->refill, conn);
		if (!frag)
			break;
		post(conn, frag);
	}
	szc_conn_park(conn, !conn->posted);
	if (!copy->uring.recv_armed && conn->posted)
		arm(conn);
}

static void copy_received(struct szc_conn *conn, const struct io_uring_cqe *cqe)
{
	struct copy_conn *copy = conn->backend_state;

	if (cqe->flags & IORING_CQE_F_BUFFER) {
		struct szc_frag *frag = copy->posted[cqe->flags >> IORING_CQE_BUFFER_SHIFT];

		copy->posted[cqe->flags >> IORING_CQE_BUFFER_SHIFT] = NULL;
		conn->posted--;
		if (cqe->res > 0) {
			frag->len = (uint32_t)cqe->res;
			conn->held++;
			szc_conn_received(conn, frag);
		} else {
			szc_refill_put(&conn->rx->refill, frag);
		}
	}
	if (cqe->res == 0)
		szc_conn_fin(conn, 0);
	else if (cqe->res < 0 && cqe->res != -ENOBUFS && cqe->res != -EINTR && cqe->res != -ECANCELED)
		szc_conn_fin(conn, cqe->res);
	copy_receive(conn);
}

static void copy_idle(struct szc_conn *conn)
{
	struct copy_state *state = conn->rx->backend_state;
	struct copy_conn *copy = conn->backend_state;
	int i;

	io_uring_unregister_buf_ring(&state->uring.ring, (int)conn->slot);
	for (i = 0; i < RING_ENTRIES; i++)
		if (copy->posted[i])
			szc_refill_put(&conn->rx->refill, copy->posted[i]);
	conn->posted = 0;
	conn->backend_state = NULL;
	free(copy);
	szc_conn_gone(conn);
}

static void copy_recycle(struct szc_rx *rx, struct szc_frag *frag)
{
	szc_refill_put(&rx->refill, frag);
}

static int copy_open(struct szc_rx *rx)
{
	struct copy_state *state = calloc(1, sizeof(*state));
	unsigned each = rx->options.quota_buffers < RING_ENTRIES ? rx->options.quota_buffers : RING_ENTRIES;
	int error;

	if (!state)
		return szc_rx_fail(rx, -ENOMEM, "no memory for the copy backend");
	error = szc_uring_open(rx, &state->uring, rx->options.max_connections * (each + 2), 0);
	if (error) {
		free(state);
		return error;
	}
	state->uring.received = copy_received;
	state->uring.idle = copy_idle;
	rx->backend_state = state;
	return 0;
}

static void copy_close(struct szc_rx *rx)
{
	struct copy_state *state = rx->backend_state;

	if (!state)
		return;
	szc_uring_close(&state->uring);
	free(state);
	rx->backend_state = NULL;
}

const struct szc_backend_ops szc_backend_copy = {
	.name = "copy",
	.kernel_copies = true,
	.exclusive_buffers = true,
	.derive = szc_options_derive,
	.overhead = copy_overhead,
	.open = copy_open,
	.close = copy_close,
	.attach = copy_attach,
	.receive = copy_receive,
	.stop = szc_uring_stop,
	.want_write = szc_uring_want_write,
	.detach = szc_uring_detach,
	.recycle = copy_recycle,
	.watch = szc_uring_watch,
	.unwatch = szc_uring_unwatch,
	.wait = szc_uring_wait,
	.submit = szc_uring_submit,
	.fd = szc_uring_fd,
};
