/* SPDX-License-Identifier: MIT */
/* tls/ctx.c: options that are refused with a sentence, and an SSL_CTX of the application's own. */
#include "tests/unit/pair.h"

#include <stdlib.h>
#include <openssl/err.h>

static const struct szc_tls_peer localhost = {.size = sizeof(localhost), .host = "localhost"};

static void refused(struct szc_tls_options options, int error, const char *words)
{
	struct szc_tls_ctx *ctx = (struct szc_tls_ctx *)&options;
	char why[320] = "as before";

	options.error = why;
	options.error_size = sizeof(why);
	assert_int_equal(szc_tls_ctx_open(&ctx, &options), error);
	assert_null(ctx);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
	/* without a place for the sentence too, and with one that is too small */
	options.error_size = 5;
	assert_int_equal(szc_tls_ctx_open(&ctx, &options), error);
	assert_true(strlen(why) < 5);
	options.error = NULL;
	assert_int_equal(szc_tls_ctx_open(&ctx, &options), error);
}

static void options_that_cannot_be_used(void **state)
{
	struct szc_tls_options server = pair_options(SZC_TLS_SERVER), client = pair_options(SZC_TLS_CLIENT), o;
	struct szc_tls_ctx *ctx;

	(void)state;
	assert_int_equal(szc_tls_ctx_open(&ctx, NULL), SZC_E_OPTION);
	o = server;
	o.size = 0;
	assert_int_equal(szc_tls_ctx_open(&ctx, &o), SZC_E_OPTION);
	o = server;
	o.role = 0;
	refused(o, SZC_E_OPTION, "role");
	o.role = 3;
	refused(o, SZC_E_OPTION, "role");
	o = server;
	o.cert_file = NULL;
	refused(o, SZC_E_TLS_CONFIG, "cert_file");
	o = server;
	o.key_file = NULL;
	refused(o, SZC_E_TLS_CONFIG, "key_file");
	o = server;
	o.cert_file = "/nonexistent/cert.pem";
	refused(o, SZC_E_TLS_CONFIG, "/nonexistent/cert.pem");
	o = server;
	o.cert_file = pki_path(PKI_SERVER_KEY);
	refused(o, SZC_E_TLS_CONFIG, pki_path(PKI_SERVER_KEY));
	o = server;
	o.key_file = "/nonexistent/key.pem";
	refused(o, SZC_E_TLS_CONFIG, "/nonexistent/key.pem");
	o = server;
	o.key_file = pki_path(PKI_CLIENT_KEY);
	refused(o, SZC_E_TLS_CONFIG, "key");
	o = server;
	o.ca_file = "/nonexistent/ca.pem";
	refused(o, SZC_E_TLS_CONFIG, "/nonexistent/ca.pem");
	o = client;
	o.ca_file = pki_path(PKI_CLIENT_KEY);
	refused(o, SZC_E_TLS_CONFIG, pki_path(PKI_CLIENT_KEY));
	o = client;
	o.key_file = pki_path(PKI_CLIENT_KEY);
	refused(o, SZC_E_TLS_CONFIG, "key");
}

static void names_that_are_not_known(void **state)
{
	static const char *const suites[] = {
		"",
		"TLS_AES_128_GCM",
		"TLS_AES_128_CCM_SHA256",
		"TLS_AES_128_GCM_SHA256:",
		":TLS_AES_128_GCM_SHA256",
		"TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256",
		"tls_aes_128_gcm_sha256",
	};
	static const char *const alpn[] = {",", "h2,,http/1.1", ",h2"};
	struct szc_tls_options server = pair_options(SZC_TLS_SERVER);
	char name[400];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		struct szc_tls_options o = server;

		o.ciphersuites = suites[i];
		refused(o, SZC_E_TLS_CIPHER, "TLS_CHACHA20_POLY1305_SHA256");
	}
	for (i = 0; i < sizeof(alpn) / sizeof(alpn[0]); i++) {
		struct szc_tls_options o = server;

		o.alpn = alpn[i];
		refused(o, SZC_E_OPTION, "alpn");
	}
	memset(name, 'a', 256);
	name[256] = '\0';
	server.alpn = name;
	refused(server, SZC_E_OPTION, "alpn");
	/* each short enough, together too long for the 255 bytes there are */
	memset(name, 'a', 300);
	name[150] = ',';
	name[300] = '\0';
	refused(server, SZC_E_OPTION, "alpn");
}

static void ours_and_theirs_do_not_mix(void **state)
{
	SSL_CTX *own = peer_ssl_ctx(true);
	struct szc_tls_options o = {.size = sizeof(o), .role = SZC_TLS_SERVER, .ssl_ctx = own};

	(void)state;
	o.cert_file = pki_path(PKI_SERVER);
	refused(o, SZC_E_OPTION, "own SSL_CTX");
	o.cert_file = NULL;
	o.key_file = pki_path(PKI_SERVER_KEY);
	refused(o, SZC_E_OPTION, "own SSL_CTX");
	o.key_file = NULL;
	o.ca_file = pki_path(PKI_CA);
	refused(o, SZC_E_OPTION, "own SSL_CTX");
	/* a server chooses by a callback of the SSL_CTX, which is not ours to set: names given here would do nothing */
	o.ca_file = NULL;
	o.alpn = "h2";
	refused(o, SZC_E_OPTION, "own SSL_CTX");
	SSL_CTX_free(own);
}

/* Programs compiled against an older header say so by their size. */
static void a_shorter_struct(void **state)
{
	struct szc_tls_options o = pair_options(SZC_TLS_SERVER);
	struct szc_tls_ctx *ctx;

	(void)state;
	o.size = offsetof(struct szc_tls_options, ciphersuites);
	o.ciphersuites = "not looked at";
	assert_int_equal(szc_tls_ctx_open(&ctx, &o), 0);
	szc_tls_ctx_close(ctx);
	szc_tls_ctx_close(NULL);
}

/* ---- an SSL_CTX of the application's own */

static int logged;

static void users_keylog(const SSL *ssl, const char *line)
{
	(void)ssl;
	assert_non_null(strchr(line, ' '));
	logged++;
}

static void users_own_keylog(void **state)
{
	SSL_CTX *own = peer_ssl_ctx(true), *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_options o = {.size = sizeof(o), .role = SZC_TLS_SERVER, .ssl_ctx = own};
	struct szc_tls_ctx *first, *second;
	struct pair pair;
	int once;

	SSL_CTX_set_keylog_callback(own, users_keylog);
	first = pair_tls(&o);
	second = pair_tls(&o); /* chained once, not twice */
	pair_open(&pair, state, NULL);
	logged = 0;
	pair_connect(&pair, first, NULL, peer_ctx, NULL);
	pair_must_handshake(&pair);
	once = logged;
	assert_true(once >= 4);
	pair_connect(&pair, second, NULL, peer_ctx, NULL);
	pair_must_handshake(&pair);
	assert_int_equal(logged, 2 * once);

	/* the user changes his mind, then opens again */
	SSL_CTX_set_keylog_callback(own, NULL);
	szc_tls_ctx_close(second);
	second = pair_tls(&o);
	pair_connect(&pair, second, NULL, peer_ctx, NULL);
	pair_must_handshake(&pair);
	assert_int_equal(logged, 2 * once);

	/* the SSL_CTX is used beside us, too */
	SSL_CTX_set_keylog_callback(own, users_keylog);
	szc_tls_ctx_close(second);
	second = pair_tls(&o);
	logged = 0;
	{
		SSL *client = SSL_new(peer_ctx), *server = SSL_new(own);
		BIO *one, *other;
		int i;

		assert_int_equal(BIO_new_bio_pair(&one, 0, &other, 0), 1);
		SSL_set_bio(client, one, one);
		SSL_set_bio(server, other, other);
		SSL_set_connect_state(client);
		SSL_set_accept_state(server);
		for (i = 0; i < 10; i++) {
			SSL_do_handshake(client);
			SSL_do_handshake(server);
		}
		assert_true(SSL_is_init_finished(server));
		SSL_free(client);
		SSL_free(server);
	}
	assert_int_equal(logged, once);
	/* our references are enough */
	SSL_CTX_free(own);
	szc_tls_ctx_close(first);
	pair_connect(&pair, second, NULL, peer_ctx, NULL);
	szc_tls_ctx_close(second);
	pair_must_handshake(&pair);
	pair_prove_alive(&pair);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

static int switch_to(SSL *ssl, int *alert, void *other)
{
	(void)alert;
	SSL_set_SSL_CTX(ssl, other);
	return SSL_TLSEXT_ERR_OK;
}

/* Many servers choose the certificate so. */
static void sni_callback_that_switches(void **state)
{
	SSL_CTX *own = peer_ssl_ctx(true), *other = peer_ssl_ctx(true), *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_options o = {.size = sizeof(o), .role = SZC_TLS_SERVER, .ssl_ctx = own};
	struct szc_tls_ctx *ctx, *other_ctx;
	struct pair pair;
	X509 *seen;

	SSL_CTX_set_keylog_callback(own, NULL);
	SSL_CTX_set_keylog_callback(other, NULL);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(other, pki_path(PKI_STRANGER)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(other, pki_path(PKI_STRANGER_KEY), SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_tlsext_servername_callback(own, switch_to);
	SSL_CTX_set_tlsext_servername_arg(own, other);
	ctx = pair_tls(&o);
	pair_open(&pair, state, NULL);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	SSL_set_tlsext_host_name(pair.peer.ssl, "localhost");
	pair_expect_error(&pair, SZC_E_TLS_CONFIG, "szc_tls_ctx_open()");
	assert_false(pair.ready);

	/* ... and as the sentence says, it works */
	o.ssl_ctx = other;
	other_ctx = pair_tls(&o);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	SSL_set_tlsext_host_name(pair.peer.ssl, "localhost");
	pair_must_handshake(&pair);
	seen = SSL_get1_peer_certificate(pair.peer.ssl);
	assert_non_null(strstr(X509_NAME_oneline(X509_get_subject_name(seen), (char[200]){0}, 200), "stranger"));
	X509_free(seen);
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);
	szc_tls_ctx_close(other_ctx);
	SSL_CTX_free(own);
	SSL_CTX_free(other);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* What an SSL_CTX may say that the hand-over could not live with: it is overruled on the SSL, and the SSL_CTX left alone. */
static void settings_that_are_overruled(void **state)
{
	struct szc_tls_options o = {.size = sizeof(o)};
	SSL_CTX *own, *peer_ctx;
	struct szc_tls_ctx *ctx;
	struct pair pair;
	int role;

	pair_open(&pair, state, NULL);
	for (role = SZC_TLS_SERVER; role <= SZC_TLS_CLIENT; role++) {
		peer_ctx = peer_ssl_ctx(role == SZC_TLS_CLIENT);
		own = peer_ssl_ctx(role == SZC_TLS_SERVER);
		SSL_CTX_set_keylog_callback(own, NULL);
		SSL_CTX_set_options(own, SSL_OP_ENABLE_KTLS);
		SSL_CTX_set_read_ahead(own, 1);
		SSL_CTX_set_mode(own, SSL_MODE_ASYNC);
		SSL_CTX_set_max_proto_version(own, TLS1_3_VERSION);
		SSL_CTX_set_min_proto_version(own, TLS1_VERSION);
		SSL_CTX_set_max_early_data(own, 16384);
		SSL_CTX_set_recv_max_early_data(own, 16384);
		o = (struct szc_tls_options){.size = sizeof(o), .role = role, .ssl_ctx = own, .insecure = true};
		ctx = pair_tls(&o);
		pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
		pair_must_handshake(&pair);
		pair_prove_alive(&pair);
		assert_true(SSL_CTX_get_options(own) & SSL_OP_ENABLE_KTLS);
		assert_true(SSL_CTX_get_read_ahead(own));
		assert_int_equal(SSL_CTX_get_min_proto_version(own), TLS1_VERSION);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(own);
		SSL_CTX_free(peer_ctx);
	}
	pair_close(&pair);
}

static int look_for_post_handshake_auth(SSL *ssl, int *alert, void *hellos)
{
	const unsigned char *body;
	size_t len;

	(void)alert;
	++*(int *)hellos;
	assert_false(SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_post_handshake_auth, &body, &len));
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* A server that saw the offer could ask for a certificate later, which nobody would answer. */
static void post_handshake_auth_is_not_offered(void **state)
{
	SSL_CTX *own = peer_ssl_ctx(false), *peer_ctx = peer_ssl_ctx(true);
	struct szc_tls_options o = {.size = sizeof(o), .role = SZC_TLS_CLIENT, .ssl_ctx = own, .insecure = true};
	struct szc_tls_ctx *ctx;
	struct pair pair;
	int hellos = 0;

	SSL_CTX_set_keylog_callback(own, NULL);
	SSL_CTX_set_post_handshake_auth(own, 1);
	SSL_CTX_set_client_hello_cb(peer_ctx, look_for_post_handshake_auth, &hellos);
	ctx = pair_tls(&o);
	pair_open(&pair, state, NULL);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair_must_handshake(&pair);
	assert_int_equal(hellos, 1);
	SSL_set_verify(pair.peer.ssl, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_verify_client_post_handshake(pair.peer.ssl), 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_EXTENSION_NOT_RECEIVED);
	ERR_clear_error();
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(own);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* A callback of the user's that wants to be called again later has nobody to call it: said, not hung. */
static int not_now(SSL *ssl, void *arg)
{
	(void)ssl;
	(void)arg;
	return -1;
}

static void callback_that_waits(void **state)
{
	SSL_CTX *own = peer_ssl_ctx(true), *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_options o = {.size = sizeof(o), .role = SZC_TLS_SERVER, .ssl_ctx = own};
	struct szc_tls_ctx *ctx;
	struct pair pair;

	SSL_CTX_set_cert_cb(own, not_now, NULL);
	ctx = pair_tls(&o);
	pair_open(&pair, state, NULL);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	pair_expect_error(&pair, SZC_E_TLS_HANDSHAKE, "callback");
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(own);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_that_cannot_be_used),
		cmocka_unit_test(names_that_are_not_known),
		cmocka_unit_test(ours_and_theirs_do_not_mix),
		cmocka_unit_test(a_shorter_struct),
		ON_BOTH(users_own_keylog),
		ON_BOTH(sni_callback_that_switches),
		ON_BOTH(settings_that_are_overruled),
		ON(epoll, post_handshake_auth_is_not_offered),
		ON(epoll, callback_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
