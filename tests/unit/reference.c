/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "reference.h"

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "reference: %s failed\n", what);
	abort();
}

size_t reference_secret_len(uint16_t suite)
{
	return suite == 0x1302 ? 48 : 32;
}

size_t reference_key_len(uint16_t suite)
{
	return suite == 0x1301 ? 16 : 32;
}

void reference_expand(uint16_t suite, const uint8_t *secret, const char *label, uint8_t *out, size_t len)
{
	const EVP_MD *md = suite == 0x1302 ? EVP_sha384() : EVP_sha256();
	size_t hash_len = reference_secret_len(suite), label_len = strlen(label);
	uint8_t block[64], input[64 + 128];
	size_t block_len = 0, total = len;
	uint8_t count = 1;

	must(label_len < 64, "label");
	while (len) {
		size_t n = block_len, take = len < hash_len ? len : hash_len;

		memcpy(input, block, block_len);
		input[n++] = (uint8_t)(total >> 8);
		input[n++] = (uint8_t)total;
		input[n++] = (uint8_t)(6 + label_len);
		memcpy(input + n, "tls13 ", 6);
		n += 6;
		memcpy(input + n, label, label_len);
		n += label_len;
		input[n++] = 0;
		input[n++] = count++;
		must(HMAC(md, secret, (int)hash_len, input, n, block, NULL) != NULL, "HMAC");
		block_len = hash_len;
		memcpy(out, block, take);
		out += take;
		len -= take;
	}
}

static const EVP_CIPHER *cipher_of(uint16_t suite)
{
	switch (suite) {
	case 0x1301:
		return EVP_aes_128_gcm();
	case 0x1302:
		return EVP_aes_256_gcm();
	default:
		return EVP_chacha20_poly1305();
	}
}

size_t reference_seal(uint16_t suite, const uint8_t *secret, uint64_t seq, const uint8_t *inner, size_t inner_len,
		      uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t length = inner_len + 16;
	uint8_t key[32], iv[12];
	int n;

	reference_expand(suite, secret, "key", key, reference_key_len(suite));
	reference_expand(suite, secret, "iv", iv, sizeof(iv));
	for (int i = 0; i < 8; i++)
		iv[4 + i] ^= (uint8_t)(seq >> (56 - 8 * i));
	memcpy(out, (uint8_t[]){23, 3, 3, (uint8_t)(length >> 8), (uint8_t)length}, 5);

	must(ctx && EVP_EncryptInit_ex(ctx, cipher_of(suite), NULL, key, iv) == 1, "EVP_EncryptInit_ex");
	must(EVP_EncryptUpdate(ctx, NULL, &n, out, 5) == 1, "associated data");
	must(!inner_len || EVP_EncryptUpdate(ctx, out + 5, &n, inner, (int)inner_len) == 1, "EVP_EncryptUpdate");
	must(EVP_EncryptFinal_ex(ctx, out + 5 + inner_len, &n) == 1, "EVP_EncryptFinal_ex");
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + 5 + inner_len) == 1, "tag");
	EVP_CIPHER_CTX_free(ctx);
	return 5 + length;
}
