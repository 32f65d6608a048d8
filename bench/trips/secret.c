/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include "receiver.h"

#define WANTED "CLIENT_TRAFFIC_SECRET_0 "

static struct {
	unsigned char bytes[64];
	size_t len;
} client;

/* "LABEL client-random secret", both in hexadecimal. */
static void on_keylog(const SSL *ssl, const char *line)
{
	const char *hex = strrchr(line, ' ');
	unsigned byte;

	(void)ssl;
	if (strncmp(line, WANTED, strlen(WANTED)) != 0 || !hex)
		return;
	client.len = 0;
	for (hex++; client.len < sizeof(client.bytes) && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		client.bytes[client.len++] = (unsigned char)byte;
}

SSL_CTX *secret_context(const struct arguments *arguments)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_use_certificate_chain_file(ctx, arguments->cert) == 1 &&
	    SSL_CTX_use_PrivateKey_file(ctx, arguments->key, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1) {
		SSL_CTX_set_keylog_callback(ctx, on_keylog);
		return ctx;
	}
	complain_ssl("TLS cannot be set up");
	SSL_CTX_free(ctx);
	return NULL;
}

/* HKDF-Expand-Label without context (RFC 8446, 7.1). */
static int expand(const char *label, unsigned char *out, size_t len)
{
	char digest[] = "SHA256", prefix[] = "tls13 ";
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY, done;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, client.bytes, client.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, strlen(prefix)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)label, strlen(label)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_DATA, (void *)"", 0),
		OSSL_PARAM_construct_end(),
	};

	done = ctx && EVP_KDF_derive(ctx, out, len, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return done ? 0 : complain_ssl("keys cannot be derived");
}

int secret_keys(unsigned char key[16], unsigned char iv[12])
{
	if (!client.len) {
		fprintf(stderr, "trips-receive: OpenSSL did not tell the client's secret\n");
		return -1;
	}
	return expand("key", key, 16) ? -1 : expand("iv", iv, 12);
}
