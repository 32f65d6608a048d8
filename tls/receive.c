/* SPDX-License-Identifier: MIT */
/* Protected records after the hand-over: opened in place, sorted by what they turn out to be. */
#include "session.h"

#include <string.h>

static int open_copied(struct szc_conn *conn, struct szc_tls *tls, const struct szc_record *record,
		       const struct szc_span *body, struct szc_opened *opened)
{
	struct iovec private = {tls->bounce, record->length};
	struct iovec with_header[2] = {{(void *)record->header, SZC_RECORD_HEADER}, private};
	struct szc_span content = *body;
	int error;

	szc_span_copy_out(body, tls->bounce);
	szc_layer_trips(conn)->bytes_user_copied += record->length;
	error = szc_record_open(&tls->rx, record, with_header, 2, opened);
	if (error)
		return error;
	content.len = opened->length;
	szc_span_copy_in(&content, tls->bounce);
	szc_layer_trips(conn)->bytes_user_copied += opened->length;
	return 0;
}

static int count_empty(struct szc_conn *conn, struct szc_tls *tls)
{
	if (++tls->empty_records <= tls->ctx->options.max_empty_records)
		return 0;
	return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_FLOOD,
			     "more than %u empty records in a row", tls->ctx->options.max_empty_records);
}

static int alert_received(struct szc_conn *conn, struct szc_tls *tls, const struct szc_span *content)
{
	uint8_t alert[2];
	int error;

	if (content->len != sizeof(alert))
		return szc_tls_fatal(conn, tls, SZC_ALERT_DECODE_ERROR, SZC_E_TLS_RECORD,
				     "an alert of %zu bytes, not 2", content->len);
	szc_span_copy_out(content, alert);
	if (alert[1] == SZC_ALERT_CLOSE_NOTIFY && tls->upgrading)
		return szc_layer_fail(conn, SZC_E_CLOSED,
				      "the peer ended before it was agreed who carries the payload");
	if (alert[1] == SZC_ALERT_CLOSE_NOTIFY)
		return SZC_LAYER_EOF;
	if (alert[1] == SZC_ALERT_USER_CANCELED) {
		/* RFC 8446 6.1: a close_notify follows. It may not be said for ever instead. */
		error = count_empty(conn, tls);
		return error ? error : SZC_LAYER_PROGRESS;
	}
	return szc_layer_fail(conn, SZC_E_TLS_ALERT, "the peer sent alert %s (%d)", szc_alert_name(alert[1]), alert[1]);
}

static int count_record(struct szc_conn *conn, struct szc_tls *tls, const struct szc_opened *opened)
{
	if (opened->type == SZC_CONTENT_APPLICATION && opened->length) {
		tls->empty_records = 0;
		tls->key_updates = 0;
		return 0;
	}
	/* RFC 8446 5.1 allows empty application data only; an alert or handshake record without content is an error. */
	if (!opened->length && opened->type != SZC_CONTENT_APPLICATION)
		return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD,
				     "an empty record of type %d", opened->type);
	return opened->length ? 0 : count_empty(conn, tls);
}

/* What was opened lies behind the header in the connection's input. Consumes all of it. */
static int dispatch(struct szc_conn *conn, struct szc_tls *tls, const struct szc_record *record,
		    const struct szc_opened *opened, const struct szc_span *body, size_t behind)
{
	struct szc_span content = szc_span_part(body, 0, opened->length);
	int result;

	if (tls->message_len && opened->type != SZC_CONTENT_HANDSHAKE)
		return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD,
				     "a record of type %d inside a handshake message", opened->type);
	switch (opened->type) {
	case SZC_CONTENT_APPLICATION:
		if (tls->upgrading) {
			result = szc_tls_upgrade_message(conn, tls, &content, behind);
			result = result ? result : SZC_LAYER_PROGRESS;
			break;
		}
		szc_layer_drop(conn, SZC_RECORD_HEADER);
		result = szc_layer_deliver(conn, opened->length);
		if (result)
			return result;
		szc_layer_drop(conn, record->length - opened->length);
		return SZC_LAYER_PROGRESS;
	case SZC_CONTENT_ALERT:
		result = alert_received(conn, tls, &content);
		break;
	case SZC_CONTENT_HANDSHAKE:
		result = szc_tls_post_handshake(conn, tls, &content);
		break;
	default:
		result = szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD,
				       "a protected record of type %d", opened->type);
	}
	szc_layer_drop(conn, SZC_RECORD_HEADER + record->length);
	return result;
}

static int refuse_open(struct szc_conn *conn, struct szc_tls *tls, int error, uint8_t alert)
{
	uint64_t number = tls->rx.seq;

	return szc_tls_fatal(conn, tls, alert, error, "record %llu of key generation %llu: %s",
			     (unsigned long long)number, (unsigned long long)tls->rx.generation, szc_strerror(error));
}

/* A key near its limit: ask the peer for the next one while there is time. */
static int mind_key_limit(struct szc_conn *conn, struct szc_tls *tls)
{
	if (tls->rx.seq < tls->key_records || tls->update_asked || tls->closed || tls->upgrading)
		return 0;
	tls->update_asked = true;
	return szc_tls_send_key_update(conn, tls, true);
}

int szc_tls_receive(struct szc_conn *conn, struct szc_tls *tls)
{
	struct szc_record record;
	struct szc_opened opened = {0};
	struct szc_trips *trips = szc_layer_trips(conn);
	const struct iovec *iov;
	struct szc_span body;
	uint8_t alert = 0;
	bool payload;
	int iovcnt, result;
	size_t avail = szc_layer_peek(conn, &iov, &iovcnt);

	result = szc_record_parse(iov, iovcnt, avail, &record, &alert);
	if (result < 0)
		return szc_tls_fatal(conn, tls, alert, result, "a record header out of bounds: type %d, %zu bytes",
				     record.type, record.length);
	if (result && record.type != SZC_CONTENT_APPLICATION)
		return szc_tls_fatal(conn, tls, SZC_ALERT_UNEXPECTED_MESSAGE, SZC_E_TLS_RECORD,
				     "an unprotected record of type %d after the handshake", record.type);
	if (!result || avail < SZC_RECORD_HEADER + record.length)
		return SZC_LAYER_NEED_MORE;
	body = (struct szc_span){iov, iovcnt, SZC_RECORD_HEADER, record.length};
	result = tls->bounce ? open_copied(conn, tls, &record, &body, &opened)
			     : szc_record_open(&tls->rx, &record, iov, iovcnt, &opened);
	if (result)
		return refuse_open(conn, tls, result, opened.alert);
	trips->records++;
	payload = opened.type == SZC_CONTENT_APPLICATION && !tls->upgrading;
	trips->bytes_opened += payload ? opened.length : 0;
	trips->bytes_handshake += tls->upgrading ? SZC_RECORD_HEADER + record.length : 0;
	if (!tls->bounce && payload)
		trips->bytes_opened_in_place += opened.length;
	result = count_record(conn, tls, &opened);
	if (!result)
		result = mind_key_limit(conn, tls);
	return result ? result
		      : dispatch(conn, tls, &record, &opened, &body, avail - SZC_RECORD_HEADER - record.length);
}
