/* SPDX-License-Identifier: MIT */
/* Early data (RFC 8446 4.2.10), which a server of ours never accepts: a client that sends some all the same, because its
 * ticket came from another server with the same keys, is to be served, not thrown out. */
#include "tests/unit/pair.h"

static uint8_t early[100000];

/* A session of that server, which its client believes to allow early data. */
static SSL_SESSION *hopeful_session(struct pair *pair, struct szc_tls_ctx *ctx, SSL_CTX *peer_ctx)
{
	SSL_SESSION *session, *hopeful;
	uint8_t bytes[16];

	pair_connect(pair, ctx, NULL, peer_ctx, NULL);
	pair_must_handshake(pair);
	pair_send(pair, "hello", 5);
	pair_settle(pair);
	assert_int_equal(peer_ssl_read(&pair->peer, bytes, sizeof(bytes)), 5);
	session = SSL_get1_session(pair->peer.ssl);
	assert_true(SSL_SESSION_is_resumable(session));
	assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
	hopeful = SSL_SESSION_dup(session);
	SSL_SESSION_free(session);
	assert_int_equal(SSL_SESSION_set_max_early_data(hopeful, sizeof(early)), 1);
	return hopeful;
}

/* Begins with a hello and early data behind it, in records of that size. */
static void begin(struct pair *pair, struct szc_tls_ctx *ctx, SSL_CTX *peer_ctx, size_t len, size_t piece)
{
	SSL_SESSION *session = hopeful_session(pair, ctx, peer_ctx);
	size_t done, written;

	pair_connect(pair, ctx, NULL, peer_ctx, session);
	SSL_SESSION_free(session);
	for (done = 0; done < len; done += written) {
		size_t part = len - done < piece ? len - done : piece;

		assert_int_equal(SSL_write_early_data(pair->peer.ssl, early + done, part, &written), 1);
	}
}

static void refused_early_data_is_skipped(void **state)
{
	static const struct {
		size_t len, piece, drip;
		const char *groups;
	} cases[] = {
		{5, 5, 0, NULL},
		{12000, 16384, 0, NULL},
		{12000, 1000, 0, NULL},
		{2000, 500, 50, NULL},
		{50, 1, 0, NULL},
		/* rejected by a second hello: what follows the first is under keys that nobody will ever have */
		{12000, 1000, 0, "P-384"},
	};
	struct pair pair;
	size_t i;

	pair_open(&pair, state, NULL);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		SSL_CTX *own = peer_ssl_ctx(true), *peer_ctx = peer_ssl_ctx(false);
		struct szc_tls_options options = {.size = sizeof(options), .role = SZC_TLS_SERVER, .ssl_ctx = own};
		struct szc_tls_ctx *ctx = pair_tls(&options);

		if (cases[i].groups) {
			assert_int_equal(SSL_CTX_set1_groups_list(peer_ctx, "X25519:P-384"), 1);
			assert_int_equal(SSL_CTX_set1_groups_list(own, cases[i].groups), 1);
		}
		begin(&pair, ctx, peer_ctx, cases[i].len, cases[i].piece);
		pair.peer.drip = cases[i].drip;
		pair_must_handshake(&pair);
		pair.peer.drip = 0;
		assert_int_equal(SSL_get_early_data_status(pair.peer.ssl), SSL_EARLY_DATA_REJECTED);
		assert_true(szc_tls_resumed(pair.conn));
		assert_true(SSL_session_reused(pair.peer.ssl));
		/* None of it was taken for payload. */
		assert_int_equal(pair.got_len, 0);
		pair_prove_alive(&pair);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(own);
		SSL_CTX_free(peer_ctx);
	}
	pair_close(&pair);
}

/* Skipping costs work for nothing: it has an end. */
static void early_data_without_end(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct pair pair;

	pair_open(&pair, state, NULL);
	begin(&pair, ctx, peer_ctx, sizeof(early), 16384);
	pair_expect_error(&pair, SZC_E_TLS_HANDSHAKE, "early data");
	assert_false(pair.ready);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(refused_early_data_is_skipped),
		ON_BOTH(early_data_without_end),
	};

	pair_fill(early, sizeof(early), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
