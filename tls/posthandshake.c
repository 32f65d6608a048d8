/* SPDX-License-Identifier: MIT */
/* Handshake messages after the handshake (RFC 8446 4.6): tickets for OpenSSL, key updates for us, nothing else. */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>

static size_t body_length(const uint8_t *header)
{
	return (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
}

static int unexpected(struct szc_conn *conn, struct szc_tls *tls, const char *what)
{
	return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD, "%s", what);
}

/* ---- tickets */

/* Seals the message as OpenSSL expects it next and puts it before it. The record never leaves memory: it is sealed
 * under a key and nonce that the peer uses too. */
static int show_openssl(struct szc_tls *tls, const uint8_t *message, size_t len)
{
	struct iovec iov = {(void *)message, len};
	struct szc_span left = {&iov, 1, 0, len};
	uint8_t *wire = malloc(SZC_RECORD_PLAIN_MAX + SZC_RECORD_OVERHEAD);
	int error = wire ? 0 : -ENOMEM;

	while (!error && left.len) {
		size_t part = left.len < SZC_RECORD_PLAIN_MAX ? left.len : SZC_RECORD_PLAIN_MAX;
		struct szc_span piece = szc_span_part(&left, 0, part);
		ssize_t sealed = szc_record_seal(&tls->replay, SZC_CONTENT_HANDSHAKE, &piece, wire);

		if (sealed < 0)
			error = (int)sealed;
		else if (BIO_write(SSL_get_rbio(tls->ssl), wire, (int)sealed) != (int)sealed)
			error = -ENOMEM;
		left = szc_span_part(&left, part, left.len - part);
	}
	free(wire);
	return error;
}

static int ticket(struct szc_conn *conn, struct szc_tls *tls, const uint8_t *message, size_t len)
{
	uint8_t byte;
	int got, wants, error;

	if (!tls->ssl)
		return SZC_LAYER_PROGRESS; /* OpenSSL is gone since the first KeyUpdate: resumption is a convenience */
	error = show_openssl(tls, message, len);
	if (error)
		return error;
	ERR_clear_error();
	got = SSL_read(tls->ssl, &byte, 1);
	wants = SSL_get_error(tls->ssl, got);
	ERR_clear_error();
	if (wants == SSL_ERROR_WANT_READ && !BIO_ctrl_pending(SSL_get_wbio(tls->ssl)) &&
	    !BIO_ctrl_pending(SSL_get_rbio(tls->ssl)))
		return SZC_LAYER_PROGRESS;
	/* Whatever OpenSSL wants to say would go out under a stale key: it is dropped, and we speak for ourselves. */
	BIO_reset(SSL_get_wbio(tls->ssl));
	return szc_tls_fatal(conn, tls, SZC_ALERT_DECODE_ERROR, SZC_E_TLS_RECORD,
			     "the peer sent a session ticket that OpenSSL does not accept");
}

/* ---- key updates */

static int key_update(struct szc_conn *conn, struct szc_tls *tls, const uint8_t *message, size_t len, bool last)
{
	uint8_t request;
	int error;

	if (len != SZC_HANDSHAKE_HEADER + 1)
		return szc_tls_fatal(conn, tls, SZC_ALERT_DECODE_ERROR, SZC_E_TLS_RECORD, "a KeyUpdate of %zu bytes",
				     len);
	if (message[SZC_HANDSHAKE_HEADER] > 1)
		return szc_tls_fatal(conn, tls, SZC_ALERT_ILLEGAL_PARAMETER, SZC_E_TLS_RECORD,
				     "a KeyUpdate that asks for %d", message[SZC_HANDSHAKE_HEADER]);
	if (!last)
		return unexpected(conn, tls, "bytes behind a KeyUpdate in its record, sealed under the old key");
	if (++tls->key_updates > tls->ctx->options.max_key_updates)
		return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_FLOOD,
				     "more than %u key updates without payload between them",
				     tls->ctx->options.max_key_updates);
	request = message[SZC_HANDSHAKE_HEADER];
	error = szc_protect_update(&tls->rx);
	if (error)
		return error;
	szc_layer_trips(conn)->key_updates++;
	tls->update_asked = false;
	/* OpenSSL's receive key is generation 0, which RFC 8446 7.2 says to forget now. */
	szc_tls_drop_ssl(tls);
	if (!request || tls->closed)
		return SZC_LAYER_PROGRESS;
	/* One answer serves all requests that came while it waited; a peer that does not read cannot make us queue
	 * more. */
	if (szc_conn_unsent(conn) || tls->upgrading) {
		tls->answer_due = true;
		return SZC_LAYER_PROGRESS;
	}
	error = szc_tls_send_key_update(conn, tls, false);
	return error ? error : SZC_LAYER_PROGRESS;
}

/* ---- messages out of records */

/* What is wrong with a message of this type, said as soon as its first byte is there; NULL if nothing is. */
static const char *refuse_type(const struct szc_tls *tls, uint8_t type)
{
	if (type == SZC_HANDSHAKE_KEY_UPDATE)
		return NULL;
	if (type != SZC_HANDSHAKE_NEW_SESSION_TICKET)
		return "a handshake message that has no place after the handshake";
	return szc_tls_is_client(tls) ? NULL : "a session ticket, sent to a server";
}

static int one_message(struct szc_conn *conn, struct szc_tls *tls, const uint8_t *message, size_t len, bool last)
{
	int result;

	if (message[0] == SZC_HANDSHAKE_NEW_SESSION_TICKET)
		return ticket(conn, tls, message, len);
	result = key_update(conn, tls, message, len, last);
	/* Key updates have a cap of their own: a connection that lives long may see any number of them. */
	if (result >= 0)
		tls->post_handshake -= len;
	return result;
}

static int append(struct szc_conn *conn, struct szc_tls *tls, const struct szc_span *content)
{
	size_t need = tls->message_len + content->len, cap = tls->message_cap * 2;
	uint8_t *grown;

	tls->post_handshake += content->len;
	if (tls->post_handshake > tls->ctx->options.max_post_handshake)
		return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_FLOOD,
				     "more than %zu bytes of post-handshake messages",
				     tls->ctx->options.max_post_handshake);
	if (need > tls->message_cap) {
		cap = cap < need ? need : cap;
		grown = OPENSSL_clear_realloc(tls->message, tls->message_cap, cap);
		if (!grown)
			return -ENOMEM;
		tls->message = grown;
		tls->message_cap = cap;
	}
	szc_span_copy_out(content, tls->message + tls->message_len);
	tls->message_len = need;
	return 0;
}

int szc_tls_post_handshake(struct szc_conn *conn, struct szc_tls *tls, const struct szc_span *content)
{
	size_t at = 0;
	int result = append(conn, tls, content);

	if (result)
		return result;
	szc_layer_trips(conn)->bytes_handshake += content->len;
	while (tls->message_len > at) {
		const char *wrong = refuse_type(tls, tls->message[at]);
		size_t len;

		if (wrong)
			return unexpected(conn, tls, wrong);
		if (tls->message_len - at < SZC_HANDSHAKE_HEADER)
			break;
		len = SZC_HANDSHAKE_HEADER + body_length(tls->message + at);
		if (len > tls->ctx->options.max_post_handshake)
			return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_FLOOD,
					     "a post-handshake message of %zu bytes", len);
		if (tls->message_len - at < len)
			break;
		result = one_message(conn, tls, tls->message + at, len, at + len == tls->message_len);
		if (result < 0)
			return result;
		at += len;
	}
	memmove(tls->message, tls->message + at, tls->message_len - at);
	tls->message_len -= at;
	return SZC_LAYER_PROGRESS;
}
