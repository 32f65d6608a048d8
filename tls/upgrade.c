/* SPDX-License-Identifier: MIT */
/* Between the end of the handshake and the first payload: who shall carry it (szc/upgrade.h). */
#include "session.h"

#include <errno.h>
#include <string.h>

/* ---- inside the handshake: OpenSSL asks what to write, and shows what came */

static int add(SSL *ssl, unsigned type, unsigned context, const unsigned char **out, size_t *len, X509 *cert,
	       size_t chain, int *alert, void *arg) // NOLINT(readability-non-const-parameter): as OpenSSL has it
{
	struct szc_tls *tls = szc_tls_ctx_bound(ssl);

	(void)type;
	(void)cert;
	(void)chain;
	(void)alert;
	(void)arg;
	if (!tls || !tls->upgrade)
		return 0;
	/* A server's was written when the client's came. */
	if (context & SSL_EXT_CLIENT_HELLO)
		tls->extension_len = tls->ctx->options.upgrade->offer(tls->upgrade, tls->extension);
	*out = tls->extension;
	*len = tls->extension_len;
	return tls->extension_len > 0;
}

static int parse(SSL *ssl, unsigned type, unsigned context, const unsigned char *in, size_t len, X509 *cert,
		 size_t chain, int *alert, void *arg)
{
	struct szc_tls *tls = szc_tls_ctx_bound(ssl);
	const struct szc_tls_upgrade *upgrade;

	(void)type;
	(void)cert;
	(void)chain;
	(void)arg;
	if (!tls || !tls->upgrade)
		return 1;
	upgrade = tls->ctx->options.upgrade;
	if (context & SSL_EXT_CLIENT_HELLO) {
		tls->extension_len = upgrade->answer(tls->upgrade, in, len, tls->extension);
		return 1;
	}
	*alert = SSL_AD_ILLEGAL_PARAMETER;
	return upgrade->accept(tls->upgrade, in, len);
}

int szc_tls_upgrade_install(SSL_CTX *ssl_ctx, const struct szc_tls_upgrade *upgrade)
{
	/* One that serves two of our configurations has it already: what is said is found by the connection. */
	if (SSL_CTX_has_client_custom_ext(ssl_ctx, upgrade->extension))
		return 0;
	if (SSL_CTX_add_custom_ext(ssl_ctx, upgrade->extension,
				   SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS, add, NULL, NULL, parse,
				   NULL) != 1)
		return SZC_E_TLS_CONFIG;
	return 0;
}

/* ---- after it */

static int follow(struct szc_conn *conn, struct szc_tls *tls, int next, uint8_t alert)
{
	/* The reason was given by who refused; the peer is told that it is over. */
	if (next < 0) {
		szc_tls_alert(conn, tls, alert);
		return next;
	}
	tls->upgrading = next == SZC_UPGRADE_WAIT;
	if (next == SZC_UPGRADE_STAY)
		return szc_tls_carry(conn, tls);
	if (next == SZC_UPGRADE_TAKE) {
		tls->taken = true;
		szc_tls_drop_ssl(tls);
		szc_protect_drop(&tls->rx);
		szc_protect_drop(&tls->tx);
	}
	return 0;
}

int szc_tls_upgrade_begin(struct szc_conn *conn, struct szc_tls *tls, const uint8_t *secret)
{
	/* Messages may be sent from inside. */
	tls->upgrading = true;
	return follow(conn, tls, tls->ctx->options.upgrade->begin(conn, tls->upgrade, secret),
		      SZC_ALERT_INSUFFICIENT_SECURITY);
}

int szc_tls_upgrade_message(struct szc_conn *conn, struct szc_tls *tls, const struct szc_span *content, size_t behind)
{
	uint8_t message[SZC_UPGRADE_MESSAGE_MAX];
	int next;

	if (!content->len)
		return 0; /* counted as such */
	if (content->len > sizeof(message))
		return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD,
				     "payload came before it was agreed who carries it");
	szc_span_copy_out(content, message);
	szc_span_wipe(content);
	next = tls->ctx->options.upgrade->message(conn, tls->upgrade, message, content->len, behind);
	OPENSSL_cleanse(message, sizeof(message));
	return follow(conn, tls, next, SZC_ALERT_ILLEGAL_PARAMETER);
}

/* ---- for who upgrades */

int szc_tls_upgrade_send(struct szc_conn *conn, const uint8_t *data, size_t len)
{
	struct szc_tls *tls = szc_layer_state(conn, &szc_tls_layer);

	if (!tls || !tls->upgrading)
		return SZC_E_STATE;
	return szc_tls_send_content(conn, tls, data, len);
}

void *szc_tls_upgrade_state(const struct szc_conn *conn, const struct szc_layer_ops *layer)
{
	const struct szc_tls *tls = szc_layer_state(conn, &szc_tls_layer);

	return tls && tls->upgrade && szc_tls_heir(tls) == layer ? tls->upgrade : NULL;
}
