/* SPDX-License-Identifier: MIT */
/* Tickets behind the handshake: resumption both ways, however they are cut into records, and when they are malformed, the
 * proof that nothing OpenSSL says about them leaves the process. */
#include "tests/unit/pair.h"

#include <stdlib.h>

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256"};

static const struct szc_tls_peer localhost = {.size = sizeof(localhost), .host = "localhost"};

static struct peer_record record;
static uint8_t plain[60000];

/* ---- our client resumes */

static void connect_client(struct pair *pair, struct szc_tls_ctx *ctx, SSL_CTX *peer_ctx, SSL_SESSION *session)
{
	struct szc_tls_peer to = localhost;

	to.session = session;
	pair_connect(pair, ctx, &to, peer_ctx, NULL);
	pair_must_handshake(pair);
}

static void our_client_resumes(void **state)
{
	struct pair pair;
	int s, i;

	pair_open(&pair, state, NULL);
	for (s = 0; s < 3; s++) {
		struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
		SSL_CTX *peer_ctx = peer_ssl_ctx(true);
		SSL_SESSION *session = NULL;
		struct szc_tls_ctx *ctx;

		options.ciphersuites = suites[s];
		ctx = pair_tls(&options);
		for (i = 0; i < 15; i++) {
			X509 *cert;

			connect_client(&pair, ctx, peer_ctx, session);
			SSL_SESSION_free(session);
			assert_int_equal(szc_tls_resumed(pair.conn), i > 0);
			assert_int_equal(SSL_session_reused(pair.peer.ssl), i > 0);
			/* who it is was verified once, and is still known */
			cert = szc_tls_peer_certificate(pair.conn);
			assert_non_null(cert);
			X509_free(cert);
			pair_prove_alive(&pair);
			session = szc_tls_session(pair.conn);
			assert_non_null(session);
			assert_true(SSL_SESSION_is_resumable(session));
			if (i % 3 == 1) {
				peer_alert(&pair.peer, PEER_WARNING, SZC_ALERT_CLOSE_NOTIFY);
				pair_until_eof(&pair);
			}
		}
		SSL_SESSION_free(session);
		szc_tls_ctx_close(ctx);
		SSL_CTX_free(peer_ctx);
	}
	pair_close(&pair);
}

/* Before a ticket came there is a session, but none to resume. */
static void session_without_ticket(void **state)
{
	SSL_SESSION *session;
	struct pair pair;

	pair_start(&pair, state, &(struct pair_setup){.role = SZC_TLS_CLIENT, .peer_tickets = -1});
	session = szc_tls_session(pair.conn);
	assert_non_null(session);
	assert_false(SSL_SESSION_is_resumable(session));
	SSL_SESSION_free(session);
	pair_close(&pair);
}

/* OpenSSL's old key is forgotten at the first KeyUpdate: what came before stays good, what comes after is let go. */
static void session_over_a_key_update(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = peer_ssl_ctx(true);
	SSL_SESSION *session;
	struct pair pair;

	pair_open(&pair, state, NULL);
	connect_client(&pair, ctx, peer_ctx, NULL);
	peer_key_update(&pair.peer, 0);
	pair_prove_alive(&pair);
	/* malformed, but nobody looks at it any more */
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, "\x04\x00\x00\x01\x00", 5);
	pair_prove_alive(&pair);
	session = szc_tls_session(pair.conn);
	assert_true(SSL_SESSION_is_resumable(session));
	connect_client(&pair, ctx, peer_ctx, session);
	assert_true(szc_tls_resumed(pair.conn));
	SSL_SESSION_free(session);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* A session vouches for what was verified when it was made, and nothing else: a resumed handshake shows no certificate. */
static void a_session_is_no_way_around_verification(void **state)
{
	static const struct {
		enum pki_file cert;
		const char *host;
		const char *words; /* NULL: all is well */
	} cases[] = {
		{PKI_SERVER, "localhost", NULL},           {PKI_SERVER, "127.0.0.1", NULL},
		{PKI_SERVER, "somebody.else", "mismatch"}, {PKI_SERVER, "127.0.0.2", "mismatch"},
		{PKI_STRANGER, "localhost", "issuer"},
	};
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	struct szc_tls_ctx *careful = pair_tls(&options), *careless;
	struct pair pair;
	size_t i;

	options.insecure = true;
	careless = pair_tls(&options);
	pair_open(&pair, state, NULL);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		SSL_CTX *peer_ctx = peer_ssl_ctx(true);
		struct szc_tls_peer to = {.size = sizeof(to), .host = cases[i].host};

		assert_int_equal(SSL_CTX_use_certificate_chain_file(peer_ctx, pki_path(cases[i].cert)), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(peer_ctx, pki_path(cases[i].cert + 1), SSL_FILETYPE_PEM),
				 1);
		connect_client(&pair, careless, peer_ctx, NULL);
		pair_prove_alive(&pair);
		to.session = szc_tls_session(pair.conn);
		pair_connect(&pair, careful, &to, peer_ctx, NULL);
		pair_handshake(&pair);
		SSL_SESSION_free(to.session);
		if (cases[i].words) {
			assert_false(pair.ready);
			pair_expect_error(&pair, SZC_E_TLS_VERIFY, cases[i].words);
			pair_expect_alert(&pair, SSL_AD_BAD_CERTIFICATE);
		} else {
			assert_true(szc_tls_resumed(pair.conn));
			pair_prove_alive(&pair);
		}
		SSL_CTX_free(peer_ctx);
	}
	szc_tls_ctx_close(careful);
	szc_tls_ctx_close(careless);
	pair_close(&pair);
}

/* ---- our server resumes */

static void our_server_resumes(SSL_CTX *own, struct pair *pair, const char *suite, size_t tickets)
{
	struct szc_tls_options options = {.size = sizeof(options), .role = SZC_TLS_SERVER, .ssl_ctx = own};
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	SSL_SESSION *session = NULL;
	struct szc_tls_ctx *ctx;
	uint8_t byte[16];
	int i;

	options.ciphersuites = suite;
	SSL_CTX_set_num_tickets(own, tickets);
	ctx = pair_tls(&options);
	for (i = 0; i < 15; i++) {
		pair_connect(pair, ctx, NULL, peer_ctx, session);
		pair_must_handshake(pair);
		SSL_SESSION_free(session);
		assert_int_equal(szc_tls_resumed(pair->conn), i > 0);
		/* by OpenSSL at the other end: our sequence number is right whatever number of tickets it sent this time */
		pair_send(pair, "one more", 8);
		pair_settle(pair);
		assert_int_equal(peer_ssl_read(&pair->peer, byte, sizeof(byte)), 8);
		peer_ssl_write(&pair->peer, "yes", 3);
		pair_expect(pair, "yes", 3);
		session = SSL_get1_session(pair->peer.ssl);
		assert_true(SSL_SESSION_is_resumable(session));
		if (i % 2)
			assert_int_equal(szc_conn_shutdown(pair->conn), 0);
		pair_settle(pair);
	}
	SSL_SESSION_free(session);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
}

static void server_resumes(void **state)
{
	struct pair pair;
	int s;

	pair_open(&pair, state, NULL);
	for (s = 0; s < 3; s++) {
		SSL_CTX *own = peer_ssl_ctx(true);

		SSL_CTX_set_keylog_callback(own, NULL);
		our_server_resumes(own, &pair, suites[s], s ? 2 : 5);
		/* sessions kept by the server itself */
		SSL_CTX_set_options(own, SSL_OP_NO_TICKET);
		our_server_resumes(own, &pair, suites[s], 2);
		SSL_CTX_free(own);
	}
	pair_close(&pair);
}

/* The client's certificate is part of the session. */
static void server_resumes_with_client_certificate(void **state)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	SSL_CTX *peer_ctx = peer_ssl_ctx(false);
	SSL_SESSION *session = NULL;
	struct szc_tls_ctx *ctx;
	struct pair pair;
	uint8_t byte[16];
	int i;

	options.ca_file = pki_path(PKI_CA);
	options.client_auth = SZC_TLS_CLIENT_AUTH_REQUIRE;
	ctx = pair_tls(&options);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(peer_ctx, pki_path(PKI_CLIENT)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(peer_ctx, pki_path(PKI_CLIENT_KEY), SSL_FILETYPE_PEM), 1);
	pair_open(&pair, state, NULL);
	for (i = 0; i < 5; i++) {
		X509 *cert;

		pair_connect(&pair, ctx, NULL, peer_ctx, session);
		pair_must_handshake(&pair);
		SSL_SESSION_free(session);
		assert_int_equal(szc_tls_resumed(pair.conn), i > 0);
		cert = szc_tls_peer_certificate(pair.conn);
		assert_non_null(cert);
		X509_free(cert);
		pair_send(&pair, "one more", 8);
		pair_settle(&pair);
		assert_int_equal(peer_ssl_read(&pair.peer, byte, sizeof(byte)), 8);
		session = SSL_get1_session(pair.peer.ssl);
	}
	SSL_SESSION_free(session);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* Two configurations on one SSL_CTX share its tickets: one that demands certificates does not take the other's word. */
static void no_way_around_a_required_certificate(void **state)
{
	SSL_CTX *own = peer_ssl_ctx(true), *peer_ctx = peer_ssl_ctx(false);
	struct szc_tls_options options = {.size = sizeof(options), .role = SZC_TLS_SERVER, .ssl_ctx = own};
	struct szc_tls_ctx *lenient = pair_tls(&options), *strict;
	SSL_SESSION *session;
	struct pair pair;
	uint8_t byte[16];

	options.client_auth = SZC_TLS_CLIENT_AUTH_REQUIRE;
	strict = pair_tls(&options);
	pair_open(&pair, state, NULL);
	pair_connect(&pair, lenient, NULL, peer_ctx, NULL);
	pair_must_handshake(&pair);
	pair_settle(&pair);
	peer_ssl_read(&pair.peer, byte, sizeof(byte));
	session = SSL_get1_session(pair.peer.ssl);
	assert_true(SSL_SESSION_is_resumable(session));
	pair_connect(&pair, lenient, NULL, peer_ctx, session);
	pair_must_handshake(&pair);
	assert_true(szc_tls_resumed(pair.conn));
	pair_connect(&pair, strict, NULL, peer_ctx, session);
	pair_expect_error(&pair, SZC_E_TLS_VERIFY, "no certificate");
	assert_false(pair.ready);
	SSL_SESSION_free(session);
	szc_tls_ctx_close(lenient);
	szc_tls_ctx_close(strict);
	SSL_CTX_free(own);
	SSL_CTX_free(peer_ctx);
	pair_close(&pair);
}

/* ---- the user's callbacks on his own SSL_CTX, and what OpenSSL tries to send after the hand-over */

static int new_sessions, written_by_openssl;
static SSL_SESSION *newest;

static int new_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	new_sessions++;
	SSL_SESSION_free(newest);
	newest = session;
	return 1;
}

static void watch_openssl(int writes, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	(void)version;
	(void)bytes;
	(void)len;
	(void)ssl;
	(void)arg;
	written_by_openssl += writes && (type == SSL3_RT_ALERT || type == SSL3_RT_HANDSHAKE);
}

static SSL_CTX *client_ctx(void)
{
	SSL_CTX *own = peer_ssl_ctx(false);

	SSL_CTX_set_keylog_callback(own, NULL);
	SSL_CTX_set_session_cache_mode(own, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(own, new_session);
	SSL_CTX_set_msg_callback(own, watch_openssl);
	assert_int_equal(SSL_CTX_load_verify_locations(own, pki_path(PKI_CA), NULL), 1);
	return own;
}

/* A fresh connection of a client with that SSL_CTX, to a server that sends no tickets by itself. */
static void start_client(struct pair *pair, void **state, size_t max_post_handshake)
{
	SSL_CTX *own = client_ctx(), *peer_ctx = peer_ssl_ctx(true);
	struct szc_tls_options options = {.size = sizeof(options),
					  .role = SZC_TLS_CLIENT,
					  .ssl_ctx = own,
					  .sending = SZC_TLS_SEND_USER,
					  .max_post_handshake = max_post_handshake};
	struct szc_tls_ctx *ctx = pair_tls(&options);

	SSL_CTX_set_num_tickets(peer_ctx, 0);
	pair_open(pair, state, &(struct szc_rx_options){.buffer_size = 4096});
	connect_client(pair, ctx, peer_ctx, NULL);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(own);
	SSL_CTX_free(peer_ctx);
	new_sessions = written_by_openssl = 0;
}

/* A ticket that the peer's OpenSSL means, taken out of its record. Its generation-0 count starts at 0 with the first. */
static size_t real_ticket(struct peer *peer, struct szc_protect *opener, uint8_t *message)
{
	struct szc_record header;
	struct szc_opened opened;
	struct iovec iov;
	uint8_t *bytes, alert;

	assert_int_equal(SSL_new_session_ticket(peer->ssl), 1);
	assert_int_equal(SSL_do_handshake(peer->ssl), 1);
	iov.iov_len = (size_t)BIO_get_mem_data(SSL_get_wbio(peer->ssl), &bytes);
	iov.iov_base = bytes;
	assert_true(iov.iov_len > 0);
	if (!opener->aead)
		assert_int_equal(szc_protect_init(opener, szc_suite_by_id(peer->suite), &szc_aead_evp,
						  peer->server_secret, 0, false),
				 0);
	assert_int_equal(szc_record_parse(&iov, 1, iov.iov_len, &header, &alert), 1);
	assert_int_equal(szc_record_open(opener, &header, &iov, 1, &opened), 0);
	assert_int_equal(header.length + SZC_RECORD_HEADER, iov.iov_len);
	memcpy(message, bytes + SZC_RECORD_HEADER, opened.length);
	(void)BIO_reset(SSL_get_wbio(peer->ssl));
	return opened.length;
}

/* A session of one SSL_CTX, or out of a file, is good in another. */
static void must_resume(struct pair *pair, void **state, SSL_SESSION *session)
{
	struct szc_tls_options options = pair_options(SZC_TLS_CLIENT);
	struct szc_tls_ctx *ctx = pair_tls(&options);
	SSL_CTX *peer_ctx = SSL_get_SSL_CTX(pair->peer.ssl);

	(void)state;
	assert_true(SSL_SESSION_is_resumable(session));
	SSL_CTX_up_ref(peer_ctx);
	connect_client(pair, ctx, peer_ctx, session);
	assert_true(szc_tls_resumed(pair->conn));
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
}

/* Long after the handshake, payload around them, cut into records in every way. */
static void tickets_in_every_form(void **state)
{
	static uint8_t message[8][4096], joined[8 * 4096];
	struct szc_protect opener = {0};
	size_t len[8], at = 0, i;
	struct pair pair;

	start_client(&pair, state, 0);
	pair_prove_alive(&pair);
	for (i = 0; i < 8; i++)
		len[i] = real_ticket(&pair.peer, &opener, message[i]);
	szc_protect_drop(&opener);

	/* one in a record */
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message[0], len[0]);
	pair_prove_alive(&pair);
	assert_int_equal(new_sessions, 1);
	/* one over many records */
	for (i = 0; i < len[1]; i += 7)
		peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message[1] + i, len[1] - i < 7 ? len[1] - i : 7);
	pair_prove_alive(&pair);
	assert_int_equal(new_sessions, 2);
	/* several in one */
	for (i = 2; i < 5; i++) {
		memcpy(joined + at, message[i], len[i]);
		at += len[i];
	}
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, joined, at);
	pair_prove_alive(&pair);
	assert_int_equal(new_sessions, 5);
	/* two that meet inside a record, and a KeyUpdate at the end of the last */
	memcpy(joined, message[5], len[5]);
	memcpy(joined + len[5], message[6], len[6]);
	at = len[5] + len[6];
	memcpy(joined + at, "\x18\x00\x00\x01\x01", 5);
	at += 5;
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, joined, 100);
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, joined + 100, at - 100);
	peer_next_keys(&pair.peer);
	pair_prove_alive(&pair);
	assert_int_equal(new_sessions, 7);
	assert_int_equal(written_by_openssl, 0);
	/* the key that OpenSSL knew is gone, and so is the next ticket */
	peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message[7], len[7]);
	pair_prove_alive(&pair);
	assert_int_equal(new_sessions, 7);
	assert_int_equal(pair.error, 0);
	must_resume(&pair, state, newest);
	pair_close(&pair);
}

/* ---- malformed ones */

struct malformed {
	const char *what;
	const char *body;
	size_t len;
	bool accepted; /* odd, but OpenSSL and RFC 8446 4.6.1 have nothing against it */
};

#define BODY(text) text, sizeof(text) - 1
#define HEAD       "\x00\x00\x1c\x20\x11\x22\x33\x44"

static const struct malformed malformed[] = {
	{"nothing", BODY(""), false},
	{"half a lifetime", BODY("\x00\x00"), false},
	{"only a lifetime", BODY("\x00\x00\x1c\x20"), false},
	{"half an age", BODY("\x00\x00\x1c\x20\x11\x22"), false},
	{"no nonce", BODY(HEAD), false},
	{"a nonce longer than the message", BODY(HEAD "\xff\x00"), false},
	{"no ticket", BODY(HEAD "\x01\x00"), false},
	{"half a ticket's length", BODY(HEAD "\x01\x00\x00"), false},
	{"an empty ticket", BODY(HEAD "\x01\x00\x00\x00\x00\x00"), false},
	{"a ticket longer than the message", BODY(HEAD "\x01\x00\xff\xffticket\x00\x00"), false},
	{"no extensions", BODY(HEAD "\x01\x00\x00\x06ticket"), false},
	{"half the extensions' length", BODY(HEAD "\x01\x00\x00\x06ticket\x00"), false},
	{"extensions longer than the message", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x01"), false},
	{"half an extension", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x02\x00\x2a"), false},
	{"an extension that is cut", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x06\x00\x2a\x00\x04\x00\x00"), false},
	{"bytes behind it", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x00!"), false},
	{"early_data of two bytes", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x06\x00\x2a\x00\x02\x01\x02"), false},
	{"early_data twice",
	 BODY(HEAD "\x01\x00\x00\x06ticket\x00\x10\x00\x2a\x00\x04\x00\x00\x40\x00\x00\x2a\x00\x04\x00\x00\x40\x00"),
	 false},
	{"a key_share", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x08\x00\x33\x00\x04\x00\x1d\x00\x00"), false},
	{"a server_name", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x04\x00\x00\x00\x00"), false},
	{"sound", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x00"), true},
	{"no nonce to speak of", BODY(HEAD "\x00\x00\x06ticket\x00\x00"), true},
	{"an unknown extension", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x04\xfa\xfa\x00\x00"), true},
	{"early_data", BODY(HEAD "\x01\x00\x00\x06ticket\x00\x08\x00\x2a\x00\x04\x00\x00\x40\x00"), true},
	{"a lifetime of nothing", BODY("\x00\x00\x00\x00\x11\x22\x33\x44\x01\x00\x00\x06ticket\x00\x00"), true},
};

static void say_ticket(struct peer *peer, const char *body, size_t len)
{
	uint8_t message[300] = {SZC_HANDSHAKE_NEW_SESSION_TICKET, 0, (uint8_t)(len >> 8), (uint8_t)len};

	memcpy(message + 4, body, len);
	peer_say(peer, SZC_CONTENT_HANDSHAKE, message, len + 4);
}

/* What went out before decides under which number an alert of OpenSSL's would be one too many. */
enum before { NOTHING, PAYLOAD, KEY_UPDATE, BOTH, FORMS };

static void say_before(struct pair *pair, enum before before)
{
	int i;

	if (before & PAYLOAD)
		for (i = 0; i < 3; i++)
			pair_prove_alive(pair);
	if (before & KEY_UPDATE) {
		assert_int_equal(szc_tls_key_update(pair->conn, false), 0);
		pair_next(pair, &record);
		assert_int_equal(record.type, SZC_CONTENT_HANDSHAKE);
	}
}

/* OpenSSL writes its alert, and not one byte of it reaches the wire: all that the peer gets opens, in sequence, under our
 * keys, and is our own alert and TCP's end. */
static void nothing_of_openssl_leaves(void **state)
{
	struct pair pair;
	size_t i;
	int before;

	for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		for (before = NOTHING; before < FORMS; before++) {
			uint64_t bytes;

			start_client(&pair, state, 0);
			say_before(&pair, before);
			assert_int_equal(pair.peer.in_len, 0);
			bytes = pair.peer.bytes_in;
			say_ticket(&pair.peer, malformed[i].body, malformed[i].len);
			if (malformed[i].accepted) {
				pair_settle(&pair);
				if (pair.error)
					fail_msg("%s: %s", malformed[i].what, pair.sentence);
				assert_true(pair.peer.bytes_in == bytes);
				assert_int_equal(new_sessions, 1);
				assert_int_equal(written_by_openssl, 0);
				pair_prove_alive(&pair);
			} else {
				pair_settle(&pair);
				if (!pair.error)
					fail_msg("%s was accepted", malformed[i].what);
				pair_expect_error(&pair, SZC_E_TLS_RECORD, "ticket");
				assert_true(written_by_openssl > 0);
				assert_int_equal(new_sessions, 0);
				pair_expect_alert(&pair, SZC_ALERT_DECODE_ERROR);
				/* one record of two bytes */
				assert_true(pair.peer.bytes_in == bytes + 2 + SZC_RECORD_OVERHEAD);
			}
			pair_close(&pair);
		}
	}
}

/* Good ones before the bad one: OpenSSL's own count has moved, ours has not. */
static void good_then_bad(void **state)
{
	const struct malformed *sound = &malformed[20];
	struct pair pair;
	int i;

	assert_string_equal(sound->what, "sound");
	start_client(&pair, state, 0);
	for (i = 0; i < 5; i++) {
		say_ticket(&pair.peer, sound->body, sound->len);
		pair_prove_alive(&pair);
	}
	assert_int_equal(new_sessions, 5);
	say_ticket(&pair.peer, malformed[0].body, malformed[0].len);
	say_ticket(&pair.peer, sound->body, sound->len);
	pair_expect_error(&pair, SZC_E_TLS_RECORD, "ticket");
	assert_int_equal(new_sessions, 5);
	assert_true(written_by_openssl > 0);
	pair_expect_alert(&pair, SZC_ALERT_DECODE_ERROR);
	pair_close(&pair);
}

/* More than OpenSSL takes, less than the limit; it gives up in the middle of what it was shown. */
static void a_ticket_too_long_for_openssl(void **state)
{
	static uint8_t message[200004] = {SZC_HANDSHAKE_NEW_SESSION_TICKET, 3, 0x0d, 0x40};
	struct pair pair;
	size_t at;

	start_client(&pair, state, 0);
	pair_prove_alive(&pair);
	for (at = 0; at < sizeof(message); at += 10000)
		peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message + at,
			 sizeof(message) - at < 10000 ? sizeof(message) - at : 10000);
	pair_expect_error(&pair, SZC_E_TLS_RECORD, "ticket");
	assert_true(written_by_openssl > 0);
	pair_expect_alert(&pair, SZC_ALERT_DECODE_ERROR);
	pair_close(&pair);
}

/* The longest that fits its fields and OpenSSL's limit goes through, over many records. */
static void the_longest_ticket(void **state)
{
	static uint8_t message[4 + 8 + 2 + 2 + 65535 + 2];
	struct pair pair;
	size_t len = sizeof(message) - 4, at;

	message[0] = SZC_HANDSHAKE_NEW_SESSION_TICKET;
	message[1] = (uint8_t)(len >> 16);
	message[2] = (uint8_t)(len >> 8);
	message[3] = (uint8_t)len;
	memcpy(message + 4, HEAD "\x01\x00\xff\xff", 12);
	memset(message + 16, 't', 65535);
	start_client(&pair, state, 0);
	pair_prove_alive(&pair);
	for (at = 0; at < sizeof(message); at += SZC_RECORD_PLAIN_MAX)
		peer_say(&pair.peer, SZC_CONTENT_HANDSHAKE, message + at,
			 sizeof(message) - at < SZC_RECORD_PLAIN_MAX ? sizeof(message) - at : SZC_RECORD_PLAIN_MAX);
	pair_prove_alive(&pair);
	assert_int_equal(new_sessions, 1);
	assert_int_equal(written_by_openssl, 0);
	pair_close(&pair);
}

static void flood(void **state)
{
	const struct malformed *sound = &malformed[20];
	struct pair pair;
	int i;

	start_client(&pair, state, 1000);
	for (i = 0; i < 1000 / (int)(sound->len + 4); i++)
		say_ticket(&pair.peer, sound->body, sound->len);
	pair_prove_alive(&pair);
	assert_int_equal(new_sessions, i);
	say_ticket(&pair.peer, sound->body, sound->len);
	pair_expect_error(&pair, SZC_E_TLS_FLOOD, "1000 bytes");
	assert_int_equal(new_sessions, i);
	pair_expect_alert(&pair, SZC_ALERT_UNEXPECTED_MESSAGE);
	pair_close(&pair);
}

/* ---- endings: SSL_shutdown and SSL_free stay inside, too */

static void endings(void **state)
{
	struct pair pair;
	int way;

	for (way = 0; way < 4; way++) {
		start_client(&pair, state, 0);
		pair_prove_alive(&pair);
		if (way == 1)
			assert_int_equal(szc_conn_shutdown(pair.conn), 0);
		if (way == 2)
			peer_alert(&pair.peer, PEER_FATAL, SZC_ALERT_INTERNAL_ERROR);
		if (way == 3)
			peer_alert(&pair.peer, PEER_WARNING, SZC_ALERT_CLOSE_NOTIFY);
		pair_settle(&pair);
		if (way == 1) {
			pair_next(&pair, &record);
			assert_int_equal(record.content[1], SZC_ALERT_CLOSE_NOTIFY);
		}
		szc_conn_close(pair.conn);
		pair.conn = NULL;
		pair_settle(&pair);
		assert_true(pair.peer.fin || pair.peer.reset);
		assert_int_equal(pair.peer.in_len, 0);
		assert_int_equal(written_by_openssl, 0);
		pair_close(&pair);
	}
}

static int forget_session(void **state)
{
	(void)state;
	SSL_SESSION_free(newest);
	newest = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(our_client_resumes),
		ON(epoll, session_without_ticket),
		ON(epoll, a_session_is_no_way_around_verification),
		ON(epoll, session_over_a_key_update),
		ON_BOTH(server_resumes),
		ON(epoll, server_resumes_with_client_certificate),
		ON(epoll, no_way_around_a_required_certificate),
		ON_BOTH(tickets_in_every_form),
		ON_BOTH(nothing_of_openssl_leaves),
		ON(epoll, good_then_bad),
		ON_BOTH(a_ticket_too_long_for_openssl),
		ON_BOTH(the_longest_ticket),
		ON_BOTH(flood),
		ON_BOTH(endings),
	};

	pair_fill(plain, sizeof(plain), 0);
	return cmocka_run_group_tests(tests, NULL, forget_session);
}
