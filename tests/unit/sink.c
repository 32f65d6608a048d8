/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* accept4() */
#include "tests/unit/sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/sockios.h>
#include <cmocka.h>
#include "tests/unit/fixture.h"

uint8_t sink_byte(unsigned seed, size_t offset)
{
	return (uint8_t)((offset ^ (offset >> 8) ^ (offset >> 16)) * 31 + seed);
}

/* ---- the sending side */

static void *send_all(void *arg)
{
	struct sink_sender *sender = arg;
	uint8_t *piece = malloc(sender->piece);

	while (sender->sent < sender->total) {
		size_t len = sender->total - sender->sent, i;
		ssize_t done;

		if (len > sender->piece)
			len = sender->piece;
		for (i = 0; i < len; i++)
			piece[i] = sink_byte(sender->seed, sender->sent + i);
		done = send(sender->fd, piece, len, MSG_NOSIGNAL);
		if (done <= 0)
			break;
		sender->sent += (size_t)done;
	}
	shutdown(sender->fd, SHUT_WR);
	free(piece);
	return NULL;
}

void sink_send(struct sink_sender *sender, int fd, unsigned seed, size_t total, size_t piece)
{
	*sender = (struct sink_sender){.fd = fd, .seed = seed, .total = total, .piece = piece};
	assert_int_equal(pthread_create(&sender->thread, NULL, send_all, sender), 0);
}

void sink_send_end(struct sink_sender *sender)
{
	pthread_join(sender->thread, NULL);
	close(sender->fd);
}

void sink_send_stuck(const struct sink_sender *sender)
{
	size_t sent_before = SIZE_MAX;
	int waiting_before = -1, waiting = 0, still;

	/* What is not acknowledged may be waiting to be sent again. */
	for (still = 0; still < (waiting ? 40 : 10); usleep(50000)) {
		size_t sent = __atomic_load_n(&sender->sent, __ATOMIC_RELAXED);

		/* One long write tells nothing until it is over; what of it was not acknowledged does. */
		assert_return_code(ioctl(sender->fd, SIOCOUTQ, &waiting), errno);
		still = sent == sent_before && waiting == waiting_before ? still + 1 : 0;
		sent_before = sent;
		waiting_before = waiting;
	}
}

/* ---- the receiving side */

int sink_add(struct szc_rx *rx, struct sink *sink, unsigned seed, int receive_buffer)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd, on = 1;

	assert_true(listener >= 0 && peer >= 0);
	if (receive_buffer)
		assert_return_code(setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(int)),
				   errno);
	assert_return_code(bind(listener, (struct sockaddr *)&address, sizeof(address)), errno);
	assert_return_code(listen(listener, 1), errno);
	assert_return_code(getsockname(listener, (struct sockaddr *)&address, &len), errno);
	assert_return_code(connect(peer, (struct sockaddr *)&address, sizeof(address)), errno);
	setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_return_code(fd, errno);
	close(listener);
	memset(sink, 0, sizeof(*sink));
	sink->seed = seed;
	assert_int_equal(szc_rx_adopt(rx, fd, &sink->conn), 0);
	szc_conn_set_user(sink->conn, sink);
	return peer;
}

static void check_view(const struct szc_rx *rx, struct sink *sink, const struct szc_view *view, size_t offset)
{
	uint8_t *area;
	size_t size, j;
	int count, i;
	const struct iovec *iov = szc_view_iov(view, &count);

	szc_rx_area(rx, (void **)&area, &size);
	for (i = 0; i < count; i++) {
		const uint8_t *bytes = iov[i].iov_base;

		assert_true(sink->anywhere || (bytes >= area && bytes + iov[i].iov_len <= area + size));
		sink->longest = iov[i].iov_len > sink->longest ? iov[i].iov_len : sink->longest;
		for (j = 0; j < iov[i].iov_len; j++, offset++)
			if (bytes[j] != sink_byte(sink->seed, offset))
				fail_msg("byte %zu of stream %u is wrong", offset, sink->seed);
	}
}

static void take(struct szc_rx *rx, const struct szc_event *event)
{
	struct sink *sink = szc_conn_user(event->conn);

	switch (event->type) {
	case SZC_EV_DATA:
		check_view(rx, sink, event->view, sink->got);
		if (sink->hoard) {
			assert_true(sink->view_count < SINK_VIEWS);
			sink->offsets[sink->view_count] = sink->got;
			sink->views[sink->view_count++] = event->view;
		} else {
			szc_view_release(event->view);
		}
		sink->got += szc_view_size(event->view);
		break;
	case SZC_EV_EOF:
		sink->eof = true;
		break;
	case SZC_EV_ERROR:
		sink->error = event->error;
		break;
	default:
		break;
	}
}

struct szc_conn *sink_accept(struct szc_rx *rx, struct sink *sink)
{
	struct szc_event event;
	int count = szc_rx_wait(rx, &event, 1, SINK_TURN_MS);

	assert_true(count >= 0);
	if (count && event.type == SZC_EV_ACCEPTED) {
		szc_conn_set_user(event.conn, sink);
		return event.conn;
	}
	if (count)
		take(rx, &event);
	return NULL;
}

int sink_turn(struct szc_rx *rx, int timeout_ms)
{
	struct szc_event events[16];
	int count = szc_rx_wait(rx, events, 16, timeout_ms), i;

	assert_true(count >= 0);
	for (i = 0; i < count; i++)
		take(rx, &events[i]);
	return count;
}

bool sink_over(const struct sink *sink)
{
	return sink->eof || sink->error;
}

void sink_until_over(struct szc_rx *rx, const struct sink *sinks, int count)
{
	uint64_t late = fixture_now_ms() + 10 * SINK_MS;
	int done = 0, i;

	while (done < count && fixture_now_ms() < late) {
		sink_turn(rx, SINK_TURN_MS);
		for (done = 0, i = 0; i < count; i++)
			done += sink_over(&sinks[i]);
	}
	for (i = 0; i < count; i++)
		if (!sink_over(&sinks[i]))
			print_message("# stream %u is not over after %zu bytes\n", sinks[i].seed, sinks[i].got);
	assert_int_equal(done, count);
}

void sink_until_quiet(struct szc_rx *rx)
{
	uint64_t late = fixture_now_ms() + 10 * SINK_MS;
	int quiet = 0;

	while (quiet < 5 && fixture_now_ms() < late)
		quiet = sink_turn(rx, SINK_TURN_MS) ? 0 : quiet + 1;
	assert_int_equal(quiet, 5);
}

void sink_release(struct szc_rx *rx, struct sink *sink)
{
	unsigned i;

	for (i = 0; i < sink->view_count; i++) {
		check_view(rx, sink, sink->views[i], sink->offsets[i]);
		szc_view_release(sink->views[i]);
	}
	sink->view_count = 0;
	sink->hoard = false;
}

struct szc_rx_stats sink_stats(const struct szc_rx *rx)
{
	struct szc_rx_stats stats;

	szc_rx_stats(rx, &stats);
	return stats;
}

void sink_finish(struct szc_rx *rx)
{
	struct szc_rx_stats stats = sink_stats(rx);
	uint64_t late = fixture_now_ms() + SINK_MS;

	while ((stats.connections || stats.buffers_out) && fixture_now_ms() < late) {
		sink_turn(rx, SINK_TURN_MS);
		stats = sink_stats(rx);
	}
	assert_int_equal(stats.connections, 0);
	assert_int_equal(stats.buffers_out, 0);
	assert_int_equal(szc_rx_close(rx), 0);
}
