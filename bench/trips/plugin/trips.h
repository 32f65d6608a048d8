/* SPDX-License-Identifier: MIT */
#ifndef SZC_BENCH_TRIPS_H
#define SZC_BENCH_TRIPS_H
/*
 * What was done to the payload, from what an emulator saw: who stored how many bytes where, while counting was on.
 *
 * Places are pages of physical memory that a program has announced (kernel/szcnic_trips.h); all else is elsewhere. The
 * same stores and loads go through models of a last-level cache. Each model exists twice: one that is empty when counting
 * begins, and whose every changed line is written back at its end; one that has seen all since the program was watched.
 * That one is charged for the changed lines that it has at the end, and not for those that it had at the beginning: what is
 * counted is short beside a cache, and else it would matter more what the cache happened to hold than what was done.
 */
#include "llc.h"

enum trips_actor {
	TRIPS_DEVICE,         /* its DMA of payload */
	TRIPS_DEVICE_HEADERS, /* its DMA of what is not payload */
	TRIPS_KERNEL,
	TRIPS_KERNEL_CIPHER,
	TRIPS_USER,
	TRIPS_USER_CIPHER,
	TRIPS_ACTORS,
};

enum trips_place {
	TRIPS_ELSEWHERE,
	TRIPS_AREA,
	TRIPS_TARGET, /* where the application has its data put */
	TRIPS_INSIDE, /* buffers inside a library */
	TRIPS_PLACES,
};

enum {
	TRIPS_MODELS_MAX = 16,
	TRIPS_PAGE = 4096,
	TRIPS_BLOCK = 16,     /* what ciphers work on, bytes */
	TRIPS_BLOCKS = 4096,  /* how far apart a cipher's load and store of one may be: more than registers hold */
	TRIPS_BLOCK_WAYS = 4, /* among others that fall on the same place */
};

/* Bytes. */
struct trips_counts {
	uint64_t loaded[TRIPS_ACTORS][TRIPS_PLACES];
	uint64_t stored[TRIPS_ACTORS][TRIPS_PLACES];
	uint64_t in_place[TRIPS_ACTORS][TRIPS_PLACES]; /* of `stored`, by ciphers: where they had just loaded from */
	uint64_t instructions[TRIPS_ACTORS];           /* in number, of processors */
	uint64_t area_written; /* of the area, in whole pages, each once: how much of it a device fills */
};

struct trips_model {
	struct llc_shape shape;
	struct llc *cold, *warm;
	struct llc_bus cold_before, warm_before;
	uint64_t owed_before, owed; /* by `warm`, when counting began and ended */
};

struct trips {
	struct trips_counts counts;
	bool counting;
	struct trips_model models[TRIPS_MODELS_MAX];
	unsigned nr_models;
	uint8_t *places; /* of each page below pages * TRIPS_PAGE; PLACE_WRITTEN if a device did since counting began */
	uint64_t pages;
	uint64_t loaded_blocks[TRIPS_BLOCKS][TRIPS_BLOCK_WAYS]; /* by a cipher: their numbers, the last one first */
};

/* False: no memory, too many, or no such cache can be. */
bool trips_add_model(struct trips *trips, const struct llc_shape *shape);
/* Nothing is announced any more, and caches are empty. */
void trips_forget(struct trips *trips);
/* Caches are as if nothing had been done yet: what it took to make and announce buffers is no part of receiving. */
void trips_empty(struct trips *trips);
/* The page of that physical address is such a place from now on. False: no memory. */
bool trips_announce(struct trips *trips, uint64_t addr, enum trips_place place);
void trips_run(struct trips *trips);
void trips_stop(struct trips *trips);

/* An access of a processor's or a device's: it does not reach over the end of a page. */
void trips_load(struct trips *trips, enum trips_actor actor, uint64_t addr, uint64_t len);
/* `how` does not matter for a device. */
void trips_store(struct trips *trips, enum trips_actor actor, uint64_t addr, uint64_t len, enum llc_store how);

/* Between trips_run() and trips_stop(). */
struct llc_bus trips_cold(const struct trips_model *model);
struct llc_bus trips_warm(const struct trips_model *model);
void trips_end(struct trips *trips);
#endif
