/* SPDX-License-Identifier: MIT */
/* Who the peer is: names, addresses, certificates on both ends, and what both agree on besides (SNI, ALPN). */
#include <openssl/x509v3.h>
#include "tests/unit/pair.h"

static const struct szc_tls_peer localhost = {.size = sizeof(localhost), .host = "localhost"};

static SSL_CTX *server_with(enum pki_file cert)
{
	SSL_CTX *ctx = peer_ssl_ctx(true);

	assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, pki_path(cert)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, pki_path(cert + 1), SSL_FILETYPE_PEM), 1);
	return ctx;
}

static void connect_client(struct pair *pair, struct szc_tls_options options, const char *host, enum pki_file cert)
{
	struct szc_tls_peer to = {.size = sizeof(to), .host = host};
	SSL_CTX *peer_ctx = server_with(cert);
	struct szc_tls_ctx *ctx = pair_tls(&options);

	pair_connect(pair, ctx, &to, peer_ctx, NULL);
	pair_handshake(pair);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
}

/* ---- a client that verifies */

static void hosts_that_are_right(void **state)
{
	static const char *const hosts[] = {"localhost", "LocalHost", "a.example.test", "127.0.0.1", "::1", "0:0::0:1"};
	struct pair pair;
	size_t i;

	pair_open(&pair, state, NULL);
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const char *name;
		X509 *cert;

		connect_client(&pair, pair_options(SZC_TLS_CLIENT), hosts[i], PKI_SERVER);
		if (!pair.ready)
			fail_msg("%s: %s", hosts[i], pair.sentence);
		pair_prove_alive(&pair);
		cert = szc_tls_peer_certificate(pair.conn);
		assert_non_null(cert);
		assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
		X509_free(cert);
		/* SNI carries names, never addresses (RFC 6066 3) */
		name = SSL_get_servername(pair.peer.ssl, TLSEXT_NAMETYPE_host_name);
		if (i < 3)
			assert_string_equal(name, hosts[i]);
		else
			assert_null(name);
	}
	pair_close(&pair);
}

static void hosts_that_are_wrong(void **state)
{
	static const char *const hosts[] = {"example.test", "a.b.example.test", "localhost.test", "127.0.0.2",
					    "::2",          "localhos"};
	struct pair pair;
	size_t i;

	pair_open(&pair, state, NULL);
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		connect_client(&pair, pair_options(SZC_TLS_CLIENT), hosts[i], PKI_SERVER);
		pair_expect_error(&pair, SZC_E_TLS_VERIFY, "mismatch");
		assert_false(pair.ready);
		pair_settle(&pair);
		assert_int_equal(pair.peer.reason, SSL_AD_REASON_OFFSET + SSL_AD_BAD_CERTIFICATE);
	}
	pair_close(&pair);
}

static void certificates_that_are_wrong(void **state)
{
	struct pair pair;

	pair_open(&pair, state, NULL);
	connect_client(&pair, pair_options(SZC_TLS_CLIENT), "localhost", PKI_STRANGER);
	pair_expect_error(&pair, SZC_E_TLS_VERIFY, "unable to get local issuer certificate");
	connect_client(&pair, pair_options(SZC_TLS_CLIENT), "localhost", PKI_EXPIRED);
	pair_expect_error(&pair, SZC_E_TLS_VERIFY, "expired");
	pair_close(&pair);
}

static void insecure(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	struct pair pair;

	options.insecure = true;
	pair_open(&pair, state, NULL);
	connect_client(&pair, options, "somebody.else", PKI_STRANGER);
	assert_true(pair.ready);
	pair_prove_alive(&pair);
	assert_string_equal(SSL_get_servername(pair.peer.ssl, TLSEXT_NAMETYPE_host_name), "somebody.else");
	connect_client(&pair, options, NULL, PKI_EXPIRED);
	assert_true(pair.ready);
	pair_prove_alive(&pair);
	pair_close(&pair);
}

/* A client that verifies must know whom it expects. The connection is none the worse for the refusal. */
static void whom_to_expect(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	SSL_CTX *peer_ctx = peer_ssl_ctx(true);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	struct szc_tls_peer nobody = {.size = sizeof(nobody)};
	struct pair pair;

	pair_open(&pair, state, NULL);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	szc_conn_close(pair.conn);
	pair.conn = NULL;
	{
		struct szc_conn *conn;
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		assert_int_equal(szc_rx_adopt(pair.rx, fds[0], &conn), 0);
		assert_int_equal(szc_tls_attach(conn, ctx, NULL), SZC_E_OPTION);
		assert_non_null(strstr(szc_conn_last_error(conn), "peer->host"));
		assert_int_equal(szc_tls_attach(conn, ctx, &nobody), SZC_E_OPTION);
		assert_int_equal(szc_tls_attach(conn, ctx, &localhost), 0);
		assert_string_equal(szc_conn_last_error(conn), "");
		szc_conn_close(conn);
		shutdown(fds[1], SHUT_RDWR);
	}
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* ---- a server that asks for certificates */

static void connect_server(struct pair *pair, enum szc_tls_client_auth auth, int client_cert, const char *sni)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_ctx *ctx;

	options.client_auth = auth;
	options.ca_file = pki_path(PKI_CA);
	ctx = pair_tls(&options);
	if (client_cert >= 0) {
		assert_int_equal(SSL_CTX_use_certificate_chain_file(peer_ctx, pki_path(client_cert)), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(peer_ctx, pki_path(client_cert + 1), SSL_FILETYPE_PEM), 1);
	}
	pair_connect(pair, ctx, NULL, peer_ctx, NULL);
	if (sni)
		SSL_set_tlsext_host_name(pair->peer.ssl, sni);
	pair_handshake(pair);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
}

static void check_client(struct pair *pair, const char *name)
{
	X509 *cert = szc_tls_peer_certificate(pair->conn);
	char text[100];

	if (!pair->ready)
		fail_msg("the client was refused: %s", pair->sentence);
	if (!name) {
		assert_null(cert);
	} else {
		assert_non_null(cert);
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text, sizeof(text));
		assert_string_equal(text, name);
		X509_free(cert);
	}
	pair_prove_alive(pair);
}

static void client_certificates(void **state)
{
	struct pair pair;

	pair_open(&pair, state, NULL);
	connect_server(&pair, SZC_TLS_CLIENT_AUTH_NONE, PKI_CLIENT, NULL);
	check_client(&pair, NULL);
	connect_server(&pair, SZC_TLS_CLIENT_AUTH_REQUEST, -1, NULL);
	check_client(&pair, NULL);
	connect_server(&pair, SZC_TLS_CLIENT_AUTH_REQUEST, PKI_CLIENT, NULL);
	check_client(&pair, "client");
	connect_server(&pair, SZC_TLS_CLIENT_AUTH_REQUIRE, PKI_CLIENT, NULL);
	check_client(&pair, "client");
	pair_close(&pair);
}

/* A TLS 1.3 client's own handshake is over before its certificate is judged: it learns of it by an alert. */
static void client_certificates_refused(void **state)
{
	static const struct {
		enum szc_tls_client_auth auth;
		int cert;
		const char *words;
		int alert;
	} cases[] = {
		{SZC_TLS_CLIENT_AUTH_REQUIRE, -1, "no certificate", SSL_AD_CERTIFICATE_REQUIRED},
		{SZC_TLS_CLIENT_AUTH_REQUIRE, PKI_STRANGER, "issuer", SSL_AD_UNKNOWN_CA},
		{SZC_TLS_CLIENT_AUTH_REQUEST, PKI_STRANGER, "issuer", SSL_AD_UNKNOWN_CA},
		{SZC_TLS_CLIENT_AUTH_REQUIRE, PKI_EXPIRED, "expired", SSL_AD_CERTIFICATE_EXPIRED},
	};
	struct pair pair;
	size_t i;

	pair_open(&pair, state, NULL);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t nothing[16];

		connect_server(&pair, cases[i].auth, cases[i].cert, NULL);
		pair_expect_error(&pair, SZC_E_TLS_VERIFY, cases[i].words);
		assert_false(pair.ready);
		pair_settle(&pair);
		assert_int_equal(peer_ssl_read(&pair.peer, nothing, sizeof(nothing)), 0);
		assert_int_equal(pair.peer.reason, SSL_AD_REASON_OFFSET + cases[i].alert);
	}
	pair_close(&pair);
}

/* Our client shows its certificate when asked, and hears why it is refused. */
static void our_client_shows_its_certificate(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	SSL_CTX *peer_ctx = peer_ssl_ctx(true);
	struct szc_tls_ctx *ctx;
	struct pair pair;

	assert_int_equal(SSL_CTX_load_verify_locations(peer_ctx, pki_path(PKI_CA), NULL), 1);
	SSL_CTX_set_verify(peer_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	pair_open(&pair, state, NULL);
	options.cert_file = pki_path(PKI_CLIENT);
	options.key_file = pki_path(PKI_CLIENT_KEY);
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair_must_handshake(&pair);
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);

	options = pair_options(SZC_TLS_CLIENT);
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair_expect_error(&pair, SZC_E_TLS_ALERT, "certificate_required (116)");
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* ---- SNI and ALPN */

static void server_name(void **state)
{
	struct pair pair;

	pair_open(&pair, state, NULL);
	connect_server(&pair, SZC_TLS_CLIENT_AUTH_NONE, -1, "a.example.test");
	assert_true(pair.ready);
	assert_string_equal(szc_tls_server_name(pair.conn), "a.example.test");
	connect_server(&pair, SZC_TLS_CLIENT_AUTH_NONE, -1, NULL);
	assert_true(pair.ready);
	assert_null(szc_tls_server_name(pair.conn));
	pair_close(&pair);
}

static void expect_alpn(struct pair *pair, const char *name)
{
	const unsigned char *protocol = (const unsigned char *)"";
	size_t len = szc_tls_alpn(pair->conn, &protocol);

	assert_int_equal(len, name ? strlen(name) : 0);
	if (name)
		assert_memory_equal(protocol, name, len);
	else
		assert_null(protocol);
}

static void alpn_of_a_server(void **state)
{
	static const struct {
		const char *ours, *theirs, *agreed;
	} cases[] = {
		{"h2,http/1.1", "\x08http/1.1\x02h2", "h2"},
		{"http/1.1,h2", "\x08http/1.1\x02h2", "http/1.1"},
		{"h2", "\x08http/1.1\x02h2", "h2"},
		{"h2", NULL, NULL},
		{NULL, "\x02h2", NULL},
	};
	struct pair pair;
	size_t i;

	pair_open(&pair, state, NULL);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
		SSL_CTX *peer_ctx = peer_ssl_ctx(false);
		struct szc_tls_ctx *ctx;

		options.alpn = cases[i].ours;
		ctx = pair_tls(&options);
		if (cases[i].theirs)
			SSL_CTX_set_alpn_protos(peer_ctx, (const unsigned char *)cases[i].theirs,
						(unsigned)strlen(cases[i].theirs));
		pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
		pair_must_handshake(&pair);
		expect_alpn(&pair, cases[i].agreed);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(peer_ctx);
	}
	pair_close(&pair);
}

static void alpn_without_a_match(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_ctx *ctx;
	struct pair pair;

	pair_open(&pair, state, NULL);
	options.alpn = "h2,http/1.1";
	ctx = pair_tls(&options);
	SSL_CTX_set_alpn_protos(peer_ctx, (const unsigned char *)"\x04imap", 5);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	pair_expect_error(&pair, SZC_E_TLS_HANDSHAKE, "no application protocol");
	pair_settle(&pair);
	assert_int_equal(pair.peer.reason, SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
		  void *arg)
{
	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)out, out_len, (const unsigned char *)"\x08http/1.1", 9, in,
				     in_len) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

static int insist(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
		  void *arg)
{
	(void)ssl;
	(void)out;
	(void)out_len;
	(void)in;
	(void)in_len;
	(void)arg;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void alpn_of_a_client(void **state)
{
	static const struct {
		const char *ours, *agreed;
	} cases[] = {{"h2,http/1.1", "http/1.1"}, {"h2", NULL}, {NULL, NULL}};
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	SSL_CTX *peer_ctx = peer_ssl_ctx(true);
	struct szc_tls_ctx *ctx;
	struct pair pair;
	size_t i;

	pair_open(&pair, state, NULL);
	SSL_CTX_set_alpn_select_cb(peer_ctx, choose, NULL);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		options.alpn = cases[i].ours;
		ctx = pair_tls(&options);
		pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
		pair_must_handshake(&pair);
		expect_alpn(&pair, cases[i].agreed);
		pair_prove_alive(&pair);
		szc_tls_ctx_close(ctx);
	}
	SSL_CTX_set_alpn_select_cb(peer_ctx, insist, NULL);
	options.alpn = "h2";
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair_expect_error(&pair, SZC_E_TLS_ALERT, "no_application_protocol (120)");
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* ---- a key agreed on beforehand (RFC 8446 2.2) takes the place of certificates */

static const unsigned char key_name[] = "a key of theirs";

static SSL_SESSION *known_key(SSL *ssl)
{
	static const unsigned char key[32] = {1, 2, 3, 4}, suite[2] = {0x13, 0x01};
	SSL_SESSION *session = SSL_SESSION_new();

	assert_int_equal(SSL_SESSION_set1_master_key(session, key, sizeof(key)), 1);
	assert_int_equal(SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suite)), 1);
	assert_int_equal(SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION), 1);
	return session;
}

static int offer_key(SSL *ssl, const EVP_MD *md, const unsigned char **name, size_t *len, SSL_SESSION **session)
{
	(void)md;
	*name = key_name;
	*len = sizeof(key_name);
	*session = known_key(ssl);
	return 1;
}

static int find_key(SSL *ssl, const unsigned char *name, size_t len, SSL_SESSION **session)
{
	assert_int_equal(len, sizeof(key_name));
	assert_memory_equal(name, key_name, len);
	*session = known_key(ssl);
	return 1;
}

static void a_key_agreed_on_beforehand(void **state)
{
	SSL_CTX *own = peer_ssl_ctx(false);
	struct szc_tls_options options = {.size = sizeof(options), .role = SZC_TLS_CLIENT, .ssl_ctx = own};
	struct szc_tls_ctx *ctx;
	struct pair pair;
	int knows;

	SSL_CTX_set_keylog_callback(own, NULL);
	assert_int_equal(SSL_CTX_load_verify_locations(own, pki_path(PKI_CA), NULL), 1);
	SSL_CTX_set_psk_use_session_callback(own, offer_key);
	ctx = pair_tls(&options);
	pair_open(&pair, state, NULL);
	for (knows = 1; knows >= 0; knows--) {
		/* Whoever does not have the key shows a certificate, and this one is nobody's trust. */
		SSL_CTX *peer_ctx = server_with(PKI_STRANGER);

		/* The key's hash decides: with another one OpenSSL's server would pass it over. */
		assert_int_equal(SSL_CTX_set_ciphersuites(peer_ctx, "TLS_AES_128_GCM_SHA256"), 1);
		if (knows)
			SSL_CTX_set_psk_find_session_callback(peer_ctx, find_key);
		pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
		pair_handshake(&pair);
		if (knows) {
			pair_must_handshake(&pair);
			assert_null(szc_tls_peer_certificate(pair.conn));
			pair_prove_alive(&pair);
		} else {
			pair_expect_error(&pair, SZC_E_TLS_VERIFY, "");
			assert_false(pair.ready);
		}
		SSL_CTX_free(peer_ctx);
	}
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(own);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(hosts_that_are_right),
		ON_BOTH(hosts_that_are_wrong),
		ON(epoll, certificates_that_are_wrong),
		ON(epoll, insecure),
		ON(epoll, whom_to_expect),
		ON_BOTH(client_certificates),
		ON_BOTH(client_certificates_refused),
		ON(epoll, our_client_shows_its_certificate),
		ON(epoll, server_name),
		ON(epoll, alpn_of_a_server),
		ON(epoll, alpn_without_a_match),
		ON(epoll, alpn_of_a_client),
		ON_BOTH(a_key_agreed_on_beforehand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
