/* SPDX-License-Identifier: MIT */
/*
 * The proof, from outside the ledger, that nothing is copied on the way: every function through which the libraries could
 * move bytes is wrapped by the linker (see CMakeLists.txt), and what they do is compared with what the application gets.
 *
 * A sender of OpenSSL's runs in a process of its own; what happens here inside szc_rx_wait() is counted.
 */
#include "tests/unit/pair.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/bio.h>
#include <openssl/evp.h>

enum { PAYLOAD = 24 << 20, PATIENCE_MS = 20000 };

/* ---- what is seen while `watching` */

static bool watching;
static const uint8_t *area;
static size_t area_size;
static uint64_t moved;            /* by memcpy() and memmove() */
static uint64_t given_to_openssl; /* by BIO_write() */
static uint64_t opened_elsewhere; /* AEAD calls whose output is not their input, or not in the area */
static uint64_t opened_in_place;
static uint64_t received_elsewhere; /* by recv() to outside of the area */

/* Every range that was opened in place, in order, until a view accounts for it. */
static struct iovec *ranges;
static size_t range_count, range_at, range_cap;

void *__real_memcpy(void *to, const void *from, size_t len);
void *__wrap_memcpy(void *to, const void *from, size_t len);
void *__real_memmove(void *to, const void *from, size_t len);
void *__wrap_memmove(void *to, const void *from, size_t len);
int __real_BIO_write(BIO *bio, const void *data, int len);
int __wrap_BIO_write(BIO *bio, const void *data, int len);
int __real_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_len, const unsigned char *in, int in_len);
int __wrap_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_len, const unsigned char *in, int in_len);
int __real_EVP_DecryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_len, const unsigned char *in,
			     int in_len);
int __wrap_EVP_DecryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_len, const unsigned char *in,
			     int in_len);
ssize_t __real_recv(int fd, void *to, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t len, int flags);
ssize_t __real_read(int fd, void *to, size_t len);
ssize_t __wrap_read(int fd, void *to, size_t len);

static bool in_area(const void *at, size_t len)
{
	return (const uint8_t *)at >= area && (const uint8_t *)at + len <= area + area_size;
}

void *__wrap_memcpy(void *to, const void *from, size_t len)
{
	if (watching)
		moved += len;
	return __real_memcpy(to, from, len);
}

void *__wrap_memmove(void *to, const void *from, size_t len)
{
	if (watching)
		moved += len;
	return __real_memmove(to, from, len);
}

int __wrap_BIO_write(BIO *bio, const void *data, int len)
{
	if (watching)
		given_to_openssl += (uint64_t)len;
	return __real_BIO_write(bio, data, len);
}

static void see_cipher(const unsigned char *out, const unsigned char *in, int len)
{
	if (!watching || !out)
		return; /* without output it is the header that is authenticated */
	if (out != in || !in_area(out, (size_t)len)) {
		opened_elsewhere += (uint64_t)len;
		return;
	}
	opened_in_place += (uint64_t)len;
	if (range_count == range_cap) {
		range_cap = range_cap ? 2 * range_cap : 1024;
		ranges = realloc(ranges, range_cap * sizeof(*ranges));
	}
	ranges[range_count++] = (struct iovec){(void *)out, (size_t)len};
}

int __wrap_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_len, const unsigned char *in, int in_len)
{
	see_cipher(out, in, in_len);
	return __real_EVP_CipherUpdate(ctx, out, out_len, in, in_len);
}

int __wrap_EVP_DecryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_len, const unsigned char *in, int in_len)
{
	see_cipher(out, in, in_len);
	return __real_EVP_DecryptUpdate(ctx, out, out_len, in, in_len);
}

ssize_t __wrap_recv(int fd, void *to, size_t len, int flags)
{
	ssize_t got = __real_recv(fd, to, len, flags);

	if (watching && got > 0 && !in_area(to, len))
		received_elsewhere += (uint64_t)got;
	return got;
}

ssize_t __wrap_read(int fd, void *to, size_t len)
{
	ssize_t got = __real_read(fd, to, len);

	if (watching && got > 0)
		moved += (uint64_t)got;
	return got;
}

static void forget(void)
{
	moved = given_to_openssl = opened_elsewhere = opened_in_place = received_elsewhere = 0;
	range_count = range_at = 0;
}

/* ---- the sender */

/* In a process of its own; its exit status says whether all went well. */
static int send_all(int fd, const uint8_t *payload)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	size_t at = 0, i;
	uint8_t byte;

	if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
		return 1;
	/* mostly full records, some of any size */
	for (i = 0; at < PAYLOAD; i++) {
		size_t len = i % 13 == 5 ? 1 + i * 131 % 9000 : 65536;

		if (len > PAYLOAD - at)
			len = PAYLOAD - at;
		if (SSL_write(ssl, payload + at, (int)len) != (int)len)
			return 1;
		at += len;
	}
	/* The tickets must be read: closing over them would reset the connection and take the payload with it. */
	if (SSL_shutdown(ssl) < 0 || SSL_read(ssl, &byte, 1) > 0)
		return 1;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return 0;
}

static pid_t start_sender(const uint8_t *payload, int *fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other;
	pid_t child;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(other, (struct sockaddr *)&address, sizeof(address)), 0);
	*fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*fd >= 0);
	close(listener);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(*fd);
		_exit(send_all(other, payload));
	}
	close(other);
	return child;
}

/* ---- the receiver */

struct receipt {
	const uint8_t *payload;
	bool copied; /* by copy_first: what is handed out was not opened there */
	uint64_t bytes;
	uint64_t between; /* opened, but not payload: type bytes and the farewell */
	bool eof;
	struct szc_conn *conn;
};

/* These bytes must be, where they lie, the next ones that were opened. */
static void account(struct receipt *receipt, const uint8_t *at, size_t left)
{
	while (left) {
		struct iovec *range = &ranges[range_at];
		size_t part = left;

		assert_true(range_at < range_count);
		if (!range->iov_len) {
			range_at++;
			continue;
		}
		if (range->iov_base != at) {
			part = 1;
			receipt->between++;
		} else {
			part = left < range->iov_len ? left : range->iov_len;
			at += part;
			left -= part;
		}
		range->iov_base = (uint8_t *)range->iov_base + part;
		range->iov_len -= part;
	}
}

static void take_view(struct receipt *receipt, struct szc_view *view)
{
	int iovcnt, i;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (i = 0; i < iovcnt; i++) {
		assert_true(in_area(iov[i].iov_base, iov[i].iov_len));
		assert_memory_equal(iov[i].iov_base, receipt->payload + receipt->bytes, iov[i].iov_len);
		receipt->bytes += iov[i].iov_len;
		if (!receipt->copied)
			account(receipt, iov[i].iov_base, iov[i].iov_len);
	}
	szc_view_release(view);
}

static void take_event(struct receipt *receipt, const struct szc_event *event)
{
	switch (event->type) {
	case SZC_EV_READY:
		break;
	case SZC_EV_DATA:
		take_view(receipt, event->view);
		break;
	case SZC_EV_EOF:
		receipt->eof = true;
		break;
	default:
		fail_msg("event %d: %s", event->type, szc_conn_last_error(event->conn));
	}
}

static void receive_all(struct szc_rx *rx, struct receipt *receipt)
{
	struct szc_event events[16];
	int got, i;

	while (!receipt->eof) {
		watching = true;
		got = szc_rx_wait(rx, events, 16, PATIENCE_MS);
		watching = false;
		/* What is left to do of an io_uring of an earlier test interrupts, as a signal would. */
		if (got == -EINTR)
			continue;
		assert_true(got > 0);
		for (i = 0; i < got; i++)
			take_event(receipt, &events[i]);
	}
}

/* One transfer; what was seen and what the ledger says. */
static void transfer(void **state, const char *suite, struct receipt *receipt, struct szc_trips *trips)
{
	struct szc_tls_options options = pair_options(SZC_TLS_SERVER);
	static uint8_t payload[PAYLOAD];
	struct szc_tls_ctx *ctx;
	struct pair pair;
	int fd, status;
	pid_t child;
	void *base;

	pair_fill(payload, sizeof(payload), 0);
	receipt->payload = payload;
	options.copy_first = receipt->copied;
	options.ciphersuites = suite;
	ctx = pair_tls(&options);
	child = start_sender(payload, &fd);
	pair_open(&pair, state, NULL);
	szc_rx_area(pair.rx, &base, &area_size);
	area = base;
	forget();
	assert_int_equal(szc_rx_adopt(pair.rx, fd, &receipt->conn), 0);
	assert_int_equal(szc_tls_attach(receipt->conn, ctx, NULL), 0);
	receive_all(pair.rx, receipt);
	assert_int_equal(szc_conn_shutdown(receipt->conn), 0);
	szc_conn_trips(receipt->conn, trips);
	szc_conn_close(receipt->conn);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(receipt->bytes == PAYLOAD);
	szc_tls_ctx_close(ctx);
	pair_close(&pair);
}

/* ---- the tests */

static void nothing_is_copied(void **state)
{
	static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
					     "TLS_CHACHA20_POLY1305_SHA256"};
	int s;

	for (s = 0; s < 3; s++) {
		struct receipt receipt = {0};
		struct szc_trips trips;
		uint64_t other;

		transfer(state, suites[s], &receipt, &trips);
		other = moved + given_to_openssl + opened_elsewhere + received_elsewhere;
		print_message("# %s: %llu of %d bytes opened in place, %llu moved otherwise (%.4f %%)\n", suites[s],
			      (unsigned long long)opened_in_place, PAYLOAD, (unsigned long long)other,
			      100.0 * (double)other / PAYLOAD);
		/* every payload byte was opened where the application found it; besides it, a type byte a record and the alert */
		assert_true(opened_in_place >= PAYLOAD);
		assert_true(opened_in_place <= PAYLOAD + trips.records + 2);
		assert_true(receipt.between <= trips.records);
		assert_true(opened_elsewhere == 0);
		assert_true(received_elsewhere == 0);
		assert_true(other < PAYLOAD / 100);
		/* and so says the ledger */
		assert_true(trips.bytes == PAYLOAD);
		assert_true(trips.bytes_user_copied == 0);
		assert_true(trips.bytes_opened_in_place == PAYLOAD);
		assert_true(szc_trips_measured(&trips) < 1.02);
	}
}

/* The same watch sees copies where there are some: out of the area, and back. */
static void copies_would_be_seen(void **state)
{
	struct receipt receipt = {.copied = true};
	struct szc_trips trips;

	transfer(state, "TLS_AES_128_GCM_SHA256", &receipt, &trips);
	assert_true(moved >= 2 * (uint64_t)PAYLOAD);
	assert_true(opened_elsewhere >= PAYLOAD);
	assert_true(opened_in_place == 0);
	assert_true(trips.bytes_user_copied >= 2 * (uint64_t)PAYLOAD);
	assert_true(trips.bytes_user_copied <= moved);
	assert_true(trips.bytes_opened_in_place == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(nothing_is_copied),
		ON_BOTH(copies_would_be_seen),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(ranges);
	return failed;
}
