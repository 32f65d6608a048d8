/* SPDX-License-Identifier: MIT */
/* tls/sending.c: what the application sends, cut into records and sealed in user space; queues, bounds and ends. */
#include "tests/unit/pair.h"

#include <errno.h>
#include <stdlib.h>
#include "tests/unit/scatter.h"

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256"};

static uint8_t plain[8 << 20];
static struct peer_record record;

static void skip_tickets(struct pair *pair)
{
	while (!pair->peer.server && peer_next(&pair->peer, &record))
		assert_int_equal(record.content[0], SZC_HANDSHAKE_NEW_SESSION_TICKET);
}

/* One send: as few records as can be, full ones first. */
static void expect_records(struct pair *pair, size_t len)
{
	size_t got = 0;

	while (got < len) {
		pair_next(pair, &record);
		assert_int_equal(record.type, SZC_CONTENT_APPLICATION);
		assert_int_equal(record.len, len - got < SZC_RECORD_PLAIN_MAX ? len - got : SZC_RECORD_PLAIN_MAX);
		assert_memory_equal(record.content, plain + got, record.len);
		got += record.len;
	}
	assert_int_equal(pair->peer.in_len, 0);
}

static void sizes(void **state)
{
	static const size_t lengths[] = {1,     2,     16,    100,   1448,  4096,   16383,
					 16384, 16385, 32768, 32769, 65536, 100000, 1000000};
	struct pair pair;
	size_t i, s;

	for (s = 0; s < 3; s++) {
		pair_start(&pair, state,
			   &(struct pair_setup){.peer_suites = suites[s],
						.role = s % 2 ? SZC_TLS_CLIENT : SZC_TLS_SERVER});
		skip_tickets(&pair);
		for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			pair_send(&pair, plain, lengths[i]);
			expect_records(&pair, lengths[i]);
		}
		/* nothing is not a record */
		assert_int_equal(szc_conn_send(pair.conn, &(struct iovec){plain, 0}, 1), 0);
		assert_int_equal(szc_conn_send(pair.conn, NULL, 0), 0);
		pair_settle(&pair);
		assert_int_equal(pair.peer.in_len, 0);
		pair_close(&pair);
	}
}

/* Pieces of any size, empty ones among them, make the same records as one piece. */
static void pieces(void **state)
{
	struct pair pair;
	uint64_t seed = 3;
	int round;

	pair_start(&pair, state, &(struct pair_setup){0});
	skip_tickets(&pair);
	for (round = 0; round < 200; round++) {
		struct iovec iov[24];
		size_t at = 0;
		int i;

		for (i = 0; i < 24; i++) {
			size_t len = scatter_random(&seed) % (round % 10 ? 300 : 5000);

			if (scatter_random(&seed) % 4 == 0)
				len = 0;
			iov[i] = (struct iovec){plain + at, len};
			at += len;
		}
		assert_int_equal(szc_conn_send(pair.conn, iov, 24), at);
		expect_records(&pair, at);
	}
	pair_close(&pair);
}

/* To OpenSSL, which reads in pieces of its own. */
static void to_openssl(void **state)
{
	static uint8_t back[sizeof(plain)];
	struct szc_trips trips;
	struct pair pair;
	size_t s;

	for (s = 0; s < 3; s++) {
		size_t sent = 0, got = 0;

		pair_start(&pair, state,
			   &(struct pair_setup){.peer_suites = suites[s],
						.role = s % 2 ? SZC_TLS_CLIENT : SZC_TLS_SERVER});
		while (got < sizeof(plain)) {
			if (sent < sizeof(plain)) {
				size_t len = sizeof(plain) - sent < 300000 ? sizeof(plain) - sent : 300000;
				ssize_t taken = szc_conn_send(pair.conn, &(struct iovec){plain + sent, len}, 1);

				assert_true(taken >= 0);
				sent += (size_t)taken;
			}
			pair_turn(&pair);
			got += peer_ssl_read(&pair.peer, back + got, sizeof(back) - got);
			assert_false(pair.peer.failed);
		}
		assert_memory_equal(back, plain, sizeof(plain));
		szc_conn_trips(pair.conn, &trips);
		assert_true(trips.bytes_sent > sizeof(plain));
		assert_true(trips.bytes_sent == pair.peer.bytes_in);
		pair_close(&pair);
	}
}

/* A peer that does not read: the queue has a bound, and tells when there is room again. Nothing is lost or twice. */
static void the_bound(void **state)
{
	struct pair pair;
	size_t taken = 0, got = 0;
	ssize_t part;
	int fd, turns;

	pair_start(&pair, state, &(struct pair_setup){.rx = {.send_limit = 200000}});
	skip_tickets(&pair);
	fd = pair.peer.fd;
	pair.peer.fd = -1; /* it looks away */
	do {
		pair_settle(&pair);
		pair.writable = false;
		part = szc_conn_send(pair.conn, &(struct iovec){plain + taken, sizeof(plain) - taken}, 1);
		assert_true(part >= 0);
		taken += (size_t)part;
		/* framing comes on top of the bound */
		assert_true(szc_conn_unsent(pair.conn) <= 200000 + 200000 / SZC_RECORD_PLAIN_MAX * 22 + 44);
	} while (part && taken < sizeof(plain));
	assert_true(taken < sizeof(plain));
	assert_false(pair.writable);
	/* to offer nothing does not take back that there was something to send */
	assert_int_equal(szc_conn_send(pair.conn, NULL, 0), 0);
	pair.peer.fd = fd;
	for (turns = 0; got < sizeof(plain); turns++) {
		assert_true(turns < 100000);
		pair_turn(&pair);
		while (peer_next(&pair.peer, &record)) {
			assert_memory_equal(record.content, plain + got, record.len);
			got += record.len;
		}
		if (!pair.writable)
			continue;
		pair.writable = false;
		part = szc_conn_send(pair.conn, &(struct iovec){plain + taken, sizeof(plain) - taken}, 1);
		assert_true(part > 0);
		taken += (size_t)part;
	}
	pair_settle(&pair);
	assert_int_equal(pair.peer.in_len, 0);
	pair_close(&pair);
}

/* What is queued goes out before the farewell, however long that takes. */
static void farewell_behind_a_queue(void **state)
{
	struct pair pair;
	size_t got = 0;
	ssize_t taken;
	int fd;

	pair_start(&pair, state, &(struct pair_setup){.rx = {.send_limit = sizeof(plain)}});
	skip_tickets(&pair);
	fd = pair.peer.fd;
	pair.peer.fd = -1;
	taken = szc_conn_send(pair.conn, &(struct iovec){plain, sizeof(plain)}, 1);
	assert_int_equal(taken, sizeof(plain));
	assert_int_equal(szc_conn_shutdown(pair.conn), 0);
	pair_settle(&pair);
	assert_false(pair.sent);
	pair.peer.fd = fd;
	while (got < sizeof(plain)) {
		pair_next(&pair, &record);
		assert_int_equal(record.type, SZC_CONTENT_APPLICATION);
		assert_memory_equal(record.content, plain + got, record.len);
		got += record.len;
	}
	pair_next(&pair, &record);
	assert_int_equal(record.type, SZC_CONTENT_ALERT);
	assert_int_equal(record.content[1], SZC_ALERT_CLOSE_NOTIFY);
	pair_expect_silence(&pair);
	assert_true(pair.sent);
	pair_close(&pair);
}

static void peer_gone_while_sending(void **state)
{
	struct pair pair;
	ssize_t part;
	int i;

	pair_start(&pair, state, &(struct pair_setup){0});
	peer_reset(&pair.peer);
	for (i = 0; i < 1000 && !pair.error; i++) {
		part = szc_conn_send(pair.conn, &(struct iovec){plain, 100000}, 1);
		assert_true(part >= 0 || part == pair.error || part == -EPIPE || part == -ECONNRESET);
		pair_turn(&pair);
	}
	if (pair.error != -ECONNRESET && pair.error != -EPIPE)
		fail_msg("error %d, %s, after %d sends", pair.error, pair.sentence, i);
	assert_int_equal(szc_conn_send(pair.conn, &(struct iovec){plain, 1}, 1), pair.error);
	pair_close(&pair);
}

/* ---- max_fragment_length (RFC 6066 4), asked for by either end */

static void expect_short_records(struct pair *pair, size_t most)
{
	size_t got = 0;

	assert_int_equal(szc_conn_send(pair->conn, &(struct iovec){plain, 20000}, 1), 20000);
	while (got < 20000) {
		pair_next(pair, &record);
		assert_int_equal(record.len, 20000 - got < most ? 20000 - got : most);
		assert_memory_equal(record.content, plain + got, record.len);
		got += record.len;
	}
}

static void short_records(void **state)
{
	static const struct szc_tls_peer localhost = {.size = sizeof(localhost), .host = "localhost"};
	struct pair pair;
	int code;

	pair_open(&pair, state, NULL);
	for (code = TLSEXT_max_fragment_length_512; code <= TLSEXT_max_fragment_length_4096; code++) {
		struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
		SSL_CTX *peer_ctx = peer_ssl_ctx(false), *own;
		struct szc_tls_ctx *ctx;
		SSL_SESSION *session;
		uint8_t byte[16];

		options.sending = SZC_TLS_SEND_AUTO;
		ctx = pair_tls(&options);
		SSL_CTX_set_tlsext_max_fragment_length(peer_ctx, (uint8_t)code);
		pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
		pair_must_handshake(&pair);
		assert_string_equal(szc_tls_sending(pair.conn), "user");
		skip_tickets(&pair);
		expect_short_records(&pair, (size_t)256 << code);

		/* and when it resumes */
		pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
		pair_must_handshake(&pair);
		pair_settle(&pair);
		peer_ssl_read(&pair.peer, byte, sizeof(byte));
		session = SSL_get1_session(pair.peer.ssl);
		pair_connect(&pair, ctx, NULL, peer_ctx, session);
		pair_must_handshake(&pair);
		assert_true(szc_tls_resumed(pair.conn));
		pair_settle(&pair);
		skip_tickets(&pair);
		expect_short_records(&pair, (size_t)256 << code);
		SSL_SESSION_free(session);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(peer_ctx);

		own = peer_ssl_ctx(false);
		SSL_CTX_set_keylog_callback(own, NULL);
		SSL_CTX_set_tlsext_max_fragment_length(own, (uint8_t)code);
		options = (struct szc_tls_options){
			.size = sizeof(options), .role = SZC_TLS_CLIENT, .ssl_ctx = own, .insecure = true};
		peer_ctx = peer_ssl_ctx(true);
		ctx = pair_tls(&options);
		pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
		pair_must_handshake(&pair);
		expect_short_records(&pair, (size_t)256 << code);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(own);
		SSL_CTX_free(peer_ctx);
	}
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(sizes),
		ON(epoll, pieces),
		ON_BOTH(to_openssl),
		ON_BOTH(the_bound),
		ON_BOTH(farewell_behind_a_queue),
		ON_BOTH(peer_gone_while_sending),
		ON(epoll, short_records),
	};

	pair_fill(plain, sizeof(plain), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
