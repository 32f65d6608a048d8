/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "progress.h"

#define QUIET_SECONDS  2.0
#define REDRAW_SECONDS 0.25
#define AMOUNT_SIZE    16

double progress_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

char *progress_amount(char *text, double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	unsigned unit = 0;

	/* 999.95 would be printed as 1000.0. */
	for (; bytes >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		bytes /= 1000;
	snprintf(text, AMOUNT_SIZE, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
	return text;
}

void progress_open(struct progress *progress, const char *verb, uint64_t size)
{
	const char *term = getenv("TERM");

	*progress = (struct progress){.verb = verb, .size = size};
	progress->terminal = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
}

static void draw(const struct progress *progress, uint64_t bytes)
{
	char amount[AMOUNT_SIZE], rate[AMOUNT_SIZE], whole[AMOUNT_SIZE];

	progress_amount(amount, (double)bytes);
	progress_amount(rate, progress->rate);
	fprintf(stderr, "\r\033[K%s %s", progress->verb, amount);
	if (progress->size) {
		uint64_t left = bytes < progress->size ? progress->size - bytes : 0;

		fprintf(stderr, " of %s, %3.0f %%", progress_amount(whole, (double)progress->size),
			100.0 * (double)bytes / (double)progress->size);
		fprintf(stderr, ", %s/s", rate);
		if (progress->rate > 0) {
			uint64_t seconds = (uint64_t)((double)left / progress->rate + 0.5);

			fprintf(stderr, ", %u:%02u left", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
		}
	} else {
		fprintf(stderr, ", %s/s", rate);
	}
	fflush(stderr);
}

void progress_update(struct progress *progress, uint64_t bytes)
{
	double now, since;

	if (!progress->terminal)
		return;
	now = progress_now();
	if (!progress->start) {
		if (!bytes)
			return;
		progress->start = now;
	}
	if (now - progress->start < QUIET_SECONDS || (progress->drawn && now - progress->drawn < REDRAW_SECONDS))
		return;
	since = now - (progress->drawn ? progress->drawn : progress->start);
	if (progress->drawn)
		progress->rate = 0.7 * progress->rate + 0.3 * (double)(bytes - progress->bytes) / since;
	else
		progress->rate = (double)bytes / since;
	progress->drawn = now;
	progress->bytes = bytes;
	draw(progress, bytes);
}

void progress_clear(struct progress *progress)
{
	if (!progress->drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
}
