/* SPDX-License-Identifier: MIT */
/* Numbers in network order, of `size` bytes. */
#ifndef SZC_PSP_BYTES_H
#define SZC_PSP_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t szc_psp_get(const uint8_t *from, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | from[i];
	return value;
}

static inline void szc_psp_put(uint8_t *to, size_t size, uint64_t value)
{
	for (; size; value >>= 8)
		to[--size] = (uint8_t)value;
}

#endif
