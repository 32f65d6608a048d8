/* SPDX-License-Identifier: MIT */
/*
 * The interface queue (ifq) of an engine: the area as it is registered with the kernel, and the refill ring through
 * which buffers go back. The ring lies in the area's front, and so is kept out of children with it.
 *
 * A buffer that finds the ring full waits in a list, which is bounded by the number of fragments: none is ever dropped.
 */
#ifndef SZC_LIB_IFQ_H
#define SZC_LIB_IFQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct szc_frag;
struct szc_rx;
struct szc_zcrx_rqe;

struct szc_ifq {
	int ring_fd;
	uint32_t id;    /* what receives name it by */
	uint64_t token; /* the area's number, as entries of the refill ring want it */

	uint32_t *khead; /* the kernel's: how far it has read */
	uint32_t *ktail; /* ours */
	struct szc_zcrx_rqe *rqes;
	uint32_t entries; /* a power of two */
	uint32_t tail;
	bool unread; /* something was put since the last flush */

	struct szc_frag *waiting; /* for room in the ring, oldest first */
	struct szc_frag **waiting_end;
};

/* What the refill ring costs of the area's front: as szc_backend_ops.overhead. */
size_t szc_ifq_overhead(unsigned max_connections, unsigned quota);

/*
 * Registers the engine's area and refill ring with the io_uring `ring_fd`, which needs DEFER_TASKRUN and CQE32.
 * `flags`: enum szc_zcrx_reg_flags. 0, or SZC_E_BACKEND with the engine's sentence. Closing the io_uring undoes it.
 */
int szc_ifq_open(struct szc_rx *rx, struct szc_ifq *ifq, int ring_fd, uint32_t flags);

/* A fragment without references: its buffer goes back to the kernel, and it is free once the ring has taken it. */
void szc_ifq_return(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag);

/* Lets the kernel read the ring until nothing is in it and nothing waits for it. */
void szc_ifq_flush(struct szc_rx *rx, struct szc_ifq *ifq);

#endif
