/* SPDX-License-Identifier: MIT */
/*
 * The ledger: how often each payload byte crossed the memory bus.
 *
 * A trip is one writing of the payload to a new place: a device's DMA write, or a copy. The denominator is plaintext
 * bytes delivered. What the ledger saw itself is measured; where no device's counter can be joined (loopback, or a NIC
 * behind the kernel's own buffers) the device's write is assumed, and kept apart.
 *
 * On a NIC's queue (zcrx) a fragment does not tell who wrote it. What the kernel had to copy is known from its statistics
 * (where it keeps them): of the whole queue, so that an engine's ledger has it and a connection's has not, and that of
 * several engines on one queue the first one's has it for all. A connection known to come through another queue counts
 * as copied, in its own ledger, too; how much of it the statistics have as well nobody tells, so an engine's ledger takes
 * the larger of both. And the statistics leave out what was copied from a packet's linear part. So on a queue
 * bytes_kernel_copied is what was copied at least, and exact as long as every connection comes through the queue and every
 * payload is split off: that the NIC's own counters alone can tell, and only joined with those is zero copy proven.
 */
#ifndef SZC_TRIPS_H
#define SZC_TRIPS_H

#include <szc/szc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Counters only ever grow. All in bytes but for `records` and `key_updates`. */
struct szc_trips {
	uint64_t bytes;                 /* payload handed out in views: plaintext where TLS runs */
	uint64_t bytes_received;        /* as they came from TCP: framing and handshake included */
	uint64_t bytes_zero_copy;       /* of bytes_received: written into the area by the device */
	uint64_t bytes_kernel_copied;   /* of bytes_received: copied into the area by the kernel; zcrx: at least */
	uint64_t bytes_user_copied;     /* payload and framing moved again by this library (compaction, copy-first) */
	uint64_t bytes_opened_in_place; /* payload decrypted in the very buffers it arrived in */
	uint64_t bytes_opened;          /* payload decrypted at all; what passes are counted from */
	uint64_t bytes_handshake; /* TLS handshake and post-handshake messages, tickets and key updates included */
	uint64_t bytes_sent;      /* as handed to the socket; with kTLS before the kernel's framing */
	uint64_t records;         /* TLS records opened, those without payload included */
	uint64_t key_updates;     /* TLS KeyUpdates received and obeyed */
};

/* Trips that the ledger measured itself, for each payload byte: copies by the kernel and by this library, and writes of
 * a device whose completions it saw. 0 where no byte was delivered. Any thread. */
SZC_API double szc_trips_measured(const struct szc_trips *trips);

/* Trips that are assumed: the device's write of every byte that reached us through the kernel's buffers. Any thread. */
SZC_API double szc_trips_assumed(const struct szc_trips *trips);

/* measured + assumed. Any thread. */
SZC_API double szc_trips_total(const struct szc_trips *trips);

/* AEAD calls over each payload byte. Any thread. */
SZC_API double szc_trips_passes(const struct szc_trips *trips);

#ifdef __cplusplus
}
#endif
#endif
