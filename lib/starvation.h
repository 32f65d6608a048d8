/* SPDX-License-Identifier: MIT */
/*
 * An area that ran dry.
 *
 * What is told of it: a NIC's queue that finds no buffer is silent, but for one event, which is not told again before it
 * was armed again; and only the ring that registered the queue hears it. A receive that must be copied into a buffer and
 * finds none ends with ENOMEM.
 *
 * What helps: more memory, if the area may grow. Buffers that come back; a flush brings them from the refill ring into
 * the queue's page pool even if the NIC does not ask. And time: the NIC can hold, idle, all the buffers that a copy
 * needs, and then nobody's release ends it.
 *
 * If there is no memory to grow by, it was promised in vain: sockets are held to what there is, and it is tried again
 * when the area runs dry again, though not at once.
 */
#ifndef SZC_LIB_STARVATION_H
#define SZC_LIB_STARVATION_H

#include <stdbool.h>
#include <stdint.h>

struct szc_ifq;
struct szc_rx;

struct szc_starvation {
	bool event_due;    /* the queue told that it is dry; the event is to be armed again */
	bool waiting;      /* a receive ended for want of a buffer, and was not begun again yet */
	uint64_t put;      /* how many buffers had been given back when it began */
	uint64_t retry_ms; /* when it is tried again though none was */
	uint64_t grow_ms;  /* growing failed: not before this again */
};

/* The queue's event. */
void szc_starvation_event(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq);

/* A receive ended with ENOMEM. */
void szc_starvation_receive(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq);

/* Before each sleep, the refill ring being settled. Returns whether receives that wait may be begun again. */
bool szc_starvation_relieve(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq);

#endif
