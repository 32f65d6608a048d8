/* SPDX-License-Identifier: MIT */
/* A program outside the tree: plain receive over loopback, and a configuration of TLS and PSP. consumer CERT KEY */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <szc/psp.h>
#include <szc/szc.h>
#include <szc/tls.h>

enum { PAYLOAD = 12345 };

/* Two ends of one TCP connection over loopback. */
static int tcp_pair(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || ends[0] < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &length) ||
	    connect(ends[0], (struct sockaddr *)&address, length))
		return -1;
	ends[1] = accept(listener, NULL, NULL);
	close(listener);
	return ends[1] < 0 ? -1 : 0;
}

static size_t copy_view(const struct szc_view *view, char *to, size_t room)
{
	int count;
	const struct iovec *iov = szc_view_iov(view, &count);
	size_t done = 0;

	for (int i = 0; i < count && iov[i].iov_len <= room - done; i++) {
		memcpy(to + done, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	return done;
}

/* Receives until the peer's end. Returns how many bytes came, or -1. */
static ssize_t receive(struct szc_rx *rx, struct szc_conn *conn, char *to, size_t room)
{
	size_t received = 0;
	struct szc_event events[8];

	for (;;) {
		int n = szc_rx_wait(rx, events, 8, 10000);

		if (n <= 0)
			return fprintf(stderr, "szc_rx_wait: %s\n", n ? szc_strerror(n) : "nothing came"), -1;
		for (int i = 0; i < n; i++) {
			if (events[i].type == SZC_EV_DATA) {
				received += copy_view(events[i].view, to + received, room - received);
				szc_view_release(events[i].view);
			} else if (events[i].type == SZC_EV_EOF) {
				return (ssize_t)received;
			} else if (events[i].type == SZC_EV_ERROR) {
				return fprintf(stderr, "%s\n", szc_conn_last_error(conn)), -1;
			}
		}
	}
}

static int plain_receive(void)
{
	static char sent[PAYLOAD], received[PAYLOAD + 1];
	char error[256] = "";
	struct szc_rx_options options = {
		.size = sizeof(options), .backend = SZC_BACKEND_EPOLL, .error = error, .error_size = sizeof(error)};
	struct szc_trips trips;
	struct szc_conn *conn;
	struct szc_rx *rx;
	int ends[2];

	for (int i = 0; i < PAYLOAD; i++)
		sent[i] = (char)(i * 7);
	if (szc_rx_open(&rx, &options))
		return fprintf(stderr, "szc_rx_open: %s\n", error), 1;
	if (tcp_pair(ends) || write(ends[0], sent, PAYLOAD) != PAYLOAD || close(ends[0]))
		return perror("loopback"), 1;
	if (szc_rx_adopt(rx, ends[1], &conn))
		return fprintf(stderr, "szc_rx_adopt: %s\n", szc_rx_last_error(rx)), 1;
	if (receive(rx, conn, received, sizeof(received)) != PAYLOAD || memcmp(sent, received, PAYLOAD))
		return fprintf(stderr, "what was received is not what was sent\n"), 1;
	szc_conn_trips(conn, &trips);
	szc_conn_close(conn);
	if (szc_rx_close(rx))
		return fprintf(stderr, "szc_rx_close: %s\n", szc_rx_last_error(rx)), 1;
	printf("received %llu bytes, trips %.2f\n", (unsigned long long)trips.bytes, szc_trips_total(&trips));
	return trips.bytes != PAYLOAD;
}

int main(int argc, char **argv)
{
	char error[256] = "";
	struct szc_psp_ctx *psp;
	struct szc_tls_ctx *ctx;
	struct szc_tls_options options = {
		.size = sizeof(options), .role = SZC_TLS_SERVER, .error = error, .error_size = sizeof(error)};

	if (argc != 3)
		return fprintf(stderr, "usage: %s CERT KEY\n", argv[0]), 2;
	options.cert_file = argv[1];
	options.key_file = argv[2];
	/* With all defaults it is no error to have no NIC that does it. */
	if (szc_psp_ctx_open(&psp, NULL))
		return fprintf(stderr, "szc_psp_ctx_open failed\n"), 1;
	options.upgrade = szc_psp_upgrade(psp);
	if (szc_tls_ctx_open(&ctx, &options))
		return fprintf(stderr, "szc_tls_ctx_open: %s\n", error), 1;
	szc_tls_ctx_close(ctx);
	szc_psp_ctx_close(psp);
	return plain_receive();
}
