/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/err.h>
#include "tests/unit/pki.h"
#include "tests/unit/reference.h"
#include "tests/unit/scatter.h"

/* ---- opening */

static void take_secret(const char *line, const char *label, uint8_t *secret, size_t *len)
{
	if (!strncmp(line, label, strlen(label)))
		*len = unhex(strrchr(line, ' ') + 1, secret, SZC_SECRET_MAX);
}

static void keylog(const SSL *ssl, const char *line)
{
	struct peer *peer = SSL_get_app_data(ssl);

	if (!peer)
		return;
	take_secret(line, "CLIENT_TRAFFIC_SECRET_0 ", peer->client_secret, &peer->client_secret_len);
	take_secret(line, "SERVER_TRAFFIC_SECRET_0 ", peer->server_secret, &peer->server_secret_len);
}

SSL_CTX *peer_ssl_ctx(bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_keylog_callback(ctx, keylog);
	if (!server)
		return ctx;
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"peer", 4);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, pki_path(PKI_SERVER)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, pki_path(PKI_SERVER_KEY), SSL_FILETYPE_PEM), 1);
	return ctx;
}

void peer_open(struct peer *peer, SSL_CTX *ctx, int fd, bool server, SSL_SESSION *session)
{
	memset(peer, 0, sizeof(*peer));
	peer->fd = fd;
	peer->server = server;
	peer->ssl = SSL_new(ctx);
	assert_non_null(peer->ssl);
	SSL_set_app_data(peer->ssl, peer);
	SSL_set_bio(peer->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(peer->ssl), -1);
	if (session)
		assert_int_equal(SSL_set_session(peer->ssl, session), 1);
	if (server)
		SSL_set_accept_state(peer->ssl);
	else
		SSL_set_connect_state(peer->ssl);
}

void peer_close(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	/* OpenSSL would not resume the session of an SSL that is freed without a farewell. */
	if (peer->done)
		SSL_set_shutdown(peer->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(peer->ssl);
	szc_protect_drop(&peer->rx);
	free(peer->in);
	free(peer->out);
	memset(peer, 0, sizeof(*peer));
	peer->fd = -1;
}

void peer_reset(struct peer *peer)
{
	struct linger at_once = {1, 0};

	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(peer->fd);
	peer->fd = -1;
}

void peer_fin(struct peer *peer)
{
	assert_int_equal(peer->out_len, 0);
	shutdown(peer->fd, SHUT_WR);
}

/* ---- the socket */

static void append(uint8_t **buffer, size_t *have, const void *bytes, size_t len)
{
	*buffer = realloc(*buffer, *have + len + 1);
	assert_non_null(*buffer);
	memcpy(*buffer + *have, bytes, len);
	*have += len;
}

static void cut_front(uint8_t *buffer, size_t *have, size_t len)
{
	assert_true(len <= *have);
	memmove(buffer, buffer + len, *have - len);
	*have -= len;
}

static void flush(struct peer *peer, size_t most)
{
	while (peer->fd >= 0 && peer->out_len && most) {
		size_t want = peer->out_len < most ? peer->out_len : most;
		ssize_t sent = send(peer->fd, peer->out, want, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			peer->reset = true;
			peer->out_len = 0;
			return;
		}
		cut_front(peer->out, &peer->out_len, (size_t)sent);
		most -= (size_t)sent;
	}
}

static void receive(struct peer *peer)
{
	static uint8_t buffer[256 * 1024];
	ssize_t got;

	while (peer->fd >= 0 && !peer->fin && !peer->reset) {
		got = recv(peer->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN)
			return;
		peer->reset = got < 0;
		peer->fin = got == 0;
		if (got <= 0)
			return;
		append(&peer->in, &peer->in_len, buffer, (size_t)got);
		peer->bytes_in += (uint64_t)got;
	}
}

void peer_send(struct peer *peer, const void *bytes, size_t len)
{
	append(&peer->out, &peer->out_len, bytes, len);
	if (!peer->drip)
		flush(peer, SIZE_MAX);
}

/* ---- the handshake */

static size_t whole_record(const struct peer *peer)
{
	size_t len;

	if (peer->in_len < SZC_RECORD_HEADER)
		return 0;
	len = SZC_RECORD_HEADER + ((size_t)peer->in[3] << 8 | peer->in[4]);
	return len <= peer->in_len ? len : 0;
}

/* What our OpenSSL wrote goes out; how many protected records it is. */
static uint64_t forward(struct peer *peer)
{
	uint8_t *bytes;
	long len = BIO_get_mem_data(SSL_get_wbio(peer->ssl), &bytes), at = 0;
	uint64_t protected = 0;

	while (at < len) {
		protected += bytes[at] == SZC_CONTENT_APPLICATION;
		at += SZC_RECORD_HEADER + (bytes[at + 3] << 8 | bytes[at + 4]);
	}
	if (len > 0)
		peer_send(peer, bytes, (size_t)len);
	(void)BIO_reset(SSL_get_wbio(peer->ssl));
	return protected;
}

static void take_keys(struct peer *peer, uint64_t tickets)
{
	const uint8_t *tx = peer->server ? peer->server_secret : peer->client_secret;
	const uint8_t *rx = peer->server ? peer->client_secret : peer->server_secret;

	peer->done = true;
	if (SSL_version(peer->ssl) != TLS1_3_VERSION)
		return;
	peer->tickets = peer->server ? tickets : 0;
	peer->suite = (uint16_t)SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(peer->ssl));
	assert_int_equal(peer->client_secret_len, reference_secret_len(peer->suite));
	memcpy(peer->tx_secret, tx, sizeof(peer->tx_secret));
	peer->tx_seq = peer->tickets;
	assert_int_equal(szc_protect_init(&peer->rx, szc_suite_by_id(peer->suite), &szc_aead_evp, rx, 0, false), 0);
}

static void handshake(struct peer *peer)
{
	do {
		size_t len = whole_record(peer);
		uint64_t tickets;
		int result;

		if (len) {
			assert_int_equal(BIO_write(SSL_get_rbio(peer->ssl), peer->in, (int)len), (int)len);
			cut_front(peer->in, &peer->in_len, len);
		}
		ERR_clear_error();
		result = SSL_do_handshake(peer->ssl);
		peer->failed = result != 1 && SSL_get_error(peer->ssl, result) != SSL_ERROR_WANT_READ;
		peer->reason = ERR_GET_REASON(ERR_peek_error());
		ERR_clear_error();
		tickets = forward(peer);
		if (result == 1)
			take_keys(peer, tickets);
	} while (!peer->done && !peer->failed && whole_record(peer));
}

void peer_step(struct peer *peer)
{
	flush(peer, peer->drip ? peer->drip : SIZE_MAX);
	receive(peer);
	if (!peer->done && !peer->failed)
		handshake(peer);
}

/* ---- hostile */

size_t peer_seal_inner(struct peer *peer, const uint8_t *inner, size_t len, uint8_t *wire)
{
	assert_true(peer->done && len + REFERENCE_OVERHEAD <= PEER_WIRE_MAX);
	return reference_seal(peer->suite, peer->tx_secret, peer->tx_seq++, inner, len, wire);
}

size_t peer_seal(struct peer *peer, uint8_t type, const void *content, size_t len, size_t padding, uint8_t *wire)
{
	static uint8_t inner[PEER_WIRE_MAX];

	assert_true(len + 1 + padding + REFERENCE_OVERHEAD <= PEER_WIRE_MAX);
	memcpy(inner, content, len);
	inner[len] = type;
	memset(inner + len + 1, 0, padding);
	return peer_seal_inner(peer, inner, len + 1 + padding, wire);
}

void peer_say(struct peer *peer, uint8_t type, const void *content, size_t len)
{
	static uint8_t wire[PEER_WIRE_MAX];

	peer_send(peer, wire, peer_seal(peer, type, content, len, 0, wire));
}

void peer_alert(struct peer *peer, uint8_t level, uint8_t alert)
{
	const uint8_t message[2] = {level, alert};

	peer_say(peer, SZC_CONTENT_ALERT, message, sizeof(message));
}

void peer_next_keys(struct peer *peer)
{
	uint8_t next[SZC_SECRET_MAX];

	reference_expand(peer->suite, peer->tx_secret, "traffic upd", next, reference_secret_len(peer->suite));
	memcpy(peer->tx_secret, next, sizeof(next));
	peer->tx_seq = 0;
}

void peer_key_update(struct peer *peer, uint8_t request)
{
	const uint8_t message[5] = {SZC_HANDSHAKE_KEY_UPDATE, 0, 0, 1, request};

	peer_say(peer, SZC_CONTENT_HANDSHAKE, message, sizeof(message));
	peer_next_keys(peer);
}

bool peer_next(struct peer *peer, struct peer_record *record)
{
	size_t len = whole_record(peer);
	struct iovec iov = {peer->in, len};
	struct szc_record header;
	struct szc_opened opened;
	uint8_t alert = 0;

	if (!len)
		return false;
	assert_int_equal(szc_record_parse(&iov, 1, len, &header, &alert), 1);
	assert_int_equal(header.type, SZC_CONTENT_APPLICATION);
	assert_int_equal(szc_record_open(&peer->rx, &header, &iov, 1, &opened), 0);
	record->type = opened.type;
	record->len = opened.length;
	memcpy(record->content, peer->in + SZC_RECORD_HEADER, opened.length);
	cut_front(peer->in, &peer->in_len, len);
	if (record->type == SZC_CONTENT_HANDSHAKE && record->content[0] == SZC_HANDSHAKE_KEY_UPDATE)
		assert_int_equal(szc_protect_update(&peer->rx), 0);
	return true;
}

/* ---- friendly */

void peer_ssl_write(struct peer *peer, const void *data, size_t len)
{
	assert_int_equal(SSL_write(peer->ssl, data, (int)len), (int)len);
	forward(peer);
}

size_t peer_ssl_read(struct peer *peer, void *data, size_t room)
{
	int got;

	if (peer->in_len)
		assert_int_equal(BIO_write(SSL_get_rbio(peer->ssl), peer->in, (int)peer->in_len), (int)peer->in_len);
	peer->in_len = 0;
	ERR_clear_error();
	got = SSL_read(peer->ssl, data, (int)room);
	if (got <= 0 && SSL_get_error(peer->ssl, got) == SSL_ERROR_SSL) {
		peer->failed = true;
		peer->reason = ERR_GET_REASON(ERR_peek_error());
	}
	ERR_clear_error();
	forward(peer);
	return got > 0 ? (size_t)got : 0;
}

void peer_ssl_key_update(struct peer *peer, bool request)
{
	assert_int_equal(SSL_key_update(peer->ssl, request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
			 1);
	assert_int_equal(SSL_do_handshake(peer->ssl), 1);
	forward(peer);
}

void peer_ssl_shutdown(struct peer *peer)
{
	SSL_shutdown(peer->ssl);
	forward(peer);
}
