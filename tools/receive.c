/* SPDX-License-Identifier: MIT */
/*
 * zcrx-tls recv.
 *
 * A reception is one connection's way: accepted → ready → data … → EOF, upon which its output is committed and only then
 * our own direction ended, so that a sender that sees our close_notify knows its payload to be safe. Connections are
 * closed between batches of events, never amid one: a later event of the batch may name them.
 *
 * With PSP a reception may go on on another connection, which is one without a name until it is known for that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "engine.h"
#include "output.h"
#include "peer.h"
#include "progress.h"
#include "stop.h"

#define EVENTS 64

/* How late a signal can be noticed that comes between the look at it and the wait. */
#define WAIT_MS 250

struct reception {
	struct reception *next;
	struct szc_conn *conn; /* NULL: another reception has it */
	struct szc_conn *left; /* where it came from, until our end is sent there */
	bool left_over;        /* ... and it is to be closed */
	uint64_t number;
	uint64_t bytes;
	struct stopwatch watch;
	struct output output;
	struct failure failure;
	char peer[PEER_NAME_SIZE];
	bool begun;     /* it has an output */
	bool committed; /* the output is whole and has its name */
	bool ended;     /* to be closed after this batch of events */
	bool stray;     /* it is no reception, and not counted */
};

struct receiver {
	const struct options *options;
	struct engine engine;
	struct reception *receptions;
	struct output once_output; /* --once: created before anybody connects, so that a bad path is known at once */
	struct progress progress;
	struct summary summary;
	struct failure failure;
	char *once_path; /* --once into a directory: the name that was chosen there */
	uint64_t number; /* the last that was given to a connection */
	uint64_t bytes;
	bool done;
};

/* Whether a connection can turn out to be another one's stream. */
static bool may_move(const struct receiver *receiver)
{
	return receiver->engine.psp;
}

/* 0 or an exit code. */
static int open_output(struct receiver *receiver, struct reception *reception)
{
	const struct options *options = receiver->options;
	char *path;
	int code;

	if (options->once) {
		reception->output = receiver->once_output;
		receiver->once_output = (struct output)OUTPUT_NONE;
		return 0;
	}
	if (!options->out)
		return 0;
	path = output_numbered_path(options->out, &reception->number);
	if (!path)
		return failure_set(&reception->failure, EXIT_SYSTEM, "out of memory");
	code = output_open(&reception->output, path, &reception->failure);
	free(path);
	return code;
}

/* Its own, or, when it turns out to be that, another one's next connection. */
static void begin(struct receiver *receiver, struct reception *reception)
{
	if (receiver->options->once && receiver->summary.connections) {
		reception->stray = reception->ended = true;
		return;
	}
	reception->begun = true;
	reception->number = ++receiver->number;
	receiver->summary.connections++;
	stopwatch_start(&receiver->summary.watch);
	if (open_output(receiver, reception)) {
		reception->ended = true;
		return;
	}
	/* Numbers whose files are there from an earlier run are skipped. */
	receiver->number = reception->number;
}

static void accepted(struct receiver *receiver, struct szc_conn *conn)
{
	struct reception *reception;
	int error;

	/* Events of a connection without a reception are ignored: it is closed, and nothing more comes of it. */
	if (!may_move(receiver) && receiver->options->once && receiver->summary.connections) {
		szc_conn_close(conn);
		return;
	}
	reception = calloc(1, sizeof(*reception));
	if (!reception) {
		szc_conn_close(conn);
		return;
	}
	reception->conn = conn;
	reception->output = (struct output)OUTPUT_NONE;
	reception->next = receiver->receptions;
	receiver->receptions = reception;
	szc_conn_set_user(conn, reception);
	peer_name(szc_conn_fd(conn), reception->peer);
	stopwatch_start(&reception->watch);
	if (!may_move(receiver))
		begin(receiver, reception);
	if (reception->ended)
		return;
	error = szc_tls_attach(conn, receiver->engine.tls, NULL);
	if (error) {
		failure_set_conn(&reception->failure, error, reception->peer, conn);
		reception->ended = true;
	}
}

static void take(struct receiver *receiver, struct reception *reception, struct szc_view *view)
{
	size_t size = szc_view_size(view);
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	if (output_write(&reception->output, iov, iovcnt, &reception->failure))
		reception->ended = true;
	szc_view_release(view);
	reception->bytes += size;
	receiver->bytes += size;
}

static void finish(struct reception *reception)
{
	int error;

	stopwatch_stop(&reception->watch);
	if (output_commit(&reception->output, &reception->failure)) {
		reception->ended = true;
		return;
	}
	reception->committed = true;
	error = szc_conn_shutdown(reception->conn);
	if (error)
		reception->ended = true;
}

/* The stream goes on elsewhere: the reception there was none of its own. */
static void follow(struct receiver *receiver, struct reception *reception, struct szc_conn *next)
{
	struct reception *nameless = szc_conn_user(next);

	/* One that is a stream already cannot be another one's; nor can it move on before it is done with the last move. */
	if (!nameless || nameless->begun || nameless->ended || reception->left) {
		failure_set(&reception->failure, EXIT_DATA, "%s: the stream moves to where it cannot", reception->peer);
		reception->ended = true;
		return;
	}
	nameless->conn = NULL;
	nameless->stray = nameless->ended = true;
	szc_conn_set_user(next, reception);
	reception->left = reception->conn;
	reception->left_over = szc_conn_shutdown(reception->left);
	reception->conn = next;
	receiver->summary.moves++;
}

static void ended(struct receiver *receiver, struct reception *reception)
{
	struct szc_conn *next;
	int moved = szc_psp_moved(reception->conn, &next);

	if (moved > 0)
		follow(receiver, reception, next);
	else if (moved < 0 || !reception->begun) {
		failure_set_conn(&reception->failure, SZC_E_CLOSED, reception->peer, reception->conn);
		reception->ended = true;
	} else
		finish(reception);
}

static void handle(struct receiver *receiver, const struct szc_event *event)
{
	struct reception *reception;

	if (event->type == SZC_EV_ACCEPTED) {
		accepted(receiver, event->conn);
		return;
	}
	reception = szc_conn_user(event->conn);
	if (!reception || reception->ended) {
		if (event->type == SZC_EV_DATA)
			szc_view_release(event->view);
		return;
	}
	if (event->conn == reception->left) {
		/* All of it was taken: whatever becomes of it, there is nothing to miss. */
		reception->left_over |= event->type == SZC_EV_SENT || event->type == SZC_EV_ERROR;
		return;
	}
	switch (event->type) {
	case SZC_EV_READY:
		if (!reception->begun)
			begin(receiver, reception);
		break;
	case SZC_EV_DATA:
		take(receiver, reception, event->view);
		break;
	case SZC_EV_EOF:
		ended(receiver, reception);
		break;
	case SZC_EV_SENT:
		reception->ended = true;
		break;
	case SZC_EV_ERROR:
		/* A sender that does not wait for our farewell has done its part all the same. */
		if (!reception->committed)
			failure_set_conn(&reception->failure, event->error, reception->peer, event->conn);
		reception->ended = true;
		break;
	default:
		break;
	}
}

/* Without --once: what became of one connection. */
static void print_line(struct receiver *receiver, const struct reception *reception)
{
	const struct output *output = &reception->output;
	struct szc_trips trips;
	char text[64];

	progress_clear(&receiver->progress);
	if (!reception->committed) {
		fprintf(stderr, "zcrx-tls: #%" PRIu64 " %s: failed: %s\n", reception->number, reception->peer,
			*reception->failure.sentence ? reception->failure.sentence : "interrupted");
		return;
	}
	szc_conn_trips(reception->conn, &trips);
	fprintf(stderr, "zcrx-tls: #%" PRIu64 " %s: %s, trips %.2f%s%s\n", reception->number, reception->peer,
		summary_rate(text, sizeof(text), reception->bytes, reception->watch.seconds), szc_trips_total(&trips),
		output->path ? ", " : "", output->path ? output->path : "");
}

static void settle(struct receiver *receiver, struct reception *reception)
{
	struct summary *summary = &receiver->summary;

	if (reception->left)
		szc_conn_close(reception->left);
	/* Whoever else comes to one that serves a single connection is no matter of its. */
	if (!reception->begun && receiver->options->once && summary->connections)
		reception->stray = true;
	if (reception->stray) {
		if (reception->conn)
			szc_conn_close(reception->conn);
		free(reception);
		return;
	}
	/* One that failed before it was known whose it is counts by itself. */
	if (!reception->begun) {
		reception->number = ++receiver->number;
		summary->connections++;
	}
	if (!reception->committed)
		stopwatch_stop(&reception->watch);
	stopwatch_stop(&summary->watch);
	summary_note(summary, reception->conn, reception->bytes);
	if (!reception->committed)
		summary->failed++;
	if (receiver->options->once) {
		summary->watch = reception->watch;
		if (!receiver->failure.exit_code)
			receiver->failure = reception->failure;
		receiver->done = true;
	} else {
		/* Who reads of a failure finds no trace of it. */
		if (!reception->committed)
			output_discard(&reception->output);
		print_line(receiver, reception);
	}
	szc_conn_close(reception->conn);
	output_discard(&reception->output);
	free(reception);
}

/* Closes the receptions that ended, or all of them. */
static void reap(struct receiver *receiver, bool all)
{
	struct reception **link = &receiver->receptions;

	while (*link) {
		struct reception *reception = *link;

		if (reception->left_over) {
			szc_conn_close(reception->left);
			reception->left = NULL;
			reception->left_over = false;
		}
		if (all || reception->ended) {
			*link = reception->next;
			settle(receiver, reception);
		} else {
			link = &reception->next;
		}
	}
}

/* What the library does with it, it does by itself; a stream that nothing more will come of ends here. */
static void mind_rotations(struct receiver *receiver)
{
	for (struct reception *reception = receiver->receptions; reception; reception = reception->next) {
		int error = 0;

		if (reception->begun && !reception->ended && !reception->committed)
			error = szc_psp_should_move(reception->conn);
		if (error >= 0)
			continue;
		failure_set(&reception->failure, EXIT_DATA, "%s: %s", reception->peer, szc_strerror(error));
		reception->ended = true;
	}
}

static void serve(struct receiver *receiver)
{
	struct szc_event events[EVENTS];

	while (!receiver->done && !stop_signal()) {
		int n = engine_wait(&receiver->engine, events, EVENTS, WAIT_MS, &receiver->failure);

		if (n < 0)
			break;
		for (int i = 0; i < n; i++)
			handle(receiver, &events[i]);
		if (may_move(receiver))
			mind_rotations(receiver);
		if (!may_move(receiver) && receiver->options->once && receiver->summary.connections &&
		    receiver->engine.listener) {
			szc_listener_close(receiver->engine.listener);
			receiver->engine.listener = NULL;
		}
		reap(receiver, false);
		progress_update(&receiver->progress, receiver->bytes);
	}
	progress_clear(&receiver->progress);
	if (!receiver->options->once || receiver->done || !stop_signal())
		return;
	if (!receiver->receptions || !receiver->receptions->committed)
		failure_set(&receiver->failure, 128 + stop_signal(), "interrupted");
}

/* --once: the output is created before anybody connects. 0 or an exit code. */
static int open_once_output(struct receiver *receiver)
{
	const char *out = receiver->options->out;
	struct failure *failure = &receiver->failure;
	uint64_t number = 1;

	if (!out || !strcmp(out, "-"))
		return output_open(&receiver->once_output, out, failure);
	receiver->summary.path = out;
	if (output_is_directory(out)) {
		receiver->once_path = output_numbered_path(out, &number);
		if (!receiver->once_path)
			return failure_set(failure, EXIT_SYSTEM, "out of memory");
		receiver->summary.path = receiver->once_path;
	}
	return output_open(&receiver->once_output, receiver->summary.path, failure);
}

/* Everything that can be refused before anybody connects is refused here. 0 or an exit code. */
static int prepare(struct receiver *receiver)
{
	const struct options *options = receiver->options;
	struct failure *failure = &receiver->failure;
	int code;

	code = engine_open(&receiver->engine, SZC_TLS_SERVER, options, failure);
	if (code)
		return code;
	if (options->once)
		code = open_once_output(receiver);
	else if (options->out)
		code = output_check(options->out, failure);
	if (!code)
		code = engine_listen(&receiver->engine, options, failure);
	if (receiver->engine.rx)
		snprintf(receiver->summary.backend, sizeof(receiver->summary.backend), "%s",
			 szc_rx_backend(receiver->engine.rx));
	return code;
}

int receive(const struct options *options)
{
	struct receiver receiver = {
		.options = options,
		.once_output = OUTPUT_NONE,
		.summary = {.command = "recv", .what = "received"},
	};
	int code;

	progress_open(&receiver.progress, "received", 0);
	if (!prepare(&receiver))
		serve(&receiver);
	reap(&receiver, true);
	output_discard(&receiver.once_output);
	receiver.summary.bytes = receiver.bytes;
	if (receiver.engine.rx && (!options->once || receiver.summary.moves))
		szc_rx_trips(receiver.engine.rx, &receiver.summary.trips);
	engine_close(&receiver.engine);
	code = engine_report(options, &receiver.summary, &receiver.failure);
	free(receiver.once_path);
	return code;
}
