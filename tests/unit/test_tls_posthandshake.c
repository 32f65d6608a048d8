/* SPDX-License-Identifier: MIT */
/* tls/posthandshake.c: messages in the smallest pieces. What has no place is refused at its first byte, what has one costs
 * no more for coming slowly. */
#include "tests/unit/pair.h"

#include <stdlib.h>
#include <openssl/crypto.h>

enum { LARGE = 1024, TICKET = 20000 };

static struct peer_record record;
static unsigned large; /* blocks of at least LARGE that were asked for through OpenSSL's allocator */

static void *count_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	large += size >= LARGE;
	return malloc(size);
}

static void *count_realloc(void *block, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	large += size >= LARGE;
	return realloc(block, size);
}

static void count_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	free(block);
}

static void start(struct pair *pair, void **state, enum szc_tls_role role)
{
	pair_start(pair, state, &(struct pair_setup){.role = role, .peer_tickets = -1});
	while (!pair->peer.server && peer_next(&pair->peer, &record))
		assert_int_equal(record.content[0], SZC_HANDSHAKE_NEW_SESSION_TICKET);
	pair_prove_alive(pair);
}

/* ---- a type that has no place */

static void refused_at_its_first_byte(void **state)
{
	struct pair pair;
	int type;

	for (type = 0; type < 27; type++) {
		int role;

		for (role = SZC_TLS_SERVER; role <= SZC_TLS_CLIENT; role++) {
			uint8_t byte = (uint8_t)type;

			if (type == SZC_HANDSHAKE_KEY_UPDATE ||
			    (type == SZC_HANDSHAKE_NEW_SESSION_TICKET && role == SZC_TLS_CLIENT))
				continue;
			start(&pair, state, role);
			peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, &byte, 1);
			pair_expect_error(&pair, SZC_E_TLS_RECORD,
					  type == SZC_HANDSHAKE_NEW_SESSION_TICKET ? "sent to a server" : "no place");
			pair_expect_alert(&pair, SZC_ALERT_UNEXPECTED_MESSAGE);
			pair_close(&pair);
		}
	}
}

/* Nor does a message that has one make way for what is joined to it. */
static void refused_behind_a_sound_one(void **state)
{
	static const uint8_t messages[] = {SZC_HANDSHAKE_NEW_SESSION_TICKET,
					   0,
					   0,
					   18,
					   0,
					   0,
					   1,
					   0,
					   1,
					   2,
					   3,
					   4,
					   1,
					   9,
					   0,
					   4,
					   't',
					   'e',
					   's',
					   't',
					   0,
					   0,
					   13 /* CertificateRequest */};
	struct pair pair;

	start(&pair, state, SZC_TLS_CLIENT);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, messages, sizeof(messages) - 1);
	pair_prove_alive(&pair);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, messages, sizeof(messages));
	pair_expect_error(&pair, SZC_E_TLS_RECORD, "no place");
	pair_expect_alert(&pair, SZC_ALERT_UNEXPECTED_MESSAGE);
	pair_close(&pair);
}

/* ---- a long ticket in one byte a record */

static size_t make_ticket(uint8_t *message)
{
	static const uint8_t begin[] = {0, 0, 1, 0, 1, 2, 3, 4, 1, 9, TICKET >> 8, TICKET & 255};
	size_t body = sizeof(begin) + TICKET + 2;

	memset(message, 0, 4 + body);
	message[0] = SZC_HANDSHAKE_NEW_SESSION_TICKET;
	message[2] = (uint8_t)(body >> 8);
	message[3] = (uint8_t)body;
	memcpy(message + 4, begin, sizeof(begin));
	pair_fill(message + 4 + sizeof(begin), TICKET, 0);
	return 4 + body;
}

static void a_ticket_in_pieces_of_a_byte(void **state)
{
	static uint8_t message[TICKET + 100], wire[2 * PEER_WIRE_MAX];
	const unsigned char *ticket;
	SSL_SESSION *session;
	struct szc_trips trips;
	struct pair pair;
	size_t len = make_ticket(message), at, filled = 0, ticket_len;
	uint64_t handshake;
	unsigned before;

	start(&pair, state, SZC_TLS_CLIENT);
	szc_conn_trips(pair.conn, &trips);
	handshake = trips.bytes_handshake;
	before = large;
	for (at = 0; at < len; at++) {
		filled += peer_seal(&pair.peer, SZC_CONTENT_HANDSHAKE, message + at, 1, 0, wire + filled);
		if (filled < PEER_WIRE_MAX && at + 1 < len)
			continue;
		peer_send(&pair.peer, wire, filled);
		pair_turn(&pair);
		filled = 0;
	}
	pair_prove_alive(&pair);
	szc_conn_trips(pair.conn, &trips);
	assert_int_equal(trips.bytes_handshake - handshake, len);
	/* What came is not copied for each byte that comes: room grows by doubling. OpenSSL has a few of its own at the end. */
	assert_in_range(large - before, 2, 100);
	session = szc_tls_session(pair.conn);
	SSL_SESSION_get0_ticket(session, &ticket, &ticket_len);
	assert_int_equal(ticket_len, TICKET);
	assert_memory_equal(ticket, message + 4 + 12, TICKET);
	SSL_SESSION_free(session);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(epoll, refused_at_its_first_byte),
		ON(epoll, refused_behind_a_sound_one),
		ON_BOTH(a_ticket_in_pieces_of_a_byte),
	};

	/* Before OpenSSL's first allocation, or not at all. */
	if (!CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free)) {
		fprintf(stderr, "OpenSSL's allocator cannot be replaced any more\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
