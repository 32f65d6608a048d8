/* SPDX-License-Identifier: MIT */
/* A peer that finished its handshake, then breaks the protocol: what it sends, what the application hears, what the peer
 * hears, and what is left in the area. */
#include "tests/unit/pair.h"

#include <stdlib.h>

static uint8_t plain[SZC_RECORD_PLAIN_MAX + 1000], wire[PEER_WIRE_MAX], inner[PEER_WIRE_MAX];
static struct peer_record record;

static void start(struct pair *pair, void **state, enum szc_tls_role role)
{
	pair_start(pair, state, &(struct pair_setup){.role = role, .peer_tickets = -1});
	while (!pair->peer.server && peer_next(&pair->peer, &record))
		assert_int_equal(record.content[0], SZC_HANDSHAKE_NEW_SESSION_TICKET);
	/* something goes before, both ways: counts and keys are not at their beginning */
	pair_prove_alive(pair);
}

/* The connection dies of what was sent, the peer is told, and nothing of it was handed out. */
static void expect_death(struct pair *pair, int error, const char *words, uint8_t alert)
{
	pair_expect_error(pair, error, words);
	assert_int_equal(pair->got_len, 0);
	assert_false(pair->eof);
	pair_expect_alert(pair, alert);
	assert_int_equal(szc_conn_send(pair->conn, &(struct iovec){plain, 1}, 1), error);
	assert_int_equal(szc_tls_key_update(pair->conn, true), SZC_E_STATE);
	pair_close(pair);
}

/* ---- authentication */

static bool in_area(struct pair *pair, const uint8_t *bytes, size_t len)
{
	size_t size;
	void *area;

	szc_rx_area(pair->rx, &area, &size);
	return memmem(area, size, bytes, len);
}

/* Sends all but the last byte, sees the ciphertext in the area, sends the rest: neither it nor what it decrypts to is
 * there afterwards, the bytes are zero. */
static void bad_record(struct pair *pair, size_t len)
{
	const uint8_t *found;
	size_t size, i;
	void *area;

	peer_send(&pair->peer, wire, len - 1);
	pair_settle(pair);
	assert_int_equal(pair->error, 0);
	szc_rx_area(pair->rx, &area, &size);
	found = memmem(area, size, wire, len - 1);
	assert_non_null(found);
	peer_send(&pair->peer, wire + len - 1, 1);
	pair_expect_error(pair, SZC_E_TLS_MAC, "of key generation 0");
	assert_int_equal(pair->got_len, 0);
	for (i = SZC_RECORD_HEADER; i < len - 1; i++)
		assert_int_equal(found[i], 0);
	assert_false(in_area(pair, wire + 5, 16));
	assert_false(in_area(pair, plain, 16));
	pair_expect_alert(pair, SZC_ALERT_BAD_RECORD_MAC);
}

static void one_bit_wrong(void **state)
{
	static const int at[] = {5, 6, 20, 200, 300, -17, -16, -9, -1}; /* body, type byte, tag */
	struct pair pair;
	size_t i, len;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		start(&pair, state, i % 2 ? SZC_TLS_CLIENT : SZC_TLS_SERVER);
		len = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 500, 0, wire);
		wire[at[i] < 0 ? len + (size_t)at[i] : (size_t)at[i]] ^= 1 << (i % 8);
		bad_record(&pair, len);
		pair_close(&pair);
	}
}

/* The header is authenticated too (RFC 8446 5.2), though nobody reads the version. */
static void header_wrong(void **state)
{
	struct pair pair;
	size_t len;

	start(&pair, state, SZC_TLS_SERVER);
	len = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 500, 0, wire);
	wire[2] = 1;
	bad_record(&pair, len);
	pair_close(&pair);
	/* cut short, and the rest of it taken for another record */
	start(&pair, state, SZC_TLS_SERVER);
	len = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 500, 0, wire);
	wire[4]--;
	bad_record(&pair, len - 1);
	pair_close(&pair);
}

static void largest_record_wrong(void **state)
{
	struct pair pair;
	size_t len;

	pair_start(&pair, state,
		   &(struct pair_setup){.role = SZC_TLS_CLIENT, .peer_tickets = -1, .rx = {.buffer_size = 4096}});
	len = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, SZC_RECORD_PLAIN_MAX, 0, wire);
	wire[len - 1] ^= 0x80;
	peer_send(&pair.peer, wire, len);
	pair_expect_error(&pair, SZC_E_TLS_MAC, "record 0 of key generation 0");
	for (size_t i = 0; i + 64 < SZC_RECORD_PLAIN_MAX; i += 64) {
		assert_false(in_area(&pair, plain + i, 64));
		if (i % 1024 == 0)
			assert_false(in_area(&pair, wire + 5 + i, 64));
	}
	assert_int_equal(pair.got_len, 0);
	pair_expect_alert(&pair, SZC_ALERT_BAD_RECORD_MAC);
	pair_close(&pair);
}

/* The bounce buffer takes the failure; the area never sees what was not verified. */
static void wrong_with_copy_first(void **state)
{
	struct pair pair;
	size_t len;

	pair_start(&pair, state, &(struct pair_setup){.tls.copy_first = true});
	while (peer_next(&pair.peer, &record))
		;
	len = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 5000, 0, wire);
	wire[len - 1] ^= 0x80;
	peer_send(&pair.peer, wire, len);
	pair_expect_error(&pair, SZC_E_TLS_MAC, "record 0");
	assert_int_equal(pair.got_len, 0);
	assert_false(in_area(&pair, plain, 16));
	pair_expect_alert(&pair, SZC_ALERT_BAD_RECORD_MAC);
	pair_close(&pair);
}

/* What came before it in the same segment is sound, and delivered. */
static void sound_before_wrong(void **state)
{
	struct pair pair;
	size_t len, second;

	start(&pair, state, SZC_TLS_SERVER);
	len = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, "sound", 5, 7, wire);
	second = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, "wrong", 5, 7, wire + len);
	wire[len + second - 1] ^= 1;
	len += second;
	len += peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, "sound again", 11, 0, wire + len);
	peer_send(&pair.peer, wire, len);
	pair_expect_error(&pair, SZC_E_TLS_MAC, "");
	pair_expect(&pair, "sound", 5);
	expect_death(&pair, SZC_E_TLS_MAC, "", SZC_ALERT_BAD_RECORD_MAC);
}

static void replayed_reordered_left_out(void **state)
{
	struct pair pair;
	size_t len;

	start(&pair, state, SZC_TLS_SERVER);
	len = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 100, 0, wire);
	peer_send(&pair.peer, wire, len);
	pair_expect(&pair, plain, 100);
	peer_send(&pair.peer, wire, len);
	expect_death(&pair, SZC_E_TLS_MAC, "", SZC_ALERT_BAD_RECORD_MAC);

	start(&pair, state, SZC_TLS_CLIENT);
	peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 100, 0, wire);
	peer_say(&pair.peer, SZC_CONTENT_APPLICATION, plain, 100);
	expect_death(&pair, SZC_E_TLS_MAC, "", SZC_ALERT_BAD_RECORD_MAC);
}

/* ---- not protected at all */

static void say_in_clear(void **state, enum szc_tls_role role, const void *bytes, size_t len, int error, uint8_t alert)
{
	struct pair pair;

	start(&pair, state, role);
	peer_send(&pair.peer, bytes, len);
	expect_death(&pair, error, "", alert);
}

static void in_clear(void **state)
{
	uint8_t text[205] = {23, 3, 3, 0, 200};
	int role;

	memset(text + 5, 'x', 200);
	for (role = SZC_TLS_SERVER; role <= SZC_TLS_CLIENT; role++) {
		/* change_cipher_spec is forgiven in the handshake only */
		say_in_clear(state, role, "\x14\x03\x03\x00\x01\x01", 6, SZC_E_TLS_RECORD,
			     SZC_ALERT_UNEXPECTED_MESSAGE);
		/* close_notify, a fatal alert: anybody could say so */
		say_in_clear(state, role, "\x15\x03\x03\x00\x02\x01\x00", 7, SZC_E_TLS_RECORD,
			     SZC_ALERT_UNEXPECTED_MESSAGE);
		say_in_clear(state, role, "\x15\x03\x03\x00\x02\x02\x50", 7, SZC_E_TLS_RECORD,
			     SZC_ALERT_UNEXPECTED_MESSAGE);
		say_in_clear(state, role, "\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9, SZC_E_TLS_RECORD,
			     SZC_ALERT_UNEXPECTED_MESSAGE);
		say_in_clear(state, role, text, sizeof(text), SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC);
		/* shorter than a tag and a type */
		say_in_clear(state, role, "\x17\x03\x03\x00\x05hello", 10, SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC);
		say_in_clear(state, role,
			     "\x17\x03\x03\x00\x10"
			     "0123456789abcdef",
			     21, SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC);
		say_in_clear(state, role, "\x17\x03\x03\x00\x00", 5, SZC_E_TLS_MAC, SZC_ALERT_BAD_RECORD_MAC);
		say_in_clear(state, role, "GET / HTTP/1.0\r\n", 16, SZC_E_TLS_RECORD, SZC_ALERT_UNEXPECTED_MESSAGE);
		say_in_clear(state, role, "\x18\x03\x03\x00\x03\x01\x40\x00", 8, SZC_E_TLS_RECORD,
			     SZC_ALERT_UNEXPECTED_MESSAGE);
		say_in_clear(state, role, "\x17\x02\x03\x00\x20", 5, SZC_E_TLS_RECORD, SZC_ALERT_DECODE_ERROR);
		say_in_clear(state, role, "\x14\x03\x03\x00\x00", 5, SZC_E_TLS_RECORD, SZC_ALERT_DECODE_ERROR);
	}
}

/* ---- lengths */

static void too_long(void **state)
{
	struct pair pair;
	size_t len;

	/* the header alone condemns it: 2^14 + 257, and all that the field can say */
	say_in_clear(state, SZC_TLS_SERVER, "\x17\x03\x03\x41\x01", 5, SZC_E_TLS_RECORD, SZC_ALERT_RECORD_OVERFLOW);
	say_in_clear(state, SZC_TLS_CLIENT, "\x17\x03\x03\xff\xff", 5, SZC_E_TLS_RECORD, SZC_ALERT_RECORD_OVERFLOW);
	say_in_clear(state, SZC_TLS_CLIENT, "\x16\x03\x03\x40\x01", 5, SZC_E_TLS_RECORD, SZC_ALERT_RECORD_OVERFLOW);

	/* allowed by its header, sound, but with more inside than 2^14 + 1: by one, and by all that fits */
	for (len = SZC_RECORD_INNER_MAX + 1; len <= SZC_RECORD_CIPHER_MAX - SZC_RECORD_TAG;
	     len += SZC_RECORD_CIPHER_MAX - SZC_RECORD_TAG - SZC_RECORD_INNER_MAX - 1) {
		start(&pair, state, SZC_TLS_SERVER);
		memcpy(inner, plain, len);
		inner[len - 1] = SZC_CONTENT_APPLICATION;
		peer_send(&pair.peer, wire, peer_seal_inner(&pair.peer, inner, len, wire));
		expect_death(&pair, SZC_E_TLS_RECORD, "", SZC_ALERT_RECORD_OVERFLOW);
		/* padding counts */
		start(&pair, state, SZC_TLS_SERVER);
		peer_send(&pair.peer, wire, peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, "x", 1, len - 2, wire));
		expect_death(&pair, SZC_E_TLS_RECORD, "", SZC_ALERT_RECORD_OVERFLOW);
	}
}

/* ---- inside */

static void inner_types(void **state)
{
	static const size_t zeros[] = {1, 2, 16, 1000, SZC_RECORD_INNER_MAX};
	static const uint8_t types[] = {1, 19, 20, 24, 25, 26, 100, 255};
	struct pair pair;
	size_t i;

	for (i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++) {
		start(&pair, state, SZC_TLS_SERVER);
		memset(inner, 0, zeros[i]);
		peer_send(&pair.peer, wire, peer_seal_inner(&pair.peer, inner, zeros[i], wire));
		expect_death(&pair, SZC_E_TLS_RECORD, "", SZC_ALERT_UNEXPECTED_MESSAGE);
	}
	for (i = 0; i < sizeof(types); i++) {
		start(&pair, state, SZC_TLS_CLIENT);
		peer_say(&pair.peer, types[i], plain, 50);
		expect_death(&pair, SZC_E_TLS_RECORD, "", SZC_ALERT_UNEXPECTED_MESSAGE);
	}
	/* a change_cipher_spec as it would be in clear */
	start(&pair, state, SZC_TLS_CLIENT);
	peer_say(&pair.peer, SZC_CONTENT_CCS, "\x01", 1);
	expect_death(&pair, SZC_E_TLS_RECORD, "", SZC_ALERT_UNEXPECTED_MESSAGE);
	/* empty ones where only payload may be empty */
	start(&pair, state, SZC_TLS_SERVER);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, "", 0);
	expect_death(&pair, SZC_E_TLS_RECORD, "", SZC_ALERT_UNEXPECTED_MESSAGE);
	start(&pair, state, SZC_TLS_SERVER);
	peer_say(&pair.peer, SZC_CONTENT_ALERT, "", 0);
	expect_death(&pair, SZC_E_TLS_RECORD, "", SZC_ALERT_UNEXPECTED_MESSAGE);
}

/* RFC 8446 5.1: an alert is neither split nor joined. */
static void alerts_of_odd_lengths(void **state)
{
	static const uint8_t bytes[] = {1, 0, 1, 0, 2};
	struct pair pair;
	size_t len;

	for (len = 1; len <= sizeof(bytes); len += len == 1 ? 2 : 1) {
		start(&pair, state, SZC_TLS_SERVER);
		peer_say(&pair.peer, SZC_CONTENT_ALERT, bytes, len);
		expect_death(&pair, SZC_E_TLS_RECORD, "an alert of", SZC_ALERT_DECODE_ERROR);
	}
}

/* ---- handshake messages that have no place any more */

static void handshake_types(void **state)
{
	struct pair pair;
	int type;

	pair_start(&pair, state, &(struct pair_setup){0});
	pair_close(&pair);
	for (type = 0; type < 256; type++) {
		uint8_t message[8] = {(uint8_t)type, 0, 0, 4, 1, 2, 3, 4};
		enum szc_tls_role role = type % 2 ? SZC_TLS_CLIENT : SZC_TLS_SERVER;

		if (type == SZC_HANDSHAKE_KEY_UPDATE)
			continue;
		/* all that RFC 8446 knows, some that nobody knows */
		if (type > 26 && type % 23 && type != 254)
			continue;
		if (type == SZC_HANDSHAKE_NEW_SESSION_TICKET)
			role = SZC_TLS_SERVER;
		start(&pair, state, role);
		peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message, sizeof(message));
		expect_death(&pair, SZC_E_TLS_RECORD, "", SZC_ALERT_UNEXPECTED_MESSAGE);
	}
}

/* A CertificateRequest as a server would send it for post-handshake authentication, which we do not offer. */
static void certificate_request(void **state)
{
	static const uint8_t message[] = {13, 0, 0, 13, 1, 0x77, 0, 9, 0, 13, 0, 5, 0, 3, 4, 3, 0};
	struct pair pair;

	start(&pair, state, SZC_TLS_CLIENT);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message, sizeof(message));
	expect_death(&pair, SZC_E_TLS_RECORD, "no place after the handshake", SZC_ALERT_UNEXPECTED_MESSAGE);
}

/* Its length alone is more than is allowed in a connection's life: that is not waited for. */
static void message_that_never_ends(void **state)
{
	struct pair pair;

	start(&pair, state, SZC_TLS_CLIENT);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, "\x04\xff\xff\xff", 4);
	pair_expect_error(&pair, SZC_E_TLS_FLOOD, "16777219 bytes");
	pair_expect_alert(&pair, SZC_ALERT_UNEXPECTED_MESSAGE);
	pair_close(&pair);
}

/* ---- floods */

static void empty_records(void **state)
{
	struct pair pair;
	int i, round;

	start(&pair, state, SZC_TLS_SERVER);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 32; i++)
			peer_send(&pair.peer, wire,
				  peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, "", 0, (size_t)(i % 2) * 100, wire));
		pair_settle(&pair);
		assert_int_equal(pair.error, 0);
		if (round < 2)
			pair_prove_alive(&pair);
	}
	peer_alert(&pair.peer, PEER_WARNING, SZC_ALERT_CLOSE_NOTIFY);
	pair_until_eof(&pair);
	pair_close(&pair);
	start(&pair, state, SZC_TLS_SERVER);
	for (i = 0; i < 33; i++)
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "", 0);
	expect_death(&pair, SZC_E_TLS_FLOOD, "32 empty records", SZC_ALERT_UNEXPECTED_MESSAGE);

	pair_start(&pair, state, &(struct pair_setup){.tls.max_empty_records = 3, .role = SZC_TLS_CLIENT});
	for (i = 0; i < 4; i++)
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "", 0);
	expect_death(&pair, SZC_E_TLS_FLOOD, "3 empty records", SZC_ALERT_UNEXPECTED_MESSAGE);
}

/* user_canceled ends nothing by itself, so it could be said for ever. */
static void alerts_without_end(void **state)
{
	struct pair pair;
	int i;

	start(&pair, state, SZC_TLS_SERVER);
	for (i = 0; i < 33; i++)
		peer_alert(&pair.peer, PEER_WARNING, SZC_ALERT_USER_CANCELED);
	expect_death(&pair, SZC_E_TLS_FLOOD, "32", SZC_ALERT_UNEXPECTED_MESSAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(one_bit_wrong),
		ON_BOTH(header_wrong),
		ON_BOTH(largest_record_wrong),
		ON_BOTH(wrong_with_copy_first),
		ON_BOTH(sound_before_wrong),
		ON_BOTH(replayed_reordered_left_out),
		ON_BOTH(in_clear),
		ON_BOTH(too_long),
		ON_BOTH(inner_types),
		ON(epoll, alerts_of_odd_lengths),
		ON(epoll, handshake_types),
		ON(epoll, certificate_request),
		ON(epoll, message_that_never_ends),
		ON_BOTH(empty_records),
		ON_BOTH(alerts_without_end),
	};

	pair_fill(plain, sizeof(plain), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
