/* SPDX-License-Identifier: MIT */
/* tls/handshake.c: the handshake and the hand-over, against OpenSSL at the other end of a TCP connection. */
#include "tests/unit/pair.h"

#include <errno.h>
#include <stdlib.h>
#include <openssl/err.h>

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256"};

static const struct szc_tls_peer localhost = {.size = sizeof(localhost), .host = "localhost"};

/* ---- both sequence numbers at the hand-over */

enum { CONNECTIONS = 42 }; /* fourteen for each suite */

static void check_tickets(struct pair *pair, size_t expected)
{
	struct peer_record *record = malloc(sizeof(*record));
	size_t tickets;

	if (pair->peer.server) {
		assert_int_equal(pair->peer.tickets, expected);
		free(record);
		return;
	}
	for (tickets = 0; tickets < expected; tickets++) {
		pair_next(pair, record);
		assert_int_equal(record->type, SZC_CONTENT_HANDSHAKE);
		assert_int_equal(record->content[0], SZC_HANDSHAKE_NEW_SESSION_TICKET);
	}
	assert_int_equal(pair->peer.in_len, 0);
	free(record);
}

static void hand_over(struct pair *pair, enum szc_tls_role role, size_t tickets)
{
	struct szc_tls_options options = pair_options(role);
	SSL_CTX *peer_ctx = peer_ssl_ctx(role == SZC_TLS_CLIENT), *own = NULL;
	int i;

	if (role == SZC_TLS_SERVER) {
		own = peer_ssl_ctx(true);
		SSL_CTX_set_keylog_callback(own, NULL);
		SSL_CTX_set_num_tickets(own, tickets);
		options = (struct szc_tls_options){.size = sizeof(options), .role = role, .ssl_ctx = own};
	}
	SSL_CTX_set_num_tickets(peer_ctx, tickets);
	for (i = 0; i < CONNECTIONS; i++) {
		struct szc_tls_ctx *ctx;

		options.ciphersuites = suites[i % 3];
		ctx = pair_tls(&options);
		pair_connect(pair, ctx, role == SZC_TLS_CLIENT ? &localhost : NULL, peer_ctx, NULL);
		szc_tls_ctx_close(ctx);
		assert_null(szc_tls_cipher(pair->conn));
		pair_must_handshake(pair);
		assert_string_equal(szc_tls_cipher(pair->conn), suites[i % 3]);
		assert_string_equal(SSL_get_cipher_name(pair->peer.ssl), suites[i % 3]);
		check_tickets(pair, tickets);
		pair_prove_alive(pair);
		assert_true(pair->peer.rx.seq == 1 + (role == SZC_TLS_SERVER ? tickets : 0));
	}
	SSL_CTX_free(own);
	SSL_CTX_free(peer_ctx);
}

static void hand_over_with_tickets(void **state)
{
	static const size_t tickets[] = {0, 1, 2, 5};
	struct pair pair;
	size_t i;

	pair_open(&pair, state, NULL);
	for (i = 0; i < sizeof(tickets) / sizeof(tickets[0]); i++) {
		hand_over(&pair, SZC_TLS_SERVER, tickets[i]);
		hand_over(&pair, SZC_TLS_CLIENT, tickets[i]);
	}
	pair_close(&pair);
}

/* Untouched defaults: OpenSSL's two tickets. */
static void defaults(void **state)
{
	struct pair pair;

	pair_start(&pair, state, &(struct pair_setup){0});
	check_tickets(&pair, 2);
	pair_prove_alive(&pair);
	assert_string_equal(szc_tls_sending(pair.conn), "user");
	assert_false(szc_tls_resumed(pair.conn));
	assert_null(szc_tls_session(pair.conn));
	assert_null(szc_tls_server_name(pair.conn));
	pair_close(&pair);
	pair_start(&pair, state, &(struct pair_setup){.role = SZC_TLS_CLIENT});
	check_tickets(&pair, 2);
	pair_prove_alive(&pair);
	pair_close(&pair);
}

/* ---- the ways bytes may come */

/* Whatever the segments are: one byte each, or a few. */
static void handshake_in_drips(void **state)
{
	static const size_t drips[] = {1, 2, 3, 7, 64, 1000};
	struct pair pair;
	size_t i;
	int role;

	pair_open(&pair, state, NULL);
	for (i = 0; i < 2 * sizeof(drips) / sizeof(drips[0]); i++) {
		struct szc_tls_options options;
		struct szc_tls_ctx *ctx;
		SSL_CTX *peer_ctx;

		role = i % 2 ? SZC_TLS_SERVER : SZC_TLS_CLIENT;
		options = pair_options(role);
		ctx = pair_tls(&options);
		peer_ctx = peer_ssl_ctx(role == SZC_TLS_CLIENT);
		pair_connect(&pair, ctx, role == SZC_TLS_CLIENT ? &localhost : NULL, peer_ctx, NULL);
		pair.peer.drip = drips[i / 2];
		pair_must_handshake(&pair);
		pair_prove_alive(&pair);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(peer_ctx);
	}
	pair_close(&pair);
}

/* A certificate of more than a record, in both roles. */
static void handshake_of_many_records(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_ctx *ctx;
	struct pair pair;

	pair_open(&pair, state, &(struct szc_rx_options){.buffer_size = 4096});
	options.cert_file = pki_path(PKI_BIG);
	options.key_file = pki_path(PKI_BIG_KEY);
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	pair_must_handshake(&pair);
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);

	peer_ctx = peer_ssl_ctx(true);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(peer_ctx, pki_path(PKI_BIG)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(peer_ctx, pki_path(PKI_BIG_KEY), SSL_FILETYPE_PEM), 1);
	options = pair_options(SZC_TLS_CLIENT);
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair_must_handshake(&pair);
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* Application data in the segment of the peer's Finished: it must not end up inside OpenSSL. */
static void data_right_behind_finished(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	struct pair pair;
	int round;

	pair_open(&pair, state, NULL);
	for (round = 0; round < 12; round++) {
		int wait;

		pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
		for (wait = 0; wait < 1000 && !pair.peer.done; wait++) {
			/* Nothing leaves before there is something to say behind it; the ClientHello must. */
			pair.peer.drip = pair.peer.bytes_in ? 1 : 0;
			pair_turn(&pair);
			if (pair.peer.done)
				break;
		}
		assert_true(pair.peer.done);
		assert_false(pair.ready);
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "early bird", 10);
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, ", second", 8);
		if (round % 2)
			peer_alert(&pair.peer, PEER_WARNING, SZC_ALERT_CLOSE_NOTIFY);
		pair.peer.drip = 0;
		pair_expect(&pair, "early bird, second", 18);
		assert_true(pair.ready);
		if (round % 2)
			pair_until_eof(&pair);
	}
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* A server that speaks right behind its Finished, which a client reads before its own handshake is over. */
static void data_right_behind_the_servers_flight(void **state)
{
	struct pair pair;
	int i;

	for (i = 0; i < 12; i++) {
		pair_start(&pair, state, &(struct pair_setup){.role = SZC_TLS_CLIENT, .peer_tickets = i % 3 - 1});
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "banner", 6);
		pair_expect(&pair, "banner", 6);
		pair_close(&pair);
	}
}

/* ---- hello retry */

static void hello_retry(void **state)
{
	struct szc_tls_options options;
	struct szc_tls_ctx *ctx;
	SSL_CTX *peer_ctx, *own;
	struct pair pair;

	pair_open(&pair, state, NULL);
	/* our client guesses X25519, the server wants P-384 */
	peer_ctx = peer_ssl_ctx(true);
	assert_int_equal(SSL_CTX_set1_groups_list(peer_ctx, "P-384"), 1);
	options = pair_options(SZC_TLS_CLIENT);
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair_must_handshake(&pair);
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);

	/* and the reverse */
	peer_ctx = peer_ssl_ctx(false);
	own = peer_ssl_ctx(true);
	SSL_CTX_set_keylog_callback(own, NULL);
	assert_int_equal(SSL_CTX_set1_groups_list(peer_ctx, "X25519:P-384"), 1);
	assert_int_equal(SSL_CTX_set1_groups_list(own, "P-384"), 1);
	options = (struct szc_tls_options){.size = sizeof(options), .role = SZC_TLS_SERVER, .ssl_ctx = own};
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	pair_must_handshake(&pair);
	check_tickets(&pair, 2);
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	SSL_CTX_free(own);
	pair_close(&pair);
}

/* ---- refusals */

static void only_tls12(void **state)
{
	struct szc_tls_options options;
	struct szc_tls_ctx *ctx;
	SSL_CTX *peer_ctx;
	struct pair pair;
	int role;

	pair_open(&pair, state, NULL);
	for (role = SZC_TLS_SERVER; role <= SZC_TLS_CLIENT; role++) {
		options = pair_options(role);
		ctx = pair_tls(&options);
		peer_ctx = peer_ssl_ctx(role == SZC_TLS_CLIENT);
		SSL_CTX_set_max_proto_version(peer_ctx, TLS1_2_VERSION);
		pair_connect(&pair, ctx, role == SZC_TLS_CLIENT ? &localhost : NULL, peer_ctx, NULL);
		pair_handshake(&pair);
		assert_false(pair.ready);
		pair_expect_error(&pair, SZC_E_TLS_VERSION, "TLS 1.3");
		/* the peer hears of it: protocol_version */
		if (role == SZC_TLS_SERVER)
			assert_int_equal(pair.peer.reason, SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(peer_ctx);
	}
	pair_close(&pair);
}

/* A server that never heard of TLS 1.3 does not refuse: it answers with TLS 1.2. */
static void a_server_of_old(void **state)
{
	static const uint8_t head[] = {22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3};
	static const uint8_t tail[] = {0, 0xc0, 0x2f, 0};
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = peer_ssl_ctx(true);
	uint8_t hello[sizeof(head) + 32 + sizeof(tail)];
	struct pair pair;

	memcpy(hello, head, sizeof(head));
	memset(hello + sizeof(head), 0x5a, 32);
	memcpy(hello + sizeof(head) + 32, tail, sizeof(tail));
	pair_open(&pair, state, NULL);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair.peer.failed = true;
	peer_send(&pair.peer, hello, sizeof(hello));
	pair_expect_error(&pair, SZC_E_TLS_VERSION, "TLS 1.3");
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

static void no_common_suite(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_ctx *ctx;
	struct pair pair;

	pair_open(&pair, state, NULL);
	options.ciphersuites = suites[1];
	ctx = pair_tls(&options);
	assert_int_equal(SSL_CTX_set_ciphersuites(peer_ctx, suites[0]), 1);
	SSL_CTX_set_min_proto_version(peer_ctx, TLS1_3_VERSION);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	pair_expect_error(&pair, SZC_E_TLS_CIPHER, "cipher suites");
	szc_tls_ctx_close(ctx);

	/* a suite that this library does not open is not agreed on, whatever the peer would like */
	assert_int_equal(SSL_CTX_set_ciphersuites(peer_ctx, "TLS_AES_128_CCM_SHA256"), 1);
	options.ciphersuites = NULL;
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	pair_expect_error(&pair, SZC_E_TLS_CIPHER, "cipher suites");
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* What a browser without https sends, and other strangers. */
static void not_tls(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} hellos[] = {
#define HELLO(text) {text, sizeof(text) - 1}
		HELLO("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		HELLO("SSH-2.0-OpenSSH_9.2\r\n"),
		HELLO("\x16\x02\x01\x00\x05hello"),
		HELLO("\x80\x2e\x01\x00\x02\x00\x15\x00\x00"),
#undef HELLO
	};
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct pair pair;
	size_t i;

	pair_open(&pair, state, NULL);
	for (i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++) {
		static const uint8_t alert[] = {21, 3, 3, 0, 2, 2};

		pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
		pair.peer.failed = true; /* its OpenSSL keeps quiet */
		peer_send(&pair.peer, hellos[i].bytes, hellos[i].len);
		pair_expect_error(&pair, SZC_E_TLS_RECORD, "does the peer speak TLS?");
		pair_settle(&pair);
		/* an alert in clear, then the end */
		assert_int_equal(pair.peer.in_len, sizeof(alert) + 1);
		assert_memory_equal(pair.peer.in, alert, sizeof(alert));
		assert_true(pair.peer.fin);
	}
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

static void garbage_instead_of_a_server(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = peer_ssl_ctx(true);
	struct pair pair;

	pair_open(&pair, state, NULL);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair.peer.failed = true;
	peer_send(&pair.peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	pair_expect_error(&pair, SZC_E_TLS_RECORD, "does the peer speak TLS?");

	/* a record, but nothing in it that a handshake begins with */
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair.peer.failed = true;
	peer_send(&pair.peer, "\x16\x03\x03\x00\x04\xff\x00\x00\x00", 9);
	pair_expect_error(&pair, SZC_E_TLS_HANDSHAKE, "the TLS handshake failed: ");

	/* alerts instead of an answer, known and unknown */
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair.peer.failed = true;
	peer_send(&pair.peer, "\x15\x03\x03\x00\x02\x02\x28", 7);
	pair_expect_error(&pair, SZC_E_TLS_ALERT, "handshake_failure (40)");
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

static void tcp_ends_in_the_handshake(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct pair pair;
	int reset;

	pair_open(&pair, state, NULL);
	for (reset = 0; reset < 2; reset++) {
		pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
		pair.peer.failed = true;
		peer_send(&pair.peer, "\x16\x03\x01\x02\x00\x01", 6);
		pair_settle(&pair);
		if (reset)
			peer_reset(&pair.peer);
		else
			peer_fin(&pair.peer);
		pair_expect_error(&pair, reset ? -ECONNRESET : SZC_E_CLOSED, "");
		assert_int_equal(szc_conn_send(pair.conn, &(struct iovec){(char *)"x", 1}, 1), pair.error);
	}
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

static void a_peer_that_never_answers(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = peer_ssl_ctx(true);
	struct pair pair;

	pair_open(&pair, state, &(struct szc_rx_options){.handshake_timeout = 60});
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	pair.peer.failed = true;
	pair_expect_error(&pair, SZC_E_TIMEOUT, "handshake");
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* There is no close_notify before there are keys: to end early is to close. A refusal harms nothing. */
static void shutdown_before_it_is_ready(void **state)
{
	struct pair pair;
	int role;

	pair_open(&pair, state, NULL);
	for (role = SZC_TLS_SERVER; role <= SZC_TLS_CLIENT; role++) {
		struct szc_tls_options options = pair_options(role);
		struct szc_tls_ctx *ctx = pair_tls(&options);
		SSL_CTX *peer_ctx = peer_ssl_ctx(role == SZC_TLS_CLIENT);
		int refused = 0;

		pair_connect(&pair, ctx, role == SZC_TLS_CLIENT ? &localhost : NULL, peer_ctx, NULL);
		pair.peer.drip = 100;
		while (!pair.ready && !pair.error && !pair.peer.fin) {
			assert_int_equal(szc_conn_shutdown(pair.conn), SZC_E_STATE);
			pair_turn(&pair);
			assert_true(++refused < 1000000);
		}
		assert_true(refused > 2);
		pair.peer.drip = 0;
		pair_must_handshake(&pair);
		pair_prove_alive(&pair);
		assert_int_equal(szc_conn_shutdown(pair.conn), 0);
		assert_int_equal(szc_conn_shutdown(pair.conn), 0);
		pair_settle(&pair);
		assert_true(pair.sent && pair.peer.fin);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(peer_ctx);
	}
	pair_close(&pair);
}

/* Before SZC_EV_READY nothing can be sent and nothing is known. */
static void too_early(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = peer_ssl_ctx(true);
	const unsigned char *alpn = (const unsigned char *)"";
	struct pair pair;

	pair_open(&pair, state, NULL);
	pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
	assert_int_equal(szc_conn_send(pair.conn, &(struct iovec){(char *)"x", 1}, 1), SZC_E_STATE);
	assert_int_equal(szc_tls_key_update(pair.conn, false), SZC_E_STATE);
	assert_null(szc_tls_cipher(pair.conn));
	assert_null(szc_tls_sending(pair.conn));
	assert_null(szc_tls_peer_certificate(pair.conn));
	assert_null(szc_tls_session(pair.conn));
	assert_int_equal(szc_tls_alpn(pair.conn, &alpn), 0);
	assert_null(alpn);
	assert_false(szc_tls_resumed(pair.conn));
	assert_int_equal(szc_tls_attach(pair.conn, ctx, &localhost), SZC_E_STATE);
	pair_must_handshake(&pair);
	assert_int_equal(szc_tls_attach(pair.conn, ctx, &localhost), SZC_E_STATE);
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(hand_over_with_tickets),
		ON_BOTH(defaults),
		ON_BOTH(handshake_in_drips),
		ON_BOTH(handshake_of_many_records),
		ON_BOTH(data_right_behind_finished),
		ON(copy, data_right_behind_the_servers_flight),
		ON(epoll, hello_retry),
		ON_BOTH(only_tls12),
		ON(epoll, a_server_of_old),
		ON(epoll, no_common_suite),
		ON_BOTH(not_tls),
		ON(epoll, garbage_instead_of_a_server),
		ON_BOTH(tcp_ends_in_the_handshake),
		ON_BOTH(a_peer_that_never_answers),
		ON_BOTH(shutdown_before_it_is_ready),
		ON(epoll, too_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
