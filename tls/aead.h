/* SPDX-License-Identifier: MIT */
/*
 * One AEAD key behind a small vtable, so that a faster provider can stand in for OpenSSL's EVP.
 *
 * Contract of open(): `body` holds ciphertext and becomes plaintext where it lies, over as many pieces as it has;
 * pieces may be cut at any byte. Returns 1 if the tag matched, 0 if not (the bytes then hold unverified plaintext and
 * the caller wipes them), negative errno if the provider failed (the same: wipe). Nothing outside the span is touched,
 * and no memory is allocated by open() or seal(). A key object opens on after a failure, but is for one thread at a
 * time.
 *
 * Contract of seal(): reads `plain`, then the single byte `type`, and writes plain->len + 1 bytes of ciphertext and the
 * tag to `out`, which does not overlap `plain`. 0 or a negative errno.
 *
 * `aad` is the record's header in TLS 1.3; its length is free because published vectors, and TLS 1.2, have others.
 */
#ifndef SZC_TLS_AEAD_H
#define SZC_TLS_AEAD_H

#include <stdint.h>
#include "span.h"
#include "suite.h"
#include "wire.h"

struct szc_aead;

struct szc_aead_ops {
	const char *name;
	/* A key object for one direction, or NULL without memory or provider. Key material is the caller's to wipe. */
	struct szc_aead *(*make)(const struct szc_suite *suite, const uint8_t *key, int seal);
	int (*open)(struct szc_aead *aead, const uint8_t nonce[SZC_RECORD_NONCE], const uint8_t *aad, size_t aad_len,
		    const struct szc_span *body, const uint8_t tag[SZC_RECORD_TAG]);
	int (*seal)(struct szc_aead *aead, const uint8_t nonce[SZC_RECORD_NONCE], const uint8_t *aad, size_t aad_len,
		    const struct szc_span *plain, uint8_t type, uint8_t *out);
	/* Wipes the key and frees; NULL is ignored. */
	void (*drop)(struct szc_aead *aead);
};

extern const struct szc_aead_ops szc_aead_evp;

#endif
