/* SPDX-License-Identifier: MIT */
/*
 * For the soak: receives without TLS, on a NIC's queue or without one, and tells of each connection what came, so that nothing can be
 * short or wrong unnoticed. A line each on standard output:
 *   done BYTES SHA256    the peer ended properly
 *   failed SENTENCE
 *   end BUFFERS VIEWS    at SIGTERM: what is not back once every connection is closed; 0 and 0 is what there ought to be
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <szc/nic.h>
#include <szc/rx.h>

enum { CONNECTIONS = 8, EVENTS = 16, TURN_MS = 100, HELD = 4, TRIES = 200, NAP_NS = 20000000 };

/* Views are held until others come or nothing happens, so that buffers are out when something happens to the queue. */
struct stream {
	LIST_ENTRY(stream) entry;
	struct szc_conn *conn;
	EVP_MD_CTX *digest;
	size_t bytes;
	struct szc_view *held[HELD];
	unsigned next;
};

static LIST_HEAD(, stream) streams = LIST_HEAD_INITIALIZER(streams);
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "soak_plain: %s: %s\n", what, why);
	exit(1);
}

/* ---- streams */

static void begin(struct szc_conn *conn)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream || !(stream->digest = EVP_MD_CTX_new()) || !EVP_DigestInit_ex(stream->digest, EVP_sha256(), NULL))
		die("a stream", "no memory");
	stream->conn = conn;
	szc_conn_set_user(conn, stream);
	LIST_INSERT_HEAD(&streams, stream, entry);
}

static void hold(struct stream *stream, struct szc_view *view)
{
	unsigned at = stream->next++ % HELD;

	if (stream->held[at])
		szc_view_release(stream->held[at]);
	stream->held[at] = view;
}

static void let_go(struct stream *stream)
{
	unsigned i;

	for (i = 0; i < HELD; i++)
		hold(stream, NULL);
}

static void take(struct stream *stream, struct szc_view *view)
{
	int count, i;
	const struct iovec *iov = szc_view_iov(view, &count);

	for (i = 0; i < count; i++) {
		EVP_DigestUpdate(stream->digest, iov[i].iov_base, iov[i].iov_len);
		stream->bytes += iov[i].iov_len;
	}
	hold(stream, view);
}

static void over(struct stream *stream)
{
	szc_conn_close(stream->conn);
	LIST_REMOVE(stream, entry);
	let_go(stream);
	EVP_MD_CTX_free(stream->digest);
	free(stream);
}

static void tell(struct stream *stream)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len, i;

	EVP_DigestFinal_ex(stream->digest, digest, &len);
	printf("done %zu ", stream->bytes);
	for (i = 0; i < len; i++)
		printf("%02x", digest[i]);
	printf("\n");
}

static void happened(const struct szc_event *event)
{
	struct stream *stream = szc_conn_user(event->conn);

	switch (event->type) {
	case SZC_EV_ACCEPTED:
		begin(event->conn);
		break;
	case SZC_EV_DATA:
		take(stream, event->view);
		break;
	case SZC_EV_EOF:
		tell(stream);
		if (szc_conn_shutdown(event->conn))
			over(stream);
		break;
	case SZC_EV_ERROR:
		printf("failed %s\n", szc_conn_last_error(event->conn));
		over(stream);
		break;
	case SZC_EV_SENT:
		over(stream);
		break;
	default:
		break;
	}
}

static void serve(struct szc_rx *rx)
{
	struct szc_event event;
	struct stream *stream;

	while (!stopping) {
		if (szc_rx_wait(rx, &event, 1, TURN_MS) == 1)
			happened(&event);
		else
			LIST_FOREACH(stream, &streams, entry)
		let_go(stream);
	}
}

/* Every connection closed, whatever it was about, and every buffer back, if it comes back. */
static void finish(struct szc_rx *rx, struct szc_listener *listener)
{
	struct szc_rx_stats stats = {0};
	struct szc_event event;
	int turns = TRIES;

	szc_listener_close(listener);
	while (!LIST_EMPTY(&streams))
		over(LIST_FIRST(&streams));
	do {
		szc_rx_wait(rx, &event, 1, TURN_MS);
		szc_rx_stats(rx, &stats);
	} while ((stats.buffers_out || stats.views_out) && turns--);
	printf("end %u %u\n", stats.buffers_out, stats.views_out);
}

/* ---- the queue */

static struct szc_nic *prepare(const char *ifname, unsigned queue)
{
	char why[400] = "";
	struct szc_nic_options options = {
		.size = sizeof(options), .ifname = ifname, .error = why, .error_size = sizeof(why)};
	struct szc_nic_prepare_options wanted = {.size = sizeof(wanted), .queue = queue};
	struct szc_nic *nic;

	if (szc_nic_open(&nic, &options))
		die(ifname, why);
	if (szc_nic_prepare(nic, &wanted))
		die(ifname, szc_nic_last_error(nic));
	return nic;
}

static int steer(struct szc_nic *nic, const struct szc_listener *listener, unsigned queue)
{
	int error = szc_nic_steer_port(nic, (uint16_t)szc_listener_port(listener), queue);

	if (error)
		fprintf(stderr, "soak_plain: no steering: %s\n", szc_nic_last_error(nic));
	return error;
}

static int listen_at(struct szc_rx *rx, const char *address, struct szc_listener **listener)
{
	int error = szc_rx_listen(rx, address, NULL, listener);

	if (error)
		fprintf(stderr, "soak_plain: no listener: %s\n", szc_rx_last_error(rx));
	return error;
}

static void restore(struct szc_nic *nic)
{
	int tries = TRIES;

	if (!nic)
		return;
	/* The kernel gives a closed engine's queue back a moment later. */
	while (szc_nic_restore(nic) && tries--)
		nanosleep(&(struct timespec){0, NAP_NS}, NULL);
	if (tries < 0)
		die("the NIC is not as it was", szc_nic_last_error(nic));
	szc_nic_close(nic);
}

static void say_port(const char *path, unsigned port)
{
	char aside[4096];
	FILE *file;

	snprintf(aside, sizeof(aside), "%s.part", path);
	file = fopen(aside, "w");
	if (!file || fprintf(file, "%u\n", port) < 0 || fclose(file) || rename(aside, path))
		die(path, strerror(errno));
}

int main(int argc, char **argv)
{
	char why[400] = "";
	struct szc_rx_options options = {.size = sizeof(options),
					 .backend = SZC_BACKEND_COPY,
					 .max_connections = CONNECTIONS,
					 .error = why,
					 .error_size = sizeof(why)};
	struct szc_listener *listener = NULL;
	struct szc_nic *nic = NULL;
	struct szc_rx *rx;

	if (argc != 3 && argc != 5)
		die("usage", "soak_plain ADDRESS:PORT PORT-FILE [IFNAME QUEUE]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, on_signal);
	if (argc == 5) {
		options.backend = SZC_BACKEND_ZCRX;
		options.ifname = argv[3];
		options.queue = (unsigned)atoi(argv[4]);
		nic = prepare(options.ifname, options.queue);
	}
	if (szc_rx_open(&rx, &options)) {
		restore(nic);
		die("no engine", why);
	}
	if (listen_at(rx, argv[1], &listener) || (nic && steer(nic, listener, options.queue))) {
		szc_rx_close(rx);
		restore(nic);
		return 1;
	}
	say_port(argv[2], szc_listener_port(listener));
	serve(rx);
	finish(rx, listener);
	if (szc_rx_close(rx))
		die("the engine does not close", szc_rx_last_error(rx));
	restore(nic);
	return 0;
}
