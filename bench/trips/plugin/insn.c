/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "insn.h"
#include "kernel/szcnic_trips.h"

enum {
	MARKER_SIZE = 7,
	MAP_0F = 1, /* as VEX numbers it */
};

int insn_marker(const uint8_t *code, size_t size)
{
	uint32_t displacement;

	if (size != MARKER_SIZE || code[0] != 0x0f || code[1] != 0x1f || code[2] != 0x80)
		return -1;
	memcpy(&displacement, code + 3, sizeof(displacement));
	if ((displacement & ~0xffu) != SZC_MARK_MAGIC || (displacement & 0xff) >= SZC_MARKS)
		return -1;
	return (int)(displacement & 0xff);
}

/* 2B MOVNTPS/PD, C3 MOVNTI, E7 MOVNTQ/DQ. MOVNTDQA (map 0F 38, 2A) loads. */
static enum llc_store past_the_cache(unsigned map, uint8_t opcode)
{
	return map == MAP_0F && (opcode == 0x2b || opcode == 0xc3 || opcode == 0xe7) ? LLC_STORE_PAST
										     : LLC_STORE_CACHED;
}

static bool legacy_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0x67 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x26 ||
	       byte == 0x64 || byte == 0x65 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3;
}

/* Where the opcode begins. */
static size_t behind_prefixes(const uint8_t *code, size_t size, bool *repeated)
{
	size_t at = 0;

	*repeated = false;
	for (; at < size && legacy_prefix(code[at]); at++)
		*repeated = *repeated || code[at] == 0xf3 || code[at] == 0xf2;
	if (at < size && (code[at] & 0xf0) == 0x40) /* REX */
		at++;
	return at;
}

bool insn_pushes(const uint8_t *code, size_t size)
{
	bool repeated;
	size_t at = behind_prefixes(code, size, &repeated);
	uint8_t reg;

	if (at == size)
		return false;
	if (code[at] == 0xe8 || code[at] == 0x68 || code[at] == 0x6a || (code[at] & 0xf8) == 0x50)
		return true;
	reg = at + 1 < size ? code[at + 1] >> 3 & 7 : 0;
	return code[at] == 0xff && (reg == 2 || reg == 6); /* CALL, PUSH */
}

enum llc_store insn_store(const uint8_t *code, size_t size)
{
	bool repeated;
	size_t at = behind_prefixes(code, size, &repeated);

	if (at == size)
		return LLC_STORE_CACHED;
	switch (code[at]) {
	case 0xa4: /* MOVS */
	case 0xa5:
	case 0xaa: /* STOS */
	case 0xab:
		return repeated ? LLC_STORE_STRING : LLC_STORE_CACHED;
	case 0x0f:
		return at + 1 < size ? past_the_cache(MAP_0F, code[at + 1]) : LLC_STORE_CACHED;
	case 0xc5: /* VEX of two bytes */
		return at + 2 < size ? past_the_cache(MAP_0F, code[at + 2]) : LLC_STORE_CACHED;
	case 0xc4: /* VEX of three */
		return at + 3 < size ? past_the_cache(code[at + 1] & 0x1f, code[at + 3]) : LLC_STORE_CACHED;
	case 0x62: /* EVEX */
		return at + 4 < size ? past_the_cache(code[at + 1] & 0x7, code[at + 4]) : LLC_STORE_CACHED;
	default:
		return LLC_STORE_CACHED;
	}
}
