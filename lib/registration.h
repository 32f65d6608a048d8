/* SPDX-License-Identifier: MIT */
/* How an engine's area comes to be registered with the kernel for zero-copy receive, and why it was not. */
#ifndef SZC_LIB_REGISTRATION_H
#define SZC_LIB_REGISTRATION_H

#include "features.h"
#include "ifq.h"

/* What was asked for and what became of it; the rest is for szc_rx_describe(). */
struct szc_registration {
	const struct szc_features *features;
	uint32_t ifindex; /* 0: no NIC */
	uint32_t queue;
	bool kernel_ring; /* the refill ring lies in the kernel's memory; tried where ours is refused */
	uint64_t event;   /* what events of the queue are told by, a completion's user_data; 0: not wanted */

	uint32_t buffer_size;  /* of the buffers as registered; 0: ask for rx->options.buffer_size */
	int buffer_size_error; /* why they are not as large as asked for; 0 */
	bool events;           /* they are told */
};

/*
 * Each registers with ifq->uring's ring, which needs DEFER_TASKRUN and CQE32 or CQE_MIXED. 0, or SZC_E_BACKEND with
 * the engine's sentence. Closing the io_uring undoes it, and szc_ifq_close() what is left.
 */
int szc_registration_nodev(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_registration *registration);
int szc_registration_queue(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_registration *registration);
int szc_registration_import(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_rq *rq);

/* Lets engines of other threads in. 0 or SZC_E_BACKEND. */
int szc_registration_export(struct szc_rx *rx, struct szc_ifq *ifq);

#endif
