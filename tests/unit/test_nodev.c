/* SPDX-License-Identifier: MIT */
/* The engine on the zero-copy ABI without a NIC, over loopback. Needs Linux 7.1 and CAP_NET_ADMIN, and skips without. */
#define _GNU_SOURCE /* mincore() */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/unit/sink.h"

enum {
	BUFFER = 4096,
	POLL_MS = 5000, /* less than the engine's own timer, which would hide a lost wake-up */
};

static struct szc_rx *open_or_skip(unsigned connections, unsigned quota, unsigned buffers)
{
	char sentence[400];
	struct szc_rx_options options = {
		.size = sizeof(options),
		.backend = SZC_BACKEND_NODEV,
		.pages = SZC_PAGES_PLAIN,
		.max_connections = connections,
		.quota_buffers = quota,
		.area_size = (size_t)buffers * BUFFER,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	struct szc_rx *rx;
	int error = szc_rx_open(&rx, &options);

	if (error == SZC_E_BACKEND) {
		printf("# skip: %s\n", sentence);
		skip();
	}
	if (error)
		fail_msg("%d: %s", error, sentence);
	assert_string_equal(szc_rx_backend(rx), "nodev");
	return rx;
}

/* ---- tests */

static void refused_with_a_sentence(void **state)
{
	char sentence[400] = "";
	struct szc_rx_options options = {
		.size = sizeof(options),
		.backend = SZC_BACKEND_NODEV,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	struct szc_rx *rx;
	pid_t child;
	int status;

	(void)state;
	if (geteuid()) {
		assert_int_equal(szc_rx_open(&rx, &options), SZC_E_BACKEND);
		assert_true(strlen(sentence) > 40);
		return;
	}
	child = fork();
	if (!child) {
		bool known;

		if (setuid(65534) || szc_rx_open(&rx, &options) != SZC_E_BACKEND || rx)
			_exit(1);
		known = strstr(sentence, "CAP_NET_ADMIN") || strstr(sentence, "Linux 7.1") ||
			strstr(sentence, "io_uring");
		_exit(known ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void carries_bytes(void **state)
{
	struct szc_rx *rx = open_or_skip(2, 128, 256);
	struct sink sink;
	struct sink_sender sender;
	struct szc_trips trips;

	(void)state;
	sink_send(&sender, sink_add(rx, &sink, 1, 0), 1, 24 << 20, 16406);
	sink_until_over(rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, 24 << 20);
	szc_conn_trips(sink.conn, &trips);
	assert_int_equal(trips.bytes_kernel_copied, 24 << 20);
	assert_int_equal(trips.bytes_zero_copy, 0);
	assert_true(trips.bytes_user_copied < sink.got / 20); /* packed where a guess was wrong */
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	sink_finish(rx);
}

static void many_share_the_area(void **state)
{
	enum { COUNT = 12 };
	struct szc_rx *rx = open_or_skip(COUNT, 16, COUNT * 16);
	struct sink *sinks = calloc(COUNT, sizeof(*sinks));
	struct sink_sender senders[COUNT];
	int i;

	(void)state;
	for (i = 0; i < COUNT; i++)
		sink_send(&senders[i], sink_add(rx, &sinks[i], (unsigned)i, 0), (unsigned)i, 1 << 20,
			  1000 + 7000 * (size_t)i);
	sink_until_over(rx, sinks, COUNT);
	for (i = 0; i < COUNT; i++) {
		assert_int_equal(sinks[i].error, 0);
		assert_int_equal(sinks[i].got, 1 << 20);
		sink_send_end(&senders[i]);
		szc_conn_close(sinks[i].conn);
	}
	sink_finish(rx);
	free(sinks);
}

static void drives_a_foreign_loop(void **state)
{
	struct szc_rx *rx = open_or_skip(1, 8, 8);
	struct sink sink;
	struct sink_sender sender;
	int rounds;

	(void)state;
	sink_send(&sender, sink_add(rx, &sink, 2, 0), 2, 4 << 20, 5000);
	for (rounds = 0; rounds < 1 << 20 && !sink_over(&sink); rounds++) {
		struct pollfd poll_fd = {.fd = szc_rx_fd(rx), .events = POLLIN};

		while (sink_turn(rx, 0))
			;
		if (!sink_over(&sink))
			assert_int_equal(poll(&poll_fd, 1, POLL_MS), 1);
	}
	assert_int_equal(sink.got, 4 << 20);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	sink_finish(rx);
}

/* A hoarder of small segments, each of which takes a whole buffer, beside a proper transfer. */
static void hoarder_stalls_itself_alone(void **state)
{
	enum { QUOTA = 16 };
	struct szc_rx *rx = open_or_skip(2, QUOTA, 2 * QUOTA);
	struct sink *sinks = calloc(2, sizeof(*sinks));
	struct sink_sender hoarder, other;
	struct szc_rx_stats stats;

	(void)state;
	sink_send(&hoarder, sink_add(rx, &sinks[0], 3, 1 << 20), 3, 20000, 1);
	pthread_join(hoarder.thread, NULL);
	sinks[0].hoard = true;
	sink_until_quiet(rx);
	stats = sink_stats(rx);
	assert_true(stats.parked >= 1);
	assert_true(sinks[0].got < 20000);
	assert_in_range(stats.buffers_out, 1, QUOTA + 1);

	sink_send(&other, sink_add(rx, &sinks[1], 4, 0), 4, 2 << 20, 30000);
	sink_until_over(rx, &sinks[1], 1);
	assert_int_equal(sinks[1].got, 2 << 20);
	assert_true(sinks[0].got < 20000 && !sink_over(&sinks[0]));
	assert_in_range(sink_stats(rx).buffers_out, 1, QUOTA + 1);

	sink_release(rx, &sinks[0]);
	sink_until_over(rx, sinks, 1);
	assert_int_equal(sinks[0].got, 20000);
	assert_true(sink_stats(rx).resumed >= 1);
	sink_send_end(&other);
	close(hoarder.fd);
	szc_conn_close(sinks[0].conn);
	szc_conn_close(sinks[1].conn);
	sink_finish(rx);
	free(sinks);
}

/*
 * A receive that is armed for more than the quota turned out to hold is cancelled. And what its end sets off is with the
 * kernel before the caller sleeps on the descriptor.
 */
static void quota_cancels_a_receive(void **state)
{
	enum { QUOTA = 16 };
	struct szc_rx *rx = open_or_skip(4, QUOTA, 256);
	struct pollfd poll_fd = {.fd = szc_rx_fd(rx), .events = POLLIN};
	struct sink sink;
	int peer = sink_add(rx, &sink, 12, 0), turns;
	size_t sent;

	(void)state;
	sink.hoard = true;
	while (sink_turn(rx, 0))
		;
	for (sent = 0; sent < QUOTA; sent++) {
		assert_int_equal(send(peer, (uint8_t[]){sink_byte(12, sent)}, 1, 0), 1);
		for (turns = 0; turns < SINK_MS && sink.got == sent; turns++) {
			assert_int_equal(poll(&poll_fd, 1, POLL_MS), 1);
			sink_turn(rx, 0);
		}
		assert_int_equal(sink.got, sent + 1);
	}
	assert_int_equal(sink_stats(rx).parked, 1);
	assert_int_equal(send(peer, (uint8_t[]){sink_byte(12, sent)}, 1, 0), 1);
	sink_release(rx, &sink);
	for (turns = 0; turns < SINK_MS && sink.got == sent; turns++) {
		while (sink_turn(rx, 0))
			;
		if (sink.got == sent)
			assert_int_equal(poll(&poll_fd, 1, POLL_MS), 1);
	}
	assert_int_equal(sink.got, sent + 1);
	assert_int_equal(sink_stats(rx).resumed, 1);

	sink.hoard = true;
	for (sent = sink.got; sent < 3 * QUOTA; sent++) {
		assert_int_equal(send(peer, (uint8_t[]){sink_byte(12, sent)}, 1, 0), 1);
		sink_turn(rx, SINK_TURN_MS);
	}
	sink_until_quiet(rx);
	assert_int_equal(sink.view_count, QUOTA);
	assert_int_equal(sink_stats(rx).buffers_out, QUOTA);
	sink_release(rx, &sink);
	sink_until_quiet(rx);
	assert_int_equal(sink.got, 3 * QUOTA);
	close(peer);
	szc_conn_close(sink.conn);
	sink_finish(rx);
}

/* With room for one buffer at a time, a receive must not ask for ever less, nor shreds of buffers be what it gets. */
static void little_room_is_used_well(void **state)
{
	enum { QUOTA = 8, BYTES = 1 << 20 };
	struct szc_rx *rx = open_or_skip(1, QUOTA, QUOTA);
	struct sink sink;
	struct sink_sender sender;
	int turns;

	(void)state;
	sink_send(&sender, sink_add(rx, &sink, 13, 0), 13, BYTES, 1 << 16);
	sink.hoard = true;
	for (turns = 0; turns < 4 * BYTES / BUFFER && !sink_over(&sink); turns++) {
		sink_turn(rx, SINK_TURN_MS);
		if (sink.view_count && sink_stats(rx).buffers_out == QUOTA) {
			szc_view_release(sink.views[0]);
			sink.view_count--;
			memmove(sink.views, sink.views + 1, sink.view_count * sizeof(struct szc_view *));
			memmove(sink.offsets, sink.offsets + 1, sink.view_count * sizeof(sink.offsets[0]));
		}
	}
	sink_release(rx, &sink);
	assert_int_equal(sink.got, BYTES);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	sink_finish(rx);
}

static void *release_later(void *arg)
{
	struct sink *sink = arg;
	unsigned i;

	usleep(100000);
	for (i = 0; i < sink->view_count; i++)
		szc_view_release(sink->views[i]);
	return NULL;
}

/* A release by another thread wakes an engine that sleeps for good, also where the area itself was empty. */
static void release_wakes_the_sleeper(void **state)
{
	struct szc_rx *rx = open_or_skip(1, 8, 8);
	struct sink sink;
	struct sink_sender sender;
	pthread_t releaser;
	size_t before;

	(void)state;
	sink_send(&sender, sink_add(rx, &sink, 5, 1 << 20), 5, 3000, 1);
	pthread_join(sender.thread, NULL);
	sink.hoard = true;
	sink_until_quiet(rx);
	assert_true(sink_stats(rx).area_empty >= 1);
	assert_int_equal(sink_stats(rx).buffers_out, 8);
	before = sink.got;
	sink.hoard = false;
	assert_int_equal(pthread_create(&releaser, NULL, release_later, &sink), 0);
	assert_true(sink_turn(rx, -1) > 0);
	assert_true(sink.got > before);
	pthread_join(releaser, NULL);
	sink_until_over(rx, &sink, 1);
	assert_int_equal(sink.got, 3000);
	close(sender.fd);
	szc_conn_close(sink.conn);
	sink_finish(rx);
}

/* More at once than the completion ring holds, and more given back at once than the refill ring holds. */
static void full_rings_lose_nothing(void **state)
{
	enum { BUFFERS = 16384, BYTES = 24 << 20 };
	struct szc_rx *rx = open_or_skip(1, BUFFERS, BUFFERS);
	struct sink sink;
	struct sink_sender sender;
	struct szc_rx_stats stats;
	int round;

	(void)state;
	for (round = 0; round < 3; round++) {
		sink_send(&sender, sink_add(rx, &sink, 6, 64 << 20), 6, BYTES, 1 << 20);
		pthread_join(sender.thread, NULL);
		assert_int_equal(sender.sent, BYTES);
		sink.hoard = true;
		sink_until_over(rx, &sink, 1);
		assert_int_equal(sink.got, BYTES);
		sink_release(rx, &sink);
		close(sender.fd);
		szc_conn_close(sink.conn);
		while (sink_stats(rx).connections)
			sink_turn(rx, SINK_TURN_MS);
	}
	stats = sink_stats(rx);
	assert_true(stats.cq_full >= 1);
	assert_true(stats.refill_full >= 1);
	sink_finish(rx);
}

static void both_ends_end(void **state)
{
	struct szc_rx *rx = open_or_skip(1, 16, 16);
	struct iovec answer = {"still here", 10};
	struct sink sink;
	struct sink_sender sender;
	char buffer[32];

	(void)state;
	sink_send(&sender, sink_add(rx, &sink, 7, 0), 7, 12345, 12345);
	sink_until_over(rx, &sink, 1);
	assert_true(sink.eof);
	assert_int_equal(sink.got, 12345);
	assert_int_equal(szc_conn_send(sink.conn, &answer, 1), 10);
	assert_int_equal(szc_conn_shutdown(sink.conn), 0);
	sink_until_quiet(rx);
	assert_int_equal(recv(sender.fd, buffer, sizeof(buffer), MSG_WAITALL), 10);
	assert_memory_equal(buffer, "still here", 10);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	sink_finish(rx);
}

static void reset_is_an_error(void **state)
{
	struct szc_rx *rx = open_or_skip(1, 16, 16);
	struct linger at_once = {1, 0};
	struct sink sink;
	int peer = sink_add(rx, &sink, 8, 0);

	(void)state;
	assert_int_equal(send(peer, (uint8_t[]){sink_byte(8, 0)}, 1, 0), 1);
	sink_until_quiet(rx);
	assert_int_equal(sink.got, 1);
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(peer);
	sink_until_over(rx, &sink, 1);
	assert_int_equal(sink.error, -ECONNRESET);
	assert_false(sink.eof);
	szc_conn_close(sink.conn);
	sink_finish(rx);
}

static void closes_under_traffic(void **state)
{
	struct szc_rx *rx = open_or_skip(4, 32, 128);
	struct sink sink;
	struct sink_sender sender;
	int round;

	(void)state;
	for (round = 0; round < 30; round++) {
		size_t enough = (size_t)round * 20000;

		sink_send(&sender, sink_add(rx, &sink, 9, 0), 9, 1 << 30, 1 << 16);
		sink.hoard = round % 3 == 0;
		while (sink.got < enough && sink.view_count < 2)
			sink_turn(rx, SINK_TURN_MS);
		szc_conn_close(sink.conn);
		sink_turn(rx, 0);
		sink_release(rx, &sink);
		sink_send_end(&sender);
	}
	sink_send(&sender, sink_add(rx, &sink, 9, 0), 9, 1 << 30, 1 << 16);
	while (sink.got < 1 << 20)
		sink_turn(rx, SINK_TURN_MS);
	assert_int_equal(szc_rx_close(rx), 0);
	sink_send_end(&sender);
}

/* Views outlive their connection and hold the engine; nobody writes into their buffers meanwhile. */
static void views_outlive_the_connection(void **state)
{
	struct szc_rx *rx = open_or_skip(2, 8, 16);
	struct sink *sinks = calloc(2, sizeof(*sinks));
	struct sink_sender first, second;

	(void)state;
	sink_send(&first, sink_add(rx, &sinks[0], 10, 0), 10, 20000, 20000);
	sinks[0].hoard = true;
	sink_until_over(rx, sinks, 1);
	assert_int_equal(sinks[0].got, 20000);
	szc_conn_close(sinks[0].conn);
	sink_send(&second, sink_add(rx, &sinks[1], 11, 0), 11, 4 << 20, 10000);
	sink_until_over(rx, &sinks[1], 1);
	assert_int_equal(sinks[1].got, 4 << 20);
	szc_conn_close(sinks[1].conn);

	assert_int_equal(szc_rx_close(rx), SZC_E_VIEWS_OUT);
	assert_non_null(strstr(szc_rx_last_error(rx), "views are still with the application"));
	assert_int_equal(sink_stats(rx).connections, 1);
	sink_release(rx, &sinks[0]);
	sink_send_end(&first);
	sink_send_end(&second);
	sink_finish(rx);
	free(sinks);
}

static void children_do_not_get_the_area(void **state)
{
	struct szc_rx *rx = open_or_skip(1, 16, 16);
	unsigned char resident[1];
	void *area;
	size_t size;
	pid_t child;
	int status;

	(void)state;
	szc_rx_area(rx, &area, &size);
	assert_return_code(mincore(area, BUFFER, resident), errno);
	child = fork();
	if (!child) {
		/* The refill ring lies in front, the buffers behind it. */
		bool front = mincore(area, BUFFER, resident) && errno == ENOMEM;
		bool back = mincore((uint8_t *)area + size - BUFFER, BUFFER, resident) && errno == ENOMEM;

		_exit(front && back ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	sink_finish(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_with_a_sentence),
		cmocka_unit_test(carries_bytes),
		cmocka_unit_test(many_share_the_area),
		cmocka_unit_test(drives_a_foreign_loop),
		cmocka_unit_test(hoarder_stalls_itself_alone),
		cmocka_unit_test(quota_cancels_a_receive),
		cmocka_unit_test(little_room_is_used_well),
		cmocka_unit_test(release_wakes_the_sleeper),
		cmocka_unit_test(full_rings_lose_nothing),
		cmocka_unit_test(both_ends_end),
		cmocka_unit_test(reset_is_an_error),
		cmocka_unit_test(closes_under_traffic),
		cmocka_unit_test(views_outlive_the_connection),
		cmocka_unit_test(children_do_not_get_the_area),
	};

	alarm(180); /* a sender waits for as long as its bytes are not taken */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
