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

static bool full(const struct szc_rq *rq)
{
	return rq->tail - __atomic_load_n(rq->khead, __ATOMIC_ACQUIRE) == rq->entries;
}

/* False if the ring is full. */
static bool put(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag)
{
	struct szc_rq *rq = ifq->rq;

	if (full(rq))
		return false;
	rq->rqes[rq->tail & (rq->entries - 1)] = (struct szc_zcrx_rqe){.off = frag->off, .len = frag->len};
	/* From here on the kernel may hand the buffer out again: it must see the entry, and we be done with it. */
	__atomic_store_n(rq->ktail, ++rq->tail, __ATOMIC_RELEASE);
	ifq->unread = true;
	ifq->put++;
	szc_refill_put(&rx->refill, frag);
	return true;
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

void szc_ifq_return(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag)
{
	bool taken = false;

	if (!ifq->waiting) {
		lock(ifq->rq);
		taken = put(rx, ifq, frag);
		unlock(ifq->rq);
		if (!taken)
			rx->stats.refill_full++;
	}
	if (taken)
		return;
	frag->next_free = NULL;
	*ifq->waiting_end = frag;
	ifq->waiting_end = &frag->next_free;
}

bool szc_ifq_settle(struct szc_rx *rx, struct szc_ifq *ifq)
{
	if (!ifq->waiting)
		return false;
	lock(ifq->rq);
	while (ifq->waiting) {
		struct szc_frag *frag = ifq->waiting, *next = frag->next_free;

		if (!put(rx, ifq, frag))
			break;
		ifq->waiting = next;
	}
	unlock(ifq->rq);
	if (!ifq->waiting)
		ifq->waiting_end = &ifq->waiting;
	return ifq->waiting;
}

void szc_ifq_flush(struct szc_rx *rx, struct szc_ifq *ifq)
{
	szc_ifq_settle(rx, ifq);
	/* A flush that fails is tried again before the next sleep; the buffers stay where they are. */
	while (ifq->unread) {
		struct szc_zcrx_ctrl ctrl = {.op = SZC_ZCRX_CTRL_FLUSH_RQ};

		if (szc_ifq_ctrl(ifq, &ctrl))
			break;
		ifq->unread = false;
		szc_ifq_settle(rx, ifq);
	}
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
	if (!error)
		return 0;
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
