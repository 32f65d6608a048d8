/* SPDX-License-Identifier: MIT */
/* The three cipher suites, and the key schedule after the handshake (RFC 8446 7.1 to 7.3). */
#ifndef SZC_TLS_SUITE_H
#define SZC_TLS_SUITE_H

#include <stddef.h>
#include <stdint.h>
#include "wire.h"

enum { SZC_SECRET_MAX = 48, SZC_KEY_MAX = 32 };

struct szc_suite {
	uint16_t id;        /* IANA: 0x1301 .. 0x1303 */
	const char *name;   /* OpenSSL's */
	const char *cipher; /* EVP_CIPHER_fetch() */
	const char *digest; /* EVP_MD_fetch() */
	size_t key_len;
	size_t secret_len; /* the digest's size */
	/* RFC 8446 5.5: hard limit of records a key protects; UINT64_MAX - 1 where only the sequence number ends. */
	uint64_t key_records;
};

/* NULL for a suite that this library does not open. */
const struct szc_suite *szc_suite_by_id(uint16_t id);
/* By OpenSSL's name of `len` bytes; NULL likewise. */
const struct szc_suite *szc_suite_by_name(const char *name, size_t len);

/* HKDF-Expand-Label(secret, label, "", out_len) (7.1). 0 or -EIO if OpenSSL refuses. */
int szc_suite_expand(const struct szc_suite *suite, const uint8_t *secret, const char *label, uint8_t *out,
		     size_t out_len);

#endif
