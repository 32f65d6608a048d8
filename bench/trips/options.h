/* SPDX-License-Identifier: MIT */
#ifndef BENCH_TRIPS_OPTIONS_H
#define BENCH_TRIPS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One of the three is set: where the value goes. */
struct option_value {
	const char *name;
	const char **text;
	uint64_t *number;
	bool *flag;
	bool optional; /* a flag is, anyway */
};

/* Of --NAME VALUE, as bench/trips/guest gives them. False: there is one that is not known, or one that must be is not. */
bool options_read(int argc, char **argv, const struct option_value *values, size_t count);

#endif
