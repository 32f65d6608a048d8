/* SPDX-License-Identifier: MIT */
/* Rates, times and shares as people write them, and back. Each parser: false if the text is not one. */
#ifndef TOOLS_SZC_NIC_UNITS_H
#define TOOLS_SZC_NIC_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UNITS_TEXT = 32,
};

/* "10Gbit", "2.5gbit", "800kbit", "9600bit"; powers of 1000, as in tc(8). 0 is no limit. */
bool units_parse_rate(const char *text, uint64_t *bits_a_second);
/* "100us", "1.5ms", "20ns", "0"; up to a second */
bool units_parse_time(const char *text, uint64_t *nanoseconds);
/* "1%", "0.01%", "0"; to a millionth */
bool units_parse_share(const char *text, uint32_t *in_a_million);

/* What the parsers take, in the largest unit that divides it. */
char *units_rate(char text[UNITS_TEXT], uint64_t bits_a_second);
char *units_time(char text[UNITS_TEXT], uint64_t nanoseconds);
char *units_share(char text[UNITS_TEXT], uint32_t in_a_million);

#endif
