/* SPDX-License-Identifier: MIT */
/* One line on standard error that says how a transfer goes: only on a terminal, only if it takes longer than 2 s. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *verb; /* "received" */
	uint64_t size;    /* what it will be at the end; 0: unknown */
	double start;     /* seconds on the monotonic clock; 0: not started */
	double drawn;     /* when the line was drawn last; 0: there is no line */
	uint64_t bytes;   /* ... and with what */
	double rate;      /* bytes a second, smoothed */
	bool terminal;
};

void progress_open(struct progress *progress, const char *verb, uint64_t size);

/* Draws if it is time to. Cheap enough for every turn of an event loop; the first bytes start the clock. */
void progress_update(struct progress *progress, uint64_t bytes);

/* Takes the line away, so that something else can be printed. It comes back by itself. */
void progress_clear(struct progress *progress);

/* "268.4 MB" into at least 16 bytes; returns `text`. */
char *progress_amount(char *text, double bytes);

double progress_now(void);

#endif
