/* SPDX-License-Identifier: MIT */
/*
 * What two ends say to each other: inside TLS until they agreed, and between payload under PSP. Messages and
 * frames are parsed here; the extension in upgrade.c; what totals and proofs mean in stream.c and move.c.
 *
 * In the handshake, extension 0xff53 (of those for private use, RFC 8446 11): a client's hello has
 *
 *     protocol (1) | versions of PSP, bit by bit (1)          a server's answer     protocol (1) | version (1)
 *
 * with bit 7 of the second byte where streams may move.
 *
 * Inside TLS, a record each, the client's first, and each side's last one:
 *
 *     1 | version (1) | 0 (2) | SPI (4) | key (16 or 32)      "send to me with this"
 *     2 | reason (1)                                          "I cannot": TLS goes on
 *
 * Under PSP, the client's first, the server's after the client's start was found good:
 *
 *     3 | 0 (3) | 32 (4) | proof (32)                         start: HMAC-SHA256 by the TLS exporter's secret
 *     4 | 0 (3) | length (4) | payload (length)               as often as one likes
 *     5 | 0 (3) | 8 (4)  | bytes of payload in all (8)        end: only this is a proper one
 *
 * and for a stream that moves:
 *
 *     6 | 0 (3) | 80 (4) | proof (32) | id (16) | proof (32)  a client's start where it goes on with the stream of that id
 *     7 | 0 (3) | 8 (4)  | bytes of payload in all (8)        end of this connection, and not of the stream
 *     8 | 0 (3) | 0 (4)                                       a client's, on the new one: the old one is read to its end
 *     9 | 0 (3) | 0 (4)                                       a server's: please move
 *
 * Numbers are in network order.
 */
#ifndef SZC_PSP_MESSAGE_H
#define SZC_PSP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <szc/psp.h>
#include "psp/family.h"

enum {
	SZC_PSP_EXTENSION = 0xff53,
	SZC_PSP_PROTOCOL = 1,
	SZC_PSP_EXTENSION_SIZE = 2,
	SZC_PSP_KEY_MESSAGE_MAX = 8 + SZC_PSP_KEY_MAX,
	SZC_PSP_CANNOT_SIZE = 2,
	SZC_PSP_FRAME_HEADER = 8,
	SZC_PSP_PROOF = 32,
	SZC_PSP_STREAM_ID = 16,
	SZC_PSP_FRAME_BODY_MAX = 2 * SZC_PSP_PROOF + SZC_PSP_STREAM_ID,
	SZC_PSP_EXTENSION_MOVES = 0x80,
	SZC_PSP_PAYLOAD_MAX = 1 << 30, /* of one frame */
};

enum szc_psp_message_type {
	SZC_PSP_MESSAGE_KEY = 1,
	SZC_PSP_MESSAGE_CANNOT = 2,
	SZC_PSP_FRAME_START = 3,
	SZC_PSP_FRAME_PAYLOAD = 4,
	SZC_PSP_FRAME_END = 5,
	SZC_PSP_FRAME_CONTINUE = 6,
	SZC_PSP_FRAME_MOVE = 7,
	SZC_PSP_FRAME_GO = 8,
	SZC_PSP_FRAME_ASK = 9,
};

/* A message inside TLS. */
struct szc_psp_message {
	enum szc_psp_message_type type;
	enum szc_psp_version version; /* KEY */
	struct szc_psp_key key;       /* KEY */
	uint8_t reason;               /* CANNOT: an enum szc_error, negated, less 10,000 */
};

/* Something that stands between payload under PSP. */
struct szc_psp_frame {
	enum szc_psp_message_type type;
	uint32_t length;                      /* of what is behind the header */
	uint8_t body[SZC_PSP_FRAME_BODY_MAX]; /* that, but for PAYLOAD */
};

/* "AES-GCM-128" and so on. Static memory. */
const char *szc_psp_version_name(enum szc_psp_version version);
/* 16 or 32: bytes of a key of that version. */
unsigned szc_psp_key_size(enum szc_psp_version version);

/* Bytes written. */
size_t szc_psp_key_pack(uint8_t to[SZC_PSP_KEY_MESSAGE_MAX], enum szc_psp_version version,
			const struct szc_psp_key *key);
size_t szc_psp_cannot_pack(uint8_t to[SZC_PSP_CANNOT_SIZE], int error);
/* False: it is no message. */
bool szc_psp_message_parse(struct szc_psp_message *message, const uint8_t *data, size_t len);

/* The header; what is behind it is the caller's. */
void szc_psp_frame_pack(uint8_t to[SZC_PSP_FRAME_HEADER], enum szc_psp_message_type type, uint32_t length);
/* From the first `avail` bytes of these. 1: it is whole (PAYLOAD: its header is); 0: more must come; negative: it is none. */
int szc_psp_frame_parse(struct szc_psp_frame *frame, const struct iovec *iov, size_t avail);

#endif
