/* SPDX-License-Identifier: MIT */
/*
 * What is known of old: a copy, a fill, a read, a change in place, in the ways that processors have for them. The plugin
 * has to see of each what the textbook says (tests/lab/host/trips.py). A line a case: name, bytes, bus bytes a byte.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "receiver.h"

#if defined(__x86_64__)

enum { BYTES = 4 << 20 };

static unsigned char *from, *to;

static void copy(void)
{
	volatile uint64_t *source = (volatile uint64_t *)from, *target = (volatile uint64_t *)to;

	for (size_t i = 0; i < BYTES / 8; i++)
		target[i] = source[i];
}

static void fill(void)
{
	volatile uint64_t *target = (volatile uint64_t *)to;

	for (size_t i = 0; i < BYTES / 8; i++)
		target[i] = i;
}

static void read_once(void)
{
	volatile uint64_t *source = (volatile uint64_t *)from;

	for (size_t i = 0; i < BYTES / 8; i++)
		(void)source[i];
}

static void change(void)
{
	volatile uint64_t *target = (volatile uint64_t *)to;

	for (size_t i = 0; i < BYTES / 8; i++)
		target[i] ^= 0x5a;
}

static void copy_string(void)
{
	const void *source = from;
	void *target = to;
	size_t count = BYTES;

	asm volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(count) : : "memory");
}

static void fill_string(void)
{
	void *target = to;
	size_t count = BYTES / 8;

	asm volatile("rep stosq" : "+D"(target), "+c"(count) : "a"(7) : "memory");
}

static void fill_past_the_cache(void)
{
	for (size_t i = 0; i < BYTES; i += 8)
		asm volatile("movnti %0, (%1)" : : "r"(i), "r"(to + i) : "memory");
	asm volatile("sfence" : : : "memory");
}

static const struct known {
	const char *name;
	void (*work)(void);
	int bus;
} cases[] = {
	{"copy", copy, 3},
	{"fill", fill, 2},
	{"read", read_once, 1},
	{"change", change, 2},
	{"copy-string", copy_string, 2},
	{"fill-string", fill_string, 1},
	{"fill-past", fill_past_the_cache, 1},
};

static unsigned char *memory(void)
{
	void *got = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return got == MAP_FAILED ? NULL : got;
}

int main(void)
{
	from = memory();
	to = memory();
	if (!from || !to)
		return 1;
	szc_mark(SZC_MARK_WATCH);
	usleep(1000);
	announce(SZC_MARK_AREA, from, BYTES);
	announce(SZC_MARK_TARGET, to, BYTES);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		szc_mark(SZC_MARK_RUN);
		cases[i].work();
		szc_mark(SZC_MARK_STOP);
		printf("%s %d %d\n", cases[i].name, BYTES, cases[i].bus);
	}
	szc_mark(SZC_MARK_UNWATCH);
	return 0;
}

#else

int main(void)
{
	fputs("trips-known: markers are known for x86-64 only\n", stderr);
	return 77;
}

#endif
