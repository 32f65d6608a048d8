/* SPDX-License-Identifier: MIT */
#include "records.h"

#include <errno.h>
#include <string.h>

static int start(struct szc_conn *conn, void *state)
{
	struct records *records = state;

	records->started++;
	if (!records->mute)
		szc_layer_ready(conn);
	return 0;
}

static int input(struct szc_conn *conn, void *state)
{
	const struct records *records = state;
	const struct iovec *iov;
	int iovcnt, error;

	if (records->mute || szc_layer_peek(conn, &iov, &iovcnt) < records_size(records))
		return SZC_LAYER_NEED_MORE;
	szc_layer_drop(conn, records->header);
	error = szc_layer_deliver(conn, records->payload);
	if (error)
		return error;
	szc_layer_drop(conn, records->trailer);
	return SZC_LAYER_PROGRESS;
}

static int fin(struct szc_conn *conn, void *state)
{
	struct records *records = state;
	const struct iovec *iov;
	int iovcnt;

	records->ended++;
	if (szc_layer_peek(conn, &iov, &iovcnt) || records->mute)
		return szc_layer_fail(conn, SZC_E_TRUNCATED, "the stream ended inside of a record");
	return 0;
}

static ssize_t layer_send(struct szc_conn *conn, void *state, const struct iovec *iov, int iovcnt, size_t room)
{
	size_t sum = 0;
	int error;

	(void)state;
	for (int i = 0; i < iovcnt; i++)
		sum += iov[i].iov_len;
	/* All or nothing: it is for tests that send little. */
	if (sum > room)
		return 0;
	error = szc_layer_queue(conn, iov, iovcnt);
	if (!error)
		error = szc_layer_queue_hook(conn);
	return error ? error : (ssize_t)sum;
}

static int layer_shutdown(struct szc_conn *conn, void *state)
{
	const struct records *records = state;
	uint8_t *to;

	if (!records->farewell)
		return 0;
	to = szc_layer_reserve(conn, records->farewell);
	if (!to)
		return -ENOMEM;
	memset(to, 'f', records->farewell);
	szc_layer_commit(conn, records->farewell);
	return 0;
}

static int sent(struct szc_conn *conn, void *state)
{
	struct records *records = state;

	(void)conn;
	records->sent++;
	return 0;
}

static void layer_free(void *state)
{
	struct records *records = state;

	records->freed++;
}

static const struct szc_layer_ops ops = {
	.name = "records",
	.start = start,
	.input = input,
	.fin = fin,
	.send = layer_send,
	.shutdown = layer_shutdown,
	.sent = sent,
	.free = layer_free,
};

int records_attach(struct szc_conn *conn, struct records *records)
{
	return szc_layer_attach(conn, &ops, records);
}
