/* SPDX-License-Identifier: MIT */
/*
 * zcrx-tls echo.
 *
 * A view goes back from the area it arrived in. What the send queue does not take stays held, and the connection's quota
 * then parks its receive: a peer that does not read stalls only itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "commands.h"
#include "engine.h"
#include "peer.h"
#include "progress.h"
#include "stop.h"

#define EVENTS   64
#define WAIT_MS  250
#define IOV_PART 64

/* A view that is not sent back entirely. */
struct held {
	struct held *next;
	struct szc_view *view;
	size_t sent;
};

struct echoed {
	struct echoed *next;
	struct szc_conn *conn;
	uint64_t number;
	uint64_t bytes;
	struct stopwatch watch;
	struct failure failure;
	char peer[PEER_NAME_SIZE];
	struct held *first, **last; /* in order of arrival */
	bool peer_eof;
	bool complete;
	bool ended; /* to be closed after this batch of events */
};

struct echoer {
	const struct options *options;
	struct engine engine;
	struct echoed *conns;
	struct progress progress;
	struct summary summary;
	struct failure failure;
	bool done;
};

static void accepted(struct echoer *echoer, struct szc_conn *conn)
{
	struct echoed *echoed;
	int error;

	if (echoer->options->once && echoer->summary.connections) {
		szc_conn_close(conn);
		return;
	}
	echoed = calloc(1, sizeof(*echoed));
	if (!echoed) {
		szc_conn_close(conn);
		return;
	}
	echoed->conn = conn;
	echoed->last = &echoed->first;
	echoed->number = ++echoer->summary.connections;
	echoed->next = echoer->conns;
	echoer->conns = echoed;
	szc_conn_set_user(conn, echoed);
	peer_name(szc_conn_fd(conn), echoed->peer);
	stopwatch_start(&echoed->watch);
	stopwatch_start(&echoer->summary.watch);
	error = szc_tls_attach(conn, echoer->engine.tls, NULL);
	if (error) {
		failure_set_conn(&echoed->failure, error, echoed->peer, conn);
		echoed->ended = true;
	}
}

/* The part of the view that begins at byte `skip`, at most IOV_PART pieces of it. */
static int part_of(const struct szc_view *view, size_t skip, struct iovec part[IOV_PART])
{
	int iovcnt, n = 0;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (; iovcnt > 0 && n < IOV_PART; iov++, iovcnt--) {
		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		part[n].iov_base = (char *)iov->iov_base + skip;
		part[n].iov_len = iov->iov_len - skip;
		skip = 0;
		n++;
	}
	return n;
}

/* Sends of one held view what the queue takes. 1: all of it, 0: the queue is full, negative: an error. */
static int send_held(struct echoer *echoer, struct echoed *echoed, struct held *held)
{
	size_t size = szc_view_size(held->view);
	struct iovec part[IOV_PART];

	while (held->sent < size) {
		int count = part_of(held->view, held->sent, part);
		size_t offered = 0;
		ssize_t n;

		for (int i = 0; i < count; i++)
			offered += part[i].iov_len;
		n = szc_conn_send(echoed->conn, part, count);
		if (n < 0)
			return (int)n;
		held->sent += (size_t)n;
		echoed->bytes += (uint64_t)n;
		echoer->summary.bytes += (uint64_t)n;
		if ((size_t)n < offered)
			return 0;
	}
	return 1;
}

static void drop_first(struct echoed *echoed)
{
	struct held *held = echoed->first;

	echoed->first = held->next;
	if (!echoed->first)
		echoed->last = &echoed->first;
	szc_view_release(held->view);
	free(held);
}

/* Sends back what is held, and ends our direction when that was all that will ever come. */
static void push(struct echoer *echoer, struct echoed *echoed)
{
	int error = 0;

	while (echoed->first) {
		error = send_held(echoer, echoed, echoed->first);
		if (error <= 0)
			break;
		drop_first(echoed);
	}
	if (error >= 0 && !echoed->first && echoed->peer_eof)
		error = szc_conn_shutdown(echoed->conn);
	/* A connection that died under us says why in an event. */
	if (error < 0 && error != SZC_E_STATE) {
		failure_set_conn(&echoed->failure, error, echoed->peer, echoed->conn);
		echoed->ended = true;
	}
}

static void take(struct echoer *echoer, struct echoed *echoed, struct szc_view *view)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held) {
		szc_view_release(view);
		failure_set(&echoed->failure, EXIT_SYSTEM, "%s: out of memory", echoed->peer);
		echoed->ended = true;
		return;
	}
	held->view = view;
	*echoed->last = held;
	echoed->last = &held->next;
	/* Behind an older view there is nothing to try before the queue has room again. */
	if (echoed->first == held)
		push(echoer, echoed);
}

static void handle(struct echoer *echoer, const struct szc_event *event)
{
	struct echoed *echoed;

	if (event->type == SZC_EV_ACCEPTED) {
		accepted(echoer, event->conn);
		return;
	}
	echoed = szc_conn_user(event->conn);
	if (!echoed || echoed->ended) {
		if (event->type == SZC_EV_DATA)
			szc_view_release(event->view);
		return;
	}
	switch (event->type) {
	case SZC_EV_DATA:
		take(echoer, echoed, event->view);
		break;
	case SZC_EV_WRITABLE:
		push(echoer, echoed);
		break;
	case SZC_EV_EOF:
		echoed->peer_eof = true;
		if (!echoed->first)
			push(echoer, echoed);
		break;
	case SZC_EV_SENT:
		echoed->complete = true;
		echoed->ended = true;
		break;
	case SZC_EV_ERROR:
		failure_set_conn(&echoed->failure, event->error, echoed->peer, event->conn);
		echoed->ended = true;
		break;
	default:
		break;
	}
}

static void settle(struct echoer *echoer, struct echoed *echoed)
{
	char text[64];

	stopwatch_stop(&echoed->watch);
	stopwatch_stop(&echoer->summary.watch);
	summary_note(&echoer->summary, echoed->conn, echoed->bytes);
	echoer->summary.failed += !echoed->complete;
	if (echoer->options->once) {
		if (!echoer->failure.exit_code)
			echoer->failure = echoed->failure;
		echoer->done = true;
	} else {
		progress_clear(&echoer->progress);
		if (echoed->complete)
			fprintf(stderr, "zcrx-tls: #%" PRIu64 " %s: %s\n", echoed->number, echoed->peer,
				summary_rate(text, sizeof(text), echoed->bytes, echoed->watch.seconds));
		else
			fprintf(stderr, "zcrx-tls: #%" PRIu64 " %s: failed: %s\n", echoed->number, echoed->peer,
				*echoed->failure.sentence ? echoed->failure.sentence : "interrupted");
	}
	while (echoed->first)
		drop_first(echoed);
	szc_conn_close(echoed->conn);
	free(echoed);
}

/* Closes the connections that ended, or all of them. */
static void reap(struct echoer *echoer, bool all)
{
	struct echoed **link = &echoer->conns;

	while (*link) {
		struct echoed *echoed = *link;

		if (all || echoed->ended) {
			*link = echoed->next;
			settle(echoer, echoed);
		} else {
			link = &echoed->next;
		}
	}
}

static void serve(struct echoer *echoer)
{
	struct szc_event events[EVENTS];

	while (!echoer->done && !stop_signal()) {
		int n = engine_wait(&echoer->engine, events, EVENTS, WAIT_MS, &echoer->failure);

		if (n < 0)
			break;
		for (int i = 0; i < n; i++)
			handle(echoer, &events[i]);
		reap(echoer, false);
		progress_update(&echoer->progress, echoer->summary.bytes);
	}
	if (echoer->options->once && !echoer->done && stop_signal())
		failure_set(&echoer->failure, 128 + stop_signal(), "interrupted");
	progress_clear(&echoer->progress);
}

int echo(const struct options *options)
{
	struct echoer echoer = {.options = options, .summary = {.command = "echo", .what = "echoed"}};
	bool listening;

	progress_open(&echoer.progress, "echoed", 0);
	listening = !engine_open(&echoer.engine, SZC_TLS_SERVER, options, &echoer.failure) &&
		    !engine_listen(&echoer.engine, options, &echoer.failure);
	if (echoer.engine.rx)
		snprintf(echoer.summary.backend, sizeof(echoer.summary.backend), "%s",
			 szc_rx_backend(echoer.engine.rx));
	if (listening)
		serve(&echoer);
	reap(&echoer, true);
	if (echoer.engine.rx && !options->once)
		szc_rx_trips(echoer.engine.rx, &echoer.summary.trips);
	engine_close(&echoer.engine);
	return engine_report(options, &echoer.summary, &echoer.failure);
}
