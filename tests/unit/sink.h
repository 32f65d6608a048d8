/* SPDX-License-Identifier: MIT */
/*
 * For tests that move streams through an engine: threads that send them over loopback, and sinks that check each byte of
 * what arrives and may hoard it. Every wait here ends, with success or a failed test.
 */
#ifndef SZC_TESTS_SINK_H
#define SZC_TESTS_SINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <szc/rx.h>

enum {
	SINK_VIEWS = 4096,
	SINK_MS = 20000, /* nothing here takes a second; a loaded machine may need a few */
	SINK_TURN_MS = 20,
};

struct sink_sender {
	pthread_t thread;
	int fd;
	unsigned seed;
	size_t total;
	size_t piece; /* bytes a write */
	size_t sent;
};

struct sink {
	struct szc_conn *conn;
	unsigned seed;
	size_t got;
	size_t longest; /* of the pieces that it came in */
	bool eof;
	int error;
	bool hoard;
	bool anywhere; /* its views need not lie in the area that the engine was opened with */
	struct szc_view *views[SINK_VIEWS];
	size_t offsets[SINK_VIEWS]; /* of each view's first byte */
	unsigned view_count;
};

/* The byte of stream `seed` at that offset. */
uint8_t sink_byte(unsigned seed, size_t offset);

/* A thread sends the stream and ends its direction; `fd` is closed by sink_send_end(). */
void sink_send(struct sink_sender *sender, int fd, unsigned seed, size_t total, size_t piece);
void sink_send_end(struct sink_sender *sender);
/* Until it can send no more, and what its socket took has arrived: the receiver's socket is as full as it gets. */
void sink_send_stuck(const struct sink_sender *sender);

/* A connection on the engine; returns its peer. `receive_buffer` in bytes, or 0 for what the kernel thinks. */
int sink_add(struct szc_rx *rx, struct sink *sink, unsigned seed, int receive_buffer);

/* A turn of the engine in which somebody may come in: then he is the sink's, and his connection is returned. */
struct szc_conn *sink_accept(struct szc_rx *rx, struct sink *sink);

/* One szc_rx_wait(); returns how many events came. Every connection's user pointer must be a sink. */
int sink_turn(struct szc_rx *rx, int timeout_ms);
bool sink_over(const struct sink *sink);
void sink_until_over(struct szc_rx *rx, const struct sink *sinks, int count);
/* Until nothing happened for a while: what could come has come. */
void sink_until_quiet(struct szc_rx *rx);

/* Ends hoarding. The views are checked again before they go: nobody may have touched the buffers meanwhile. */
void sink_release(struct szc_rx *rx, struct sink *sink);

struct szc_rx_stats sink_stats(const struct szc_rx *rx);
/* Closes the engine, once every connection is closed and every buffer back, or fails the test. */
void sink_finish(struct szc_rx *rx);

#endif
