/* SPDX-License-Identifier: MIT */
/* The `zcrx` backend: a NIC's queue writes into the area. Opening it, alone or as one of several engines on the queue. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nicinfo.h"
#include "refusal.h"
#include "spill.h"
#include "zcrx.h"
#include "zcrx_abi.h"

enum {
	COMPLETIONS = 4096, /* at most; a full ring is no loss */
	LOOK_MS = 1000,
};

static const struct zcrx_state *first_state(const struct szc_rx *rx)
{
	const struct szc_rx *first = rx->given.share;

	return first->ops == &szc_backend_zcrx ? first->backend_state : NULL;
}

/* ---- before it is opened */

static int derive_shared(struct szc_rx *rx)
{
	const struct szc_rx *first = rx->given.share;
	const struct zcrx_state *state = first_state(rx);
	struct szc_rx_options *o = &rx->options;

	if (!state || !state->ifq.rq->shared)
		return szc_rx_fail(
			rx, SZC_E_OPTION,
			"the engine to share with does not run on a NIC queue, or was not opened as shareable");
	if (o->buffer_size && o->buffer_size != first->options.buffer_size)
		return szc_rx_fail(rx, SZC_E_OPTION,
				   "buffer_size %zu differs from that of the engine to share with, %zu", o->buffer_size,
				   first->options.buffer_size);
	o->buffer_size = first->options.buffer_size;
	o->area_size = first->options.area_size;
	o->area_max = first->options.area_max;
	o->dmabuf_fd = first->options.dmabuf_fd;
	o->ifname = first->options.ifname;
	o->queue = first->options.queue;
	rx->budget.ring = first->budget.ring;
	rx->budget.ring_payload = first->budget.ring_payload;
	rx->budget.reserved = atomic_load(&state->ifq.rq->promised);
	return 0;
}

static bool can_grow(void)
{
	struct szc_features features;

	szc_features_query(&features);
	return features.ctrls > SZC_ZCRX_CTRL_ADD_AREA;
}

static int derive_own(struct szc_rx *rx)
{
	struct szc_rx_options *o = &rx->options;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct szc_nicinfo nic;

	if (szc_nicinfo_look(&nic, o->ifname, o->queue))
		return szc_rx_fail(rx, SZC_E_BACKEND, "there is no interface %s in this network namespace", o->ifname);
	if (o->buffer_size < page)
		o->buffer_size = page;
	rx->budget.ring = nic.ring;
	rx->budget.ring_payload = nic.ring_payload;
	if (!can_grow())
		o->area_max = 0; /* what it may grow to is memory that it never has */
	if (!o->dmabuf_fd)
		return 0;
	o->area_size = (size_t)lseek(o->dmabuf_fd, 0, SEEK_END);
	if ((off_t)o->area_size <= 0)
		return szc_rx_fail(rx, SZC_E_OPTION, "descriptor %d is not a dma-buf", o->dmabuf_fd);
	return 0;
}

static int zcrx_derive(struct szc_rx *rx)
{
	struct szc_rx_options *o = &rx->options;
	int error;

	rx->budget = (struct szc_budget){0};
	error = o->share ? derive_shared(rx) : derive_own(rx);
	if (error)
		return error;
	rx->budget.buffer_size = o->buffer_size;
	rx->budget.area_max = o->area_max;
	rx->budget.area_size = o->area_size;
	rx->budget.connections = o->max_connections;
	rx->budget.quota = o->quota_buffers;
	rx->budget.receive_buffer_max = o->receive_buffer_max;
	rx->budget.leave_room = o->shareable || o->share;
	error = szc_budget_fill(&rx->budget, rx->error_text, sizeof(rx->error_text));
	if (error)
		return error;
	o->area_size = rx->budget.area_size;
	o->quota_buffers = rx->budget.quota;
	return 0;
}

static int zcrx_map(struct szc_rx *rx)
{
	const struct szc_rx_options *o = &rx->options;

	if (!o->share)
		return o->dmabuf_fd ? szc_area_map_dmabuf(&rx->area, o->dmabuf_fd)
				    : szc_area_map(&rx->area, o->area_size, o->pages);
	rx->area = o->share->area;
	rx->area.borrowed = true;
	return 0;
}

/* ---- opening */

static unsigned promise(const struct szc_budget *b)
{
	return (unsigned)szc_budget_promise(b);
}

/* Other engines may have come first since the budget was made: as long as there is room for all it stands. */
static int take_part(struct szc_rx *rx, struct szc_rq *rq)
{
	struct szc_budget *b = &rx->budget;
	unsigned reserved = atomic_load(&rq->promised);

	do {
		b->reserved = reserved;
		if (szc_budget_total(b) > szc_budget_room(b))
			return szc_rx_fail(rx, SZC_E_BACKEND,
					   "another engine took its part of the area at the same time: try again");
	} while (!atomic_compare_exchange_weak(&rq->promised, &reserved, reserved + promise(b)));
	return 0;
}

static int open_shared(struct szc_rx *rx, struct zcrx_state *state)
{
	struct szc_rq *rq = first_state(rx)->ifq.rq;
	int error = take_part(rx, rq);

	if (error)
		return error;
	error = szc_registration_import(rx, &state->ifq, rq);
	if (error)
		atomic_fetch_sub(&rq->promised, promise(&rx->budget));
	else
		atomic_fetch_add(&rq->importers, 1);
	return error;
}

static int open_own(struct szc_rx *rx, struct zcrx_state *state)
{
	struct szc_nicinfo nic;
	int error;

	if (szc_nicinfo_look(&nic, rx->options.ifname, rx->options.queue))
		return szc_rx_fail(rx, SZC_E_BACKEND, "there is no interface %s any more", rx->options.ifname);
	state->napi_id = nic.napi_id;
	state->registration.ifindex = nic.ifindex;
	state->registration.queue = rx->options.queue;
	state->registration.event = (uint64_t)(uintptr_t)rx | SZC_URING_EVENT;
	error = szc_registration_queue(rx, &state->ifq, &state->registration);
	if (error)
		return error;
	atomic_store(&state->ifq.rq->promised, promise(&rx->budget));
	if (rx->options.shareable)
		error = szc_registration_export(rx, &state->ifq);
	return error;
}

static int zcrx_open(struct szc_rx *rx)
{
	struct zcrx_state *state;
	int error = szc_zcrx_make(rx, rx->refill.count < COMPLETIONS ? rx->refill.count : COMPLETIONS);

	if (error)
		return error;
	state = rx->backend_state;
	error = rx->options.share ? open_shared(rx, state) : open_own(rx, state);
	if (error) {
		szc_zcrx_close(rx);
		return error;
	}
	szc_uring_forget_fd(&state->uring);
	rx->receive_buffer = rx->budget.receive_buffer;
	rx->unaccepted = rx->budget.unaccepted;
	return 0;
}

/* ---- connections */

/*
 * Whether a connection's packets come through our queue: its handshake did, or did not. A queue's NAPI has another number
 * after the interface went down and up, so that a difference is looked into, but not at each connection.
 */
static bool comes_elsewhere(const struct szc_rx *rx, int fd)
{
	struct zcrx_state *state = rx->backend_state;
	socklen_t len = sizeof(unsigned);
	struct szc_nicinfo nic;
	unsigned napi_id = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &napi_id, &len))
		return false; /* the kernel does not tell */
	if (napi_id != state->napi_id && rx->now_ms >= state->look_again_ms) {
		state->look_again_ms = rx->now_ms + LOOK_MS;
		if (!szc_nicinfo_look(&nic, rx->options.ifname, rx->options.queue))
			state->napi_id = nic.napi_id;
	}
	return state->napi_id && napi_id != state->napi_id;
}

static int zcrx_attach(struct szc_conn *conn)
{
	conn->elsewhere = comes_elsewhere(conn->rx, conn->fd);
	if (conn->elsewhere)
		conn->rx->stats.elsewhere++;
	return szc_zcrx_attach(conn);
}

/* ---- closing */

static int zcrx_may_close(struct szc_rx *rx)
{
	const struct zcrx_state *state = rx->backend_state;
	unsigned importers = atomic_load(&state->ifq.rq->importers);

	if (state->ifq.imported || !importers)
		return 0;
	return szc_rx_fail(rx, SZC_E_STATE, "%u engines still share this one's queue; close them first", importers);
}

static void zcrx_close(struct szc_rx *rx)
{
	struct zcrx_state *state = rx->backend_state;
	struct szc_rq *shared = state && state->ifq.imported ? state->ifq.rq : NULL;

	if (shared)
		szc_ifq_leave(rx, &state->ifq);
	szc_zcrx_close(rx);
	if (!shared)
		return;
	atomic_fetch_sub(&shared->promised, promise(&rx->budget));
	atomic_fetch_sub(&shared->importers, 1);
}

/* ---- telling */

static uint64_t zcrx_copied(const struct szc_rx *rx)
{
	const struct zcrx_state *state = rx->backend_state;
	const struct szc_zcrx_stats *stats = state->ifq.imported ? NULL : state->ifq.rq->stats;

	return stats ? __atomic_load_n(&stats->copy_bytes, __ATOMIC_RELAXED) : 0;
}

static void zcrx_describe(struct szc_rx *rx, char *text, size_t size)
{
	const struct zcrx_state *state = rx->backend_state;
	const struct szc_registration *r = &state->registration;
	const struct szc_budget *b = &rx->budget;
	char length[160] = "", growth[80] = "";

	if (r->buffer_size_error)
		snprintf(length, sizeof(length), "buffers: not longer than a page, because %s\n",
			 szc_refusal_length(r->buffer_size_error));
	if (b->area_max > b->area_size)
		snprintf(growth, sizeof(growth), "; it may grow to %zu KiB", b->area_max / 1024);
	else if (rx->given.area_max > b->area_size)
		snprintf(growth, sizeof(growth), "; it cannot grow, as this kernel cannot add to it");
	snprintf(text, size,
		 "queue: %u of %s%s, a ring of %u\n%s"
		 "of the area: %u buffers for the NIC, at most %u in each socket (SO_RCVBUF %d)%s\n"
		 "backlog: at most %u connections wait unaccepted\n"
		 "kernel: %s completions, %s refill ring, starvation %s\n",
		 rx->options.queue, rx->options.ifname, rx->options.share ? ", shared" : "", b->ring, length,
		 b->standing, b->queued, b->receive_buffer, growth, b->unaccepted,
		 state->features.cqe_mixed ? "mixed" : "wide",
		 state->ifq.imported ? "another engine's"
		 : r->kernel_ring    ? "its own"
				     : "our",
		 r->events ? "is told" : "is not told");
}

const struct szc_backend_ops szc_backend_zcrx = {
	.name = "zcrx",
	.kernel_copies = false,
	.exclusive_buffers = false,
	.derive = zcrx_derive,
	.map = zcrx_map,
	.open = zcrx_open,
	.close = zcrx_close,
	.may_close = zcrx_may_close,
	.describe = zcrx_describe,
	.copied = zcrx_copied,
	.attach = zcrx_attach,
	.receive = szc_zcrx_receive,
	.stop = szc_uring_stop,
	.want_write = szc_uring_want_write,
	.detach = szc_uring_detach,
	.recycle = szc_zcrx_recycle,
	.pack = szc_spill_pack,
	.watch = szc_uring_watch,
	.unwatch = szc_uring_unwatch,
	.wait = szc_zcrx_wait,
	.submit = szc_zcrx_submit,
	.fd = szc_uring_fd,
};
