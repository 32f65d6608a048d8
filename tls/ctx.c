/* SPDX-License-Identifier: MIT */
/* Configuration for many connections, and the key log through which OpenSSL gives its traffic secrets away. */
#include "ctx.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>

#include "session.h"

enum {
	EMPTY_RECORDS = 32,
	KEY_UPDATES = 32,
	POST_HANDSHAKE = 256 * 1024,
	SUITES_MAX = 256,
};

/* OpenSSL hands out these numbers for the whole process; what hangs on them is per object. */
static CRYPTO_ONCE indexes_once = CRYPTO_ONCE_STATIC_INIT;
static int ssl_index = -1;
static int chain_index = -1;

/* ---- the key log */

static void take_secret(struct szc_tls *tls, const char *line)
{
	const char *secret = strrchr(line, ' ');

	if (!secret)
		return;
	secret++;
	if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
		OPENSSL_hexstr2buf_ex(tls->client_secret, sizeof(tls->client_secret), &tls->client_secret_len, secret,
				      '\0');
	else if (!strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24))
		OPENSSL_hexstr2buf_ex(tls->server_secret, sizeof(tls->server_secret), &tls->server_secret_len, secret,
				      '\0');
}

typedef void (*keylog_fn)(const SSL *ssl, const char *line);

/* The user's own callback, kept where a function pointer may live: in memory of its own. */
struct chained {
	keylog_fn before;
};

static void keylog(const SSL *ssl, const char *line)
{
	struct szc_tls *tls = SSL_get_ex_data(ssl, ssl_index);
	const struct chained *chained = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), chain_index);

	if (tls && !tls->handed_over)
		take_secret(tls, line);
	if (chained && chained->before)
		chained->before(ssl, line);
}

static void free_chained(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	free(ptr);
}

static void make_indexes(void)
{
	ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	chain_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_chained);
}

static int install_keylog(SSL_CTX *ssl_ctx)
{
	struct chained *chained;

	if (!CRYPTO_THREAD_run_once(&indexes_once, make_indexes) || ssl_index < 0 || chain_index < 0)
		return -ENOMEM;
	if (SSL_CTX_get_keylog_callback(ssl_ctx) == keylog)
		return 0;
	chained = malloc(sizeof(*chained));
	if (!chained)
		return -ENOMEM;
	chained->before = SSL_CTX_get_keylog_callback(ssl_ctx);
	free(SSL_CTX_get_ex_data(ssl_ctx, chain_index));
	if (!SSL_CTX_set_ex_data(ssl_ctx, chain_index, chained)) {
		free(chained);
		return -ENOMEM;
	}
	SSL_CTX_set_keylog_callback(ssl_ctx, keylog);
	return 0;
}

struct szc_tls *szc_tls_ctx_bound(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, ssl_index);
}

int szc_tls_ctx_bind(SSL *ssl, struct szc_tls *tls)
{
	return SSL_set_ex_data(ssl, ssl_index, tls) ? 0 : -ENOMEM;
}

/* ---- options into an SSL_CTX */

static int fail(const struct szc_tls_options *options, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(const struct szc_tls_options *options, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (options->error && options->error_size)
		vsnprintf(options->error, options->error_size, format, args);
	va_end(args);
	return error;
}

static const char *openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	return reason ? reason : "the file cannot be read";
}

static int load_files(SSL_CTX *ssl_ctx, const struct szc_tls_options *o)
{
	ERR_clear_error();
	if (o->role == SZC_TLS_SERVER && (!o->cert_file || !o->key_file))
		return fail(o, SZC_E_TLS_CONFIG, "a server needs a certificate and its key (cert_file, key_file)");
	if (o->cert_file && SSL_CTX_use_certificate_chain_file(ssl_ctx, o->cert_file) != 1)
		return fail(o, SZC_E_TLS_CONFIG, "certificate %s: %s", o->cert_file, openssl_reason());
	if (o->key_file && SSL_CTX_use_PrivateKey_file(ssl_ctx, o->key_file, SSL_FILETYPE_PEM) != 1)
		return fail(o, SZC_E_TLS_CONFIG, "key %s: %s", o->key_file, openssl_reason());
	if (o->key_file && SSL_CTX_check_private_key(ssl_ctx) != 1)
		return fail(o, SZC_E_TLS_CONFIG, "key %s does not belong to certificate %s", o->key_file,
			    o->cert_file ? o->cert_file : "(none given)");
	if (o->ca_file && SSL_CTX_load_verify_locations(ssl_ctx, o->ca_file, NULL) != 1)
		return fail(o, SZC_E_TLS_CONFIG, "trust file %s: %s", o->ca_file, openssl_reason());
	if (!o->ca_file && o->role == SZC_TLS_CLIENT && !o->insecure)
		SSL_CTX_set_default_verify_paths(ssl_ctx);
	if (o->ca_file && o->role == SZC_TLS_SERVER)
		SSL_CTX_set_client_CA_list(ssl_ctx, SSL_load_client_CA_file(o->ca_file));
	return 0;
}

static int encode_alpn(struct szc_tls_ctx *ctx, const struct szc_tls_options *o)
{
	const char *at = o->alpn;

	while (at && *at) {
		size_t len = strcspn(at, ",");

		if (!len || len > 255 || ctx->alpn_len + 1 + len > sizeof(ctx->alpn))
			return fail(o, SZC_E_OPTION,
				    "alpn \"%s\": names of 1 to 255 bytes, 255 in all, joined by commas", o->alpn);
		ctx->alpn[ctx->alpn_len++] = (uint8_t)len;
		memcpy(ctx->alpn + ctx->alpn_len, at, len);
		ctx->alpn_len += len;
		at += len + (at[len] == ',');
	}
	return 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		       unsigned in_len, void *arg)
{
	struct szc_tls_ctx *ctx = arg;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, out_len, ctx->alpn, (unsigned)ctx->alpn_len, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2: no_application_protocol */
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int make_ssl_ctx(struct szc_tls_ctx *ctx, const struct szc_tls_options *o)
{
	static const unsigned char id[] = "szc";

	ctx->ssl_ctx = SSL_CTX_new(o->role == SZC_TLS_CLIENT ? TLS_client_method() : TLS_server_method());
	if (!ctx->ssl_ctx)
		return fail(o, -ENOMEM, "OpenSSL could not make an SSL_CTX");
	/* Without an id, OpenSSL refuses to resume sessions of clients that showed a certificate. A client's sessions
	 * are the application's, which may have them from elsewhere. */
	if (o->role == SZC_TLS_SERVER)
		SSL_CTX_set_session_id_context(ctx->ssl_ctx, id, sizeof(id) - 1);
	else
		SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	return load_files(ctx->ssl_ctx, o);
}

static int check_ciphersuites(struct szc_tls_ctx *ctx, const struct szc_tls_options *o)
{
	const char *at = o->ciphersuites;

	if (!at)
		return 0;
	for (;;) {
		size_t len = strcspn(at, ":");

		if (!szc_suite_by_name(at, len))
			return fail(o, SZC_E_TLS_CIPHER,
				    "cipher suite \"%.*s\" is none of TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, "
				    "TLS_CHACHA20_POLY1305_SHA256",
				    (int)len, at);
		if (!at[len])
			break;
		at += len + 1;
	}
	ctx->ciphersuites = strdup(o->ciphersuites);
	return ctx->ciphersuites ? 0 : -ENOMEM;
}

int szc_tls_ctx_narrow(struct szc_tls_ctx *ctx, SSL *ssl)
{
	STACK_OF(SSL_CIPHER) *have = SSL_get_ciphers(ssl);
	char names[SUITES_MAX] = "";
	size_t len = 0;
	int i;

	if (ctx->ciphersuites)
		return SSL_set_ciphersuites(ssl, ctx->ciphersuites) == 1 ? 0 : SZC_E_TLS_CIPHER;
	for (i = 0; i < sk_SSL_CIPHER_num(have); i++) {
		const char *name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(have, i));

		if (szc_suite_by_name(name, strlen(name)) && len + strlen(name) + 2 < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len ? ":" : "", name);
	}
	return len && SSL_set_ciphersuites(ssl, names) == 1 ? 0 : SZC_E_TLS_CIPHER;
}

static void fill_limits(struct szc_tls_options *o)
{
	if (!o->max_empty_records)
		o->max_empty_records = EMPTY_RECORDS;
	if (!o->max_key_updates)
		o->max_key_updates = KEY_UPDATES;
	if (!o->max_post_handshake)
		o->max_post_handshake = POST_HANDSHAKE;
}

/* The caller's strings are his; what is needed of them was used or copied by now. */
static void forget_pointers(struct szc_tls_options *o)
{
	o->ssl_ctx = NULL;
	o->cert_file = o->key_file = o->ca_file = o->alpn = o->ciphersuites = NULL;
	o->error = NULL;
	o->error_size = 0;
}

static int build(struct szc_tls_ctx *ctx, const struct szc_tls_options *o)
{
	int error = check_ciphersuites(ctx, o);

	if (!error)
		error = encode_alpn(ctx, o);
	if (error)
		return error;
	if (o->ssl_ctx) {
		if (o->cert_file || o->key_file || o->ca_file)
			return fail(o, SZC_E_OPTION,
				    "certificates and trust are set on your own SSL_CTX, not beside it");
		/* The choice is a callback of the SSL_CTX, which is not ours to take. */
		if (o->alpn && o->role == SZC_TLS_SERVER)
			return fail(o, SZC_E_OPTION,
				    "a server's alpn is chosen on your own SSL_CTX (SSL_CTX_set_alpn_select_cb)");
		if (SSL_CTX_up_ref(o->ssl_ctx) != 1)
			return -ENOMEM;
		ctx->ssl_ctx = o->ssl_ctx;
	} else {
		error = make_ssl_ctx(ctx, o);
		if (error)
			return error;
		if (ctx->alpn_len && o->role == SZC_TLS_SERVER)
			SSL_CTX_set_alpn_select_cb(ctx->ssl_ctx, choose_alpn, ctx);
	}
	if (o->upgrade && szc_tls_upgrade_install(ctx->ssl_ctx, o->upgrade))
		return fail(o, SZC_E_TLS_CONFIG, "the SSL_CTX uses TLS extension %u for something else",
			    o->upgrade->extension);
	return install_keylog(ctx->ssl_ctx);
}

int szc_tls_ctx_open(struct szc_tls_ctx **out, const struct szc_tls_options *given)
{
	struct szc_tls_options o = {0};
	struct szc_tls_ctx *ctx;
	int error;

	*out = NULL;
	if (!given || given->size < offsetof(struct szc_tls_options, ssl_ctx))
		return SZC_E_OPTION;
	memcpy(&o, given, given->size < sizeof(o) ? given->size : sizeof(o));
	if (o.error && o.error_size)
		o.error[0] = '\0';
	if (o.upgrade && o.upgrade->size < sizeof(*o.upgrade))
		return fail(&o, SZC_E_OPTION, "options->upgrade is of another version of this library");
	if (o.role != SZC_TLS_SERVER && o.role != SZC_TLS_CLIENT)
		return fail(&o, SZC_E_OPTION, "options->role is neither SZC_TLS_SERVER nor SZC_TLS_CLIENT");
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return fail(&o, -ENOMEM, "no memory for a TLS configuration");
	ctx->refs = 1;
	error = build(ctx, &o);
	if (error) {
		szc_tls_ctx_close(ctx);
		ERR_clear_error();
		if (o.error && o.error_size && !o.error[0])
			fail(&o, error, "%s", szc_strerror(error));
		return error;
	}
	fill_limits(&o);
	forget_pointers(&o);
	ctx->options = o;
	*out = ctx;
	return 0;
}

void szc_tls_ctx_ref(struct szc_tls_ctx *ctx)
{
	atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
}

void szc_tls_ctx_close(struct szc_tls_ctx *ctx)
{
	if (!ctx || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(ctx->ssl_ctx);
	free(ctx->ciphersuites);
	free(ctx);
}
