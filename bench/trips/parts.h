/* SPDX-License-Identifier: MIT */
/*
 * The payload comes in parts. The receiver asks for each with a byte, once all of the one before was delivered, but for the
 * first, which comes by itself; when it has counted one it closes. All are equally long, only the first may be shorter: so
 * what is counted is the repetition of what was done before, its beginning and its end included.
 */
#ifndef BENCH_TRIPS_PARTS_H
#define BENCH_TRIPS_PARTS_H

#include <stdint.h>

enum { PART_ASK = '+' };

/* Bytes of the first part, if at least `warm` bytes shall come before one of `bytes` that is counted. */
static inline uint64_t first_part(uint64_t warm, uint64_t bytes)
{
	return warm % bytes ? warm % bytes : bytes;
}

#endif
