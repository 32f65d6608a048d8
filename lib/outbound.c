/* SPDX-License-Identifier: MIT */
/* A connection's way out: payload through its layer into the send queue, the queue into the socket. */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The kernel tells a reset to one call only. EPIPE is another matter: the peer's proper end came before that. */
void szc_conn_broken(struct szc_conn *conn, int error)
{
	if (error != -EPIPE && error != -ENOBUFS && error != -ENOMEM && !conn->broken)
		conn->broken = error;
}

/* The socket refuses for good. What the peer sent before may still wait in the input: it is delivered first, and the
 * error follows the end. A farewell that a satisfied peer did not wait for is no loss. */
static void send_failed(struct szc_conn *conn, int error)
{
	bool only_farewell = conn->shut && conn->sendq.bytes <= conn->farewell;

	szc_conn_broken(conn, error);
	szc_sendq_clear(&conn->sendq);
	if (only_farewell) {
		conn->fin_sent = true;
		conn->sent_due = true;
		szc_conn_list(conn);
		return;
	}
	conn->send_error = error;
	snprintf(conn->error_text, sizeof(conn->error_text), "sending failed: %s", strerror(-error));
	if (conn->eof_told)
		szc_conn_kill(conn, error);
	szc_conn_list(conn);
}

static int flush(struct szc_conn *conn)
{
	for (;;) {
		int result = szc_sendq_flush(&conn->sendq, conn->fd, &conn->trips.bytes_sent);
		int error;

		if (result != SZC_SENDQ_AT_HOOK)
			return result;
		szc_sendq_pass(&conn->sendq);
		error = conn->layer ? conn->layer->sent(conn, conn->layer_state) : 0;
		if (error) {
			szc_conn_kill(conn, error);
			return SZC_SENDQ_EMPTY;
		}
	}
}

void szc_conn_flush(struct szc_conn *conn)
{
	uint64_t before = conn->trips.bytes_sent;
	int result;

	if (conn->error || conn->send_error)
		return;
	result = flush(conn);
	if (conn->error)
		return;
	if (conn->trips.bytes_sent != before)
		szc_conn_moved(conn);
	if (result == SZC_SENDQ_BLOCKED && !conn->write_armed) {
		conn->write_armed = true;
		result = conn->rx->ops->want_write(conn);
	}
	if (result < 0) {
		send_failed(conn, result);
		return;
	}
	if (conn->send_refused && conn->sendq.bytes <= conn->rx->options.send_limit / 2) {
		conn->send_refused = false;
		conn->writable_due = true;
		szc_conn_list(conn);
	}
	if (conn->shut && !conn->fin_sent && !conn->sendq.head) {
		conn->fin_sent = true;
		conn->sent_due = true;
		shutdown(conn->fd, SHUT_WR);
		szc_conn_list(conn);
	}
}

void szc_conn_writable(struct szc_conn *conn)
{
	conn->write_armed = false;
	szc_conn_flush(conn);
}

static size_t iov_bytes(const struct iovec *iov, int iovcnt)
{
	size_t sum = 0;
	int i;

	for (i = 0; i < iovcnt; i++)
		sum += iov[i].iov_len;
	return sum;
}

static ssize_t plain_send(struct szc_conn *conn, const struct iovec *iov, int iovcnt, size_t room)
{
	size_t taken = 0;
	int i;

	for (i = 0; i < iovcnt && taken < room; i++) {
		size_t part = iov[i].iov_len < room - taken ? iov[i].iov_len : room - taken;
		struct iovec piece = {iov[i].iov_base, part};
		int error = szc_layer_queue(conn, &piece, 1);

		if (error)
			return error;
		taken += part;
	}
	return (ssize_t)taken;
}

/* An event that is still due for an earlier refusal is out of date: the queue was filled since. */
static void refuse(struct szc_conn *conn)
{
	conn->send_refused = true;
	conn->writable_due = false;
}

ssize_t szc_conn_send(struct szc_conn *conn, const struct iovec *iov, int iovcnt)
{
	size_t limit = conn->rx->options.send_limit, want = iov_bytes(iov, iovcnt);
	ssize_t taken;

	if (!szc_conn_usable(conn, __func__))
		return SZC_E_STATE;
	if (conn->error || conn->send_error)
		return conn->error ? conn->error : conn->send_error;
	if (!conn->ready || conn->shut)
		return SZC_E_STATE;
	if (conn->sendq.bytes >= limit) {
		if (want)
			refuse(conn);
		return 0;
	}
	limit -= conn->sendq.bytes;
	taken = conn->layer ? conn->layer->send(conn, conn->layer_state, iov, iovcnt, limit)
			    : plain_send(conn, iov, iovcnt, limit);
	if (taken < 0) {
		/* A half-queued message cannot be taken back: the stream is not what the caller meant any more. */
		szc_conn_kill(conn, (int)taken);
		return taken;
	}
	if ((size_t)taken < want)
		refuse(conn);
	if (!conn->write_armed)
		szc_conn_flush(conn);
	return taken;
}

size_t szc_conn_unsent(const struct szc_conn *conn)
{
	return conn->sendq.bytes;
}

int szc_conn_shutdown(struct szc_conn *conn)
{
	size_t before = conn->sendq.bytes;
	int error;

	if (!szc_conn_usable(conn, __func__))
		return SZC_E_STATE;
	if (conn->error)
		return conn->error;
	if (!conn->ready)
		return SZC_E_STATE;
	if (conn->shut)
		return 0;
	conn->shut = true;
	if (conn->send_error)
		return conn->send_error;
	error = conn->layer ? conn->layer->shutdown(conn, conn->layer_state) : 0;
	if (error) {
		szc_conn_kill(conn, error);
		return error;
	}
	conn->farewell = conn->sendq.bytes - before;
	if (!conn->write_armed)
		szc_conn_flush(conn);
	return 0;
}
