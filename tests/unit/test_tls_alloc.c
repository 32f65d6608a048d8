/* SPDX-License-Identifier: MIT */
/*
 * No memory is allocated for a record, received or sent, once a connection runs warm. The libraries' own allocations are
 * seen through the linker's wrapping (CMakeLists.txt), OpenSSL's through its hooks; both only inside calls of the library.
 */
#include "tests/unit/pair.h"

#include <stdlib.h>
#include <openssl/crypto.h>

static bool counting;
static unsigned long allocations;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size);
int __real_szc_rx_wait(struct szc_rx *rx, struct szc_event *events, int max, int timeout_ms);
int __wrap_szc_rx_wait(struct szc_rx *rx, struct szc_event *events, int max, int timeout_ms);
ssize_t __real_szc_conn_send(struct szc_conn *conn, const struct iovec *iov, int iovcnt);
ssize_t __wrap_szc_conn_send(struct szc_conn *conn, const struct iovec *iov, int iovcnt);

void *__wrap_malloc(size_t size)
{
	allocations += counting;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	allocations += counting;
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size)
{
	allocations += counting;
	return __real_realloc(at, size);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return __wrap_malloc(size);
}

static void *openssl_realloc(void *at, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return __wrap_realloc(at, size);
}

static void openssl_free(void *at, const char *file, int line)
{
	(void)file;
	(void)line;
	free(at);
}

int __wrap_szc_rx_wait(struct szc_rx *rx, struct szc_event *events, int max, int timeout_ms)
{
	int got;

	counting = true;
	got = __real_szc_rx_wait(rx, events, max, timeout_ms);
	counting = false;
	return got;
}

ssize_t __wrap_szc_conn_send(struct szc_conn *conn, const struct iovec *iov, int iovcnt)
{
	ssize_t taken;

	counting = true;
	taken = __real_szc_conn_send(conn, iov, iovcnt);
	counting = false;
	return taken;
}

enum { WARM_UP = 100, RECORDS = 3000 };

static uint8_t plain[SZC_RECORD_PLAIN_MAX];
static struct peer_record record;

static void one_round(struct pair *pair, int i)
{
	size_t len = i % 50 == 0 ? sizeof(plain) : 1 + (size_t)(i * 37) % 1500, sent = 1 + (size_t)(i * 61) % 9000;
	struct iovec iov[2] = {{plain, sent / 3}, {plain + sent / 3, sent - sent / 3}};

	peer_say(&pair->peer, SZC_CONTENT_APPLICATION, plain, len);
	assert_int_equal(szc_conn_send(pair->conn, iov, 2), sent);
	pair_expect(pair, plain, len);
	do {
		pair_next(pair, &record);
	} while (record.type == SZC_CONTENT_HANDSHAKE);
	assert_int_equal(record.len, sent);
}

static void steady(void **state, struct szc_tls_options tls, const char *suite)
{
	int role, i;

	for (role = SZC_TLS_SERVER; role <= SZC_TLS_CLIENT; role++) {
		struct pair pair;

		allocations = 0;
		pair_start(&pair, state, &(struct pair_setup){.role = role, .tls = tls, .peer_suites = suite});
		/* the watch works: a handshake is not done without memory */
		assert_true(allocations > 100);
		for (i = 0; i < WARM_UP; i++)
			one_round(&pair, i);
		allocations = 0;
		for (i = 0; i < RECORDS; i++)
			one_round(&pair, i);
		if (allocations)
			fail_msg("%lu allocations for %d records received and sent", allocations, RECORDS);
		pair_close(&pair);
	}
}

static void no_allocation_for_a_record(void **state)
{
	steady(state, (struct szc_tls_options){0}, "TLS_AES_128_GCM_SHA256");
	steady(state, (struct szc_tls_options){0}, "TLS_CHACHA20_POLY1305_SHA256");
}

static void nor_with_copy_first(void **state)
{
	steady(state, (struct szc_tls_options){.copy_first = true}, "TLS_AES_256_GCM_SHA384");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(no_allocation_for_a_record),
		ON_BOTH(nor_with_copy_first),
	};

	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		return 1;
	pair_fill(plain, sizeof(plain), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
