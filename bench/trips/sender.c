/* SPDX-License-Identifier: MIT */
/*
 * The sending end of bench/trip-count: connects, and sends the payload in messages of one size, a part (parts.h) whenever
 * the receiver asks for one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "bench/common.h"
#include "options.h"
#include "parts.h"
#include "seal.h"
#include "settle.h"

struct arguments {
	const char *host;
	bool tls, psp, unwatched;
	uint64_t port, warm, bytes, message;
};

struct sender {
	int fd;
	SSL *ssl; /* NULL: plain */
	unsigned char *message;
	uint64_t position;
};

static int dial(struct sender *sender, const struct arguments *arguments)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)arguments->port)};
	int on = 1;

	if (inet_pton(AF_INET, arguments->host, &address.sin_addr) != 1) {
		fprintf(stderr, "trips-send: %s is no IPv4 address\n", arguments->host);
		return -1;
	}
	sender->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sender->fd < 0 || connect(sender->fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(sender->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		return complain("cannot connect");
	return 0;
}

/* The receiver is known: it was started by who started this. */
static int shake_hands(struct sender *sender)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION))
		return complain_ssl("TLS");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	sender->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (!sender->ssl || !SSL_set_fd(sender->ssl, sender->fd) || SSL_connect(sender->ssl) != 1)
		return complain_ssl("the handshake failed");
	return 0;
}

static int send_all(struct sender *sender, size_t len)
{
	size_t sent = 0;

	if (sender->ssl)
		return SSL_write(sender->ssl, sender->message, (int)len) == (int)len ? 0 : complain_ssl("SSL_write");
	while (sent < len) {
		ssize_t n = send(sender->fd, sender->message + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return complain("send");
		sent += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int send_part(struct sender *sender, const struct arguments *arguments, uint64_t bytes)
{
	while (bytes) {
		size_t len = bytes < arguments->message ? (size_t)bytes : arguments->message;

		/* Words of a sequence, so that no two stretches of the payload are alike. */
		for (size_t at = 0; at + 8 <= len; at += 8) {
			uint64_t word = (sender->position + at) * UINT64_C(0x9e3779b97f4a7c15);

			memcpy(sender->message + at, &word, 8);
		}
		if (send_all(sender, len))
			return -1;
		sender->position += len;
		bytes -= len;
	}
	return 0;
}

/* False: the connection has ended. */
static bool asked_for_more(struct sender *sender)
{
	char byte;

	if (sender->ssl)
		return SSL_read(sender->ssl, &byte, 1) == 1;
	return recv(sender->fd, &byte, 1, 0) == 1;
}

static int send_parts(struct sender *sender, const struct arguments *arguments)
{
	if (!arguments->unwatched && settle())
		return complain("settling");
	if (dial(sender, arguments) || (arguments->tls && shake_hands(sender)) ||
	    (arguments->psp && seal_socket(NULL, sender->fd)) ||
	    send_part(sender, arguments, first_part(arguments->warm, arguments->bytes)))
		return -1;
	while (asked_for_more(sender)) {
		/* Each the same, so that in every mode the same is counted. */
		sender->position = 0;
		if (send_part(sender, arguments, arguments->bytes))
			return -1;
	}
	/* The receiver just ends when it has all; whether it has, it knows. */
	return 0;
}

static int run(const struct arguments *arguments)
{
	struct sender sender = {.fd = -1, .message = calloc(1, arguments->message)};
	int error = sender.message ? send_parts(&sender, arguments) : complain("memory");

	SSL_free(sender.ssl);
	if (sender.fd >= 0)
		close(sender.fd);
	free(sender.message);
	return error;
}

static void usage(FILE *file)
{
	fputs("Usage: trips-send --host ADDR --port PORT [--tls|--psp] --warm BYTES --bytes BYTES --message BYTES [--unwatched]\n"
	      "Sends to trips-receive.\n",
	      file);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	const struct option_value values[] = {
		{"host", .text = &arguments.host},
		{"port", .number = &arguments.port},
		{"tls", .flag = &arguments.tls},
		{"warm", .number = &arguments.warm},
		{"bytes", .number = &arguments.bytes},
		{"message", .number = &arguments.message},
		{"unwatched", .flag = &arguments.unwatched},
		{"psp", .flag = &arguments.psp},
	};

	if (!options_read(argc, argv, values, sizeof(values) / sizeof(values[0])) || !arguments.port ||
	    !arguments.warm || !arguments.bytes || !arguments.message || arguments.message % 8) {
		usage(stderr);
		return 2;
	}
	return run(&arguments) ? 1 : 0;
}
