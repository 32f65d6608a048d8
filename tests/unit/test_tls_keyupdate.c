/* SPDX-License-Identifier: MIT */
/* KeyUpdate (RFC 8446 4.6.3) both ways: asked for, by limit, crossing, malformed, too many. */
#include "tests/unit/pair.h"

#include <stdlib.h>

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256"};

static uint8_t plain[1 << 20];
static struct peer_record record;

static void start(struct pair *pair, void **state, enum szc_tls_role role, struct szc_tls_options tls, int suite)
{
	pair_start(pair, state,
		   &(struct pair_setup){.role = role, .tls = tls, .peer_suites = suites[suite], .peer_tickets = -1});
	while (!pair->peer.server && peer_next(&pair->peer, &record))
		assert_int_equal(record.content[0], SZC_HANDSHAKE_NEW_SESSION_TICKET);
}

static void expect_key_update(struct pair *pair, uint8_t request)
{
	pair_next(pair, &record);
	assert_int_equal(record.type, SZC_CONTENT_HANDSHAKE);
	assert_int_equal(record.len, 5);
	assert_memory_equal(record.content, ((uint8_t[]){SZC_HANDSHAKE_KEY_UPDATE, 0, 0, 1, request}), 5);
}

static uint64_t updates(const struct pair *pair)
{
	struct szc_trips trips;

	szc_conn_trips(pair->conn, &trips);
	return trips.key_updates;
}

/* ---- received */

static void received(void **state)
{
	struct pair pair;
	int s, i;

	for (s = 0; s < 3; s++) {
		start(&pair, state, s % 2 ? SZC_TLS_SERVER : SZC_TLS_CLIENT, (struct szc_tls_options){0}, s);
		for (i = 0; i < 40; i++) {
			peer_key_update(&pair.peer, (uint8_t)(i % 2));
			peer_say(&pair.peer, SZC_CONTENT_APPLICATION, plain, 100 + (size_t)i);
			pair_expect(&pair, plain, 100 + (size_t)i);
			if (i % 2)
				expect_key_update(&pair, 0);
			pair_prove_alive(&pair);
			assert_true(updates(&pair) == (uint64_t)i + 1);
		}
		pair_close(&pair);
	}
}

/* The record, its message or both in pieces. */
static void received_in_pieces(void **state)
{
	static const uint8_t message[5] = {SZC_HANDSHAKE_KEY_UPDATE, 0, 0, 1, 0};
	struct pair pair;
	size_t at;

	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){0}, 0);
	for (at = 1; at < 5; at++) {
		peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message, at);
		pair_turn(&pair);
		peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message + at, 5 - at);
		peer_next_keys(&pair.peer);
		pair_prove_alive(&pair);
	}
	for (at = 0; at < 5; at++)
		peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message + at, 1);
	peer_next_keys(&pair.peer);
	pair_prove_alive(&pair);
	{
		uint8_t wire[200];
		size_t len = peer_seal(&pair.peer, SZC_CONTENT_HANDSHAKE, message, 5, 100, wire);

		peer_next_keys(&pair.peer);
		for (at = 0; at < len; at++) {
			peer_send(&pair.peer, wire + at, 1);
			pair_turn(&pair);
		}
		pair_prove_alive(&pair);
	}
	assert_true(updates(&pair) == 6);
	pair_close(&pair);
}

/* ---- sent */

static void sent_when_asked(void **state)
{
	struct pair pair;
	int i;

	start(&pair, state, SZC_TLS_CLIENT, (struct szc_tls_options){0}, 1);
	for (i = 0; i < 10; i++) {
		assert_int_equal(szc_tls_key_update(pair.conn, i % 2), 0);
		/* it goes out by itself, not with the next payload */
		expect_key_update(&pair, (uint8_t)(i % 2));
		if (i % 2)
			peer_key_update(&pair.peer, 0);
		pair_prove_alive(&pair);
	}
	assert_true(pair.peer.rx.generation == 10);
	assert_true(updates(&pair) == 5);
	pair_close(&pair);
}

/* Several at once, before anything went out: each under the key of the one before. */
static void sent_in_a_row(void **state)
{
	struct pair pair;
	int i;

	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){0}, 2);
	for (i = 0; i < 5; i++)
		assert_int_equal(szc_tls_key_update(pair.conn, false), 0);
	for (i = 0; i < 5; i++)
		expect_key_update(&pair, 0);
	pair_prove_alive(&pair);
	pair_close(&pair);
}

/* Both ask at the same time: each answers once, and an answer asks for nothing. */
static void crossing(void **state)
{
	struct pair pair;
	int i;

	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){0}, 0);
	for (i = 0; i < 10; i++) {
		peer_key_update(&pair.peer, 1);
		assert_int_equal(szc_tls_key_update(pair.conn, true), 0);
		expect_key_update(&pair, 1);
		expect_key_update(&pair, 0);
		peer_key_update(&pair.peer, 0);
		pair_prove_alive(&pair);
		pair_settle(&pair);
		assert_int_equal(pair.peer.in_len, 0);
	}
	assert_true(updates(&pair) == 20);
	pair_close(&pair);
}

/* OpenSSL at the other end, on its own. */
static void with_openssl(void **state)
{
	static uint8_t back[sizeof(plain)];
	struct pair pair;
	int s, i;

	for (s = 0; s < 3; s++) {
		pair_start(&pair, state,
			   &(struct pair_setup){.peer_suites = suites[s],
						.role = s % 2 ? SZC_TLS_CLIENT : SZC_TLS_SERVER});
		for (i = 0; i < 20; i++) {
			size_t got = 0;

			peer_ssl_key_update(&pair.peer, i % 2);
			peer_ssl_write(&pair.peer, plain, 20000);
			pair_expect(&pair, plain, 20000);
			if (i % 3 == 0)
				assert_int_equal(szc_tls_key_update(pair.conn, i % 4 == 0), 0);
			pair_send(&pair, plain, 50000);
			while (got < 50000) {
				pair_turn(&pair);
				got += peer_ssl_read(&pair.peer, back + got, sizeof(back) - got);
				assert_false(pair.peer.failed);
				assert_int_equal(pair.error, 0);
			}
			assert_memory_equal(back, plain, 50000);
		}
		peer_ssl_shutdown(&pair.peer);
		pair_until_eof(&pair);
		pair_close(&pair);
	}
}

/* ---- by limit */

/* Our own key after so many records, the tickets of the handshake among them. */
static void our_limit(void **state)
{
	struct szc_tls_options tls = {.key_records = 5};
	struct pair pair;
	size_t got = 0;
	unsigned records = 0, changes = 0;

	start(&pair, state, SZC_TLS_SERVER, tls, 0);
	pair_send(&pair, plain, sizeof(plain));
	while (got < sizeof(plain)) {
		pair_next(&pair, &record);
		/* no key seals more than it may, and the update itself is one of them */
		assert_true(pair.peer.rx.seq <= 6);
		if (record.type == SZC_CONTENT_HANDSHAKE) {
			assert_int_equal(record.content[4], 0);
			changes++;
			continue;
		}
		assert_memory_equal(record.content, plain + got, record.len);
		got += record.len;
		records++;
	}
	assert_int_equal(records, sizeof(plain) / SZC_RECORD_PLAIN_MAX);
	/* two tickets went before */
	assert_int_equal(changes, (records + 2 - 1) / 5);
	pair_prove_alive(&pair);
	pair_close(&pair);
}

/* The peer's key: it is asked once, in time, and again only after it answered. */
static void the_peers_limit(void **state)
{
	struct szc_tls_options tls = {.key_records = 4};
	struct pair pair;
	int i, round;

	start(&pair, state, SZC_TLS_CLIENT, tls, 1);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 20; i++) {
			peer_say(&pair.peer, SZC_CONTENT_APPLICATION, plain, 10);
			pair_expect(&pair, plain, 10);
			if (i < 3)
				assert_int_equal(pair.peer.in_len, 0);
		}
		expect_key_update(&pair, 1);
		assert_int_equal(pair.peer.in_len, 0);
		peer_key_update(&pair.peer, 0);
	}
	pair_settle(&pair);
	assert_int_equal(pair.peer.in_len, 0);
	pair_close(&pair);
}

/* Both limits, OpenSSL at the other end, data both ways. */
static void limits_with_openssl(void **state)
{
	struct szc_tls_options tls = {.key_records = 3};
	static uint8_t back[400000];
	struct pair pair;
	size_t got = 0, said = 0, sent = 0;

	pair_start(&pair, state, &(struct pair_setup){.tls = tls});
	while (got < sizeof(back) || pair.got_len < sizeof(back)) {
		if (said < sizeof(back)) {
			peer_ssl_write(&pair.peer, plain + said, 10000);
			said += 10000;
		}
		if (sent < sizeof(back)) {
			pair_send(&pair, plain + sent, 8000);
			sent += 8000;
		}
		pair_turn(&pair);
		got += peer_ssl_read(&pair.peer, back + got, sizeof(back) - got);
		assert_false(pair.peer.failed);
		assert_int_equal(pair.error, 0);
	}
	assert_memory_equal(back, plain, sizeof(back));
	pair_expect(&pair, plain, sizeof(back));
	assert_true(updates(&pair) >= 10);
	pair_close(&pair);
}

/* ---- refused */

static void refuse(void **state, const uint8_t *message, size_t len, uint8_t alert, int error)
{
	struct pair pair;

	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){0}, 0);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message, len);
	pair_expect_error(&pair, error, "KeyUpdate");
	pair_expect_alert(&pair, alert);
	assert_true(updates(&pair) == 0);
	pair_close(&pair);
}

static void malformed(void **state)
{
	refuse(state, (uint8_t[]){24, 0, 0, 0}, 4, SZC_ALERT_DECODE_ERROR, SZC_E_TLS_RECORD);
	refuse(state, (uint8_t[]){24, 0, 0, 2, 0, 0}, 6, SZC_ALERT_DECODE_ERROR, SZC_E_TLS_RECORD);
	refuse(state, (uint8_t[]){24, 0, 0, 1, 2}, 5, SZC_ALERT_ILLEGAL_PARAMETER, SZC_E_TLS_RECORD);
	refuse(state, (uint8_t[]){24, 0, 0, 1, 255}, 5, SZC_ALERT_ILLEGAL_PARAMETER, SZC_E_TLS_RECORD);
	/* not at its record's end */
	refuse(state, (uint8_t[]){24, 0, 0, 1, 0, 24, 0, 0, 1, 0}, 10, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD);
	refuse(state, (uint8_t[]){24, 0, 0, 1, 1, 24}, 6, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD);
	refuse(state, (uint8_t[]){24, 0, 0, 1, 0, 4, 0, 0}, 8, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD);
}

/* Payload may not come between the pieces of a message. */
static void payload_inside_a_message(void **state)
{
	struct pair pair;

	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){0}, 0);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, (uint8_t[]){24, 0}, 2);
	peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "x", 1);
	pair_expect_error(&pair, SZC_E_TLS_RECORD, "inside a handshake message");
	assert_int_equal(pair.got_len, 0);
	pair_expect_alert(&pair, SZC_ALERT_UNEXPECTED_MESSAGE);
	pair_close(&pair);
}

/* After its KeyUpdate a peer that goes on under the old key is not the peer. */
static void the_old_key_after_an_update(void **state)
{
	struct pair pair;

	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){0}, 0);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, (uint8_t[]){24, 0, 0, 1, 0}, 5);
	peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "old", 3);
	pair_expect_error(&pair, SZC_E_TLS_MAC, "record 0 of key generation 1");
	pair_expect_alert(&pair, SZC_ALERT_BAD_RECORD_MAC);
	pair_close(&pair);
}

/* What a connection may say after its handshake is counted over its life, but key updates are not part of that: they have
 * a cap of their own, which payload lifts. */
static void any_number_with_payload_between(void **state)
{
	struct szc_tls_options tls = {.max_post_handshake = 30, .max_key_updates = 2};
	static const uint8_t message[5] = {SZC_HANDSHAKE_KEY_UPDATE, 0, 0, 1, 0};
	struct pair pair;
	int role, i;
	size_t at;

	for (role = SZC_TLS_SERVER; role <= SZC_TLS_CLIENT; role++) {
		start(&pair, state, role, tls, 0);
		for (i = 0; i < 100; i++) {
			peer_key_update(&pair.peer, (uint8_t)(i % 2));
			for (at = 0; at < 5; at++)
				peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message + at, 1);
			peer_next_keys(&pair.peer);
			peer_say(&pair.peer, SZC_CONTENT_APPLICATION, plain, 10);
			pair_expect(&pair, plain, 10);
			if (i % 2)
				expect_key_update(&pair, 0);
		}
		assert_true(updates(&pair) == 200);
		pair_prove_alive(&pair);
		pair_close(&pair);
	}
}

static void flood(void **state)
{
	struct szc_tls_options tls = {.max_key_updates = 7};
	struct pair pair;
	int i, round;

	start(&pair, state, SZC_TLS_SERVER, tls, 0);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 7; i++)
			peer_key_update(&pair.peer, 0);
		/* an empty record is no payload */
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "", 0);
		if (round == 2)
			peer_key_update(&pair.peer, 0);
		else
			pair_prove_alive(&pair);
	}
	pair_expect_error(&pair, SZC_E_TLS_FLOOD, "7 key updates");
	pair_expect_alert(&pair, SZC_ALERT_UNEXPECTED_MESSAGE);
	pair_close(&pair);
}

/* A peer that asks and does not read: one answer, however often it asked. */
static void requests_of_a_peer_that_does_not_read(void **state)
{
	struct pair pair;
	unsigned answers = 0, i;
	size_t got = 0, taken = 0;
	int fd;

	start(&pair, state, SZC_TLS_SERVER, (struct szc_tls_options){0}, 0);
	fd = pair.peer.fd;
	pair.peer.fin = true; /* it looks away */
	do {
		ssize_t part = szc_conn_send(pair.conn, &(struct iovec){plain, 100000}, 1);

		assert_true(part >= 0);
		taken += (size_t)part;
		pair_turn(&pair);
	} while (szc_conn_unsent(pair.conn) < 500000);
	for (i = 0; i < 300; i++) {
		peer_key_update(&pair.peer, 1);
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "x", 1);
	}
	pair_until_got(&pair, 300);
	pair.got_len = 0;
	assert_true(updates(&pair) == 300);
	assert_true(szc_conn_unsent(pair.conn) < 4 << 20);
	pair.peer.fd = fd;
	pair.peer.fin = false;
	while (got < taken) {
		pair_next(&pair, &record);
		if (record.type == SZC_CONTENT_HANDSHAKE)
			answers++;
		else
			got += record.len;
	}
	/* the answer comes, at the latest, before the next payload */
	pair_send(&pair, "and", 3);
	do {
		pair_next(&pair, &record);
		answers += record.type == SZC_CONTENT_HANDSHAKE;
	} while (record.type == SZC_CONTENT_HANDSHAKE);
	assert_int_equal(answers, 1);
	pair_prove_alive(&pair);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(received),
		ON_BOTH(received_in_pieces),
		ON_BOTH(sent_when_asked),
		ON_BOTH(sent_in_a_row),
		ON_BOTH(crossing),
		ON_BOTH(with_openssl),
		ON_BOTH(our_limit),
		ON_BOTH(the_peers_limit),
		ON_BOTH(limits_with_openssl),
		ON(epoll, malformed),
		ON(epoll, payload_inside_a_message),
		ON(epoll, the_old_key_after_an_update),
		ON_BOTH(any_number_with_payload_between),
		ON_BOTH(flood),
		ON_BOTH(requests_of_a_peer_that_does_not_read),
	};

	pair_fill(plain, sizeof(plain), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
