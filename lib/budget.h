/* SPDX-License-Identifier: MIT */
/*
 * How an area on a NIC queue is shared out, so that it never runs dry for good.
 *
 * Whoever holds a buffer: the NIC (its ring, and the page pool that feeds it), connections (their quotas), and sockets:
 * what TCP received and nobody read. The last is the trap. A socket keeps packets that arrived behind a lost one until
 * that one is sent again; if by then every buffer of the area is kept so, there is none for the missing packet, and
 * nothing moves any more. So a socket's receive buffer (SO_RCVBUF) is bounded, too, in what packets truly occupy: a
 * driver charges the whole buffer for a packet of one byte. All bounds together fit into the area:
 *
 *   standing + connections * quota + (connections + unaccepted) * queued <= area
 *
 * Whoever waits to be accepted is such a socket already, with a listener's bound: hence there are few of them.
 *
 * TCP looks at the bound before it takes a packet, not after, and a packet may be many that the NIC or the kernel merged
 * (64 KiB, in as many buffers as it had segments): hence SO_RCVBUF is three quarters of `queued`. The kernel also charges
 * a packet's own structures, about a fifth of a page-sized buffer, so that less than SO_RCVBUF's worth of buffers fits.
 */
#ifndef SZC_LIB_BUDGET_H
#define SZC_LIB_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct szc_budget {
	/* Given. */
	size_t buffer_size;
	size_t area_max; /* bytes that the area may grow to; 0: it does not grow */
	unsigned connections;
	unsigned ring;             /* descriptors of the queue's ring for packets; 0: unknown */
	unsigned ring_payload;     /* of its ring for payload alone; 0: there is none */
	unsigned reserved;         /* buffers that other engines on the same area were promised */
	bool leave_room;           /* others will come: take no more than a connection needs to run well */
	size_t receive_buffer_max; /* bytes; 0: what there is room for */

	/* Given, or 0 and then derived. */
	size_t area_size;
	unsigned quota;

	/* Derived. */
	unsigned standing;   /* buffers that the NIC holds though nobody receives */
	unsigned unaccepted; /* sockets that may wait in the backlogs of all listeners together */
	unsigned queued;     /* buffers that a socket's queue may occupy */
	int receive_buffer;  /* bytes, as getsockopt(SO_RCVBUF) tells them */
};

/* 0, or SZC_E_OPTION with the arithmetic in `why`. */
int szc_budget_fill(struct szc_budget *budget, char *why, size_t why_size);

/* Sockets get what an area of so many bytes has left for them, within receive_buffer_max, but 16 buffers each in any case.
 * The rest stays. */
void szc_budget_limit(struct szc_budget *budget, size_t area);

/* What connections and their sockets hold of the area at most, in buffers. */
size_t szc_budget_promise(const struct szc_budget *budget);

/* ... and the NIC and others with them. */
size_t szc_budget_total(const struct szc_budget *budget);

/* What the area has, or may grow to, in buffers. */
size_t szc_budget_room(const struct szc_budget *budget);

#endif
