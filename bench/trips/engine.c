/* SPDX-License-Identifier: MIT */
/* The modes of this library: a NIC's queue that writes into an area, and what is done with it there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <szc/nic.h>
#include <szc/tls.h>
#include <openssl/ssl.h>
#include "opener.h"
#include "parts.h"
#include "receiver.h"
#include "seal.h"

enum {
	HELD_MAX = 4096,
	/* Both ends are on one machine. */
	RECEIVE_BUFFER = 512 << 10,
};

/* What is done with a view's bytes: 0, or -1 after a message. */
typedef int take_view(struct receiver *receiver, struct szc_conn *conn, struct szc_view *view);

struct engine {
	struct receiver *receiver;
	struct szc_nic *nic;
	struct szc_rx *rx;
	struct szc_tls_ctx *tls; /* NULL: none, or not ours */
	take_view *take;
	struct szc_trips before;
	bool sealed; /* by PSP, once the other end's key was received */
	struct seal seal;
	const uint8_t *area;
	size_t buffers;
	bool *used; /* each of them */
	/* An application that falls behind once: from then on more buffers are in use than are needed. */
	struct szc_view *held[HELD_MAX];
	uint64_t held_bytes;
	unsigned held_count;
};

static int complain_szc(const char *what, const char *sentence)
{
	fprintf(stderr, "trips-receive: %s: %s\n", what, sentence);
	return -1;
}

static int prepare(struct engine *engine)
{
	const struct arguments *arguments = &engine->receiver->arguments;
	char why[400] = "";
	struct szc_nic_options options = {
		.size = sizeof(options), .ifname = arguments->ifname, .error = why, .error_size = sizeof(why)};
	struct szc_nic_prepare_options prepare = {.size = sizeof(prepare), .queue = (unsigned)arguments->queue};

	if (szc_nic_open(&engine->nic, &options)) {
		engine->nic = NULL;
		return complain_szc(arguments->ifname, why);
	}
	if (szc_nic_prepare(engine->nic, &prepare))
		return complain_szc(arguments->ifname, szc_nic_last_error(engine->nic));
	return 0;
}

static int open_engine(struct engine *engine, bool tls)
{
	const struct arguments *arguments = &engine->receiver->arguments;
	char why[400] = "";
	struct szc_rx_options options = {.size = sizeof(options),
					 .backend = SZC_BACKEND_ZCRX,
					 .ifname = arguments->ifname,
					 .queue = (unsigned)arguments->queue,
					 .max_connections = 1,
					 .area_size = arguments->area_size,
					 .buffer_size = arguments->buffer_size,
					 .receive_buffer_max = RECEIVE_BUFFER,
					 .recycle = strcmp(arguments->recycle, "oldest") == 0 ? SZC_RECYCLE_OLDEST
											      : SZC_RECYCLE_NEWEST,
					 .error = why,
					 .error_size = sizeof(why)};
	struct szc_tls_options tls_options = {.size = sizeof(tls_options),
					      .role = SZC_TLS_SERVER,
					      .cert_file = arguments->cert,
					      .key_file = arguments->key,
					      .ciphersuites = "TLS_AES_128_GCM_SHA256",
					      .error = why,
					      .error_size = sizeof(why)};

	if (szc_rx_open(&engine->rx, &options)) {
		engine->rx = NULL;
		return complain_szc("the engine", why);
	}
	if (tls && szc_tls_ctx_open(&engine->tls, &tls_options)) {
		engine->tls = NULL;
		return complain_szc("TLS", why);
	}
	return 0;
}

static int listen_steered(struct engine *engine)
{
	const struct arguments *arguments = &engine->receiver->arguments;
	struct szc_listener *listener;
	char address[80];
	unsigned port;

	snprintf(address, sizeof(address), "%s:0", arguments->address);
	if (szc_rx_listen(engine->rx, address, NULL, &listener))
		return complain_szc(address, szc_rx_last_error(engine->rx));
	port = szc_listener_port(listener);
	if (szc_nic_steer_port(engine->nic, (uint16_t)port, (unsigned)arguments->queue) < 0)
		return complain_szc(arguments->ifname, szc_nic_last_error(engine->nic));
	return write_port(arguments->port_file, port);
}

static int announce_area(struct engine *engine)
{
	void *base;
	size_t size;

	szc_rx_area(engine->rx, &base, &size);
	announce(SZC_MARK_AREA, base, size);
	engine->area = base;
	engine->buffers = size / engine->receiver->arguments.buffer_size;
	engine->used = calloc(engine->buffers, sizeof(*engine->used));
	return engine->used ? 0 : complain("memory");
}

/* ---- from views to bytes */

static int take_as_it_is(struct receiver *receiver, struct szc_conn *conn, struct szc_view *view)
{
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	(void)conn;
	for (int i = 0; i < iovcnt; i++)
		consume(&receiver->consumed, iov[i].iov_base, iov[i].iov_len);
	return 0;
}

/* The other end's key comes first, and in clear. */
static int take_sealed(struct receiver *receiver, struct szc_conn *conn, struct szc_view *view)
{
	struct engine *engine = szc_conn_user(conn);
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (int i = 0; i < iovcnt; i++) {
		int key = seal_take(&engine->seal, szc_conn_fd(conn), iov[i].iov_base, iov[i].iov_len);

		if (key < 0)
			return -1;
		consume(&receiver->consumed, (const char *)iov[i].iov_base + key, iov[i].iov_len - (size_t)key);
	}
	return 0;
}

static int take_into_a_copy(struct receiver *receiver, struct szc_conn *conn, struct szc_view *view)
{
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (int i = 0; i < iovcnt; i++) {
		if (opener_take(szc_conn_user(conn), receiver, iov[i].iov_base, iov[i].iov_len))
			return -1;
	}
	return 0;
}

/* ---- the connection */

static int say(struct engine *engine, struct szc_conn *conn)
{
	char ask = PART_ASK;
	struct iovec byte = {.iov_base = &ask, .iov_len = 1};

	szc_rx_trips(engine->rx, &engine->before);
	if (part_begins(engine->receiver))
		return -1;
	if (engine->take == take_into_a_copy)
		return opener_say(szc_conn_user(conn), ask);
	return szc_conn_send(conn, &byte, 1) == 1 ? 0 : complain_szc("send", szc_conn_last_error(conn));
}

static void end(struct engine *engine)
{
	struct receiver *receiver = engine->receiver;
	struct szc_trips now;

	szc_rx_trips(engine->rx, &now);
	receiver->ledger.kernel_copied = now.bytes_kernel_copied - engine->before.bytes_kernel_copied;
	receiver->ledger.user_copied = now.bytes_user_copied - engine->before.bytes_user_copied;
	receiver->ledger.opened_in_place = now.bytes_opened_in_place - engine->before.bytes_opened_in_place;
	receiver->ledger.opened = now.bytes_opened - engine->before.bytes_opened;
	if (engine->take == take_into_a_copy) {
		receiver->ledger.user_copied += receiver->arguments.bytes;
		receiver->ledger.opened = receiver->arguments.bytes;
	}
}

/* Released now, or, as long as there is something to hold, with all others. */
static void done_with(struct engine *engine, struct szc_view *view)
{
	uint64_t *hold = &engine->receiver->arguments.hold;

	if (!*hold || engine->held_count == HELD_MAX) {
		szc_view_release(view);
		return;
	}
	engine->held_bytes += szc_view_size(view);
	engine->held[engine->held_count++] = view;
	if (engine->held_bytes < *hold)
		return;
	while (engine->held_count)
		szc_view_release(engine->held[--engine->held_count]);
	*hold = 0;
}

/* Which buffers were ever used, so that it can be told when no others are any more. */
static void note_buffers(struct engine *engine, const struct szc_view *view)
{
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (int i = 0; i < iovcnt; i++) {
		size_t at = (size_t)((const uint8_t *)iov[i].iov_base - engine->area) /
			    engine->receiver->arguments.buffer_size;

		if (at >= engine->buffers || engine->used[at])
			continue;
		engine->used[at] = true;
		engine->receiver->fresh++;
	}
}

static int on_data(struct engine *engine, struct szc_conn *conn, struct szc_view *view)
{
	struct receiver *receiver = engine->receiver;
	int error = engine->take(receiver, conn, view);

	note_buffers(engine, view);
	done_with(engine, view);
	if (error || !part_over(receiver))
		return error;
	if (part_ends(receiver))
		return -1;
	if (!receiver->complete)
		return say(engine, conn);
	end(engine);
	return 0;
}

static int begin_psp(struct engine *engine, struct szc_conn *conn)
{
	uint8_t message[SEAL_MESSAGE];
	struct iovec iov = {.iov_base = message, .iov_len = sizeof(message)};

	szc_conn_set_user(conn, engine);
	snprintf(engine->receiver->cipher, sizeof(engine->receiver->cipher), "PSP AES-GCM-128");
	if (seal_begin(&engine->seal, engine->receiver->arguments.ifname, szc_conn_fd(conn), message))
		return -1;
	return szc_conn_send(conn, &iov, 1) == SEAL_MESSAGE ? 0 : complain_szc("send", szc_conn_last_error(conn));
}

static int on_event(struct engine *engine, const struct szc_event *event)
{
	int error;

	switch (event->type) {
	case SZC_EV_ACCEPTED:
		if (engine->take == take_into_a_copy) {
			struct opener *opener = opener_new(engine->receiver, event->conn);

			szc_conn_set_user(event->conn, opener);
			return opener ? 0 : -1;
		}
		error = engine->tls ? szc_tls_attach(event->conn, engine->tls, NULL) : 0;
		return error ? complain_szc("TLS", szc_conn_last_error(event->conn)) : 0;
	case SZC_EV_READY:
		if (engine->sealed)
			return begin_psp(engine, event->conn);
		if (engine->tls)
			snprintf(engine->receiver->cipher, sizeof(engine->receiver->cipher), "%s",
				 szc_tls_cipher(event->conn));
		return 0;
	case SZC_EV_DATA:
		return on_data(engine, event->conn, event->view);
	case SZC_EV_EOF:
		return complain_szc("the connection", "it ended too soon");
	case SZC_EV_ERROR:
		return complain_szc("the connection", szc_conn_last_error(event->conn));
	default:
		return 0;
	}
}

static int run(struct engine *engine)
{
	struct szc_event event;

	while (!engine->receiver->complete) {
		int n = szc_rx_wait(engine->rx, &event, 1, -1);

		if (n < 0)
			return complain_szc("waiting", szc_rx_last_error(engine->rx));
		if (n && on_event(engine, &event))
			return -1;
	}
	return 0;
}

static int receive_engine(struct receiver *receiver, bool tls, take_view *take)
{
	static struct engine engine;
	int error;

	engine = (struct engine){.receiver = receiver, .take = take, .sealed = take == take_sealed};
	error = prepare(&engine);
	error = error ? error : open_engine(&engine, tls);
	error = error ? error : announce_area(&engine);
	error = error ? error : listen_steered(&engine);
	error = error ? error : run(&engine);
	if (engine.rx && szc_rx_close(engine.rx))
		error = complain_szc("the engine", szc_rx_last_error(engine.rx));
	szc_tls_ctx_close(engine.tls);
	if (engine.sealed)
		seal_close(&engine.seal);
	free(engine.used);
	if (engine.nic && szc_nic_restore(engine.nic))
		error = complain_szc(receiver->arguments.ifname, szc_nic_last_error(engine.nic));
	szc_nic_close(engine.nic);
	return error;
}

int receive_zc(struct receiver *receiver)
{
	return receive_engine(receiver, false, take_as_it_is);
}

int receive_zc_inplace(struct receiver *receiver)
{
	return receive_engine(receiver, true, take_as_it_is);
}

int receive_psp_zc(struct receiver *receiver)
{
	return receive_engine(receiver, false, take_sealed);
}

int receive_zc_copy(struct receiver *receiver)
{
	return receive_engine(receiver, false, take_into_a_copy);
}
