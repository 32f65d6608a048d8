/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the record layer in two ways; the input's first byte chooses.
 *
 * bytes: arbitrary bytes in arbitrary fragments through parse and open, under a real key (nothing authenticates) or under
 *   an AEAD that accepts everything, so that inner plaintext is arbitrary too. The oracle is a plain parser of flat memory.
 *
 * session: OpenSSL talks to OpenSSL, and the input says what is written, how it is padded, when keys change, and what is
 *   changed, lost, repeated or forged on the way. Record by record the same bytes go to the receiver's SSL_read and, in
 *   fragments, to szc_record_open. Both must deliver the same payload, and refuse at the same record.
 *
 * In both, no byte outside the fragments, and none behind the record, may change; a refused body must be zeros.
 *
 * Where the two may differ, and why:
 *  - A record whose inner plaintext is longer than 2^14 + 1 only by padding: RFC 8446 5.4 has it refused, OpenSSL counts the
 *    content alone.
 *  - What a verified handshake record or alert says is not the record layer's matter: OpenSSL may refuse it. KeyUpdates,
 *    and what OpenSSL wrote itself, must be taken by both.
 *  - Records of another type than 23 pass szc_record_parse, which also serves the handshake; after it, the session refuses
 *    them. Here, OpenSSL must.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <szc/szc.h>
#include "tests/unit/reference.h"
#include "tests/unit/scatter.h"
#include "tls/record.h"

enum {
	WIRE_MAX = 1 << 17,
	CUTS_MAX = 12,
	RECORDS_MAX = 20,
	LOOK_AHEAD = SZC_RECORD_WIRE_MAX + 100, /* of the wire, one record and a little of what follows it */
	OPS_MAX = 24, /* below OpenSSL's cap of 32 empty records in a row, which is not the record layer's */
};

/* A condition of this file, with a line to find it by; NDEBUG or not. */
#define MUST(condition) must(condition, #condition, __LINE__)

static void must(bool ok, const char *what, int line)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_record.c:%d: not so: %s\n", line, what);
	ERR_print_errors_fp(stderr);
	abort();
}

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t take8(struct input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->at++;
}

static size_t take16(struct input *input)
{
	size_t high = take8(input);

	return high << 8 | take8(input);
}

/* What the five bytes of a header must come to: 0, or the alert that refuses it. RFC 8446 5.1 and 5.2. */
static int expected_header(const uint8_t *header)
{
	size_t length = (size_t)header[3] * 256 + header[4];

	if (header[0] < 20 || header[0] > 23)
		return 10;
	if (header[1] != 3 || (!length && header[0] != 23))
		return 50;
	return length > 16384 + (header[0] == 23 ? 256 : 0) ? 22 : 0;
}

/* ---- one record through the library, in fragments */

struct outcome {
	int parsed; /* szc_record_parse() */
	uint8_t alert;
	bool whole;
	int opened; /* szc_record_open(), if parsed, whole and of type 23 */
	struct szc_record record;
	struct szc_opened inner;
	uint8_t *after; /* the wire after all that, as far as was looked */
};

static void receive(struct szc_protect *protect, const uint8_t *wire, size_t len, uint64_t *seed,
		    struct outcome *outcome)
{
	static uint8_t after[LOOK_AHEAD];
	static const uint8_t zeros[LOOK_AHEAD];
	size_t cuts[CUTS_MAX], body = 0;
	struct scatter scatter;

	/* most cuts would fall far behind a short first record */
	size_t near = scatter_random(seed) % 2 && len > 100 ? 100 : len;
	int count = scatter_random_cuts(seed, near, cuts, CUTS_MAX);

	scatter_make(&scatter, wire, len, cuts, count);
	outcome->after = after;
	outcome->opened = 1;
	outcome->alert = 0;
	outcome->parsed = szc_record_parse(scatter.iov, scatter.iovcnt, len, &outcome->record, &outcome->alert);
	outcome->whole = outcome->parsed == 1 && SZC_RECORD_HEADER + outcome->record.length <= len;
	MUST(outcome->parsed == 1 || outcome->parsed == 0 || outcome->parsed == SZC_E_TLS_RECORD);
	MUST((outcome->parsed == 0) == (len < SZC_RECORD_HEADER));
	MUST(outcome->parsed == 0 || outcome->alert == expected_header(wire));
	MUST((outcome->parsed < 0) == (outcome->alert != 0));
	if (outcome->whole && outcome->record.type == SZC_CONTENT_APPLICATION) {
		body = outcome->record.length;
		outcome->opened =
			szc_record_open(protect, &outcome->record, scatter.iov, scatter.iovcnt, &outcome->inner);
	}
	MUST(scatter_intact(&scatter));
	scatter_gather(&scatter, after);
	if (body) {
		MUST(!memcmp(after, wire, SZC_RECORD_HEADER));
		MUST(!outcome->opened || !memcmp(after + SZC_RECORD_HEADER, zeros, body));
		body += SZC_RECORD_HEADER;
	}
	MUST(!memcmp(after + body, wire + body, len - body));
	scatter_free(&scatter);
}

/* ---- bytes */

/* Accepts everything and decrypts nothing. */
static struct szc_aead *open_door_make(const struct szc_suite *suite, const uint8_t *key, int seal)
{
	(void)suite;
	(void)key;
	(void)seal;
	return malloc(1);
}

static int open_door_open(struct szc_aead *aead, const uint8_t nonce[SZC_RECORD_NONCE], const uint8_t *aad,
			  size_t aad_len, const struct szc_span *body, const uint8_t tag[SZC_RECORD_TAG])
{
	(void)aead;
	(void)nonce;
	(void)aad;
	(void)aad_len;
	(void)body;
	(void)tag;
	return 1;
}

static void open_door_drop(struct szc_aead *aead)
{
	free(aead);
}

static const struct szc_aead_ops open_door = {"open door", open_door_make, open_door_open, NULL, open_door_drop};

/* What a verified inner plaintext in flat memory must come to: the length of its content, or -1 for a refusal. */
static long expected_inner(const uint8_t *inner, size_t len, uint8_t *type)
{
	if (len > SZC_RECORD_INNER_MAX)
		return -1;
	while (len && !inner[len - 1])
		len--;
	if (!len)
		return -1;
	*type = inner[len - 1];
	if (*type == SZC_CONTENT_APPLICATION)
		return (long)len - 1;
	if ((*type == SZC_CONTENT_ALERT || *type == SZC_CONTENT_HANDSHAKE) && len > 1)
		return (long)len - 1;
	return -1;
}

static void check_accepted(const uint8_t *wire, const struct outcome *outcome)
{
	size_t length = outcome->record.length;
	uint8_t type = 0;
	long content;

	if (length < SZC_RECORD_TAG + 1) {
		MUST(outcome->opened == SZC_E_TLS_MAC);
		return;
	}
	content = expected_inner(wire + SZC_RECORD_HEADER, length - SZC_RECORD_TAG, &type);
	if (content < 0) {
		MUST(outcome->opened == SZC_E_TLS_RECORD);
		return;
	}
	MUST(outcome->opened == 0);
	MUST(outcome->inner.length == (size_t)content);
	MUST(outcome->inner.type == type);
	MUST(!memcmp(outcome->after + SZC_RECORD_HEADER, wire + SZC_RECORD_HEADER, (size_t)content));
}

/* Reads on behind refused records, which no session does: the more headers, the better. */
static void fuzz_bytes(struct input *input)
{
	uint8_t choice = take8(input);
	const struct szc_aead_ops *ops = choice & 1 ? &open_door : &szc_aead_evp;
	const uint8_t secret[SZC_SECRET_MAX] = {1};
	uint64_t seed = take16(input);
	size_t len = 0, at = 0, tail = choice & 0x40 ? SZC_RECORD_WIRE_MAX : 0;
	static uint8_t wire[WIRE_MAX];
	struct szc_protect protect;
	struct outcome outcome;

	/* a tail makes long records of short inputs */
	while (input->left && len < WIRE_MAX - tail)
		wire[len++] = take8(input);
	memset(wire + len, choice & 0x80 ? 0 : SZC_CONTENT_HANDSHAKE, tail);
	len += tail;
	MUST(!szc_protect_init(&protect, szc_suite_by_id(0x1301 + (choice >> 1) % 3), ops, secret, 0, false));
	for (int records = 0; at < len && records < RECORDS_MAX; records++) {
		size_t step = SZC_RECORD_HEADER, left = len - at < LOOK_AHEAD ? len - at : LOOK_AHEAD;

		receive(&protect, wire + at, left, &seed, &outcome);
		if (outcome.parsed == 0)
			break;
		if (outcome.whole) {
			step += outcome.record.length;
			if (outcome.record.type == SZC_CONTENT_APPLICATION && ops == &open_door)
				check_accepted(wire + at, &outcome);
			else
				MUST(outcome.opened); /* not of type 23, or a forgery by chance */
		}
		at += step;
	}
	szc_protect_drop(&protect);
}

/* ---- session */

struct session {
	SSL *client, *server;
	SSL *writer, *reader; /* these two, in either order */
	BIO *to_reader, *from_writer;
	uint8_t client_secret[SZC_SECRET_MAX], server_secret[SZC_SECRET_MAX];
	const struct szc_suite *suite;
	struct szc_protect protect;
	uint64_t seed;
	size_t padding, fragment;

	uint8_t wire[WIRE_MAX]; /* written and not yet received */
	size_t wire_len;
	uint8_t last[SZC_RECORD_WIRE_MAX]; /* the record received last, to be repeated */
	size_t last_len;

	bool forged; /* the writer no longer knows the sequence number: we forge on, it stays silent */
	bool over;   /* one side refused, or said good-bye */
};

static SSL_CTX *client_ctx, *server_ctx;

static void keep_secrets(const SSL *ssl, const char *line)
{
	struct session *session = SSL_get_app_data(ssl);
	const char *secret = strrchr(line, ' ') + 1;

	if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
		unhex(secret, session->client_secret, SZC_SECRET_MAX);
	if (!strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24))
		unhex(secret, session->server_secret, SZC_SECRET_MAX);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A certificate that nobody checks. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	(void)argc;
	(void)argv;
	MUST(key && cert && X509_set_version(cert, 2) && X509_set_pubkey(cert, key));
	MUST(X509_gmtime_adj(X509_getm_notBefore(cert), 0) && X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
	MUST(X509_sign(cert, key, EVP_sha256()));

	client_ctx = SSL_CTX_new(TLS_client_method());
	server_ctx = SSL_CTX_new(TLS_server_method());
	MUST(client_ctx && server_ctx);
	MUST(SSL_CTX_set_min_proto_version(client_ctx, TLS1_3_VERSION));
	MUST(SSL_CTX_set1_groups_list(client_ctx, "X25519"));
	MUST(SSL_CTX_use_certificate(server_ctx, cert) == 1 && SSL_CTX_use_PrivateKey(server_ctx, key) == 1);
	SSL_CTX_set_keylog_callback(client_ctx, keep_secrets);
	X509_free(cert);
	EVP_PKEY_free(key);
	return 0;
}

static void move_all(SSL *from, SSL *to)
{
	uint8_t bytes[4096];
	int n;

	while ((n = BIO_read(SSL_get_wbio(from), bytes, sizeof(bytes))) > 0)
		MUST(BIO_write(SSL_get_rbio(to), bytes, n) == n);
}

static SSL *make_end(struct session *session, SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	MUST(ssl && in && out);
	SSL_set_bio(ssl, in, out);
	SSL_set_app_data(ssl, (char *)session);
	return ssl;
}

/* Up to where both have their application keys. What the server wrote by then stays in its BIO: the tickets. */
static void session_start(struct session *session, struct input *input)
{
	uint8_t choice = take8(input);
	bool server_writes = choice & 1;

	session->seed = take16(input);
	session->fragment = SZC_RECORD_PLAIN_MAX;
	session->suite = szc_suite_by_id(0x1301 + (choice >> 3) % 3);
	session->client = make_end(session, client_ctx);
	session->server = make_end(session, server_ctx);
	SSL_set_connect_state(session->client);
	SSL_set_accept_state(session->server);
	MUST(SSL_set_ciphersuites(session->client, session->suite->name));
	MUST(SSL_set_num_tickets(session->server, (choice >> 1) % 4));
	while (!SSL_is_init_finished(session->server)) {
		SSL_do_handshake(session->client);
		move_all(session->client, session->server);
		SSL_do_handshake(session->server);
		if (!SSL_is_init_finished(session->client))
			move_all(session->server, session->client);
	}
	ERR_clear_error();
	session->writer = server_writes ? session->server : session->client;
	session->reader = server_writes ? session->client : session->server;
	session->from_writer = SSL_get_wbio(session->writer);
	session->to_reader = SSL_get_rbio(session->reader);
	MUST(!szc_protect_init(&session->protect, session->suite, &szc_aead_evp,
			       server_writes ? session->server_secret : session->client_secret, 0, false));
}

static void session_end(struct session *session)
{
	szc_protect_drop(&session->protect);
	SSL_free(session->client);
	SSL_free(session->server);
	ERR_clear_error();
}

enum verdict { NOTHING, PAYLOAD, REFUSED, CLOSED };

/* Hands bytes to the receiving OpenSSL and reads once. */
static enum verdict ssl_receive(struct session *session, const uint8_t *bytes, size_t len, uint8_t *payload,
				size_t *payload_len)
{
	MUST(!len || BIO_write(session->to_reader, bytes, (int)len) == (int)len);
	ERR_clear_error();
	if (SSL_read_ex(session->reader, payload, SZC_RECORD_WIRE_MAX, payload_len))
		return PAYLOAD;
	switch (SSL_get_error(session->reader, 0)) {
	case SSL_ERROR_WANT_READ:
		return NOTHING;
	case SSL_ERROR_ZERO_RETURN:
		return CLOSED;
	default:
		return REFUSED;
	}
}

/* Type 24, one byte long; that byte, the request, follows. */
static const uint8_t key_update[] = {SZC_HANDSHAKE_KEY_UPDATE, 0, 0, 1};

static bool is_key_update(const uint8_t *content, size_t len)
{
	return len == 5 && !memcmp(content, key_update, sizeof(key_update)) && content[4] < 2;
}

/* Both took the record, as far as the record layer goes. */
static void compare_opened(struct session *session, const struct outcome *outcome, enum verdict verdict,
			   const uint8_t *payload, size_t payload_len)
{
	const uint8_t *content = outcome->after + SZC_RECORD_HEADER;
	size_t len = outcome->inner.length;

	switch (outcome->inner.type) {
	case SZC_CONTENT_APPLICATION:
		MUST(verdict == (len ? PAYLOAD : NOTHING));
		MUST(!len || (payload_len == len && !memcmp(payload, content, len)));
		break;
	case SZC_CONTENT_HANDSHAKE:
		MUST(len && verdict != PAYLOAD);
		if (is_key_update(content, len)) {
			MUST(verdict == NOTHING);
			MUST(!szc_protect_update(&session->protect));
		} else if (session->forged) {
			session->over = true;
		} else {
			MUST(verdict == NOTHING);
		}
		break;
	case SZC_CONTENT_ALERT:
		MUST(len && verdict != PAYLOAD);
		MUST(session->forged || verdict == CLOSED);
		session->over = true;
		break;
	default:
		MUST(!"szc_record_open() knows three types");
	}
}

/* The first difference above: refused by its length, before the tag was looked at. */
static bool only_padding_is_too_much(const struct outcome *outcome, enum verdict verdict)
{
	return outcome->opened == SZC_E_TLS_RECORD && outcome->inner.alert == SZC_ALERT_RECORD_OVERFLOW &&
	       verdict != REFUSED;
}

/* The record at the front of the wire, through both. False when there is none yet, or it was the last. */
static bool receive_one(struct session *session)
{
	static uint8_t payload[SZC_RECORD_WIRE_MAX];
	size_t payload_len = 0, len;
	struct outcome outcome;
	enum verdict verdict;

	receive(&session->protect, session->wire, session->wire_len < LOOK_AHEAD ? session->wire_len : LOOK_AHEAD,
		&session->seed, &outcome);
	if (outcome.parsed == 0)
		return false;
	if (outcome.parsed == 1 && !outcome.whole && outcome.record.type == SZC_CONTENT_APPLICATION)
		return false;
	len = outcome.whole ? SZC_RECORD_HEADER + outcome.record.length : SZC_RECORD_HEADER;
	verdict = ssl_receive(session, session->wire, len, payload, &payload_len);

	if (outcome.whole && outcome.opened == 0) {
		compare_opened(session, &outcome, verdict, payload, payload_len);
	} else {
		MUST(verdict == REFUSED || only_padding_is_too_much(&outcome, verdict));
		session->over = true;
	}
	if (session->over)
		return false;
	MUST(ssl_receive(session, NULL, 0, payload, &payload_len) == NOTHING);
	memcpy(session->last, session->wire, len);
	session->last_len = len;
	session->wire_len -= len;
	memmove(session->wire, session->wire + len, session->wire_len);
	return true;
}

/* ---- what the input may ask for */

static void append(struct session *session, const uint8_t *bytes, size_t len)
{
	if (len > WIRE_MAX - session->wire_len)
		return;
	memcpy(session->wire + session->wire_len, bytes, len);
	session->wire_len += len;
}

static size_t pad(SSL *ssl, int type, size_t len, void *arg)
{
	const struct session *session = arg;

	(void)ssl;
	(void)type;
	(void)len;
	return session->padding;
}

static void write_payload(struct session *session, struct input *input)
{
	static uint8_t payload[1 << 15];
	size_t len = 1 + take16(input) % sizeof(payload), done;

	memset(payload, take8(input), len);
	payload[len / 2] ^= 0x5a;
	MUST(SSL_write_ex(session->writer, payload, len, &done) && done == len);
}

static void set_padding(struct session *session, struct input *input)
{
	uint8_t how = take8(input);

	session->padding = take16(input) % (SZC_RECORD_PLAIN_MAX + 1);
	if (how & 1) {
		SSL_set_record_padding_callback(session->writer, pad);
		SSL_set_record_padding_callback_arg(session->writer, session);
	} else {
		SSL_set_record_padding_callback(session->writer, NULL);
		SSL_set_block_padding(session->writer, session->padding);
	}
	/* never up again: OpenSSL 3.0 keeps the buffer that it made for the smaller one, and fails to pad */
	if (how & 2 && 512 + session->padding < session->fragment) {
		session->fragment = 512 + session->padding;
		MUST(SSL_set_max_send_fragment(session->writer, (long)session->fragment));
	}
}

/* An authentic record of whatever inner plaintext: content, a byte for the type, zeros. */
static void forge(struct session *session, struct input *input)
{
	static uint8_t inner[SZC_RECORD_CIPHER_MAX], wire[sizeof(inner) + REFERENCE_OVERHEAD];
	uint8_t how = take8(input);
	size_t content = how & 1            ? take8(input) % 16
			 : take8(input) & 1 ? SZC_RECORD_PLAIN_MAX - 4 + take8(input) % 8
					    : take16(input);
	size_t padding = how & 2 ? take8(input) : take16(input);
	size_t room = SZC_RECORD_CIPHER_MAX - SZC_RECORD_TAG;
	uint8_t type = how & 4 ? take8(input) : (uint8_t)(SZC_CONTENT_ALERT + (how >> 3) % 3);

	memset(inner, 0, sizeof(inner));
	if (how & 0x80) {
		memcpy(inner, key_update, sizeof(key_update));
		inner[4] = how >> 6 & 1;
		content = sizeof(key_update) + 1;
		type = SZC_CONTENT_HANDSHAKE;
	} else {
		content = content < room ? content : room - 1;
		memset(inner, take8(input), content);
	}
	inner[content] = type;
	padding %= room - content;
	session->forged = true;
	append(session, wire,
	       reference_seal(session->suite->id, session->protect.secret, session->protect.seq, inner,
			      content + 1 + padding, wire));
}

/* What the network does to the bytes that nobody received yet. */
static void meddle(struct session *session, struct input *input)
{
	uint8_t how = take8(input);
	size_t offset = take16(input), len = session->wire_len;
	uint8_t value = take8(input);

	switch (how % 4) {
	case 0: /* change one, in the header as often as behind it */
		if (len)
			session->wire[how & 0x80 ? offset % len : offset % 5 % len] ^= value;
		break;
	case 1: /* lose some */
		if (len) {
			offset %= len;
			value = value < len - offset ? value : (uint8_t)(len - offset);
			memmove(session->wire + offset, session->wire + offset + value, len - offset - value);
			session->wire_len -= value;
		}
		break;
	case 2: /* repeat one */
		append(session, session->last, session->last_len);
		break;
	case 3: /* add some */
		len = input->left < value ? input->left : value;
		append(session, input->at, len);
		input->at += len;
		input->left -= len;
		break;
	}
}

static void write_something(struct session *session, struct input *input, uint8_t op)
{
	switch (op % 5) {
	case 0:
	case 1:
		write_payload(session, input);
		break;
	case 2:
		set_padding(session, input);
		break;
	case 3:
		MUST(SSL_key_update(session->writer,
				    op & 0x80 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED));
		MUST(SSL_do_handshake(session->writer) == 1);
		break;
	case 4:
		if (op & 0x80)
			SSL_shutdown(session->writer);
		break;
	}
}

static void collect(struct session *session)
{
	uint8_t bytes[4096];
	int n;

	while ((n = BIO_read(session->from_writer, bytes, sizeof(bytes))) > 0)
		append(session, bytes, (size_t)n);
}

static void fuzz_session(struct input *input)
{
	static struct session session;
	uint8_t payload[64];
	size_t payload_len;

	memset(&session, 0, sizeof(session));
	session_start(&session, input);
	for (int ops = 0; ops < OPS_MAX && input->left && !session.over; ops++) {
		uint8_t op = take8(input);

		if ((op & 3) == 3)
			forge(&session, input);
		else if (!session.forged && !(SSL_get_shutdown(session.writer) & SSL_SENT_SHUTDOWN))
			write_something(&session, input, op >> 2);
		collect(&session);
		if ((op & 3) == 2)
			meddle(&session, input);
		while (receive_one(&session))
			;
	}
	/* part of a record: OpenSSL may dislike its header already, but has nothing to deliver */
	if (!session.over && session.wire_len)
		MUST(ssl_receive(&session, session.wire, session.wire_len, payload, &payload_len) != PAYLOAD);
	session_end(&session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (take8(&input) & 1)
		fuzz_session(&input);
	else
		fuzz_bytes(&input);
	return 0;
}
