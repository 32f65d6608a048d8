/* SPDX-License-Identifier: MIT */
/*
 * The record layer without a socket: find a record in scattered bytes, open it in place, seal one. The only place where
 * record headers and inner plaintext from the network are parsed.
 */
#ifndef SZC_TLS_RECORD_H
#define SZC_TLS_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "aead.h"
#include "suite.h"

/* One direction's protection. Owns its keys; szc_protect_drop() wipes them. */
struct szc_protect {
	const struct szc_suite *suite;
	const struct szc_aead_ops *ops;
	struct szc_aead *aead;
	uint8_t secret[SZC_SECRET_MAX]; /* application_traffic_secret_N, for the next update */
	uint8_t iv[SZC_RECORD_NONCE];
	uint64_t seq;        /* of the next record under this key */
	uint64_t generation; /* updates so far */
	bool seals;
};

/* Derives key and iv from a traffic secret and starts at sequence number `seq`. 0, -ENOMEM or -EIO. */
int szc_protect_init(struct szc_protect *protect, const struct szc_suite *suite, const struct szc_aead_ops *ops,
		     const uint8_t *secret, uint64_t seq, bool seals);

/* Next generation ("traffic upd", 7.2): new secret, key and iv, sequence 0. On failure the protection is unusable. */
int szc_protect_update(struct szc_protect *protect);

/* Wipes and frees; harmless on a zeroed or dropped one. */
void szc_protect_drop(struct szc_protect *protect);

/* A record header, copied out of the area before anything looks at it. */
struct szc_record {
	uint8_t header[SZC_RECORD_HEADER];
	uint8_t type;  /* outer content type */
	size_t length; /* of what follows the header */
};

/*
 * Reads the header at the front of the iovecs, which hold `avail` bytes. Returns 1 when the header is whole and within
 * the limits (the body may still be missing: compare SZC_RECORD_HEADER + length with avail), 0 when bytes are missing,
 * else SZC_E_TLS_RECORD with *alert set: record_overflow for lengths above 2^14 + 256 (type 23) or 2^14 (others),
 * unexpected_message for unknown types, decode_error for empty ones where none may be empty (5.1) and for a major
 * version other than 3. An empty type-23 record passes here and fails to open.
 */
int szc_record_parse(const struct iovec *iov, int iovcnt, size_t avail, struct szc_record *record, uint8_t *alert);

struct szc_opened {
	uint8_t type;  /* inner content type */
	uint8_t alert; /* on failure: what to tell the peer */
	size_t length; /* content at the front of the body, behind the header; the rest is padding, type and tag */
};

/*
 * Opens the type-23 record at the front of the iovecs, which hold it whole, in place. On success the sequence number
 * moves on and opened->length bytes behind the header are verified payload. Failures wipe the whole body and leave
 * `protect` as it is; the caller must not try again:
 *   SZC_E_TLS_MAC (bad_record_mac): the tag did not match, or the body is shorter than a tag and a type
 *   SZC_E_TLS_RECORD: inner plaintext above 2^14 + 1 (record_overflow; known from the length, so the tag is not looked
 *     at), nothing but zeros, an inner type other than 21 to 23, or an alert or handshake record without content
 *     (unexpected_message)
 *   SZC_E_TLS_KEY_LIMIT (internal_error): the suite's limit of records a key is reached
 *   -EIO (internal_error): the provider failed
 */
int szc_record_open(struct szc_protect *protect, const struct szc_record *record, const struct iovec *iov, int iovcnt,
		    struct szc_opened *opened);

/*
 * Seals `plain` (at most SZC_RECORD_PLAIN_MAX bytes) as one record of inner type `type` into `out`, which has
 * plain->len + SZC_RECORD_OVERHEAD bytes. Returns the record's size, SZC_E_TLS_KEY_LIMIT or -EIO; after an error `out`
 * is wiped.
 */
ssize_t szc_record_seal(struct szc_protect *protect, uint8_t type, const struct szc_span *plain, uint8_t *out);

/* "bad_record_mac" for 20 and so on; "unknown" for numbers that RFC 8446 6 does not have. Static. */
const char *szc_alert_name(uint8_t alert);

#endif
