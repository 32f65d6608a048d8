/* SPDX-License-Identifier: MIT */
#ifndef SZC_BENCH_LLC_H
#define SZC_BENCH_LLC_H
/*
 * A last-level cache: set-associative, write-back, least recently used out first, inclusive of nothing above it. It is
 * shown every load and store of the processors and devices in front of it, by physical address, and counts the bytes
 * that cross the bus behind it.
 *
 * What costs what: a load or store of a line that is not there fetches it; a line written to is written back when it has
 * to make room. Two kinds of stores do without the fetch, as on hardware, if in the end they write all of the line: those
 * of repeated string instructions, which stay in the cache, and non-temporal ones, which do not. A device writes into
 * `device_ways` of each set (DDIO on Intel: 2), or into whichever other way has the line already; with 0 such ways it
 * writes to memory, and the line is no longer in the cache.
 *
 * Not thread-safe. A model belongs to its creator.
 */
#include <stdbool.h>
#include <stdint.h>

enum {
	LLC_LINE_MAX = 64,
	LLC_WAYS_MAX = 64,
};

struct llc_shape {
	uint64_t size; /* bytes: line * ways * a power of two */
	uint32_t line; /* bytes, a power of two of at most LLC_LINE_MAX */
	uint32_t ways;
	uint32_t device_ways; /* 0: devices write to memory */
};

enum llc_store {
	LLC_STORE_CACHED,
	LLC_STORE_STRING,
	LLC_STORE_PAST, /* non-temporal */
};

struct llc_bus {
	uint64_t read, written; /* bytes, always whole lines */
};

struct llc;

/* NULL: no memory, or no such cache can be. */
struct llc *llc_new(const struct llc_shape *shape);
void llc_free(struct llc *llc);

/* Any length, any alignment. */
void llc_load(struct llc *llc, uint64_t addr, uint64_t len);
void llc_store(struct llc *llc, uint64_t addr, uint64_t len, enum llc_store how);
void llc_device_write(struct llc *llc, uint64_t addr, uint64_t len);

/* Writes back what has to be, so that the bus has seen all that was done; what is cached stays. */
void llc_clean(struct llc *llc);
/* Nothing is cached any more, and nothing was written back for it. */
void llc_empty(struct llc *llc);

/* Since the beginning. */
struct llc_bus llc_bus(const struct llc *llc);
/* Bytes that are changed and not yet written back. */
uint64_t llc_owed(const struct llc *llc);
#endif
