/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include "suite.h"

enum { LABEL_MAX = 12 }; /* "traffic upd" is the longest that this library expands */

static const char label_prefix[] = "tls13 ";

/* 2^24.5 rounded down, 5.5. ChaCha20-Poly1305 has no such limit: there the sequence number ends first. */
static const uint64_t gcm_records = 23726566;
static const uint64_t sequence_records = UINT64_MAX - 1;

static const struct szc_suite suites[] = {
	{0x1301, "TLS_AES_128_GCM_SHA256", "AES-128-GCM", "SHA2-256", 16, 32, gcm_records},
	{0x1302, "TLS_AES_256_GCM_SHA384", "AES-256-GCM", "SHA2-384", 32, 48, gcm_records},
	{0x1303, "TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305", "SHA2-256", 32, 32, sequence_records},
};

enum { SUITES = sizeof(suites) / sizeof(suites[0]) };

const struct szc_suite *szc_suite_by_id(uint16_t id)
{
	for (int i = 0; i < SUITES; i++) {
		if (suites[i].id == id)
			return &suites[i];
	}
	return NULL;
}

const struct szc_suite *szc_suite_by_name(const char *name, size_t len)
{
	for (int i = 0; i < SUITES; i++) {
		if (strlen(suites[i].name) == len && !memcmp(suites[i].name, name, len))
			return &suites[i];
	}
	return NULL;
}

/* struct HkdfLabel of 7.1, with an empty context. Its size, or 0 if it does not fit. */
static size_t hkdf_label(const char *label, size_t out_len, uint8_t *info)
{
	size_t prefix_len = sizeof(label_prefix) - 1, label_len = strlen(label);
	uint8_t *at = info;

	if (label_len > LABEL_MAX || out_len > UINT16_MAX)
		return 0;
	*at++ = (uint8_t)(out_len >> 8);
	*at++ = (uint8_t)out_len;
	*at++ = (uint8_t)(prefix_len + label_len);
	memcpy(at, label_prefix, prefix_len);
	at += prefix_len;
	memcpy(at, label, label_len);
	at += label_len;
	*at++ = 0;
	return (size_t)(at - info);
}

int szc_suite_expand(const struct szc_suite *suite, const uint8_t *secret, const char *label, uint8_t *out,
		     size_t out_len)
{
	uint8_t info[2 + 1 + sizeof(label_prefix) - 1 + LABEL_MAX + 1];
	size_t info_len = hkdf_label(label, out_len, info);
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)suite->digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, suite->secret_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *ctx = NULL;
	EVP_KDF *kdf;
	int ret = -EIO;

	if (!info_len)
		return -EIO;
	kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	if (!kdf)
		return -EIO;
	ctx = EVP_KDF_CTX_new(kdf);
	if (ctx && EVP_KDF_derive(ctx, out, out_len, params) == 1)
		ret = 0;
	if (ret)
		OPENSSL_cleanse(out, out_len);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ret;
}
