/* SPDX-License-Identifier: MIT */
#include "ifq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "uring.h"
#include "zcrx_abi.h"

/* What the kernel names outside of all that was registered is no memory of ours: there is no going on from that. */
uint8_t *szc_ifq_at(const struct szc_ifq *ifq, uint64_t off, size_t len)
{
	uint64_t number = off >> SZC_ZCRX_AREA_SHIFT, at = off & ~SZC_ZCRX_AREA_MASK;
	const struct szc_area *area;

	if (number >= atomic_load_explicit(&ifq->rq->area_count, memory_order_acquire))
		abort();
	area = &ifq->rq->areas[number];
	if (at > area->size || len > area->size - at)
		abort();
	return area->base + at;
}

/* ---- the refill ring */

/* Entries that the kernel has not read. */
static uint32_t filled(const struct szc_rq *rq)
{
	return rq->tail - __atomic_load_n(rq->khead, __ATOMIC_ACQUIRE);
}

static uint32_t level(const struct szc_ifq *ifq)
{
	return ifq->rq->shared ? ifq->rq->entries : ifq->level;
}

/* There must be room. */
static void put(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag)
{
	struct szc_rq *rq = ifq->rq;

	rq->rqes[rq->tail & (rq->entries - 1)] = (struct szc_zcrx_rqe){.off = frag->off, .len = frag->len};
	/* From here on the kernel may hand the buffer out again: it must see the entry, and we be done with it. */
	__atomic_store_n(rq->ktail, ++rq->tail, __ATOMIC_RELEASE);
	ifq->unread = true;
	ifq->put++;
	szc_refill_put(&rx->refill, frag);
}

static void lock(struct szc_rq *rq)
{
	if (rq->shared)
		pthread_mutex_lock(&rq->lock);
}

static void unlock(struct szc_rq *rq)
{
	if (rq->shared)
		pthread_mutex_unlock(&rq->lock);
}

/* The NIC and sockets would lack what they were promised. */
static bool too_much(const struct szc_rx *rx, const struct szc_ifq *ifq)
{
	return rx->refill.count - rx->refill.free_count > ifq->share;
}

/* Whether the ring shall have one more. */
static bool wanted(const struct szc_rx *rx, const struct szc_ifq *ifq, uint32_t in_ring)
{
	return in_ring < level(ifq) || (in_ring < ifq->rq->entries && too_much(rx, ifq));
}

static void give(struct szc_rx *rx, struct szc_ifq *ifq)
{
	struct szc_frag *frag = ifq->reserve;

	ifq->reserve = frag->next_free;
	rx->refill.reserved--;
	put(rx, ifq, frag);
}

static void fill_all(struct szc_rx *rx, struct szc_ifq *ifq)
{
	lock(ifq->rq);
	while (ifq->reserve && filled(ifq->rq) < ifq->rq->entries)
		give(rx, ifq);
	unlock(ifq->rq);
}

void szc_ifq_return(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag)
{
	uint32_t in_ring;
	bool room;

	lock(ifq->rq);
	in_ring = filled(ifq->rq);
	room = wanted(rx, ifq, in_ring);
	if (room)
		put(rx, ifq, frag);
	unlock(ifq->rq);
	if (room)
		return;
	if (in_ring == ifq->rq->entries)
		rx->stats.refill_full++;
	frag->next_free = ifq->reserve;
	ifq->reserve = frag;
	rx->refill.reserved++;
}

bool szc_ifq_settle(struct szc_rx *rx, struct szc_ifq *ifq)
{
	uint32_t entries = ifq->rq->entries;

	lock(ifq->rq);
	/* Empty from full: the kernel may have found it so, and gone on with fresh buffers. */
	if (ifq->was_full && !filled(ifq->rq) && ifq->level < entries)
		ifq->level *= 2;
	while (ifq->reserve && wanted(rx, ifq, filled(ifq->rq)))
		give(rx, ifq);
	ifq->was_full = filled(ifq->rq) >= ifq->level;
	unlock(ifq->rq);
	return ifq->reserve && level(ifq) == entries;
}

void szc_ifq_hold_nothing(struct szc_ifq *ifq)
{
	ifq->level = ifq->rq->entries;
}

void szc_ifq_flush(struct szc_rx *rx, struct szc_ifq *ifq)
{
	fill_all(rx, ifq);
	/* A flush that fails is tried again before the next sleep; the buffers stay where they are. */
	while (ifq->unread) {
		struct szc_zcrx_ctrl ctrl = {.op = SZC_ZCRX_CTRL_FLUSH_RQ};

		if (szc_ifq_ctrl(ifq, &ctrl))
			break;
		ifq->unread = false;
		fill_all(rx, ifq);
	}
}

void szc_ifq_leave(struct szc_rx *rx, struct szc_ifq *ifq)
{
	do {
		ifq->unread = true;
		szc_ifq_flush(rx, ifq);
	} while (ifq->reserve && !ifq->unread);
}

int szc_ifq_ctrl(struct szc_ifq *ifq, struct szc_zcrx_ctrl *ctrl)
{
	int done;

	ctrl->zcrx_id = ifq->id;
	done = szc_uring_register(ifq->uring, SZC_IORING_REGISTER_ZCRX_CTRL, ctrl, 0);
	return done < 0 ? done : 0;
}

/* ---- areas */

int szc_ifq_add_area(struct szc_rx *rx, struct szc_ifq *ifq, size_t size)
{
	struct szc_rq *rq = ifq->rq;
	unsigned number = atomic_load_explicit(&rq->area_count, memory_order_relaxed);
	struct szc_zcrx_area_reg area = {0};
	struct szc_zcrx_ctrl ctrl = {.op = SZC_ZCRX_CTRL_ADD_AREA};
	int error;

	if (number == SZC_AREAS_MAX)
		return -ENOSPC;
	error = szc_area_map(&rq->areas[number], size, rx->options.pages);
	if (error)
		return error;
	/* Known before the kernel can name it to an engine of another thread. */
	atomic_store_explicit(&rq->area_count, number + 1, memory_order_release);
	area.addr = (uint64_t)(uintptr_t)rq->areas[number].base;
	area.len = size;
	ctrl.add_area.area_ptr = (uint64_t)(uintptr_t)&area;
	error = szc_ifq_ctrl(ifq, &ctrl);
	if (!error) {
		ifq->share += (uint32_t)(size / rx->options.buffer_size);
		return 0;
	}
	atomic_store_explicit(&rq->area_count, number, memory_order_relaxed);
	szc_area_unmap(&rq->areas[number]);
	return error;
}

void szc_ifq_close(struct szc_ifq *ifq)
{
	struct szc_rq *rq = ifq->rq;
	unsigned i;

	if (!rq || ifq->imported)
		return;
	if (rq->export_fd >= 0)
		close(rq->export_fd);
	for (i = 1; i < rq->area_count; i++)
		szc_area_unmap(&rq->areas[i]);
	szc_area_unmap(&rq->memory);
	if (rq->shared)
		pthread_mutex_destroy(&rq->lock);
	free(rq);
	ifq->rq = NULL;
}
