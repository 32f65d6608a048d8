/* SPDX-License-Identifier: MIT */
/*
 * For tests of the engine: an engine on the backend that the test runs for, peers on loopback, and bytes whose place in
 * the stream can be told from their value. Every wait has an end; a test that needs longer has failed.
 */
#ifndef SZC_TESTS_FIXTURE_H
#define SZC_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <szc/rx.h>

enum { FIXTURE_MS = 20000 }; /* what nothing here takes; sanitizers are slow */

extern enum szc_backend fixture_copy, fixture_epoll;

/* One test, run for both backends that every machine may have. Its `state` names the backend. */
#define EACH_BACKEND(test)                                                                                             \
	{"copy: " #test, test, NULL, NULL, &fixture_copy},                                                             \
	{                                                                                                              \
		"epoll: " #test, test, NULL, NULL, &fixture_epoll                                                      \
	}

/* An engine with these options on the test's backend; skips the test, and says why, where that cannot run. */
struct szc_rx *fixture_open(void **state, struct szc_rx_options options);
/* Small: `connections` of them, each with the least quota of buffers of that size. */
struct szc_rx_options fixture_least(unsigned connections, size_t buffer_size);
void fixture_close(struct szc_rx *rx);

/* A TCP connection over loopback: fds[0] for the engine, fds[1] for the peer. */
void fixture_tcp_pair(int fds[2]);
/* A connection of the engine whose SZC_EV_READY was taken; the peer's end is the caller's to close. */
struct szc_conn *fixture_conn(struct szc_rx *rx, int *peer);
/* Connects to 127.0.0.1:port; blocking, with time limits. */
int fixture_connect(unsigned port);
/* Makes the closing of `fd` a reset. */
void fixture_reset_on_close(int fd);

/* szc_rx_wait(), again if it was interrupted, as io_uring's work interrupts system calls of its thread. */
int fixture_wait(struct szc_rx *rx, struct szc_event *events, int max, int timeout_ms);
/* The next event; its type is 0 if none came in time. */
struct szc_event fixture_event(struct szc_rx *rx, int timeout_ms);
/* The next event, which must be of that type. */
struct szc_event fixture_expect(struct szc_rx *rx, enum szc_event_type type);
/* Nothing happens for so long. */
void fixture_quiet(struct szc_rx *rx, int timeout_ms);

uint8_t fixture_byte(unsigned seed, uint64_t at);
void fixture_fill(void *to, size_t len, unsigned seed, uint64_t at);
/* The view's bytes are those of the stream at `at`. Returns how many. */
size_t fixture_check(const struct szc_view *view, unsigned seed, uint64_t at);
/* Reads exactly `len` bytes of the stream from a peer's descriptor. */
void fixture_read(int fd, size_t len, unsigned seed, uint64_t at);
/* Reads up to `len` bytes, fewer only at the end of the stream. Returns how many. */
size_t fixture_recv(int fd, void *to, size_t len);
void fixture_write(int fd, size_t len, unsigned seed, uint64_t at);

/* A thread that sends `total` bytes of the stream in pieces, then ends its direction if asked to. */
struct fixture_sender {
	int fd;
	uint64_t total;
	size_t piece;
	unsigned seed;
	bool end;
	int error; /* set by the thread */
	pthread_t thread;
};
void fixture_sender_start(struct fixture_sender *sender);
/* Fails if it could not send all. */
void fixture_sender_join(struct fixture_sender *sender);

/* Runs `act` in a child: it must end by SIGABRT and say `words` on standard error. */
void fixture_aborts(void (*act)(void *arg), void *arg, const char *words);

uint64_t fixture_now_ms(void);
/* Repeatable noise below `below`. */
uint32_t fixture_random(uint64_t *seed, uint32_t below);
int fixture_open_files(void);

#endif
