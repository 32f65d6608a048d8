/* SPDX-License-Identifier: MIT */
/* A TLS connection's life, and the public calls about it. */
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

static int tls_start(struct szc_conn *conn, void *state)
{
	return szc_tls_handshake_start(conn, state);
}

static int tls_input(struct szc_conn *conn, void *state)
{
	struct szc_tls *tls = state;

	if (tls->taken)
		return szc_tls_heir(tls)->input(conn, tls->upgrade);
	if (!tls->handed_over)
		return szc_tls_handshake_input(conn, tls);
	/* Behind the last message of an upgrade nothing may follow. */
	if (tls->answer_due && !tls->upgrading && !szc_conn_unsent(conn)) {
		int error = szc_tls_send_key_update(conn, tls, false);

		if (error)
			return error;
	}
	return szc_tls_receive(conn, tls);
}

static int tls_fin(struct szc_conn *conn, void *state)
{
	struct szc_tls *tls = state;

	if (tls->taken)
		return szc_tls_heir(tls)->fin(conn, tls->upgrade);
	if (!tls->handed_over)
		return szc_layer_fail(conn, SZC_E_CLOSED, "the peer closed the connection during the handshake");
	return szc_layer_fail(conn, SZC_E_TRUNCATED,
			      "the peer closed without close_notify: what came so far may not be all");
}

void szc_tls_drop_ssl(struct szc_tls *tls)
{
	if (!tls->ssl)
		return;
	if (tls->handed_over) {
		/* OpenSSL takes a session whose SSL is freed without a farewell for a broken one and would not resume
		 * it. These flags are all that it looks at; nothing is written. */
		SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		if (szc_tls_is_client(tls)) {
			SSL_SESSION_free(tls->session);
			tls->session = SSL_get1_session(tls->ssl);
		}
	}
	SSL_free(tls->ssl);
	tls->ssl = NULL;
	szc_protect_drop(&tls->replay);
}

static void tls_free(void *state)
{
	struct szc_tls *tls = state;

	if (tls->upgrade)
		szc_tls_heir(tls)->free(tls->upgrade);
	szc_tls_drop_ssl(tls);
	szc_protect_drop(&tls->rx);
	szc_protect_drop(&tls->tx);
	SSL_SESSION_free(tls->session);
	X509_free(tls->peer);
	free(tls->server_name);
	if (tls->message)
		OPENSSL_cleanse(tls->message, tls->message_cap);
	free(tls->message);
	if (tls->bounce)
		OPENSSL_cleanse(tls->bounce, SZC_RECORD_CIPHER_MAX);
	free(tls->bounce);
	szc_tls_ctx_close(tls->ctx);
	OPENSSL_cleanse(tls, sizeof(*tls));
	free(tls);
}

const struct szc_layer_ops szc_tls_layer = {
	.name = "tls",
	.start = tls_start,
	.input = tls_input,
	.fin = tls_fin,
	.send = szc_tls_send,
	.shutdown = szc_tls_shutdown,
	.sent = szc_tls_sent,
	.free = tls_free,
};

/* ---- attaching */

static bool is_ip(const char *host)
{
	uint8_t address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static int set_up_client(struct szc_tls *tls, const struct szc_tls_peer *peer)
{
	const char *host = peer ? peer->host : NULL;
	SSL *ssl = tls->ssl;

	SSL_set_connect_state(ssl);
	SSL_set_post_handshake_auth(ssl, 0);
	if (peer && peer->size < sizeof(*peer))
		return SZC_E_OPTION; /* no older version is shorter */
	if (peer && peer->session && SSL_set_session(ssl, peer->session) != 1)
		return SZC_E_OPTION;
	if (host && !is_ip(host) && SSL_set_tlsext_host_name(ssl, host) != 1)
		return SZC_E_OPTION;
	if (tls->ctx->alpn_len && SSL_set_alpn_protos(ssl, tls->ctx->alpn, (unsigned)tls->ctx->alpn_len))
		return -ENOMEM;
	if (tls->ctx->options.insecure) {
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	if (!host)
		return SZC_E_OPTION;
	SSL_set_verify(ssl, SSL_VERIFY_PEER, SSL_get_verify_callback(ssl));
	if (is_ip(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ? 0 : SZC_E_OPTION;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 ? 0 : SZC_E_OPTION;
}

static int set_up_server(struct szc_tls *tls)
{
	enum szc_tls_client_auth auth = tls->ctx->options.client_auth;
	int mode = SSL_VERIFY_PEER;

	SSL_set_accept_state(tls->ssl);
	if (auth == SZC_TLS_CLIENT_AUTH_NONE)
		return 0;
	if (auth == SZC_TLS_CLIENT_AUTH_REQUIRE)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_set_verify(tls->ssl, mode, SSL_get_verify_callback(tls->ssl));
	return 0;
}

/* What the hand-over depends on, whatever the SSL_CTX says. */
static int set_up_ssl(struct szc_tls *tls, const struct szc_tls_peer *peer)
{
	BIO *from_peer = BIO_new(BIO_s_mem()), *to_peer = BIO_new(BIO_s_mem());
	SSL *ssl = tls->ssl;
	int error;

	if (!from_peer || !to_peer) {
		BIO_free(from_peer);
		BIO_free(to_peer);
		return -ENOMEM;
	}
	BIO_set_mem_eof_return(from_peer, -1);
	SSL_set_bio(ssl, from_peer, to_peer);
	error = szc_tls_ctx_bind(ssl, tls);
	if (error)
		return error;
	if (SSL_set_min_proto_version(ssl, TLS1_3_VERSION) != 1 || SSL_set_max_proto_version(ssl, TLS1_3_VERSION) != 1)
		return SZC_E_TLS_CONFIG;
	SSL_set_read_ahead(ssl, 0);
	SSL_clear_options(ssl, SSL_OP_ENABLE_KTLS);
	SSL_clear_mode(ssl, SSL_MODE_ASYNC);
	SSL_set_max_early_data(ssl, 0);
	error = szc_tls_ctx_narrow(tls->ctx, ssl);
	if (error)
		return error;
	return szc_tls_is_client(tls) ? set_up_client(tls, peer) : set_up_server(tls);
}

static const char *attach_refused(int error, const struct szc_tls_peer *peer)
{
	if (error != SZC_E_OPTION)
		return szc_strerror(error);
	if (peer && peer->size < sizeof(*peer))
		return "peer->size is not set: write sizeof(struct szc_tls_peer)";
	if (peer && peer->host)
		return "OpenSSL takes neither this host name nor this session";
	return "a client that verifies needs peer->host, a name or an address";
}

int szc_tls_attach(struct szc_conn *conn, struct szc_tls_ctx *ctx, const struct szc_tls_peer *peer)
{
	struct szc_tls *tls = calloc(1, sizeof(*tls));
	int error;

	if (!tls)
		return -ENOMEM;
	tls->ctx = ctx;
	szc_tls_ctx_ref(ctx);
	tls->ssl = SSL_new(ctx->ssl_ctx);
	error = tls->ssl ? set_up_ssl(tls, peer) : -ENOMEM;
	if (!error && ctx->options.upgrade) {
		tls->upgrade = ctx->options.upgrade->open(conn, ctx->options.upgrade->config, szc_tls_is_client(tls));
		error = tls->upgrade ? 0 : -ENOMEM;
	}
	if (!error && ctx->options.copy_first) {
		tls->bounce = malloc(SZC_RECORD_CIPHER_MAX);
		error = tls->bounce ? 0 : -ENOMEM;
	}
	ERR_clear_error();
	if (error) {
		tls_free(tls);
		return szc_layer_fail(conn, error, "TLS cannot be put on the connection: %s",
				      attach_refused(error, peer));
	}
	error = szc_layer_attach(conn, &szc_tls_layer, tls);
	return error ? szc_layer_fail(conn, error, "TLS can be put on a connection once, before data flows") : 0;
}

/* ---- public getters */

static const struct szc_tls *after_handover(const struct szc_conn *conn)
{
	const struct szc_tls *tls = szc_layer_state(conn, &szc_tls_layer);

	return tls && tls->handed_over ? tls : NULL;
}

const char *szc_tls_cipher(const struct szc_conn *conn)
{
	const struct szc_tls *tls = after_handover(conn);

	return tls ? tls->suite->name : NULL;
}

X509 *szc_tls_peer_certificate(const struct szc_conn *conn)
{
	const struct szc_tls *tls = after_handover(conn);

	if (!tls || !tls->peer || X509_up_ref(tls->peer) != 1)
		return NULL;
	return tls->peer;
}

size_t szc_tls_alpn(const struct szc_conn *conn, const unsigned char **protocol)
{
	const struct szc_tls *tls = after_handover(conn);

	*protocol = tls && tls->alpn_len ? tls->alpn : NULL;
	return tls ? tls->alpn_len : 0;
}

const char *szc_tls_server_name(const struct szc_conn *conn)
{
	const struct szc_tls *tls = after_handover(conn);

	return tls ? tls->server_name : NULL;
}

SSL_SESSION *szc_tls_session(const struct szc_conn *conn)
{
	const struct szc_tls *tls = after_handover(conn);

	if (!tls || !szc_tls_is_client(tls))
		return NULL;
	if (tls->ssl)
		return SSL_get1_session(tls->ssl);
	return tls->session && SSL_SESSION_up_ref(tls->session) == 1 ? tls->session : NULL;
}

bool szc_tls_resumed(const struct szc_conn *conn)
{
	const struct szc_tls *tls = after_handover(conn);

	return tls && tls->resumed;
}

const char *szc_tls_sending(const struct szc_conn *conn)
{
	const struct szc_tls *tls = after_handover(conn);

	if (!tls)
		return NULL;
	if (tls->taken)
		return szc_tls_heir(tls)->name;
	return tls->ktls ? "ktls" : "user";
}

int szc_tls_key_update(struct szc_conn *conn, bool request)
{
	struct szc_tls *tls = szc_layer_state(conn, &szc_tls_layer);

	if (!tls || !tls->handed_over || tls->upgrading || tls->taken || tls->closed || szc_conn_error(conn))
		return SZC_E_STATE;
	if (tls->ktls && !szc_ktls_can_rekey())
		return -EOPNOTSUPP;
	return szc_tls_send_key_update(conn, tls, request);
}
