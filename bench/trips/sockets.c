/* SPDX-License-Identifier: MIT */
/* The modes that know nothing of this library: sockets as everybody uses them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "parts.h"
#include "receiver.h"
#include "seal.h"

#ifndef TLS_RX_EXPECT_NO_PAD
#define TLS_RX_EXPECT_NO_PAD 4
#endif

struct way {
	struct receiver *receiver;
	int fd, epoll_fd;
	SSL *ssl;
	unsigned char *buffer; /* RECV_SIZE */
};

static int listen_at(const struct receiver *receiver)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, receiver->arguments.address, &address.sin_addr) != 1) {
		fprintf(stderr, "trips-receive: %s is no IPv4 address\n", receiver->arguments.address);
		return -1;
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		return complain("cannot listen");
	return write_port(receiver->arguments.port_file, ntohs(address.sin_port)) ? -1 : fd;
}

/* The connection, non-blocking, and memory to receive into. */
static int way_begin(struct way *way, struct receiver *receiver)
{
	struct epoll_event event = {.events = EPOLLIN};
	int listener = listen_at(receiver);

	*way = (struct way){.receiver = receiver, .fd = -1, .epoll_fd = -1};
	if (listener < 0)
		return -1;
	way->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(listener);
	way->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (way->fd < 0 || way->epoll_fd < 0 || epoll_ctl(way->epoll_fd, EPOLL_CTL_ADD, way->fd, &event))
		return complain("accept");
	way->buffer = mmap(NULL, RECV_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (way->buffer == MAP_FAILED)
		return complain("memory");
	announce(SZC_MARK_TARGET, way->buffer, RECV_SIZE);
	return 0;
}

static void way_end(struct way *way)
{
	SSL_free(way->ssl);
	if (way->fd >= 0)
		close(way->fd);
	if (way->epoll_fd >= 0)
		close(way->epoll_fd);
}

static int way_wait(const struct way *way)
{
	struct epoll_event event;

	while (epoll_wait(way->epoll_fd, &event, 1, -1) < 0) {
		if (errno != EINTR)
			return complain("epoll_wait");
	}
	return 0;
}

/* All parts, by a function that reads some: bytes, 0 if there is nothing now, or -1 after a message. */
static int way_receive(struct way *way, ssize_t (*some)(struct way *way), int (*say)(struct way *way))
{
	struct receiver *receiver = way->receiver;

	while (!receiver->complete) {
		ssize_t n = some(way);

		if (n < 0 || (!n && way_wait(way)))
			return -1;
		consume(&receiver->consumed, way->buffer, (size_t)n);
		if (!part_over(receiver))
			continue;
		if (part_ends(receiver) || (!receiver->complete && (part_begins(receiver) || say(way))))
			return -1;
	}
	return 0;
}

/* ---- plain */

static ssize_t some_recv(struct way *way)
{
	ssize_t n = recv(way->fd, way->buffer, RECV_SIZE, 0);

	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return complain(n ? "recv" : "the connection ended too soon");
}

static int say_send(struct way *way)
{
	const char ask = PART_ASK;

	return send(way->fd, &ask, 1, MSG_NOSIGNAL) == 1 ? 0 : complain("send");
}

int receive_recv(struct receiver *receiver)
{
	struct way way;
	int error = way_begin(&way, receiver);

	error = error ? error : way_receive(&way, some_recv, say_send);
	receiver->ledger.kernel_copied = receiver->arguments.bytes;
	way_end(&way);
	return error;
}

/* The NIC decrypts: what is received is as if it had come in clear. */
int receive_psp_recv(struct receiver *receiver)
{
	struct way way;
	int error = way_begin(&way, receiver);

	error = error ? error : seal_socket(receiver->arguments.ifname, way.fd);
	snprintf(receiver->cipher, sizeof(receiver->cipher), "PSP AES-GCM-128");
	error = error ? error : way_receive(&way, some_recv, say_send);
	receiver->ledger.kernel_copied = receiver->arguments.bytes;
	way_end(&way);
	return error;
}

/* ---- OpenSSL */

static int handshake(struct way *way, bool read_ahead)
{
	SSL_CTX *ctx = secret_context(&way->receiver->arguments);
	int n;

	if (!ctx)
		return -1;
	SSL_CTX_set_read_ahead(ctx, read_ahead);
	way->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (!way->ssl || !SSL_set_fd(way->ssl, way->fd))
		return complain_ssl("TLS");
	while ((n = SSL_accept(way->ssl)) != 1) {
		if (SSL_get_error(way->ssl, n) != SSL_ERROR_WANT_READ)
			return complain_ssl("the handshake failed");
		if (way_wait(way))
			return -1;
	}
	snprintf(way->receiver->cipher, sizeof(way->receiver->cipher), "%s", SSL_get_cipher_name(way->ssl));
	return 0;
}

static ssize_t some_openssl(struct way *way)
{
	int n = SSL_read(way->ssl, way->buffer, RECORD_SIZE);

	if (n > 0)
		return n;
	return SSL_get_error(way->ssl, n) == SSL_ERROR_WANT_READ ? 0 : complain_ssl("SSL_read");
}

static int say_openssl(struct way *way)
{
	const char ask = PART_ASK;

	return SSL_write(way->ssl, &ask, 1) == 1 ? 0 : complain_ssl("SSL_write");
}

int receive_openssl(struct receiver *receiver)
{
	struct way way;
	const void *memory;
	size_t size;
	int error = way_begin(&way, receiver);

	error = error ? error : handshake(&way, true);
	inside_memory(&memory, &size);
	announce(SZC_MARK_INSIDE, memory, size);
	error = error ? error : way_receive(&way, some_openssl, say_openssl);
	/* recv() into OpenSSL's buffer, decrypted there, and from there to ours. */
	receiver->ledger.model = true;
	receiver->ledger.kernel_copied = receiver->ledger.user_copied = receiver->ledger.opened =
		receiver->arguments.bytes;
	way_end(&way);
	return error;
}

/* ---- the kernel's TLS */

static int into_the_kernel(struct way *way, bool no_pad)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = {.version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};
	unsigned char key[16], iv[12];
	int on = 1;

	if (secret_keys(key, iv))
		return -1;
	memcpy(info.key, key, sizeof(info.key));
	memcpy(info.salt, iv, sizeof(info.salt));
	memcpy(info.iv, iv + sizeof(info.salt), sizeof(info.iv));
	if (setsockopt(way->fd, IPPROTO_TCP, TCP_ULP, "tls", 4) ||
	    setsockopt(way->fd, SOL_TLS, TLS_RX, &info, sizeof(info)))
		return complain("the kernel's TLS");
	if (no_pad && setsockopt(way->fd, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on)))
		return complain("TLS_RX_EXPECT_NO_PAD");
	return 0;
}

static int receive_kernel_tls(struct receiver *receiver, bool no_pad)
{
	struct way way;
	int error = way_begin(&way, receiver);

	error = error ? error : handshake(&way, false);
	error = error ? error : into_the_kernel(&way, no_pad);
	error = error ? error : way_receive(&way, some_recv, say_openssl);
	/* Decrypted into the reader's memory; where there can be padding, into the kernel's, and copied from there. */
	receiver->ledger.model = true;
	receiver->ledger.opened = receiver->arguments.bytes;
	receiver->ledger.kernel_copied = receiver->ledger.opened * (no_pad ? 1 : 2);
	way_end(&way);
	return error;
}

int receive_ktls(struct receiver *receiver)
{
	return receive_kernel_tls(receiver, false);
}

int receive_ktls_nopad(struct receiver *receiver)
{
	return receive_kernel_tls(receiver, true);
}
