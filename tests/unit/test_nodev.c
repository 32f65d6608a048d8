/* SPDX-License-Identifier: MIT */
/* The engine on the zero-copy ABI without a NIC, over loopback. Needs Linux 7.1 and CAP_NET_ADMIN, and skips without. */
#define _GNU_SOURCE /* accept4() */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
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
#include <szc/rx.h>

enum {
	BUFFER = 4096,
	VIEWS_MAX = 4096,
	LIMIT_MS = 20000, /* nothing here takes a second; a loaded machine may need a few */
	TURN_MS = 20,
	POLL_MS = 5000, /* less than the engine's own timer, which would hide a lost wake-up */
};

static uint8_t pattern(unsigned seed, size_t offset)
{
	return (uint8_t)((offset ^ (offset >> 8) ^ (offset >> 16)) * 31 + seed);
}

/* ---- the sending side */

struct sender {
	pthread_t thread;
	int fd;
	unsigned seed;
	size_t total;
	size_t piece; /* bytes a write */
	bool fin;
	size_t sent;
};

static void *send_all(void *arg)
{
	struct sender *sender = arg;
	uint8_t *piece = malloc(sender->piece);

	while (sender->sent < sender->total) {
		size_t len = sender->total - sender->sent, i;
		ssize_t done;

		if (len > sender->piece)
			len = sender->piece;
		for (i = 0; i < len; i++)
			piece[i] = pattern(sender->seed, sender->sent + i);
		done = send(sender->fd, piece, len, MSG_NOSIGNAL);
		if (done <= 0)
			break;
		sender->sent += (size_t)done;
	}
	if (sender->fin)
		shutdown(sender->fd, SHUT_WR);
	free(piece);
	return NULL;
}

static void sender_start(struct sender *sender, int fd, unsigned seed, size_t total, size_t piece)
{
	*sender = (struct sender){.fd = fd, .seed = seed, .total = total, .piece = piece, .fin = true};
	assert_int_equal(pthread_create(&sender->thread, NULL, send_all, sender), 0);
}

static void sender_stop(struct sender *sender)
{
	pthread_join(sender->thread, NULL);
	close(sender->fd);
}

/* ---- the receiving side */

struct sink {
	struct szc_conn *conn;
	unsigned seed;
	size_t got;
	bool eof;
	int error;
	bool hoard;
	struct szc_view *views[VIEWS_MAX];
	size_t offsets[VIEWS_MAX]; /* of each view's first byte */
	unsigned view_count;
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

/* A connection on the engine; returns its peer. `receive_buffer` in bytes, or 0 for what the kernel thinks. */
static int add(struct szc_rx *rx, struct sink *sink, unsigned seed, int receive_buffer)
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

static void check_view(const struct szc_rx *rx, const struct szc_view *view, unsigned seed, size_t offset)
{
	uint8_t *area;
	size_t size, j;
	int count, i;
	const struct iovec *iov = szc_view_iov(view, &count);

	szc_rx_area(rx, (void **)&area, &size);
	for (i = 0; i < count; i++) {
		const uint8_t *bytes = iov[i].iov_base;

		assert_true(bytes >= area && bytes + iov[i].iov_len <= area + size);
		for (j = 0; j < iov[i].iov_len; j++, offset++)
			if (bytes[j] != pattern(seed, offset))
				fail_msg("byte %zu of stream %u is wrong", offset, seed);
	}
}

static void take(struct szc_rx *rx, const struct szc_event *event)
{
	struct sink *sink = szc_conn_user(event->conn);

	switch (event->type) {
	case SZC_EV_DATA:
		check_view(rx, event->view, sink->seed, sink->got);
		if (sink->hoard) {
			assert_true(sink->view_count < VIEWS_MAX);
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

/* One wait; returns how many events came. */
static int turn(struct szc_rx *rx, int timeout_ms)
{
	struct szc_event events[16];
	int count = szc_rx_wait(rx, events, 16, timeout_ms), i;

	assert_true(count >= 0);
	for (i = 0; i < count; i++)
		take(rx, &events[i]);
	return count;
}

static bool over(const struct sink *sink)
{
	return sink->eof || sink->error;
}

static void run_until_over(struct szc_rx *rx, const struct sink *sinks, int count)
{
	int turns, done = 0, i;

	for (turns = 0; turns < 10 * LIMIT_MS / TURN_MS && done < count; turns++) {
		turn(rx, TURN_MS);
		for (done = 0, i = 0; i < count; i++)
			done += over(&sinks[i]);
	}
	assert_int_equal(done, count);
}

/* Until nothing happened for a while: what could come has come. */
static void run_until_quiet(struct szc_rx *rx)
{
	int quiet = 0, turns;

	for (turns = 0; turns < 10 * LIMIT_MS / TURN_MS && quiet < 5; turns++)
		quiet = turn(rx, TURN_MS) ? 0 : quiet + 1;
	assert_int_equal(quiet, 5);
}

/* The views again before they go: nobody may have touched the buffers meanwhile. */
static void release_hoard(struct szc_rx *rx, struct sink *sink)
{
	unsigned i;

	for (i = 0; i < sink->view_count; i++) {
		check_view(rx, sink->views[i], sink->seed, sink->offsets[i]);
		szc_view_release(sink->views[i]);
	}
	sink->view_count = 0;
	sink->hoard = false;
}

static struct szc_rx_stats stats_of(const struct szc_rx *rx)
{
	struct szc_rx_stats stats;

	szc_rx_stats(rx, &stats);
	return stats;
}

/* Every connection closed and every buffer back, or the test has failed. */
static void finish(struct szc_rx *rx)
{
	struct szc_rx_stats stats = stats_of(rx);
	int turns;

	for (turns = 0; turns < LIMIT_MS / TURN_MS && (stats.connections || stats.buffers_out); turns++) {
		turn(rx, TURN_MS);
		stats = stats_of(rx);
	}
	assert_int_equal(stats.connections, 0);
	assert_int_equal(stats.buffers_out, 0);
	assert_int_equal(szc_rx_close(rx), 0);
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
	struct sender sender;
	struct szc_trips trips;

	(void)state;
	sender_start(&sender, add(rx, &sink, 1, 0), 1, 24 << 20, 16406);
	run_until_over(rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, 24 << 20);
	szc_conn_trips(sink.conn, &trips);
	assert_int_equal(trips.bytes_kernel_copied, 24 << 20);
	assert_int_equal(trips.bytes_zero_copy, 0);
	assert_true(trips.bytes_user_copied < sink.got / 20); /* packed where a guess was wrong */
	sender_stop(&sender);
	szc_conn_close(sink.conn);
	finish(rx);
}

static void many_share_the_area(void **state)
{
	enum { COUNT = 12 };
	struct szc_rx *rx = open_or_skip(COUNT, 16, COUNT * 16);
	struct sink *sinks = calloc(COUNT, sizeof(*sinks));
	struct sender senders[COUNT];
	int i;

	(void)state;
	for (i = 0; i < COUNT; i++)
		sender_start(&senders[i], add(rx, &sinks[i], (unsigned)i, 0), (unsigned)i, 1 << 20,
			     1000 + 7000 * (size_t)i);
	run_until_over(rx, sinks, COUNT);
	for (i = 0; i < COUNT; i++) {
		assert_int_equal(sinks[i].error, 0);
		assert_int_equal(sinks[i].got, 1 << 20);
		sender_stop(&senders[i]);
		szc_conn_close(sinks[i].conn);
	}
	finish(rx);
	free(sinks);
}

static void drives_a_foreign_loop(void **state)
{
	struct szc_rx *rx = open_or_skip(1, 8, 8);
	struct sink sink;
	struct sender sender;
	int rounds;

	(void)state;
	sender_start(&sender, add(rx, &sink, 2, 0), 2, 4 << 20, 5000);
	for (rounds = 0; rounds < 1 << 20 && !over(&sink); rounds++) {
		struct pollfd poll_fd = {.fd = szc_rx_fd(rx), .events = POLLIN};

		while (turn(rx, 0))
			;
		if (!over(&sink))
			assert_int_equal(poll(&poll_fd, 1, POLL_MS), 1);
	}
	assert_int_equal(sink.got, 4 << 20);
	sender_stop(&sender);
	szc_conn_close(sink.conn);
	finish(rx);
}

/* A hoarder of small segments, each of which takes a whole buffer, beside a proper transfer. */
static void hoarder_stalls_itself_alone(void **state)
{
	enum { QUOTA = 16 };
	struct szc_rx *rx = open_or_skip(2, QUOTA, 2 * QUOTA);
	struct sink *sinks = calloc(2, sizeof(*sinks));
	struct sender hoarder, other;
	struct szc_rx_stats stats;

	(void)state;
	sender_start(&hoarder, add(rx, &sinks[0], 3, 1 << 20), 3, 20000, 1);
	pthread_join(hoarder.thread, NULL);
	sinks[0].hoard = true;
	run_until_quiet(rx);
	stats = stats_of(rx);
	assert_true(stats.parked >= 1);
	assert_true(sinks[0].got < 20000);
	assert_in_range(stats.buffers_out, 1, QUOTA + 1);

	sender_start(&other, add(rx, &sinks[1], 4, 0), 4, 2 << 20, 30000);
	run_until_over(rx, &sinks[1], 1);
	assert_int_equal(sinks[1].got, 2 << 20);
	assert_true(sinks[0].got < 20000 && !over(&sinks[0]));
	assert_in_range(stats_of(rx).buffers_out, 1, QUOTA + 1);

	release_hoard(rx, &sinks[0]);
	run_until_over(rx, sinks, 1);
	assert_int_equal(sinks[0].got, 20000);
	assert_true(stats_of(rx).resumed >= 1);
	sender_stop(&other);
	close(hoarder.fd);
	szc_conn_close(sinks[0].conn);
	szc_conn_close(sinks[1].conn);
	finish(rx);
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
	int peer = add(rx, &sink, 12, 0), turns;
	size_t sent;

	(void)state;
	sink.hoard = true;
	while (turn(rx, 0))
		;
	for (sent = 0; sent < QUOTA; sent++) {
		assert_int_equal(send(peer, (uint8_t[]){pattern(12, sent)}, 1, 0), 1);
		for (turns = 0; turns < LIMIT_MS && sink.got == sent; turns++) {
			assert_int_equal(poll(&poll_fd, 1, POLL_MS), 1);
			turn(rx, 0);
		}
		assert_int_equal(sink.got, sent + 1);
	}
	assert_int_equal(stats_of(rx).parked, 1);
	assert_int_equal(send(peer, (uint8_t[]){pattern(12, sent)}, 1, 0), 1);
	release_hoard(rx, &sink);
	for (turns = 0; turns < LIMIT_MS && sink.got == sent; turns++) {
		while (turn(rx, 0))
			;
		if (sink.got == sent)
			assert_int_equal(poll(&poll_fd, 1, POLL_MS), 1);
	}
	assert_int_equal(sink.got, sent + 1);
	assert_int_equal(stats_of(rx).resumed, 1);

	sink.hoard = true;
	for (sent = sink.got; sent < 3 * QUOTA; sent++) {
		assert_int_equal(send(peer, (uint8_t[]){pattern(12, sent)}, 1, 0), 1);
		turn(rx, TURN_MS);
	}
	run_until_quiet(rx);
	assert_int_equal(sink.view_count, QUOTA);
	assert_int_equal(stats_of(rx).buffers_out, QUOTA);
	release_hoard(rx, &sink);
	run_until_quiet(rx);
	assert_int_equal(sink.got, 3 * QUOTA);
	close(peer);
	szc_conn_close(sink.conn);
	finish(rx);
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
	struct sender sender;
	pthread_t releaser;
	size_t before;

	(void)state;
	sender_start(&sender, add(rx, &sink, 5, 1 << 20), 5, 3000, 1);
	pthread_join(sender.thread, NULL);
	sink.hoard = true;
	run_until_quiet(rx);
	assert_true(stats_of(rx).area_empty >= 1);
	assert_int_equal(stats_of(rx).buffers_out, 8);
	before = sink.got;
	sink.hoard = false;
	assert_int_equal(pthread_create(&releaser, NULL, release_later, &sink), 0);
	assert_true(turn(rx, -1) > 0);
	assert_true(sink.got > before);
	pthread_join(releaser, NULL);
	run_until_over(rx, &sink, 1);
	assert_int_equal(sink.got, 3000);
	close(sender.fd);
	szc_conn_close(sink.conn);
	finish(rx);
}

/* More at once than the completion ring holds, and more given back at once than the refill ring holds. */
static void full_rings_lose_nothing(void **state)
{
	enum { BUFFERS = 16384, BYTES = 24 << 20 };
	struct szc_rx *rx = open_or_skip(1, BUFFERS, BUFFERS);
	struct sink sink;
	struct sender sender;
	struct szc_rx_stats stats;
	int round;

	(void)state;
	for (round = 0; round < 3; round++) {
		sender_start(&sender, add(rx, &sink, 6, 64 << 20), 6, BYTES, 1 << 20);
		pthread_join(sender.thread, NULL);
		assert_int_equal(sender.sent, BYTES);
		sink.hoard = true;
		run_until_over(rx, &sink, 1);
		assert_int_equal(sink.got, BYTES);
		release_hoard(rx, &sink);
		close(sender.fd);
		szc_conn_close(sink.conn);
		while (stats_of(rx).connections)
			turn(rx, TURN_MS);
	}
	stats = stats_of(rx);
	assert_true(stats.cq_full >= 1);
	assert_true(stats.refill_full >= 1);
	finish(rx);
}

static void both_ends_end(void **state)
{
	struct szc_rx *rx = open_or_skip(1, 16, 16);
	struct iovec answer = {"still here", 10};
	struct sink sink;
	struct sender sender;
	char buffer[32];

	(void)state;
	sender_start(&sender, add(rx, &sink, 7, 0), 7, 12345, 12345);
	run_until_over(rx, &sink, 1);
	assert_true(sink.eof);
	assert_int_equal(sink.got, 12345);
	assert_int_equal(szc_conn_send(sink.conn, &answer, 1), 10);
	assert_int_equal(szc_conn_shutdown(sink.conn), 0);
	run_until_quiet(rx);
	assert_int_equal(recv(sender.fd, buffer, sizeof(buffer), MSG_WAITALL), 10);
	assert_memory_equal(buffer, "still here", 10);
	sender_stop(&sender);
	szc_conn_close(sink.conn);
	finish(rx);
}

static void reset_is_an_error(void **state)
{
	struct szc_rx *rx = open_or_skip(1, 16, 16);
	struct linger at_once = {1, 0};
	struct sink sink;
	int peer = add(rx, &sink, 8, 0);

	(void)state;
	assert_int_equal(send(peer, (uint8_t[]){pattern(8, 0)}, 1, 0), 1);
	run_until_quiet(rx);
	assert_int_equal(sink.got, 1);
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(peer);
	run_until_over(rx, &sink, 1);
	assert_int_equal(sink.error, -ECONNRESET);
	assert_false(sink.eof);
	szc_conn_close(sink.conn);
	finish(rx);
}

static void closes_under_traffic(void **state)
{
	struct szc_rx *rx = open_or_skip(4, 32, 128);
	struct sink sink;
	struct sender sender;
	int round;

	(void)state;
	for (round = 0; round < 30; round++) {
		size_t enough = (size_t)round * 20000;

		sender_start(&sender, add(rx, &sink, 9, 0), 9, 1 << 30, 1 << 16);
		sink.hoard = round % 3 == 0;
		while (sink.got < enough && sink.view_count < 2)
			turn(rx, TURN_MS);
		szc_conn_close(sink.conn);
		turn(rx, 0);
		release_hoard(rx, &sink);
		sender_stop(&sender);
	}
	sender_start(&sender, add(rx, &sink, 9, 0), 9, 1 << 30, 1 << 16);
	while (sink.got < 1 << 20)
		turn(rx, TURN_MS);
	assert_int_equal(szc_rx_close(rx), 0);
	sender_stop(&sender);
}

/* Views outlive their connection and hold the engine; nobody writes into their buffers meanwhile. */
static void views_outlive_the_connection(void **state)
{
	struct szc_rx *rx = open_or_skip(2, 8, 16);
	struct sink *sinks = calloc(2, sizeof(*sinks));
	struct sender first, second;

	(void)state;
	sender_start(&first, add(rx, &sinks[0], 10, 0), 10, 20000, 20000);
	sinks[0].hoard = true;
	run_until_over(rx, sinks, 1);
	assert_int_equal(sinks[0].got, 20000);
	szc_conn_close(sinks[0].conn);
	sender_start(&second, add(rx, &sinks[1], 11, 0), 11, 4 << 20, 10000);
	run_until_over(rx, &sinks[1], 1);
	assert_int_equal(sinks[1].got, 4 << 20);
	szc_conn_close(sinks[1].conn);

	assert_int_equal(szc_rx_close(rx), SZC_E_VIEWS_OUT);
	assert_non_null(strstr(szc_rx_last_error(rx), "views are still with the application"));
	assert_int_equal(stats_of(rx).connections, 1);
	release_hoard(rx, &sinks[0]);
	sender_stop(&first);
	sender_stop(&second);
	finish(rx);
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
	finish(rx);
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
