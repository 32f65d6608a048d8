/* SPDX-License-Identifier: MIT */
/*
 * For tests of the zcrx backend on a queue of the virtual NIC, in the standard scene: szc0 here, its other end szc1 in
 * the netns `peer`. An engine on a queue of szc0, what is steered to it, and senders in the other netns. The truth about
 * who wrote where are the NIC's own counters.
 */
#ifndef SZC_TESTS_LAB_QUEUE_H
#define SZC_TESTS_LAB_QUEUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <szc/nic.h>
#include "tests/unit/sink.h"

enum { QUEUE = 1, QUEUE_RING = 64 };

extern const char *const queue_near, *const queue_far;

struct queue {
	struct szc_nic *nic;
	struct szc_rx *rx;
	struct szc_listener *listener;
	int family;
	uint16_t port;
	int segment; /* TCP_MAXSEG of who dials; 0: as it comes */
};

/* What the port counts under that name (ethtool -S), all that begins with the queue's "rxN_" included. */
uint64_t queue_counter(const char *name);

/* Prepares QUEUE with a ring of QUEUE_RING, opens an engine on it, listens and steers. Skips without the scene. */
void queue_open(struct queue *queue, int family, struct szc_rx_options options);
/* Closes the engine, once every connection is closed and every buffer back, and undoes the rest. */
void queue_close(struct queue *queue);

/* Memory for areas in pieces of 2 MiB, all of it or a failed test; 0 gives it back. */
void queue_huge_pages(unsigned count);
/* The queue's buffers as the kernel has them now. */
uint64_t queue_buffer_length(const struct queue *queue);

/* Only the NIC's part: prepared, and back. */
void queue_prepare(struct queue *queue);
void queue_restore(struct queue *queue);
/* Only the engine's: an error, with its sentence in `why`. */
int queue_engine(struct queue *queue, struct szc_rx_options options, char *why, size_t size);
/* Listens on an address of the port, and steers to it. */
void queue_listen(struct queue *queue, struct szc_rx *rx, int family);

/* A connection from the other netns that the engine accepted into the sink; returns the peer's descriptor. */
int queue_connect(struct queue *queue, struct sink *sink, unsigned seed);
/* Only its first half: a socket of the other netns that is connected to us. */
int queue_dial(const struct queue *queue);
/* ... or will be, if we answer. It does not block. */
int queue_dial_begin(const struct queue *queue);

/* A socket of the other netns, for what neither of them is enough. */
int queue_peer_socket(int family);

/* Asks the driver for a fault, or a restart (kernel/fault.h). */
void queue_ask(const char *file, const char *words);

/* The wire towards us. */
void queue_wire(struct szc_nic_wire wire);
void queue_mtu(int mtu);
/* Our end. Its addresses stay. */
void queue_up(bool up);

/* Ends a program that takes that long, and says where it stood: nothing else of a guest is kept. */
void queue_limit(unsigned seconds);

/* A command of the shell that must succeed. */
void queue_run(const char *command);

#endif
