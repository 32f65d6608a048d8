/* SPDX-License-Identifier: MIT */
/* tls/receive.c, sound records: every size, padding and cut, the ends a stream can have, and what the ledger says of it. */
#include "tests/unit/pair.h"

#include <errno.h>
#include <stdlib.h>
#include "tests/unit/scatter.h"

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256"};

enum { MAX = SZC_RECORD_PLAIN_MAX };

static uint8_t plain[4 << 20], wire[PEER_WIRE_MAX];

/* ---- sizes and padding */

static void say_padded(struct pair *pair, size_t len, size_t padding)
{
	peer_send(&pair->peer, wire, peer_seal(&pair->peer, SZC_CONTENT_APPLICATION, plain, len, padding, wire));
	pair_expect(pair, plain, len);
	assert_false(pair->error);
}

static void sizes_and_padding(void **state)
{
	static const size_t sizes[] = {0,   1,    2,    15,   16,   17,   31,    32,      33, 100,
				       255, 1000, 4095, 4096, 4097, 8192, 12345, MAX - 1, MAX};
	struct pair pair;
	size_t i, s;

	for (s = 0; s < 3; s++) {
		enum szc_tls_role role = s % 2 ? SZC_TLS_CLIENT : SZC_TLS_SERVER;

		pair_start(&pair, state, &(struct pair_setup){.role = role, .peer_suites = suites[s]});
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			size_t most = MAX - sizes[i];

			say_padded(&pair, sizes[i], 0);
			say_padded(&pair, sizes[i], most);
			say_padded(&pair, sizes[i], most / 2);
			say_padded(&pair, sizes[i], most ? 1 : 0);
		}
		pair_prove_alive(&pair);
		pair_close(&pair);
	}
}

/* Small buffers: each record lies in several, and begins anywhere in one. */
static void sizes_in_small_buffers(void **state)
{
	struct pair pair;
	size_t len;

	pair_start(&pair, state, &(struct pair_setup){.rx = {.buffer_size = 4096}});
	for (len = 0; len <= MAX; len += 509)
		say_padded(&pair, len, (MAX - len) % 777);
	pair_prove_alive(&pair);
	pair_close(&pair);
}

/* ---- cuts */

static void cut_at(struct pair *pair, size_t len, size_t first, size_t second)
{
	peer_send(&pair->peer, wire, first);
	pair_turn(pair);
	peer_send(&pair->peer, wire + first, second - first);
	pair_turn(pair);
	peer_send(&pair->peer, wire + second, len - second);
}

/* Header, body, padding and tag cut at every byte. */
static void cut_everywhere(void **state)
{
	enum { PAYLOAD = 40, PADDING = 30, WIRE = PAYLOAD + PADDING + SZC_RECORD_OVERHEAD };
	struct pair pair;
	size_t s, at;

	for (s = 0; s < 3; s++) {
		pair_start(&pair, state, &(struct pair_setup){.peer_suites = suites[s], .rx = {.buffer_size = 4096}});
		for (at = 1; at < WIRE; at++) {
			assert_int_equal(peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, PAYLOAD, PADDING, wire),
					 WIRE);
			cut_at(&pair, WIRE, at, at);
			pair_expect(&pair, plain, PAYLOAD);
			assert_int_equal(peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, PAYLOAD, PADDING, wire),
					 WIRE);
			cut_at(&pair, WIRE, at, at + 1 < WIRE ? at + 1 : at);
			pair_expect(&pair, plain, PAYLOAD);
		}
		/* the segments did arrive apart */
		assert_true(pair.pieces > pair.views);
		pair_close(&pair);
	}
}

static void byte_by_byte(void **state)
{
	struct pair pair;
	size_t len, at;

	pair_start(&pair, state, &(struct pair_setup){.rx = {.buffer_size = 4096}});
	len = peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 700, 300, wire);
	for (at = 0; at < len; at++) {
		assert_int_equal(pair.got_len, 0);
		peer_send(&pair.peer, wire + at, 1);
		pair_turn(&pair);
	}
	pair_expect(&pair, plain, 700);
	pair_close(&pair);
}

/* ---- streams */

/* Random records, several in a segment, a segment over several: what comes out is what went in. */
static void stream(struct pair *pair, size_t total, uint64_t seed)
{
	size_t sent = 0, held = 0;
	uint8_t *segment = malloc(8 * PEER_WIRE_MAX);

	pair_fill(plain, total, seed);
	while (sent < total) {
		uint32_t dice = scatter_random(&seed);
		size_t len = dice % 5 ? dice % (MAX + 1) : dice % 64,
		       padding = dice % 7 ? 0 : scatter_random(&seed) % 500;

		if (len > total - sent)
			len = total - sent;
		if (len + padding > MAX)
			padding = 0;
		held += peer_seal(&pair->peer, SZC_CONTENT_APPLICATION, plain + sent, len, padding, segment + held);
		sent += len;
		while (held > 100000 || (held && sent == total)) {
			size_t cut = 1 + scatter_random(&seed) % held;

			peer_send(&pair->peer, segment, cut);
			memmove(segment, segment + cut, held - cut);
			held -= cut;
			pair_turn(pair);
		}
	}
	pair_until_got(pair, total);
	assert_int_equal(pair->got_len, total);
	assert_memory_equal(pair->got, plain, total);
	free(segment);
}

static void streams(void **state)
{
	static const size_t buffers[] = {4096, 16384, 65536};
	struct szc_trips trips;
	struct pair pair;
	size_t s;

	for (s = 0; s < 3; s++) {
		pair_start(&pair, state,
			   &(struct pair_setup){.peer_suites = suites[s],
						.rx = {.buffer_size = buffers[s], .max_connections = 1}});
		stream(&pair, sizeof(plain), s + 1);
		szc_conn_trips(pair.conn, &trips);
		assert_true(trips.bytes == sizeof(plain));
		assert_true(trips.bytes_opened == sizeof(plain));
		assert_true(trips.bytes_opened_in_place == sizeof(plain));
		assert_true(trips.bytes_received == trips.bytes_kernel_copied);
		assert_true(trips.bytes_received > sizeof(plain));
		assert_true(trips.bytes_zero_copy == 0);
		assert_true(trips.records == pair.peer.tx_seq);
		assert_true(trips.bytes_handshake > 0);
		assert_true(szc_trips_passes(&trips) == 1.0);
		pair_close(&pair);
	}
}

/* For those who do not trust what else can write to the area: the same bytes, and the ledger says what it cost. */
static void copy_first(void **state)
{
	struct szc_trips trips;
	struct pair pair;
	size_t s;

	for (s = 0; s < 3; s++) {
		pair_start(&pair, state,
			   &(struct pair_setup){
				   .peer_suites = suites[s], .tls.copy_first = true, .rx = {.buffer_size = 4096}});
		stream(&pair, 1 << 20, s + 1);
		szc_conn_trips(pair.conn, &trips);
		assert_true(trips.bytes == 1 << 20);
		assert_true(trips.bytes_opened == 1 << 20);
		assert_true(trips.bytes_opened_in_place == 0);
		/* out of the area with type, padding and tag, back without */
		assert_true(trips.bytes_user_copied > 2 << 20);
		pair.got_len = 0;
		say_padded(&pair, 0, 0);
		say_padded(&pair, 0, MAX);
		say_padded(&pair, MAX, 0);
		pair_close(&pair);
	}
}

/* Views that stay out while more comes: nobody else touches their bytes. */
static void views_stay_as_they_are(void **state)
{
	struct pair pair;
	size_t at = 0;
	unsigned i;

	pair_start(&pair, state, &(struct pair_setup){.rx = {.max_connections = 1, .area_size = 8 << 20}});
	pair.keep = true;
	stream(&pair, 1 << 20, 7);
	for (i = 0; i < pair.kept_count; i++) {
		int iovcnt, j;
		const struct iovec *iov = szc_view_iov(pair.kept[i], &iovcnt);

		for (j = 0; j < iovcnt; j++) {
			assert_memory_equal(iov[j].iov_base, plain + at, iov[j].iov_len);
			at += iov[j].iov_len;
		}
	}
	assert_true(at > 0);
	/* they outlive their connection */
	szc_conn_close(pair.conn);
	pair.conn = NULL;
	assert_int_equal(szc_rx_close(pair.rx), SZC_E_VIEWS_OUT);
	pair_close(&pair);
}

/* ---- ends */

static void a_proper_end(void **state)
{
	struct peer_record record;
	struct pair pair;

	pair_start(&pair, state, &(struct pair_setup){0});
	while (peer_next(&pair.peer, &record))
		;
	peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "the last", 8);
	peer_alert(&pair.peer, PEER_WARNING, SZC_ALERT_CLOSE_NOTIFY);
	/* what follows the end is none of it, sound or not */
	peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "afterwards", 10);
	peer_send(&pair.peer, "GET / HTTP/1.1", 14);
	peer_fin(&pair.peer);
	pair_expect(&pair, "the last", 8);
	pair_until_eof(&pair);
	pair_settle(&pair);
	assert_int_equal(pair.got_len, 0);
	assert_int_equal(pair.error, 0);
	/* sending goes on */
	pair_send(&pair, plain, 100000);
	assert_int_equal(szc_conn_shutdown(pair.conn), 0);
	pair_settle(&pair);
	assert_true(pair.sent);
	{
		size_t got = 0;

		while (peer_next(&pair.peer, &record) && record.type == SZC_CONTENT_APPLICATION) {
			assert_memory_equal(record.content, plain + got, record.len);
			got += record.len;
		}
		assert_int_equal(got, 100000);
		assert_int_equal(record.type, SZC_CONTENT_ALERT);
		assert_int_equal(record.content[1], SZC_ALERT_CLOSE_NOTIFY);
	}
	pair_expect_silence(&pair);
	pair_close(&pair);
}

/* We end our direction first: receiving goes on. */
static void our_end_first(void **state)
{
	struct peer_record record;
	struct pair pair;
	int i;

	pair_start(&pair, state, &(struct pair_setup){0});
	assert_int_equal(szc_conn_shutdown(pair.conn), 0);
	assert_int_equal(szc_conn_shutdown(pair.conn), 0);
	assert_int_equal(szc_conn_send(pair.conn, &(struct iovec){plain, 1}, 1), SZC_E_STATE);
	assert_int_equal(szc_tls_key_update(pair.conn, false), SZC_E_STATE);
	pair_settle(&pair);
	assert_true(pair.sent);
	do {
		assert_true(peer_next(&pair.peer, &record));
	} while (record.type == SZC_CONTENT_HANDSHAKE);
	assert_int_equal(record.type, SZC_CONTENT_ALERT);
	assert_int_equal(record.content[0], PEER_WARNING);
	assert_int_equal(record.content[1], SZC_ALERT_CLOSE_NOTIFY);
	pair_expect_silence(&pair);
	say_padded(&pair, 5000, 0);
	/* the peer asks for new keys of a direction that is over: nothing is said, nothing breaks */
	peer_key_update(&pair.peer, 1);
	say_padded(&pair, 6000, 10);
	peer_alert(&pair.peer, PEER_WARNING, SZC_ALERT_CLOSE_NOTIFY);
	pair_until_eof(&pair);
	assert_int_equal(pair.peer.in_len, 0);
	pair_close(&pair);

	/* nor do we tell of a fault */
	pair_start(&pair, state, &(struct pair_setup){.role = SZC_TLS_CLIENT});
	assert_int_equal(szc_conn_shutdown(pair.conn), 0);
	pair_next(&pair, &record);
	assert_int_equal(record.content[1], SZC_ALERT_CLOSE_NOTIFY);
	peer_send(&pair.peer, "nonsense", 8);
	pair_expect_error(&pair, SZC_E_TLS_RECORD, "");
	assert_int_equal(szc_tls_key_update(pair.conn, false), SZC_E_STATE);
	pair_expect_silence(&pair);
	pair_close(&pair);

	/* nor ask for new keys, when the peer's are worn out */
	pair_start(&pair, state, &(struct pair_setup){.role = SZC_TLS_CLIENT, .tls.key_records = 5});
	assert_int_equal(szc_conn_shutdown(pair.conn), 0);
	for (i = 0; i < 20; i++)
		say_padded(&pair, 10, 0);
	pair_next(&pair, &record);
	assert_int_equal(record.content[1], SZC_ALERT_CLOSE_NOTIFY);
	pair_expect_silence(&pair);
	pair_close(&pair);
}

/* RFC 8446 6.1: a peer that gives up says so, then closes properly. The level is a relic and means nothing. */
static void user_canceled(void **state)
{
	struct pair pair;

	pair_start(&pair, state, &(struct pair_setup){0});
	peer_alert(&pair.peer, PEER_WARNING, SZC_ALERT_USER_CANCELED);
	say_padded(&pair, 10, 0);
	peer_alert(&pair.peer, PEER_FATAL, SZC_ALERT_USER_CANCELED);
	peer_alert(&pair.peer, PEER_FATAL, SZC_ALERT_CLOSE_NOTIFY);
	pair_until_eof(&pair);
	pair_close(&pair);
}

static void alerts_are_named(void **state)
{
	static const struct {
		uint8_t alert;
		const char *name;
	} alerts[] = {
		{10, "unexpected_message (10)"},
		{20, "bad_record_mac (20)"},
		{22, "record_overflow (22)"},
		{40, "handshake_failure (40)"},
		{42, "bad_certificate (42)"},
		{43, "unsupported_certificate (43)"},
		{44, "certificate_revoked (44)"},
		{45, "certificate_expired (45)"},
		{46, "certificate_unknown (46)"},
		{47, "illegal_parameter (47)"},
		{48, "unknown_ca (48)"},
		{49, "access_denied (49)"},
		{50, "decode_error (50)"},
		{51, "decrypt_error (51)"},
		{70, "protocol_version (70)"},
		{71, "insufficient_security (71)"},
		{80, "internal_error (80)"},
		{86, "inappropriate_fallback (86)"},
		{109, "missing_extension (109)"},
		{110, "unsupported_extension (110)"},
		{112, "unrecognized_name (112)"},
		{113, "bad_certificate_status_response (113)"},
		{115, "unknown_psk_identity (115)"},
		{116, "certificate_required (116)"},
		{120, "no_application_protocol (120)"},
		{100, "unknown (100)"}, /* no_renegotiation went with TLS 1.2 */
		{255, "unknown (255)"},
	};
	struct pair pair;
	size_t i;

	for (i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
		struct peer_record record;

		pair_start(&pair, state, &(struct pair_setup){.role = i % 2 ? SZC_TLS_CLIENT : SZC_TLS_SERVER});
		while (peer_next(&pair.peer, &record))
			;
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, "before", 6);
		/* RFC 8446 6: fatal whatever the level says */
		peer_alert(&pair.peer, i % 3 ? PEER_FATAL : PEER_WARNING, alerts[i].alert);
		pair_expect_error(&pair, SZC_E_TLS_ALERT, alerts[i].name);
		pair_expect(&pair, "before", 6);
		/* an alert is not answered */
		pair_expect_silence(&pair);
		pair_close(&pair);
	}
}

static void truncation(void **state)
{
	static const size_t cuts[] = {0, 1, 4, 5, 6, 100, SZC_RECORD_OVERHEAD + 999};
	struct pair pair;
	size_t i;

	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		pair_start(&pair, state, &(struct pair_setup){.role = i % 2 ? SZC_TLS_CLIENT : SZC_TLS_SERVER});
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, plain, 3000);
		peer_say(&pair.peer, SZC_CONTENT_APPLICATION, plain + 3000, 2000);
		peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 1000, 0, wire);
		peer_send(&pair.peer, wire, cuts[i]);
		peer_fin(&pair.peer);
		pair_expect_error(&pair, SZC_E_TRUNCATED, "close_notify");
		assert_false(pair.eof);
		/* what was whole was delivered before */
		pair_expect(&pair, plain, 5000);
		pair_close(&pair);
	}
}

static void reset_inside_a_record(void **state)
{
	struct pair pair;

	pair_start(&pair, state, &(struct pair_setup){0});
	say_padded(&pair, 3000, 0);
	peer_seal(&pair.peer, SZC_CONTENT_APPLICATION, plain, 1000, 0, wire);
	peer_send(&pair.peer, wire, 500);
	pair_settle(&pair);
	peer_reset(&pair.peer);
	pair_expect_error(&pair, -ECONNRESET, "reset");
	assert_int_equal(pair.got_len, 0);
	assert_false(pair.eof);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(sizes_and_padding),
		ON_BOTH(sizes_in_small_buffers),
		ON_BOTH(cut_everywhere),
		ON_BOTH(byte_by_byte),
		ON_BOTH(streams),
		ON_BOTH(copy_first),
		ON_BOTH(views_stay_as_they_are),
		ON_BOTH(a_proper_end),
		ON_BOTH(our_end_first),
		ON(epoll, user_canceled),
		ON(epoll, alerts_are_named),
		ON_BOTH(truncation),
		ON_BOTH(reset_inside_a_record),
	};

	pair_fill(plain, sizeof(plain), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
