/* SPDX-License-Identifier: MIT */
/*
 * The interface queue (ifq) of an engine: areas as they are registered with the kernel, and the refill ring through
 * which buffers go back.
 *
 * A place in an area is named by an offset with the area's number above it: completions tell it, and the refill ring
 * takes any offset within the buffer, once for each completion that named it.
 *
 * Which buffers the kernel fills next. It takes from the ring the oldest first, and from a free list of its own, of
 * buffers that were not used yet, whenever it finds the ring empty. If all went into the ring at once, buffers would come
 * round as seldom as there are many in use, and their lines would have left the cache by then. So the ring is kept at a
 * level, and what is beyond it waits here: last returned, first reused. The level is twice as high once the kernel used it
 * up between two of our turns: so fresh buffers are touched a few times only. What waits here the kernel lacks, so it may
 * be no more than connections could hold if they used up their quotas (budget.h): what the NIC and sockets were promised
 * stays theirs. Should the kernel run dry all the same it tells by an event, everything goes into the ring, and from then on
 * no reserve is kept. Nor is one where there is no such event, or where other engines live on the same queue, whose buffers
 * a sleeper would withhold.
 *
 * What finds the ring full waits in the same place. It is bounded by the number of fragments: none is ever dropped.
 *
 * Threads: an ifq belongs to its engine's thread. Its rq can be shared by engines of several threads; then, and only
 * then, the ring is written under a lock. It is held for a few stores, never across a system call, so that no engine
 * waits for another one's thread to be turned. No other lock is taken inside.
 */
#ifndef SZC_LIB_IFQ_H
#define SZC_LIB_IFQ_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "area.h"

struct szc_frag;
struct szc_rx;
struct szc_uring;
struct szc_zcrx_ctrl;
struct szc_zcrx_rqe;
struct szc_zcrx_stats;

enum {
	SZC_AREAS_MAX = 64,
	SZC_POOL_TAKES = 64, /* buffers at once (PP_ALLOC_CACHE_REFILL, include/net/page_pool/types.h) */
};

/* What the engines on one queue have in common; the one that registered it owns it. */
struct szc_rq {
	struct szc_area memory; /* the ring's */
	uint32_t *khead;        /* the kernel's: how far it has read */
	uint32_t *ktail;        /* ours */
	struct szc_zcrx_rqe *rqes;
	uint32_t entries; /* a power of two */
	uint32_t tail;
	const struct szc_zcrx_stats *stats; /* the kernel's; NULL: it keeps none */

	struct szc_area areas[SZC_AREAS_MAX]; /* by number; the first is the engine's own */
	atomic_uint area_count;

	bool shared;
	pthread_mutex_t lock; /* where shared: of tail, and the entries from there on */
	int export_fd;        /* what importers register with; -1: none */
	atomic_uint importers;
	atomic_uint promised; /* buffers, to all engines on it */
};

struct szc_ifq {
	struct szc_uring *uring;
	struct szc_rq *rq;
	bool imported; /* rq is another engine's */
	uint32_t id;   /* what receives name it by */
	bool unread;   /* something was put since the last flush */
	uint64_t put;  /* buffers given back, ever */

	struct szc_frag *reserve; /* newest first */
	uint32_t level;           /* entries that the ring is filled up to; all: no reserve is kept */
	uint32_t share;           /* most buffers that connections and the reserve have together */
	bool was_full;            /* up to the level, when we last looked */
};

/* The `len` bytes at that place, which lie in a registered area, or the program ends. */
uint8_t *szc_ifq_at(const struct szc_ifq *ifq, uint64_t off, size_t len);

/* A fragment without references: its buffer goes back to the kernel, and it is free once the ring has taken it. */
void szc_ifq_return(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag);

/* Once a turn: fills the ring up to its level. Returns whether something waits though the level is all there is. */
bool szc_ifq_settle(struct szc_rx *rx, struct szc_ifq *ifq);

/* The kernel lacks buffers: no reserve from now on. */
void szc_ifq_hold_nothing(struct szc_ifq *ifq);

/* Lets the kernel read the ring until nothing is in it and nothing waits for it, or it refuses. */
void szc_ifq_flush(struct szc_rx *rx, struct szc_ifq *ifq);

/* An importer goes, its ring will not: whatever waits for room in it is given back first, be it full of others' buffers. */
void szc_ifq_leave(struct szc_rx *rx, struct szc_ifq *ifq);

/* enum szc_zcrx_ctrl_op, with ctrl->zcrx_id filled in here. 0 or a negative errno. */
int szc_ifq_ctrl(struct szc_ifq *ifq, struct szc_zcrx_ctrl *ctrl);

/* One more area of about that size. 0 or a negative errno. */
int szc_ifq_add_area(struct szc_rx *rx, struct szc_ifq *ifq, size_t size);

/* After the io_uring was closed. */
void szc_ifq_close(struct szc_ifq *ifq);

#endif
