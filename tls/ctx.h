/* SPDX-License-Identifier: MIT */
#ifndef SZC_TLS_CTX_H
#define SZC_TLS_CTX_H

#include <stdatomic.h>
#include <openssl/ssl.h>
#include <szc/tls.h>

struct szc_tls;

struct szc_tls_ctx {
	_Atomic unsigned refs;
	SSL_CTX *ssl_ctx;
	struct szc_tls_options
		options;    /* limits with defaults filled in; no pointer of the caller's is kept, but for .upgrade */
	char *ciphersuites; /* as asked for, checked, or NULL */
	uint8_t alpn[256];  /* as on the wire: each name after its length (RFC 7301 3.1) */
	size_t alpn_len;
};

void szc_tls_ctx_ref(struct szc_tls_ctx *ctx);

/* Ties an SSL to its connection, so that the key log of the SSL_CTX can tell whose secrets it sees. */
int szc_tls_ctx_bind(SSL *ssl, struct szc_tls *tls);

/* The connection of an SSL that was tied to one; NULL for any other. */
struct szc_tls *szc_tls_ctx_bound(const SSL *ssl);

/* Narrows an SSL to the suites we open: the configured ones, or those of its SSL_CTX. 0 or SZC_E_TLS_CIPHER. */
int szc_tls_ctx_narrow(struct szc_tls_ctx *ctx, SSL *ssl);

#endif
