/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes what is parsed of PSP; the input's first byte chooses: a message inside TLS, a frame under PSP in fragments of
 * memory of their own (what is read outside of them the sanitizer sees), or a packet, which is then sealed again as it was
 * understood and must open, and be refused with any one bit turned.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "psp/message.h"
#include "psp/packet.h"

enum { PIECES = 6, PACKET_MAX = 2048 };

#define MUST(condition) must(condition, #condition, __LINE__)

static void must(bool ok, const char *what, int line)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_psp.c:%d: not so: %s\n", line, what);
	abort();
}

static void message(const uint8_t *data, size_t len)
{
	struct szc_psp_message found;
	uint8_t again[SZC_PSP_KEY_MESSAGE_MAX];

	if (!szc_psp_message_parse(&found, data, len))
		return;
	if (found.type == SZC_PSP_MESSAGE_CANNOT) {
		MUST(len == SZC_PSP_CANNOT_SIZE);
		return;
	}
	/* One message, one way to write it. */
	MUST(found.type == SZC_PSP_MESSAGE_KEY);
	MUST(szc_psp_key_pack(again, found.version, &found.key) == len);
	MUST(!memcmp(again, data, len));
}

static void frame(const uint8_t *data, size_t len)
{
	struct szc_psp_frame whole = {0}, cut = {0};
	struct iovec iov[PIECES] = {0}, one = {(void *)data, len};
	size_t at = 0, pieces = 0;
	int result;

	for (; pieces < PIECES; pieces++) {
		size_t left = len - at;
		size_t part = pieces == PIECES - 1 || !left ? left : data[at] % (left + 1);

		iov[pieces] = (struct iovec){malloc(part ? part : 1), part};
		MUST(iov[pieces].iov_base != NULL);
		memcpy(iov[pieces].iov_base, data + at, part);
		at += part;
	}
	result = szc_psp_frame_parse(&whole, &one, len);
	MUST(result == szc_psp_frame_parse(&cut, iov, len));
	MUST(result == 1 || result == 0 || result == SZC_E_PSP_MESSAGE);
	if (result == 1) {
		MUST(cut.type == whole.type && cut.length == whole.length &&
		     !memcmp(cut.body, whole.body, sizeof(cut.body)));
		MUST(whole.type == SZC_PSP_FRAME_PAYLOAD || whole.length <= sizeof(whole.body));
		MUST(whole.length <= SZC_PSP_PAYLOAD_MAX);
	}
	while (pieces--)
		free(iov[pieces].iov_base);
}

static void packet(const uint8_t *data, size_t len)
{
	static uint8_t sealed[PACKET_MAX], changed[PACKET_MAX];
	struct szc_psp_packet found, again;
	struct szc_psp_key key = {.key = {1, 2, 3}};
	ssize_t whole;
	size_t bit;

	if (len > PACKET_MAX || szc_psp_packet_parse(&found, data, len))
		return;
	MUST(found.header >= SZC_PSP_HEADER && found.clear >= found.header);
	MUST(found.header + found.payload + SZC_PSP_ICV == len && found.clear <= found.header + found.payload);
	key.size = szc_psp_key_size(found.version);
	memcpy(sealed, data, len);
	MUST(szc_psp_packet_open(&found, &key, sealed) == SZC_E_TLS_MAC);
	memcpy(sealed, data, len);
	whole = szc_psp_packet_seal(&found, &key, sealed);
	if (whole < 0) /* longer extensions than we write */
		return;
	MUST((size_t)whole == len && !szc_psp_packet_parse(&again, sealed, len));
	bit = (data[0] + 251u * data[1]) % (8 * len);
	memcpy(changed, sealed, len);
	changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	MUST(!szc_psp_packet_open(&again, &key, sealed));
	MUST(!memcmp(sealed + found.header, data + found.header, found.payload));
	if (!szc_psp_packet_parse(&again, changed, len))
		MUST(szc_psp_packet_open(&again, &key, changed) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const ways[])(const uint8_t *data, size_t len) = {message, frame, packet};

	if (size)
		ways[data[0] % 3](data + 1, size - 1);
	return 0;
}
