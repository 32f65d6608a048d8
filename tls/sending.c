/* SPDX-License-Identifier: MIT */
/* What goes out after the hand-over: payload, alerts and key updates, sealed here or by the kernel. */
#include "session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { KTLS_PIECES = 256 };

static int seal_queue(struct szc_conn *conn, struct szc_tls *tls, uint8_t type, const struct szc_span *plain)
{
	size_t size = plain->len + SZC_RECORD_OVERHEAD;
	uint8_t *to = szc_layer_reserve(conn, size);
	ssize_t sealed;

	if (!to)
		return szc_layer_fail(conn, -ENOMEM, "no memory for a record to send");
	sealed = szc_record_seal(&tls->tx, type, plain, to);
	if (sealed < 0)
		return szc_layer_fail(conn, (int)sealed, "a record could not be sealed: %s", szc_strerror((int)sealed));
	szc_layer_commit(conn, size);
	return 0;
}

/* An alert, a handshake message, or one of an upgrade. */
static int send_message(struct szc_conn *conn, struct szc_tls *tls, uint8_t type, const uint8_t *data, size_t len)
{
	struct iovec iov = {(void *)data, len};
	struct szc_span plain = {&iov, 1, 0, len};

	if (tls->ktls) {
		tls->ktls_records++;
		return szc_layer_queue_typed(conn, type, data, len);
	}
	return seal_queue(conn, tls, type, &plain);
}

static int send_alert(struct szc_conn *conn, struct szc_tls *tls, uint8_t level, uint8_t alert)
{
	const uint8_t message[2] = {level, alert};
	const uint8_t plain[SZC_RECORD_HEADER + 2] = {SZC_CONTENT_ALERT, 3, 3, 0, 2, level, alert};
	struct iovec iov = {(void *)plain, sizeof(plain)};

	if (tls->closed)
		return 0;
	if (tls->handed_over)
		return send_message(conn, tls, SZC_CONTENT_ALERT, message, sizeof(message));
	/* Before any key of OpenSSL's is in use an alert goes in clear; between, only OpenSSL could seal one. */
	if (SSL_in_before(tls->ssl))
		return szc_layer_queue(conn, &iov, 1);
	return 0;
}

int szc_tls_send_content(struct szc_conn *conn, struct szc_tls *tls, const uint8_t *data, size_t len)
{
	return send_message(conn, tls, SZC_CONTENT_APPLICATION, data, len);
}

void szc_tls_alert(struct szc_conn *conn, struct szc_tls *tls, uint8_t alert)
{
	send_alert(conn, tls, SZC_ALERT_FATAL, alert);
}

int szc_tls_fatal(struct szc_conn *conn, struct szc_tls *tls, uint8_t alert, int error, const char *format, ...)
{
	char text[240];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	szc_tls_alert(conn, tls, alert);
	return szc_layer_fail(conn, error, "%s", text);
}

int szc_tls_shutdown(struct szc_conn *conn, void *state)
{
	struct szc_tls *tls = state;
	int error;

	if (tls->taken)
		return szc_tls_heir(tls)->shutdown(conn, tls->upgrade);
	error = send_alert(conn, tls, SZC_ALERT_WARNING, SZC_ALERT_CLOSE_NOTIFY);
	tls->closed = true;
	tls->answer_due = false;
	return error;
}

/* ---- key updates */

int szc_tls_send_key_update(struct szc_conn *conn, struct szc_tls *tls, bool request)
{
	const uint8_t message[SZC_HANDSHAKE_HEADER + 1] = {SZC_HANDSHAKE_KEY_UPDATE, 0, 0, 1, request};
	int error;

	if (tls->ktls && !szc_ktls_can_rekey())
		return szc_layer_fail(
			conn, -EOPNOTSUPP,
			"the kernel seals and cannot change keys (Linux 6.14 can): choose sending by user space");
	error = send_message(conn, tls, SZC_CONTENT_HANDSHAKE, message, sizeof(message));
	if (error)
		return error;
	if (request)
		tls->update_asked = true;
	else
		tls->answer_due = false;
	if (!tls->ktls) {
		error = szc_protect_update(&tls->tx);
		return error ? szc_layer_fail(conn, error, "the next sending key could not be derived") : 0;
	}
	/* The kernel may change keys only when the message is out: what is queued after the hook waits for it. */
	tls->ktls_records = 0;
	return szc_layer_queue_hook(conn);
}

int szc_tls_sent(struct szc_conn *conn, void *state)
{
	struct szc_tls *tls = state;
	int error = szc_protect_update(&tls->tx);

	if (!error)
		error = szc_ktls_rekey(conn, tls);
	if (!error)
		return 0;
	return szc_layer_fail(conn, error, "the kernel did not take the next sending key: %s", strerror(-error));
}

/* What must come before more payload: an answer the peer waits for, or a new key because this one is worn out. */
static int before_payload(struct szc_conn *conn, struct szc_tls *tls)
{
	uint64_t used = tls->ktls ? tls->ktls_records : tls->tx.seq;

	if (!tls->answer_due && used < tls->key_records)
		return 0;
	return szc_tls_send_key_update(conn, tls, false);
}

/* ---- payload */

/* Pieces that go to the kernel together share its records, as they do when sealed here. */
static int queue_pieces(struct szc_conn *conn, struct szc_tls *tls, const struct szc_span *payload)
{
	struct szc_span left = *payload;
	struct iovec pieces[KTLS_PIECES];

	while (left.len) {
		size_t before = left.len;
		int count = 0, error;

		while (left.len && count < KTLS_PIECES)
			pieces[count++] = szc_span_next(&left);
		error = szc_layer_queue(conn, pieces, count);
		if (error)
			return error;
		tls->ktls_records += (before - left.len) / SZC_RECORD_PLAIN_MAX + 1;
	}
	return 0;
}

static ssize_t send_ktls(struct szc_conn *conn, struct szc_tls *tls, const struct szc_span *payload)
{
	struct szc_span left = *payload;

	while (left.len) {
		struct szc_span part = left;
		uint64_t records;
		int error = before_payload(conn, tls);

		if (error)
			return error;
		records = tls->key_records - tls->ktls_records;
		if (records < left.len / SZC_RECORD_PLAIN_MAX + 1)
			part = szc_span_part(&left, 0, records * SZC_RECORD_PLAIN_MAX);
		error = queue_pieces(conn, tls, &part);
		if (error)
			return error;
		left = szc_span_part(&left, part.len, left.len - part.len);
	}
	return (ssize_t)payload->len;
}

ssize_t szc_tls_send(struct szc_conn *conn, void *state, const struct iovec *iov, int iovcnt, size_t room)
{
	struct szc_tls *tls = state;
	struct szc_span left = {iov, iovcnt, 0, 0};
	ssize_t taken = 0;
	int i, error;

	if (tls->taken)
		return szc_tls_heir(tls)->send(conn, tls->upgrade, iov, iovcnt, room);
	for (i = 0; i < iovcnt; i++)
		left.len += iov[i].iov_len;
	if (left.len > room)
		left.len = room;
	if (tls->ktls)
		return send_ktls(conn, tls, &left);
	while (left.len) {
		size_t part = left.len < tls->record_max ? left.len : tls->record_max;
		struct szc_span plain = szc_span_part(&left, 0, part);

		error = before_payload(conn, tls);
		if (!error)
			error = seal_queue(conn, tls, SZC_CONTENT_APPLICATION, &plain);
		if (error)
			return error;
		taken += (ssize_t)part;
		left = szc_span_part(&left, part, left.len - part);
	}
	return taken;
}
