/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <openssl/crypto.h>
#include <szc/szc.h>
#include "record.h"

/* The key material of a generation, out of its secret. On failure nothing of it is left behind. */
static int derive(struct szc_protect *protect)
{
	uint8_t key[SZC_KEY_MAX];
	int ret;

	ret = szc_suite_expand(protect->suite, protect->secret, "key", key, protect->suite->key_len);
	if (!ret)
		ret = szc_suite_expand(protect->suite, protect->secret, "iv", protect->iv, sizeof(protect->iv));
	if (!ret) {
		protect->aead = protect->ops->make(protect->suite, key, protect->seals);
		if (!protect->aead)
			ret = -ENOMEM;
	}
	OPENSSL_cleanse(key, sizeof(key));
	if (ret)
		szc_protect_drop(protect);
	return ret;
}

int szc_protect_init(struct szc_protect *protect, const struct szc_suite *suite, const struct szc_aead_ops *ops,
		     const uint8_t *secret, uint64_t seq, bool seals)
{
	memset(protect, 0, sizeof(*protect));
	protect->suite = suite;
	protect->ops = ops;
	protect->seq = seq;
	protect->seals = seals;
	memcpy(protect->secret, secret, suite->secret_len);
	return derive(protect);
}

int szc_protect_update(struct szc_protect *protect)
{
	uint8_t next[SZC_SECRET_MAX];
	int ret;

	if (!protect->aead)
		return -EIO;
	ret = szc_suite_expand(protect->suite, protect->secret, "traffic upd", next, protect->suite->secret_len);
	if (ret) {
		szc_protect_drop(protect);
		return ret;
	}
	memcpy(protect->secret, next, protect->suite->secret_len);
	OPENSSL_cleanse(next, sizeof(next));
	protect->ops->drop(protect->aead);
	protect->aead = NULL;
	protect->seq = 0;
	protect->generation++;
	return derive(protect);
}

void szc_protect_drop(struct szc_protect *protect)
{
	if (protect->aead)
		protect->ops->drop(protect->aead);
	OPENSSL_cleanse(protect, sizeof(*protect));
}

/* Every limit on what a header may announce. 0, or the alert that refuses it. */
static int refuse_header(const struct szc_record *record)
{
	size_t longest = SZC_RECORD_PLAIN_MAX;
	bool may_be_empty = false;

	switch (record->type) {
	case SZC_CONTENT_APPLICATION:
		longest = SZC_RECORD_CIPHER_MAX;
		may_be_empty = true;
		break;
	case SZC_CONTENT_CCS:
	case SZC_CONTENT_ALERT:
	case SZC_CONTENT_HANDSHAKE:
		break;
	default:
		return SZC_ALERT_UNEXPECTED_MESSAGE;
	}
	if (record->header[1] != 3)
		return SZC_ALERT_DECODE_ERROR;
	if (record->length > longest)
		return SZC_ALERT_RECORD_OVERFLOW;
	if (!record->length && !may_be_empty)
		return SZC_ALERT_DECODE_ERROR;
	return 0;
}

int szc_record_parse(const struct iovec *iov, int iovcnt, size_t avail, struct szc_record *record, uint8_t *alert)
{
	struct szc_span header = {iov, iovcnt, 0, SZC_RECORD_HEADER};
	int refused;

	if (avail < SZC_RECORD_HEADER)
		return 0;
	szc_span_copy_out(&header, record->header);
	record->type = record->header[0];
	record->length = (size_t)record->header[3] << 8 | record->header[4];
	refused = refuse_header(record);
	if (!refused)
		return 1;
	*alert = (uint8_t)refused;
	return SZC_E_TLS_RECORD;
}

/* 5.3: the sequence number in network order, padded to the left, xor the iv. */
static void make_nonce(const struct szc_protect *protect, uint8_t nonce[SZC_RECORD_NONCE])
{
	memcpy(nonce, protect->iv, SZC_RECORD_NONCE);
	for (int i = 0; i < 8; i++)
		nonce[SZC_RECORD_NONCE - 1 - i] ^= (uint8_t)(protect->seq >> 8 * i);
}

static int refuse(int error, enum szc_alert alert, struct szc_opened *opened)
{
	opened->alert = (uint8_t)alert;
	return error;
}

/* What may be known before the record is touched. */
static int check_openable(const struct szc_protect *protect, size_t length, struct szc_opened *opened)
{
	if (!protect->aead || protect->seals)
		return refuse(-EIO, SZC_ALERT_INTERNAL_ERROR, opened);
	if (protect->seq >= protect->suite->key_records)
		return refuse(SZC_E_TLS_KEY_LIMIT, SZC_ALERT_INTERNAL_ERROR, opened);
	if (length < SZC_RECORD_TAG + 1)
		return refuse(SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC, opened);
	if (length - SZC_RECORD_TAG > SZC_RECORD_INNER_MAX)
		return refuse(SZC_E_TLS_RECORD, SZC_ALERT_RECORD_OVERFLOW, opened);
	return 0;
}

/* TLSInnerPlaintext (5.2): content, type, zeros. `inner` is verified. */
static int parse_inner(const struct szc_span *inner, struct szc_opened *opened)
{
	size_t used = szc_span_trim(inner);
	struct szc_span type;

	if (!used)
		return refuse(SZC_E_TLS_RECORD, SZC_ALERT_UNEXPECTED_MESSAGE, opened);
	type = szc_span_part(inner, used - 1, 1);
	szc_span_copy_out(&type, &opened->type);
	opened->length = used - 1;
	switch (opened->type) {
	case SZC_CONTENT_APPLICATION:
		return 0;
	case SZC_CONTENT_ALERT:
	case SZC_CONTENT_HANDSHAKE:
		if (opened->length)
			return 0;
		break;
	}
	return refuse(SZC_E_TLS_RECORD, SZC_ALERT_UNEXPECTED_MESSAGE, opened);
}

static int open_body(struct szc_protect *protect, const struct szc_record *record, const struct szc_span *body,
		     struct szc_opened *opened)
{
	uint8_t nonce[SZC_RECORD_NONCE], tag[SZC_RECORD_TAG];
	struct szc_span inner, tag_at;
	int ret;

	ret = check_openable(protect, body->len, opened);
	if (ret)
		return ret;
	inner = szc_span_part(body, 0, body->len - SZC_RECORD_TAG);
	tag_at = szc_span_part(body, inner.len, SZC_RECORD_TAG);
	szc_span_copy_out(&tag_at, tag);
	make_nonce(protect, nonce);

	ret = protect->ops->open(protect->aead, nonce, record->header, SZC_RECORD_HEADER, &inner, tag);
	if (ret < 0)
		return refuse(-EIO, SZC_ALERT_INTERNAL_ERROR, opened);
	if (ret != 1)
		return refuse(SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC, opened);
	return parse_inner(&inner, opened);
}

int szc_record_open(struct szc_protect *protect, const struct szc_record *record, const struct iovec *iov, int iovcnt,
		    struct szc_opened *opened)
{
	struct szc_span whole = {iov, iovcnt, 0, SZC_RECORD_HEADER + record->length};
	struct szc_span body = szc_span_part(&whole, SZC_RECORD_HEADER, record->length);
	int ret;

	assert(record->type == SZC_CONTENT_APPLICATION);
	memset(opened, 0, sizeof(*opened));
	ret = open_body(protect, record, &body, opened);
	if (ret) {
		szc_span_wipe(&body);
		opened->type = 0;
		opened->length = 0;
		return ret;
	}
	protect->seq++;
	return 0;
}

static ssize_t seal_record(struct szc_protect *protect, uint8_t type, const struct szc_span *plain, uint8_t *out)
{
	size_t length = plain->len + 1 + SZC_RECORD_TAG;
	uint8_t header[SZC_RECORD_HEADER] = {SZC_CONTENT_APPLICATION, 3, 3, (uint8_t)(length >> 8), (uint8_t)length};
	uint8_t nonce[SZC_RECORD_NONCE];

	if (!protect->aead || !protect->seals || plain->len > SZC_RECORD_PLAIN_MAX)
		return -EIO;
	if (protect->seq >= protect->suite->key_records)
		return SZC_E_TLS_KEY_LIMIT;
	make_nonce(protect, nonce);
	memcpy(out, header, sizeof(header));
	if (protect->ops->seal(protect->aead, nonce, header, sizeof(header), plain, type, out + sizeof(header)))
		return -EIO;
	protect->seq++;
	return (ssize_t)(SZC_RECORD_HEADER + length);
}

ssize_t szc_record_seal(struct szc_protect *protect, uint8_t type, const struct szc_span *plain, uint8_t *out)
{
	ssize_t ret = seal_record(protect, type, plain, out);

	if (ret < 0)
		OPENSSL_cleanse(out, plain->len + SZC_RECORD_OVERHEAD);
	return ret;
}

const char *szc_alert_name(uint8_t alert)
{
	static const char *const names[] = {
		[0] = "close_notify",
		[10] = "unexpected_message",
		[20] = "bad_record_mac",
		[22] = "record_overflow",
		[40] = "handshake_failure",
		[42] = "bad_certificate",
		[43] = "unsupported_certificate",
		[44] = "certificate_revoked",
		[45] = "certificate_expired",
		[46] = "certificate_unknown",
		[47] = "illegal_parameter",
		[48] = "unknown_ca",
		[49] = "access_denied",
		[50] = "decode_error",
		[51] = "decrypt_error",
		[70] = "protocol_version",
		[71] = "insufficient_security",
		[80] = "internal_error",
		[86] = "inappropriate_fallback",
		[90] = "user_canceled",
		[109] = "missing_extension",
		[110] = "unsupported_extension",
		[112] = "unrecognized_name",
		[113] = "bad_certificate_status_response",
		[115] = "unknown_psk_identity",
		[116] = "certificate_required",
		[120] = "no_application_protocol",
	};

	if (alert >= sizeof(names) / sizeof(names[0]) || !names[alert])
		return "unknown";
	return names[alert];
}
