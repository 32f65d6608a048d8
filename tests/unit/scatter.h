/* SPDX-License-Identifier: MIT */
/*
 * Bytes laid out as the network delivers them: in fragments of any size, each between canaries, so that a write outside a
 * fragment is seen even where no sanitizer looks (OpenSSL's assembly).
 */
#ifndef SZC_TESTS_SCATTER_H
#define SZC_TESTS_SCATTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct scatter {
	uint8_t *arena;
	size_t arena_len;
	struct iovec *iov; /* exactly iovcnt of them on the heap: reading one too many is seen as well */
	int iovcnt;
};

/* Cuts `bytes` at the ascending offsets; equal ones give empty fragments. Aborts without memory. */
void scatter_make(struct scatter *scatter, const uint8_t *bytes, size_t len, const size_t *cuts, int cut_count);
void scatter_free(struct scatter *scatter);

/* Whether nothing outside the fragments was written. */
bool scatter_intact(const struct scatter *scatter);
/* The fragments' bytes in a row. */
void scatter_gather(const struct scatter *scatter, uint8_t *out);

/* Repeatable noise. */
uint32_t scatter_random(uint64_t *state);
/* Up to `max` ascending offsets in 0..len, often close together: one-byte and empty fragments. Returns how many. */
int scatter_random_cuts(uint64_t *state, size_t len, size_t *cuts, int max);

/* Hexadecimal digits, and blanks between them, to bytes. How many there were; aborts on anything else. */
size_t unhex(const char *hex, uint8_t *out, size_t room);

#endif
