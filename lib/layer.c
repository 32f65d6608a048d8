/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int szc_layer_attach(struct szc_conn *conn, const struct szc_layer_ops *ops, void *state)
{
	if (!szc_conn_usable(conn, __func__) || conn->layer || !conn->start_due) {
		ops->free(state);
		return SZC_E_STATE;
	}
	if (conn->rx->options.dmabuf_fd) {
		ops->free(state);
		return szc_layer_fail(conn, SZC_E_STATE,
				      "the area is a dma-buf, which is only read here: nothing can be "
				      "opened in place in it. Use an engine with an area of its own");
	}
	conn->layer = ops;
	conn->layer_state = state;
	/* A refused attempt before this one is forgotten: it is not why the connection will end. */
	conn->error_text[0] = '\0';
	return 0;
}

void *szc_layer_state(const struct szc_conn *conn, const struct szc_layer_ops *ops)
{
	return conn->layer == ops ? conn->layer_state : NULL;
}

size_t szc_layer_peek(const struct szc_conn *conn, const struct iovec **iov, int *iovcnt)
{
	*iov = conn->input.iov + conn->input.head;
	*iovcnt = conn->input.count;
	return conn->input.bytes;
}

void szc_layer_drop(struct szc_conn *conn, size_t len)
{
	struct szc_frag_list unused = {NULL};

	szc_input_drop(&conn->input, len, &unused);
	szc_rx_recycle(conn->rx, &unused);
}

int szc_layer_deliver(struct szc_conn *conn, size_t len)
{
	struct szc_frag_list unused = {NULL};
	struct szc_rx *rx = conn->rx;
	int error;

	if (!len)
		return 0;
	if (!conn->building)
		conn->building = szc_view_make(&rx->free_views, conn, &rx->refill);
	if (!conn->building)
		return szc_layer_fail(conn, -ENOMEM, "no memory for a view");
	error = szc_input_deliver(&conn->input, len, conn->building, &unused);
	szc_rx_recycle(rx, &unused);
	return error;
}

uint8_t *szc_layer_reserve(struct szc_conn *conn, size_t len)
{
	return szc_sendq_reserve(&conn->sendq, len);
}

void szc_layer_commit(struct szc_conn *conn, size_t len)
{
	szc_sendq_commit(&conn->sendq, len);
	/* Whoever queued it, the application or the layer by itself: it goes out with the next look for events. */
	szc_conn_list(conn);
}

int szc_layer_queue(struct szc_conn *conn, const struct iovec *iov, int iovcnt)
{
	ssize_t direct = szc_sendq_direct(&conn->sendq, conn->fd, iov, iovcnt);
	size_t skip;
	int i;

	/* A refusal of the socket shows again, and is dealt with, when the queue is flushed. */
	if (direct < 0)
		szc_conn_broken(conn, (int)direct);
	skip = direct > 0 ? (size_t)direct : 0;
	conn->trips.bytes_sent += skip;
	if (skip)
		szc_conn_moved(conn);
	for (i = 0; i < iovcnt; i++) {
		size_t part = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		size_t len = iov[i].iov_len - part;
		uint8_t *to;

		skip -= part;
		if (!len)
			continue;
		to = szc_sendq_reserve(&conn->sendq, len);
		if (!to)
			return -ENOMEM;
		memcpy(to, (const uint8_t *)iov[i].iov_base + part, len);
		szc_layer_commit(conn, len);
	}
	return 0;
}

int szc_layer_queue_typed(struct szc_conn *conn, uint8_t record_type, const void *data, size_t len)
{
	szc_conn_list(conn);
	return szc_sendq_typed(&conn->sendq, record_type, data, len);
}

int szc_layer_queue_hook(struct szc_conn *conn)
{
	szc_conn_list(conn);
	return szc_sendq_hook(&conn->sendq);
}

void szc_layer_ready(struct szc_conn *conn)
{
	conn->ready = true;
	conn->ready_due = true;
	conn->deadline_ms = 0;
	szc_conn_moved(conn);
	if (conn->rx->options.idle_timeout > 0)
		szc_rx_timer_set(conn->rx, conn->active_ms + (uint64_t)conn->rx->options.idle_timeout);
	szc_conn_list(conn);
}

void szc_layer_patience(struct szc_conn *conn)
{
	conn->deadline_ms = 0;
}

void szc_layer_abort(struct szc_conn *conn, int error)
{
	szc_conn_kill(conn, error);
}

int szc_layer_fail(struct szc_conn *conn, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(conn->error_text, sizeof(conn->error_text), format, args);
	va_end(args);
	return error;
}

struct szc_trips *szc_layer_trips(struct szc_conn *conn)
{
	return &conn->trips;
}
