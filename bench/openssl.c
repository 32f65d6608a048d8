/* SPDX-License-Identifier: MIT */
/*
 * The way it is done without this library. Its trips are a model, as nobody counts inside OpenSSL: the device's write
 * (assumed), recv()'s copy into OpenSSL's buffer, and the decrypted record's copy into the caller's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include "receive.h"

#define READ_SIZE (16 * 1024)

static int parse_address(const char *text, struct sockaddr_in *address)
{
	const char *colon = strrchr(text, ':');
	char host[64];

	*address = (struct sockaddr_in){.sin_family = AF_INET};
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(host))
		goto bad;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	address->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &address->sin_addr) == 1)
		return 0;
bad:
	fprintf(stderr, "receive: '%s' is not an IPv4 address and port\n", text);
	return -1;
}

/* The one connection's descriptor, or -1 after a message. */
static int accept_one(const struct arguments *arguments)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int listener, fd = -1, one = 1;

	if (parse_address(arguments->listen, &address))
		return -1;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		return complain("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len))
		complain("cannot listen");
	else if (!write_port(arguments->port_file, ntohs(address.sin_port))) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			complain("accept");
	}
	close(listener);
	return fd;
}

static SSL_CTX *make_context(const struct arguments *arguments)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    SSL_CTX_use_certificate_chain_file(ctx, arguments->cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, arguments->key, SSL_FILETYPE_PEM) != 1 ||
	    (arguments->ciphersuites && SSL_CTX_set_ciphersuites(ctx, arguments->ciphersuites) != 1)) {
		complain_ssl("cannot set up TLS");
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_read_ahead(ctx, 1);
	return ctx;
}

/* Waits for what OpenSSL wants. 0 or -1 after a message. */
static int wait_for(int epoll_fd, int fd, int want)
{
	struct epoll_event event = {.events = want == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN};
	static int armed = -1;

	if (armed != want && epoll_ctl(epoll_fd, armed < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event))
		return complain("epoll_ctl");
	armed = want;
	while (epoll_wait(epoll_fd, &event, 1, -1) < 0)
		if (errno != EINTR)
			return complain("epoll_wait");
	return 0;
}

/* To the peer's close_notify. 0 or -1 after a message. */
static int read_all(SSL *ssl, int epoll_fd, struct result *result)
{
	static unsigned char buffer[READ_SIZE];
	int fd = SSL_get_fd(ssl);

	for (;;) {
		int n = SSL_read(ssl, buffer, sizeof(buffer));
		int want;

		if (n > 0) {
			result_consume(result, buffer, (size_t)n);
			continue;
		}
		want = SSL_get_error(ssl, n);
		if (want == SSL_ERROR_ZERO_RETURN)
			return 0;
		if (want != SSL_ERROR_WANT_READ && want != SSL_ERROR_WANT_WRITE)
			return complain_ssl("the connection did not end properly");
		if (wait_for(epoll_fd, fd, want))
			return -1;
	}
}

int receive_openssl(const struct arguments *arguments, struct result *result)
{
	SSL_CTX *ctx = make_context(arguments);
	SSL *ssl = NULL;
	int fd = -1, epoll_fd = -1, error = -1;

	if (!ctx)
		return -1;
	fd = accept_one(arguments);
	if (fd < 0)
		goto out;
	result_start(result);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ssl = SSL_new(ctx);
	if (epoll_fd < 0 || !ssl || !SSL_set_fd(ssl, fd)) {
		complain("cannot begin");
		goto out;
	}
	SSL_set_accept_state(ssl);
	error = read_all(ssl, epoll_fd, result);
	result_stop(result);
	snprintf(result->cipher, sizeof(result->cipher), "%s", SSL_get_cipher_name(ssl));
	result->model = true;
	result->trips_assumed = 1;
	result->trips_measured = 2;
	result->passes = 1;
	if (!error) {
		SSL_shutdown(ssl);
		shutdown(fd, SHUT_WR);
	}
out:
	SSL_free(ssl);
	if (epoll_fd >= 0)
		close(epoll_fd);
	if (fd >= 0)
		close(fd);
	SSL_CTX_free(ctx);
	return error;
}
