/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "scatter.h"

enum { GAP = 16 };

/* Never zero: wiping too much must show. */
static uint8_t canary(size_t offset)
{
	return (uint8_t)(0x80 | (offset & 0x7f));
}

static void guard(struct scatter *scatter, size_t from)
{
	for (size_t i = from; i < from + GAP; i++)
		scatter->arena[i] = canary(i);
}

static void *must(void *memory)
{
	if (!memory) {
		fprintf(stderr, "scatter: out of memory\n");
		abort();
	}
	return memory;
}

void scatter_make(struct scatter *scatter, const uint8_t *bytes, size_t len, const size_t *cuts, int cut_count)
{
	size_t at = 0, place = GAP;

	scatter->iovcnt = cut_count + 1;
	scatter->iov = must(calloc((size_t)scatter->iovcnt, sizeof(*scatter->iov)));
	scatter->arena_len = len + GAP * ((size_t)scatter->iovcnt + 1);
	scatter->arena = must(malloc(scatter->arena_len));

	guard(scatter, 0);
	for (int i = 0; i < scatter->iovcnt; i++) {
		size_t end = i < cut_count ? cuts[i] : len;

		scatter->iov[i] = (struct iovec){scatter->arena + place, end - at};
		memcpy(scatter->arena + place, bytes + at, end - at);
		guard(scatter, place + end - at);
		place += end - at + GAP;
		at = end;
	}
}

void scatter_free(struct scatter *scatter)
{
	free(scatter->iov);
	free(scatter->arena);
}

static bool canaries(const struct scatter *scatter, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (scatter->arena[i] != canary(i))
			return false;
	}
	return true;
}

bool scatter_intact(const struct scatter *scatter)
{
	size_t from = 0;

	for (int i = 0; i < scatter->iovcnt; i++) {
		size_t start = (size_t)((uint8_t *)scatter->iov[i].iov_base - scatter->arena);

		if (!canaries(scatter, from, start))
			return false;
		from = start + scatter->iov[i].iov_len;
	}
	return canaries(scatter, from, scatter->arena_len);
}

void scatter_gather(const struct scatter *scatter, uint8_t *out)
{
	for (int i = 0; i < scatter->iovcnt; i++) {
		memcpy(out, scatter->iov[i].iov_base, scatter->iov[i].iov_len);
		out += scatter->iov[i].iov_len;
	}
}

uint32_t scatter_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static int ascending(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

int scatter_random_cuts(uint64_t *state, size_t len, size_t *cuts, int max)
{
	int count = (int)(scatter_random(state) % (uint32_t)(max + 1));

	for (int i = 0; i < count; i++) {
		size_t far = scatter_random(state) % (len + 1);
		size_t near = i ? cuts[i - 1] + scatter_random(state) % 3 : far;

		cuts[i] = scatter_random(state) % 2 && near <= len ? near : far;
	}
	if (count)
		qsort(cuts, (size_t)count, sizeof(*cuts), ascending);
	return count;
}

static int nibble(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	if (isxdigit((unsigned char)c))
		return tolower((unsigned char)c) - 'a' + 10;
	fprintf(stderr, "unhex: '%c' is not a hexadecimal digit\n", c);
	abort();
}

size_t unhex(const char *hex, uint8_t *out, size_t room)
{
	size_t len = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		if (len == room || !hex[1]) {
			fprintf(stderr, "unhex: odd or too many digits\n");
			abort();
		}
		out[len++] = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
		hex++;
	}
	return len;
}
