/* SPDX-License-Identifier: MIT */
/*
 * zcrx-tls send.
 *
 * connected → ready → pieces of the file … → shut down → sent → the peer's EOF. Only the last says that the receiver took
 * everything. The peer may send too, and must not be kept from it: what it sends is counted and dropped.
 *
 * With PSP the stream moves to another connection when a NIC's key was rotated: dialled → ready: the old one is shut down →
 * its EOF → it is closed, and sending goes on on the new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "commands.h"
#include "engine.h"
#include "progress.h"
#include "stop.h"

#define EVENTS     16
#define PIECE      (64 * 1024)
#define WAIT_MS    250
#define CONNECT_MS 10000
#define MOVE_AGAIN 1.0 /* seconds from one try to move to the next */

/* After our end: how long the receiver may take to end its side, without a sign of life. --idle-timeout overrides. */
#define FAREWELL_SECONDS 60

struct sender {
	const struct options *options;
	struct engine engine;
	struct szc_conn *conn;
	struct szc_conn *next; /* where the stream moves to */
	bool next_failed;      /* ... and cannot: to be closed after this batch of events */
	struct szc_conn *left; /* where it came from, to be closed after this batch of events */
	double move_began;     /* also when one failed that is tried again */
	int input;
	bool regular; /* the input never makes us wait */
	bool ready;
	bool blocked; /* the send queue is full */
	bool input_eof;
	bool shut_down;
	bool sent;
	bool peer_eof;
	double farewell; /* when we ended, or the last sign of life after that */
	size_t unsent;   /* as it was when last looked at after our end */
	size_t have;     /* bytes in `piece` ... */
	size_t taken;    /* ... of which these are queued */
	struct progress progress;
	struct summary summary;
	struct failure failure;
	char piece[PIECE];
};

static int open_input(struct sender *sender)
{
	const char *path = sender->options->file;
	uint64_t size = 0;
	struct stat st;

	sender->input = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (sender->input < 0 || fstat(sender->input, &st))
		return failure_set_file(&sender->failure, -errno, "cannot open", path);
	if (S_ISDIR(st.st_mode))
		return failure_set_file(&sender->failure, -EISDIR, "cannot send", path);
	/* A device without poll() is as good as a file. */
	sender->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	if (S_ISREG(st.st_mode)) {
		off_t at = lseek(sender->input, 0, SEEK_CUR);

		if (at >= 0 && at < st.st_size)
			size = (uint64_t)(st.st_size - at);
		posix_fadvise(sender->input, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	progress_open(&sender->progress, "sent", size);
	return 0;
}

/* The HOST of HOST:PORT without brackets, as certificates and SNI have it. */
static void host_of(const char *address, char *host, size_t size)
{
	const char *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : strlen(address);

	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	snprintf(host, size, "%.*s", (int)len, address);
}

/* A connection with TLS on it, which resumes that session unless it is NULL. */
static struct szc_conn *dial(struct sender *sender, SSL_SESSION *session, struct failure *failure)
{
	const struct options *options = sender->options;
	int timeout = options->handshake_timeout ? options->handshake_timeout : CONNECT_MS;
	char host[256];
	struct szc_tls_peer peer = {.size = sizeof(peer), .host = host, .session = session};
	struct szc_rx *rx = sender->engine.rx;
	struct szc_conn *conn;
	int error;

	error = szc_rx_connect(rx, options->connect, timeout, &conn);
	if (error) {
		failure_set_szc(failure, error, options->connect, szc_rx_last_error(rx));
		return NULL;
	}
	host_of(options->connect, host, sizeof(host));
	if (options->server_name)
		peer.host = options->server_name;
	error = szc_tls_attach(conn, sender->engine.tls, &peer);
	if (error)
		failure_set_conn(failure, error, options->connect, conn);
	return conn;
}

static int connect_to(struct sender *sender)
{
	sender->conn = dial(sender, NULL, &sender->failure);
	if (sender->conn)
		stopwatch_start(&sender->summary.watch);
	sender->summary.connections = sender->conn != NULL;
	return sender->failure.exit_code;
}

/* ---- moving */

/* The stream is as good as it was, until the next rotation: it is tried again. */
static void give_move_up(struct sender *sender)
{
	if (sender->next)
		szc_conn_close(sender->next);
	sender->next = NULL;
}

static void begin_move(struct sender *sender)
{
	SSL_SESSION *session = szc_tls_session(sender->conn);
	struct failure failed = {0};

	sender->move_began = progress_now();
	sender->next = dial(sender, session, &failed);
	SSL_SESSION_free(session);
	if (failed.exit_code || szc_psp_continue(sender->next, sender->conn))
		give_move_up(sender);
}

static void mind_rotations(struct sender *sender)
{
	int move = sender->ready && !sender->shut_down ? szc_psp_should_move(sender->conn) : 0;

	if (move < 0)
		failure_set(&sender->failure, EXIT_DATA, "%s: %s", sender->options->connect, szc_strerror(move));
	else if (move && !sender->next && progress_now() - sender->move_began > MOVE_AGAIN)
		begin_move(sender);
}

static void end_move(struct sender *sender)
{
	double seconds = progress_now() - sender->move_began;

	summary_note(&sender->summary, sender->conn, 0);
	sender->left = sender->conn;
	sender->conn = sender->next;
	sender->next = NULL;
	sender->ready = true;
	sender->blocked = false;
	sender->summary.moves++;
	if (seconds > sender->summary.move_seconds)
		sender->summary.move_seconds = seconds;
}

/* Whether an attempt to read the input makes sense now. */
static bool wants_input(const struct sender *sender)
{
	return sender->ready && !sender->blocked && !sender->input_eof && sender->taken == sender->have;
}

static int read_piece(struct sender *sender)
{
	ssize_t n = read(sender->input, sender->piece, sizeof(sender->piece));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return failure_set_file(&sender->failure, -errno, "cannot read", sender->options->file);
	sender->have = (size_t)n;
	sender->taken = 0;
	sender->input_eof = !n;
	return 0;
}

static int fail_conn(struct sender *sender, int error)
{
	/* The connection died under us: the reason follows as an event. */
	if (error == SZC_E_STATE) {
		sender->blocked = true;
		return 0;
	}
	return failure_set_conn(&sender->failure, error, sender->options->connect, sender->conn);
}

/* Queues what was read; at the end of the input, ends our direction. */
static int push(struct sender *sender)
{
	struct iovec iov = {
		.iov_base = sender->piece + sender->taken,
		.iov_len = sender->have - sender->taken,
	};
	ssize_t n;
	int error;

	if (iov.iov_len) {
		n = szc_conn_send(sender->conn, &iov, 1);
		if (n < 0)
			return fail_conn(sender, (int)n);
		sender->taken += (size_t)n;
		sender->summary.bytes += (uint64_t)n;
		sender->blocked = (size_t)n < iov.iov_len;
	}
	/* While it moves, an end could not be told from the end of a connection. */
	if (!sender->input_eof || sender->shut_down || sender->next)
		return 0;
	error = szc_conn_shutdown(sender->conn);
	if (error)
		return fail_conn(sender, error);
	sender->shut_down = true;
	sender->farewell = progress_now();
	return 0;
}

/* After our proper end nothing can be missing, but nobody said that it was taken either. */
static void failed(struct sender *sender, int error)
{
	struct failure reason = {0};

	failure_set_conn(&reason, error, sender->options->connect, sender->conn);
	if (sender->sent)
		failure_set(&sender->failure, reason.exit_code,
			    "everything was sent, but the receiver did not confirm that it took it: %s",
			    reason.sentence);
	else
		sender->failure = reason;
}

/* An event of where the stream moves to, or from. Returns whether there is no more to it. */
static bool moving(struct sender *sender, const struct szc_event *event)
{
	struct szc_conn *next;
	int error;

	if (event->conn == sender->left)
		return event->type != SZC_EV_DATA;
	if (event->conn == sender->conn) {
		if (sender->next && event->type == SZC_EV_EOF && szc_psp_moved(event->conn, &next) > 0) {
			end_move(sender);
			return true;
		}
		return sender->next && event->type == SZC_EV_SENT;
	}
	if (event->type == SZC_EV_READY) {
		/* Nothing more is sent on the old one, and nothing on this one before the receiver has read that. */
		sender->ready = false;
		error = szc_conn_shutdown(sender->conn);
		if (error)
			failure_set_conn(&sender->failure, error, sender->options->connect, sender->conn);
	}
	/* Once the old one is left there is no way back. */
	if (event->type == SZC_EV_ERROR && !sender->ready)
		failure_set_conn(&sender->failure, event->error, sender->options->connect, event->conn);
	else if (event->type == SZC_EV_ERROR)
		sender->next_failed = true;
	return event->type != SZC_EV_DATA;
}

static void handle(struct sender *sender, const struct szc_event *event)
{
	if (moving(sender, event))
		return;
	switch (event->type) {
	case SZC_EV_READY:
		sender->ready = true;
		break;
	case SZC_EV_WRITABLE:
		sender->blocked = false;
		break;
	case SZC_EV_DATA:
		sender->summary.bytes_back += szc_view_size(event->view);
		szc_view_release(event->view);
		break;
	case SZC_EV_SENT:
		sender->sent = true;
		break;
	case SZC_EV_EOF:
		sender->peer_eof = true;
		break;
	case SZC_EV_ERROR:
		failed(sender, event->error);
		break;
	default:
		return;
	}
	if (sender->shut_down)
		sender->farewell = progress_now();
}

/* 0, or an exit code if the receiver gave no sign of life for too long after our end. */
static int check_farewell(struct sender *sender)
{
	int idle = sender->options->idle_timeout;
	double limit = idle > 0 ? idle / 1000.0 : FAREWELL_SECONDS;
	size_t unsent;

	if (!sender->shut_down || idle < 0)
		return 0;
	unsent = szc_conn_unsent(sender->conn);
	if (unsent != sender->unsent)
		sender->farewell = progress_now();
	sender->unsent = unsent;
	if (progress_now() - sender->farewell < limit)
		return 0;
	return failure_set(&sender->failure, EXIT_NETWORK, "%s: %s for %.0f s", sender->options->connect,
			   sender->sent ? "everything was sent, but the receiver did not end its side"
					: "the receiver took nothing",
			   limit);
}

/* Waits for a pipe's next bytes or for the engine, whichever comes first. Returns whether the input has some. */
static bool input_ready(const struct sender *sender, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = sender->input, .events = POLLIN},
		{.fd = szc_rx_fd(sender->engine.rx), .events = POLLIN},
	};

	return sender->regular || (poll(fds, 2, timeout_ms) > 0 && fds[0].revents);
}

/* One turn of the event loop. 0 or an exit code. */
static int turn(struct sender *sender)
{
	struct failure *failure = &sender->failure;
	struct szc_event events[EVENTS];
	bool busy = wants_input(sender) || (sender->ready && !sender->blocked && sender->taken < sender->have);
	int n = engine_wait(&sender->engine, events, EVENTS, busy ? 0 : WAIT_MS, failure);

	for (int i = 0; i < n; i++)
		handle(sender, &events[i]);
	if (sender->left)
		szc_conn_close(sender->left);
	sender->left = NULL;
	if (sender->next_failed)
		give_move_up(sender);
	sender->next_failed = false;
	if (sender->engine.psp)
		mind_rotations(sender);
	progress_update(&sender->progress, sender->summary.bytes);
	if (failure->exit_code || check_farewell(sender))
		return failure->exit_code;
	/* Only an engine with nothing left inside makes its descriptor readable when more comes. */
	if (wants_input(sender) && input_ready(sender, n > 0 ? 0 : WAIT_MS) && read_piece(sender))
		return failure->exit_code;
	return sender->ready && !sender->blocked ? push(sender) : 0;
}

static void transfer(struct sender *sender)
{
	while (!(sender->sent && sender->peer_eof)) {
		if (stop_signal())
			failure_set(&sender->failure, 128 + stop_signal(), "interrupted");
		if (sender->failure.exit_code || turn(sender))
			break;
	}
	progress_clear(&sender->progress);
}

int send_file(const struct options *options)
{
	static struct sender sender;

	sender = (struct sender){
		.options = options,
		.input = -1,
		.summary = {.command = "send",
			    .what = "sent",
			    .path = strcmp(options->file, "-") ? options->file : NULL},
	};
	if (!open_input(&sender) && !engine_open(&sender.engine, SZC_TLS_CLIENT, options, &sender.failure)) {
		snprintf(sender.summary.backend, sizeof(sender.summary.backend), "%s",
			 szc_rx_backend(sender.engine.rx));
		if (!connect_to(&sender))
			transfer(&sender);
	}
	stopwatch_stop(&sender.summary.watch);
	if (sender.conn) {
		summary_note(&sender.summary, sender.conn, sender.summary.bytes);
		szc_conn_close(sender.conn);
	}
	if (sender.engine.rx && sender.summary.moves)
		szc_rx_trips(sender.engine.rx, &sender.summary.trips);
	if (sender.failure.exit_code)
		sender.summary.failed = sender.summary.connections;
	engine_close(&sender.engine);
	if (sender.input > STDIN_FILENO)
		close(sender.input);
	return engine_report(options, &sender.summary, &sender.failure);
}
