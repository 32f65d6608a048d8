/* SPDX-License-Identifier: MIT */
/*
 * tls/ktls.c: the kernel seals what we send. One script of sends, key updates and a farewell runs in both ways of sending,
 * and byte for byte the wire carries what a model seals with the same keys.
 */
#include "tests/unit/pair.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include "tests/unit/scatter.h"
#include "tls/session.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256"};

static const struct szc_tls_peer localhost = {.size = sizeof(localhost), .host = "localhost"};

static uint8_t plain[4 << 20];
static struct peer_record record;

/* Whether this kernel has the ULP, tried on a connection of its own. 0 or a negative errno. */
static int kernel_seals(struct pair *pair)
{
	int fd = pair->peer.fd;

	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ? -errno : 0;
}

static void need_ktls(void **state)
{
	struct pair pair;
	int error;

	pair_start(&pair, state, &(struct pair_setup){0});
	error = kernel_seals(&pair);
	pair_close(&pair);
	if (error)
		pair_skip("this kernel has no TLS for sockets (TCP_ULP \"tls\": %s)", strerror(-error));
	if (!szc_ktls_can_rekey())
		pair_skip("this kernel cannot change the keys it seals with (Linux 6.14 can)");
}

static void start(struct pair *pair, void **state, enum szc_tls_role role, struct szc_tls_options tls, int suite)
{
	pair_start(pair, state,
		   &(struct pair_setup){.role = role,
					.tls = tls,
					.peer_suites = suites[suite],
					.peer_tickets = -1,
					.rx = {.send_limit = 1 << 20}});
	assert_string_equal(szc_tls_sending(pair->conn), tls.sending == SZC_TLS_SEND_USER ? "user" : "ktls");
	while (!pair->peer.server && peer_next(&pair->peer, &record))
		assert_int_equal(record.content[0], SZC_HANDSHAKE_NEW_SESSION_TICKET);
	assert_int_equal(pair->peer.in_len, 0);
}

/* ---- the same bytes */

struct model {
	struct szc_protect tx;
	uint8_t *wire;
	size_t len;
};

static void model_open(struct model *model, const struct peer *peer)
{
	const uint8_t *secret = peer->server ? peer->client_secret : peer->server_secret;

	model->wire = malloc(sizeof(plain) * 2);
	model->len = 0;
	/* where the tickets left off */
	assert_int_equal(
		szc_protect_init(&model->tx, szc_suite_by_id(peer->suite), &szc_aead_evp, secret, peer->rx.seq, true),
		0);
}

static void model_seal(struct model *model, uint8_t type, const void *bytes, size_t len)
{
	struct iovec iov = {(void *)bytes, len};
	struct szc_span all = {&iov, 1, 0, len};
	size_t at = 0;

	while (at < len) {
		size_t part = len - at < SZC_RECORD_PLAIN_MAX ? len - at : SZC_RECORD_PLAIN_MAX;
		struct szc_span span = szc_span_part(&all, at, part);
		ssize_t sealed = szc_record_seal(&model->tx, type, &span, model->wire + model->len);

		assert_true(sealed > 0);
		model->len += (size_t)sealed;
		at += part;
	}
}

static void model_key_update(struct model *model, uint8_t request)
{
	model_seal(model, SZC_CONTENT_HANDSHAKE, (uint8_t[]){SZC_HANDSHAKE_KEY_UPDATE, 0, 0, 1, request}, 5);
	assert_int_equal(szc_protect_update(&model->tx), 0);
}

static void compare(struct pair *pair, struct model *model)
{
	pair_settle(pair);
	assert_int_equal(pair->error, 0);
	assert_int_equal(pair->peer.in_len, model->len);
	assert_memory_equal(pair->peer.in, model->wire, model->len);
	pair->peer.in_len = model->len = 0;
}

/* A send of `count` pieces. */
static void say(struct pair *pair, struct model *model, size_t len, int count)
{
	struct iovec iov[8];
	int i;

	for (i = 0; i < count; i++) {
		size_t from = len * (size_t)i / (size_t)count, to = len * (size_t)(i + 1) / (size_t)count;

		iov[i] = (struct iovec){plain + from, to - from};
	}
	assert_int_equal(szc_conn_send(pair->conn, iov, count), len);
	model_seal(model, SZC_CONTENT_APPLICATION, plain, len);
	pair_settle(pair);
}

static void script(void **state, enum szc_tls_sending sending, enum szc_tls_role role, int suite)
{
	static const size_t lengths[] = {1, 100, 1448, 16383, 16384, 16385, 32768, 50000, 200000};
	struct model model;
	struct pair pair;
	size_t i;

	start(&pair, state, role, (struct szc_tls_options){.sending = sending}, suite);
	model_open(&model, &pair.peer);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		say(&pair, &model, lengths[i], 1);
		say(&pair, &model, lengths[i], 3);
		say(&pair, &model, lengths[i], 8);
		compare(&pair, &model);
		if (i % 3 == 0) {
			assert_int_equal(szc_tls_key_update(pair.conn, i % 2), 0);
			model_key_update(&model, i % 2);
		} else if (i % 3 == 1) {
			peer_key_update(&pair.peer, 1);
			pair_settle(&pair);
			model_key_update(&model, 0);
		}
		compare(&pair, &model);
	}
	/* receiving is ours all the while, in place */
	peer_say(&pair.peer, SZC_CONTENT_APPLICATION, plain, 10000);
	pair_expect(&pair, plain, 10000);
	assert_int_equal(szc_conn_shutdown(pair.conn), 0);
	model_seal(&model, SZC_CONTENT_ALERT, (uint8_t[]){PEER_WARNING, SZC_ALERT_CLOSE_NOTIFY}, 2);
	compare(&pair, &model);
	assert_true(pair.sent && pair.peer.fin);
	peer_say(&pair.peer, SZC_CONTENT_APPLICATION, plain, 5000);
	pair_expect(&pair, plain, 5000);
	szc_protect_drop(&model.tx);
	free(model.wire);
	pair_close(&pair);
}

static void user_space_sends_as_the_model(void **state)
{
	int s;

	for (s = 0; s < 3; s++) {
		script(state, SZC_TLS_SEND_USER, SZC_TLS_SERVER, s);
		script(state, SZC_TLS_SEND_USER, SZC_TLS_CLIENT, s);
	}
}

static void the_kernel_sends_as_the_model(void **state)
{
	int s;

	need_ktls(state);
	for (s = 0; s < 3; s++) {
		script(state, SZC_TLS_SEND_KTLS, SZC_TLS_SERVER, s);
		script(state, SZC_TLS_SEND_KTLS, SZC_TLS_CLIENT, s);
	}
}

/* ---- by itself */

static void chosen_where_it_can_be(void **state)
{
	struct pair pair;
	int s;

	need_ktls(state);
	for (s = 0; s < 3; s++) {
		start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){.sending = SZC_TLS_SEND_KTLS}, s);
		pair_prove_alive(&pair);
		pair_close(&pair);
	}
	{
		struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
		SSL_CTX *peer_ctx = peer_ssl_ctx(true);
		struct szc_tls_ctx *ctx;

		options.sending = SZC_TLS_SEND_AUTO;
		ctx = pair_tls(&options);
		pair_open(&pair, state, NULL);
		pair_connect(&pair, ctx, &localhost, peer_ctx, NULL);
		pair_must_handshake(&pair);
		assert_string_equal(szc_tls_sending(pair.conn), "ktls");
		pair_prove_alive(&pair);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(peer_ctx);
		pair_close(&pair);
	}
}

static void not_where_it_cannot(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_ctx *ctx;
	struct pair pair;

	pair_open(&pair, state, NULL);
	options.sending = SZC_TLS_SEND_AUTO;
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	pair_must_handshake(&pair);
	if (!kernel_seals(&pair) && szc_ktls_can_rekey()) {
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(peer_ctx);
		pair_close(&pair);
		pair_skip("this kernel can seal; the test is about those that cannot");
	}
	assert_string_equal(szc_tls_sending(pair.conn), "user");
	pair_prove_alive(&pair);
	szc_tls_ctx_close(ctx);
	if (kernel_seals(&pair)) {
		options.sending = SZC_TLS_SEND_KTLS;
		ctx = pair_tls(&options);
		pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
		pair_expect_error(&pair, SZC_E_TLS_CONFIG, "load the tls module");
		assert_false(pair.ready);
		szc_tls_ctx_close(ctx);
	}
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* The kernel fills its records to 2^14, which this peer would refuse. */
static void not_with_short_records(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_ctx *ctx;
	struct pair pair;

	SSL_CTX_set_tlsext_max_fragment_length(peer_ctx, TLSEXT_max_fragment_length_1024);
	pair_open(&pair, state, NULL);
	options.sending = SZC_TLS_SEND_KTLS;
	ctx = pair_tls(&options);
	pair_connect(&pair, ctx, NULL, peer_ctx, NULL);
	pair_expect_error(&pair, SZC_E_TLS_CONFIG, "the kernel cannot seal");
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* ---- under load */

/* Key updates among payload that a peer is slow to read: hooks wait in the queue for what is before them. */
static void updates_behind_a_queue(void **state)
{
	struct pair pair;
	size_t sent = 0, got = 0;
	int fd, updates = 0, seen = 0;

	need_ktls(state);
	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){.sending = SZC_TLS_SEND_KTLS}, 0);
	fd = pair.peer.fd;
	pair.peer.fd = -1; /* it looks away */
	/* Else its kernel may take all there is, and nothing queues. */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){32768}, sizeof(int)), 0);
	while (sent < sizeof(plain)) {
		ssize_t part = szc_conn_send(pair.conn, &(struct iovec){plain + sent, 70000}, 1);

		assert_true(part >= 0);
		if (!part || sent + 70000 > sizeof(plain))
			break;
		sent += (size_t)part;
		pair_turn(&pair);
		if (szc_conn_unsent(pair.conn) && updates < 6) {
			assert_int_equal(szc_tls_key_update(pair.conn, false), 0);
			updates++;
		}
	}
	assert_true(szc_conn_unsent(pair.conn) > 0);
	assert_int_equal(updates, 6);
	pair.peer.fd = fd;
	while (got < sent) {
		pair_next(&pair, &record);
		if (record.type == SZC_CONTENT_HANDSHAKE) {
			seen++;
			continue;
		}
		assert_memory_equal(record.content, plain + got, record.len);
		got += record.len;
	}
	assert_int_equal(seen, 6);
	pair_prove_alive(&pair);
	pair_close(&pair);
}

/* No key seals more records than it may. */
static void the_limit_of_a_key(void **state)
{
	struct pair pair;
	size_t got = 0;
	int changes = 0;

	need_ktls(state);
	start(&pair, state, SZC_TLS_CLIENT, (struct szc_tls_options){.sending = SZC_TLS_SEND_KTLS, .key_records = 5},
	      1);
	pair_send(&pair, plain, 1 << 20);
	while (got < 1 << 20) {
		pair_next(&pair, &record);
		assert_true(pair.peer.rx.seq <= 6);
		if (record.type == SZC_CONTENT_HANDSHAKE) {
			changes++;
			continue;
		}
		assert_memory_equal(record.content, plain + got, record.len);
		got += record.len;
	}
	assert_true(changes >= 12);
	pair_prove_alive(&pair);
	pair_close(&pair);
}

/* Both ways at once, OpenSSL at the other end, with all that can happen to keys. */
static void with_openssl(void **state)
{
	static uint8_t back[sizeof(plain)];
	struct pair pair;
	int s;

	need_ktls(state);
	for (s = 0; s < 3; s++) {
		size_t got = 0, sent = 0, said = 0;
		int round;

		start(&pair, state, SZC_TLS_CLIENT, (struct szc_tls_options){.sending = SZC_TLS_SEND_KTLS}, s);
		for (round = 0; got < sizeof(plain); round++) {
			if (sent < sizeof(plain)) {
				size_t len = sizeof(plain) - sent < 100000 ? sizeof(plain) - sent : 100000;
				ssize_t taken = szc_conn_send(pair.conn, &(struct iovec){plain + sent, len}, 1);

				assert_true(taken >= 0);
				sent += (size_t)taken;
			}
			if (round % 11 == 3)
				peer_ssl_key_update(&pair.peer, round % 2);
			if (round % 7 == 2)
				assert_int_equal(szc_tls_key_update(pair.conn, round % 2), 0);
			peer_ssl_write(&pair.peer, plain, 3000);
			said += 3000;
			pair.discard = true;
			pair_turn(&pair);
			got += peer_ssl_read(&pair.peer, back + got, sizeof(back) - got);
			if (pair.peer.failed || pair.error)
				fail_msg("%s; OpenSSL's reason %d", pair.sentence, pair.peer.reason);
			assert_true(round < 100000);
		}
		assert_memory_equal(back, plain, sizeof(plain));
		pair_until_got(&pair, said);
		pair_close(&pair);
	}
}

/* Alerts of ours go out as what they are. */
static void faults_are_told(void **state)
{
	struct pair pair;

	need_ktls(state);
	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){.sending = SZC_TLS_SEND_KTLS}, 0);
	pair_prove_alive(&pair);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, "\x01\x00\x00\x00", 4);
	pair_expect_error(&pair, SZC_E_TLS_RECORD, "no place after the handshake");
	pair_expect_alert(&pair, SZC_ALERT_UNEXPECTED_MESSAGE);
	pair_close(&pair);

	/* the kernel has not got the new key yet, which the peer expects already: better silence than a stale key */
	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){.sending = SZC_TLS_SEND_KTLS}, 0);
	pair.peer.drip = SIZE_MAX; /* all of it in one segment, with the next turn */
	peer_key_update(&pair.peer, 1);
	peer_send(&pair.peer, "nonsense", 8);
	pair_expect_error(&pair, SZC_E_TLS_RECORD, "");
	pair_next(&pair, &record);
	assert_int_equal(record.type, SZC_CONTENT_HANDSHAKE);
	pair_expect_silence(&pair);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(epoll, user_space_sends_as_the_model),
		ON_BOTH(the_kernel_sends_as_the_model),
		ON(epoll, chosen_where_it_can_be),
		ON(epoll, not_where_it_cannot),
		ON(epoll, not_with_short_records),
		ON_BOTH(updates_behind_a_queue),
		ON(epoll, the_limit_of_a_key),
		ON_BOTH(with_openssl),
		ON(epoll, faults_are_told),
	};

	pair_fill(plain, sizeof(plain), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
