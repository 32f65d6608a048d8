/* SPDX-License-Identifier: MIT */
/*
 * RFC 8446's key schedule and record protection a second time, written apart from the library: HKDF out of HMAC, one
 * contiguous AEAD call, ciphers not fetched by name. What both agree on is not one mistake made once.
 */
#ifndef SZC_TESTS_REFERENCE_H
#define SZC_TESTS_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

enum { REFERENCE_SECRET_MAX = 48, REFERENCE_OVERHEAD = 5 + 16 };

/* How long secrets and keys of suite 0x1301 .. 0x1303 are. */
size_t reference_secret_len(uint16_t suite);
size_t reference_key_len(uint16_t suite);

/* HKDF-Expand-Label(secret, label, "", len). Aborts if OpenSSL fails, as all of these do. */
void reference_expand(uint16_t suite, const uint8_t *secret, const char *label, uint8_t *out, size_t len);

/* Protects any inner plaintext, sound or not, as a type-23 record: its size, inner_len + REFERENCE_OVERHEAD. */
size_t reference_seal(uint16_t suite, const uint8_t *secret, uint64_t seq, const uint8_t *inner, size_t inner_len,
		      uint8_t *out);

#endif
