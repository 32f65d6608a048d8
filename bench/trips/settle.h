/* SPDX-License-Identifier: MIT */
#ifndef BENCH_TRIPS_SETTLE_H
#define BENCH_TRIPS_SETTLE_H

/*
 * Begins at a moment that is the same in each run: nothing is under way, all memory is there, and the clock, which counts
 * instructions, is at a whole tenth of a second, so that the kernel's ticks come where they came the last time.
 */
int settle(void); /* 0, or -1 and errno */

#endif
