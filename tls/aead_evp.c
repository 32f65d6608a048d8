/* SPDX-License-Identifier: MIT */
/*
 * The AEAD by OpenSSL's EVP. Cipher and key are set once; a record sets its nonce and, to be opened, its tag in the one
 * call that starts it. That call and the updates work on what make() allocated.
 */
#include <errno.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include "aead.h"

struct szc_aead {
	EVP_CIPHER_CTX *ctx;
	EVP_CIPHER *cipher;
};

static void evp_drop(struct szc_aead *aead)
{
	if (!aead)
		return;
	EVP_CIPHER_CTX_free(aead->ctx); /* wipes the key */
	EVP_CIPHER_free(aead->cipher);
	OPENSSL_free(aead);
}

static struct szc_aead *evp_make(const struct szc_suite *suite, const uint8_t *key, int seal)
{
	struct szc_aead *aead = OPENSSL_zalloc(sizeof(*aead));

	if (!aead)
		return NULL;
	aead->cipher = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
	aead->ctx = EVP_CIPHER_CTX_new();
	if (!aead->cipher || !aead->ctx)
		goto fail;
	if ((size_t)EVP_CIPHER_get_key_length(aead->cipher) != suite->key_len ||
	    EVP_CIPHER_get_iv_length(aead->cipher) != SZC_RECORD_NONCE)
		goto fail;
	if (EVP_CipherInit_ex2(aead->ctx, aead->cipher, key, NULL, !!seal, NULL) != 1)
		goto fail;
	return aead;
fail:
	evp_drop(aead);
	return NULL;
}

static int update_pieces(EVP_CIPHER_CTX *ctx, const struct szc_span *span, uint8_t *out)
{
	struct szc_span rest = *span;

	while (rest.len) {
		struct iovec piece = szc_span_next(&rest);
		uint8_t *to = out ? out : piece.iov_base;
		int done;

		if (EVP_CipherUpdate(ctx, to, &done, piece.iov_base, (int)piece.iov_len) != 1 ||
		    done != (int)piece.iov_len)
			return -EIO;
		if (out)
			out += done;
	}
	return 0;
}

static int evp_open(struct szc_aead *aead, const uint8_t nonce[SZC_RECORD_NONCE], const uint8_t *aad, size_t aad_len,
		    const struct szc_span *body, const uint8_t tag[SZC_RECORD_TAG])
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, (void *)tag, SZC_RECORD_TAG),
		OSSL_PARAM_construct_end(),
	};
	uint8_t nothing[16];
	int done;

	if (EVP_CipherInit_ex2(aead->ctx, NULL, NULL, nonce, 0, params) != 1)
		return -EIO;
	if (aad_len && EVP_CipherUpdate(aead->ctx, NULL, &done, aad, (int)aad_len) != 1)
		return -EIO;
	if (update_pieces(aead->ctx, body, NULL))
		return -EIO;
	return EVP_CipherFinal_ex(aead->ctx, nothing, &done) == 1;
}

static int evp_seal(struct szc_aead *aead, const uint8_t nonce[SZC_RECORD_NONCE], const uint8_t *aad, size_t aad_len,
		    const struct szc_span *plain, uint8_t type, uint8_t *out)
{
	uint8_t *type_at = out + plain->len;
	uint8_t *tag_at = type_at + 1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag_at, SZC_RECORD_TAG),
		OSSL_PARAM_construct_end(),
	};
	uint8_t nothing[16];
	int done;

	if (EVP_CipherInit_ex2(aead->ctx, NULL, NULL, nonce, 1, NULL) != 1)
		return -EIO;
	if (aad_len && EVP_CipherUpdate(aead->ctx, NULL, &done, aad, (int)aad_len) != 1)
		return -EIO;
	if (update_pieces(aead->ctx, plain, out))
		return -EIO;
	if (EVP_CipherUpdate(aead->ctx, type_at, &done, &type, 1) != 1 || done != 1)
		return -EIO;
	if (EVP_CipherFinal_ex(aead->ctx, nothing, &done) != 1 || EVP_CIPHER_CTX_get_params(aead->ctx, params) != 1)
		return -EIO;
	return 0;
}

const struct szc_aead_ops szc_aead_evp = {
	.name = "evp",
	.make = evp_make,
	.open = evp_open,
	.seal = evp_seal,
	.drop = evp_drop,
};
