/* SPDX-License-Identifier: MIT */
/*
 * The interface queue (ifq) of an engine: areas as they are registered with the kernel, and the refill ring through
 * which buffers go back.
 *
 * A place in an area is named by an offset with the area's number above it: completions tell it, and the refill ring
 * takes any offset within the buffer, once for each completion that named it.
 *
 * A buffer that finds the ring full waits in a list, which is bounded by the number of fragments: none is ever dropped.
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

enum { SZC_AREAS_MAX = 64 };

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

	struct szc_frag *waiting; /* for room in the ring, oldest first */
	struct szc_frag **waiting_end;
};

/* The `len` bytes at that place, which lie in a registered area, or the program ends. */
uint8_t *szc_ifq_at(const struct szc_ifq *ifq, uint64_t off, size_t len);

/* A fragment without references: its buffer goes back to the kernel, and it is free once the ring has taken it. */
void szc_ifq_return(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag);

/* What waits goes into the ring, as far as there is room. Returns whether something still waits. */
bool szc_ifq_settle(struct szc_rx *rx, struct szc_ifq *ifq);

/* Lets the kernel read the ring until nothing is in it and nothing waits for it, or it refuses. */
void szc_ifq_flush(struct szc_rx *rx, struct szc_ifq *ifq);

/* enum szc_zcrx_ctrl_op, with ctrl->zcrx_id filled in here. 0 or a negative errno. */
int szc_ifq_ctrl(struct szc_ifq *ifq, struct szc_zcrx_ctrl *ctrl);

/* One more area of about that size. 0 or a negative errno. */
int szc_ifq_add_area(struct szc_rx *rx, struct szc_ifq *ifq, size_t size);

/* After the io_uring was closed. */
void szc_ifq_close(struct szc_ifq *ifq);

#endif
