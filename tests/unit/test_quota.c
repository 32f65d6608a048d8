/* SPDX-License-Identifier: MIT */
/* The area is shared, and each connection has its part of it: who keeps his stalls himself alone, and loses nothing. */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/engine.h"
#include "records.h"

enum {
	MIB = 1 << 20,
	HOARD_MAX = 4096,
	RECORD = 16384, /* payload; with what is around it the largest that TLS has */
};

/* No connection above its quota, all of them together within the area. */
static void check_limits(const struct szc_rx *rx)
{
	struct szc_rx_stats stats;
	unsigned sum = 0;

	szc_rx_stats(rx, &stats);
	for (unsigned i = 0; i < rx->slots_made; i++) {
		const struct szc_conn *conn = rx->conns[i];

		if (conn->held + conn->posted > rx->options.quota_buffers)
			fail_msg("connection %u has %u + %u buffers, its quota is %u", i, conn->held, conn->posted,
				 rx->options.quota_buffers);
		sum += conn->held + conn->posted;
	}
	assert_int_equal(sum, stats.buffers_out);
	assert_true((size_t)sum * rx->options.buffer_size <= rx->options.area_size);
}

/* ---- the hoarder */

struct hoard {
	struct szc_view *views[HOARD_MAX];
	int count;
	uint64_t got;
	pthread_t thread;
};

static void *release_hoard(void *arg)
{
	struct hoard *hoard = arg;

	usleep(30000); /* the engine is asleep by then */
	while (hoard->count)
		szc_view_release(hoard->views[--hoard->count]);
	return NULL;
}

static void keep(struct hoard *hoard, struct szc_view *view, unsigned seed)
{
	assert_true(hoard->count < HOARD_MAX);
	hoard->got += fixture_check(view, seed, hoard->got);
	hoard->views[hoard->count++] = view;
}

/* The transfer beside the hoarder. */
static void transfer(struct szc_rx *rx, struct szc_conn *busy, struct hoard *hoard)
{
	uint64_t got = 0;

	for (;;) {
		struct szc_event events[4];
		int count = fixture_wait(rx, events, 4, FIXTURE_MS);

		assert_in_range(count, 1, 4);
		check_limits(rx);
		for (int i = 0; i < count; i++) {
			if (events[i].type == SZC_EV_EOF && events[i].conn == busy) {
				assert_int_equal(got, 64 * MIB);
				return;
			}
			assert_int_equal(events[i].type, SZC_EV_DATA);
			if (events[i].conn == busy) {
				got += fixture_check(events[i].view, 1, got);
				szc_view_release(events[i].view);
			} else {
				keep(hoard, events[i].view, 2);
			}
		}
	}
}

static void a_hoarder_stalls_only_itself(void **state)
{
	struct szc_rx_options options = {.max_connections = 2, .buffer_size = 16384, .quota_buffers = 6};
	struct szc_rx *rx = fixture_open(state, options);
	struct szc_conn *hoarder, *busy;
	struct fixture_sender senders[2] = {{.total = 64 * MIB, .seed = 1, .end = true},
					    {.total = 4 * MIB, .seed = 2, .end = true}};
	static struct hoard hoard;
	struct szc_rx_stats stats;
	bool ended = false;

	hoard = (struct hoard){.count = 0};
	busy = fixture_conn(rx, &senders[0].fd);
	hoarder = fixture_conn(rx, &senders[1].fd);
	fixture_sender_start(&senders[1]);
	fixture_sender_start(&senders[0]);
	transfer(rx, busy, &hoard);
	fixture_quiet(rx, 50);
	assert_true(hoarder->parked || hoarder->view_starved);
	assert_int_equal(hoarder->held, 6);
	assert_in_range(hoard.got, 1, 6 * 16384);
	szc_rx_stats(rx, &stats);
	assert_true(stats.parked >= 1);
	/* Again and again: asleep for as long as it takes, woken by another thread's releases alone. */
	while (!ended) {
		int before = hoard.count;
		struct szc_event event;

		if (before)
			assert_int_equal(pthread_create(&hoard.thread, NULL, release_hoard, &hoard), 0);
		event = fixture_event(rx, -1);
		if (before)
			pthread_join(hoard.thread, NULL);
		check_limits(rx);
		do {
			assert_ptr_equal(event.conn, hoarder);
			if (event.type == SZC_EV_DATA)
				keep(&hoard, event.view, 2);
			else
				assert_int_equal(event.type, SZC_EV_EOF);
			ended = event.type == SZC_EV_EOF;
		} while (!ended && (event = fixture_event(rx, 1)).type);
		check_limits(rx);
	}
	assert_int_equal(hoard.got, 4 * MIB);
	while (hoard.count)
		szc_view_release(hoard.views[--hoard.count]);
	for (int i = 0; i < 2; i++) {
		fixture_sender_join(&senders[i]);
		close(senders[i].fd);
	}
	fixture_close(rx);
}

/* One byte a segment, each in a buffer of its own; every third view is kept for a while. */
static void one_byte_a_segment(void **state)
{
	enum { BYTES = 20000 };
	struct szc_rx *rx = fixture_open(state, fixture_least(1, 4096));
	struct szc_view *kept[3] = {NULL};
	uint64_t seed = 3, got = 0, sent = 0;
	int peer;

	fixture_conn(rx, &peer);
	while (got < BYTES) {
		struct szc_event event;

		for (int i = 0; i < 2 && sent < BYTES; i++, sent++)
			fixture_write(peer, 1, 4, sent);
		while ((event = fixture_event(rx, got == sent ? 0 : FIXTURE_MS)).type == SZC_EV_DATA) {
			int at = (int)fixture_random(&seed, 3);

			got += fixture_check(event.view, 4, got);
			szc_view_release(kept[at]);
			kept[at] = event.view;
			check_limits(rx);
		}
		assert_int_equal(got, sent);
	}
	for (int i = 0; i < 3; i++)
		szc_view_release(kept[i]);
	close(peer);
	fixture_close(rx);
}

static void one_byte_a_segment_beside_a_transfer(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, 4096));
	struct fixture_sender senders[2] = {{.total = 8 * MIB, .seed = 0, .end = true},
					    {.total = 30000, .piece = 1, .seed = 1, .end = true}};
	uint64_t got[2] = {0};
	int ended = 0;

	for (intptr_t i = 0; i < 2; i++)
		szc_conn_set_user(fixture_conn(rx, &senders[i].fd), (void *)i);
	fixture_sender_start(&senders[1]);
	fixture_sender_start(&senders[0]);
	while (ended < 2) {
		struct szc_event event = fixture_event(rx, FIXTURE_MS);
		intptr_t i = (intptr_t)szc_conn_user(event.conn);

		check_limits(rx);
		if (event.type == SZC_EV_EOF) {
			ended++;
			continue;
		}
		assert_int_equal(event.type, SZC_EV_DATA);
		got[i] += fixture_check(event.view, (unsigned)i, got[i]);
		szc_view_release(event.view);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(got[i], senders[i].total);
		fixture_sender_join(&senders[i]);
		close(senders[i].fd);
	}
	fixture_close(rx);
}

/* ---- records */

static struct szc_conn *record_conn(struct szc_rx *rx, struct records *records, int *peer)
{
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	assert_int_equal(records_attach(conn, records), 0);
	fixture_expect(rx, SZC_EV_READY);
	*peer = fds[1];
	return conn;
}

/* Turns the engine until it has nothing more to do; takes what comes. */
static void turn(struct szc_rx *rx, const struct records *records, uint64_t *got)
{
	struct szc_event event;

	while ((event = fixture_event(rx, 0)).type) {
		uint64_t at = *got / records->payload * records_size(records) + records->header;
		int iovcnt;
		const struct iovec *iov;

		assert_int_equal(event.type, SZC_EV_DATA);
		iov = szc_view_iov(event.view, &iovcnt);
		for (int i = 0; i < iovcnt; i++)
			for (size_t j = 0; j < iov[i].iov_len; j++, at++, ++*got) {
				if (*got && *got % records->payload == 0)
					at = *got / records->payload * records_size(records) + records->header;
				if (((const uint8_t *)iov[i].iov_base)[j] != fixture_byte(5, at))
					fail_msg("wrong byte at %llu", (unsigned long long)*got);
			}
		szc_view_release(event.view);
	}
	check_limits(rx);
}

static bool wait_readable(int fd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int ready;

	do {
		ready = poll(&poll_fd, 1, timeout_ms);
	} while (ready < 0 && errno == EINTR);
	return ready == 1;
}

/*
 * Pieces of one size, each received before the next is sent, so that each takes a buffer: with the least quota only packing
 * makes room for a whole record. The engine sleeps on its descriptor, in somebody else's loop.
 */
static void pieces(void **state, size_t buffer_size, size_t piece, int count)
{
	struct records records = {.header = 5, .payload = RECORD, .trailer = 256};
	struct szc_rx *rx = fixture_open(state, fixture_least(2, buffer_size));
	uint64_t total = (uint64_t)count * records_size(&records), sent = 0, got = 0;
	int peer, fd = szc_rx_fd(rx);
	struct szc_rx_stats stats;
	struct szc_trips trips;

	record_conn(rx, &records, &peer);
	turn(rx, &records, &got);
	while (sent < total) {
		size_t len = total - sent < piece ? (size_t)(total - sent) : piece;

		fixture_write(peer, len, 5, sent);
		sent += len;
		if (!wait_readable(fd, 2000))
			fail_msg("buffers of %zu, pieces of %zu: asleep for good after %llu bytes", buffer_size, piece,
				 (unsigned long long)sent);
		turn(rx, &records, &got);
	}
	for (int i = 0; i < 1000 && got < (uint64_t)count * RECORD; i++) {
		wait_readable(fd, 10);
		turn(rx, &records, &got);
	}
	assert_int_equal(got, (uint64_t)count * RECORD);
	szc_rx_stats(rx, &stats);
	szc_rx_trips(rx, &trips);
	if (piece < 2000) {
		assert_true(stats.compactions > 0);
		assert_true(trips.bytes_user_copied > 0);
	}
	close(peer);
	fixture_close(rx);
	assert_int_equal(records.freed, 1);
}

static void a_record_in_one_byte_segments(void **state)
{
	pieces(state, 4096, 1, 2);
	pieces(state, 16384, 1, 2);
	pieces(state, 65536, 1, 1);
}

static void a_record_in_pieces_of_any_size(void **state)
{
	static const size_t sizes[] = {7, 100, 536, 1000, 1377, 1448, 2047, 2049, 2731, 4095, 4096, 5000};

	for (size_t buffer_size = 4096; buffer_size <= 32768; buffer_size *= 2)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			pieces(state, buffer_size, sizes[i], 5);
}

/* Views of records that ended are kept while the next record comes in small pieces: it waits for them, and goes on. */
static void an_incomplete_record_behind_a_hoard(void **state)
{
	struct records records = {.header = 5, .payload = 3000, .trailer = 16};
	struct szc_rx *rx = fixture_open(state, fixture_least(1, 4096));
	struct szc_conn *conn;
	static struct hoard hoard;
	uint64_t sent = 0;
	int peer, got = 0;

	hoard = (struct hoard){.count = 0};
	conn = record_conn(rx, &records, &peer);
	while (got < 40) {
		struct szc_event event;

		for (int i = 0; i < 20; i++, sent += 151)
			fixture_write(peer, 151, 5, sent); /* twenty and a bit make a record */
		while ((event = fixture_event(rx, 2)).type == SZC_EV_DATA) {
			assert_int_equal(szc_view_size(event.view) % 3000, 0);
			assert_int_equal(fixture_byte(5, (uint64_t)got * 3021 + 5),
					 *(uint8_t *)event.view->iov[0].iov_base);
			got += (int)(szc_view_size(event.view) / 3000);
			hoard.views[hoard.count++] = event.view;
			check_limits(rx);
		}
		if (conn->parked || conn->view_starved || hoard.count == 3)
			release_hoard(&hoard);
	}
	release_hoard(&hoard);
	close(peer);
	fixture_close(rx);
}

/* Many small records in one buffer: as many views of it as the quota says, no more, and the rest after a release. */
static void views_of_one_buffer_count_too(void **state)
{
	enum { RECORDS = 2000 };
	struct records records = {.header = 5, .payload = 1, .trailer = 16};
	struct szc_rx *rx = fixture_open(state, fixture_least(1, 65536));
	struct szc_conn *conn;
	static struct hoard hoard;
	uint64_t got = 0;
	int peer, most = 0;

	hoard = (struct hoard){.count = 0};
	conn = record_conn(rx, &records, &peer);
	fixture_write(peer, (size_t)RECORDS * 22, 5, 0);
	while (got < RECORDS) {
		struct szc_event event = fixture_event(rx, hoard.count ? 100 : FIXTURE_MS);

		if (!event.type) {
			assert_true(conn->view_starved);
			assert_int_equal(hoard.count, rx->options.quota_buffers);
			most = hoard.count;
			/* From another thread, and asleep. */
			assert_int_equal(pthread_create(&hoard.thread, NULL, release_hoard, &hoard), 0);
			event = fixture_event(rx, -1);
			pthread_join(hoard.thread, NULL);
		}
		assert_int_equal(event.type, SZC_EV_DATA);
		for (int i = 0; i < event.view->count; i++)
			assert_int_equal(*(uint8_t *)event.view->iov[i].iov_base, fixture_byte(5, got++ * 22 + 5));
		hoard.views[hoard.count++] = event.view;
	}
	assert_int_equal(most, rx->options.quota_buffers);
	release_hoard(&hoard);
	close(peer);
	fixture_close(rx);
}

/* ---- all at once */

enum { TALKERS = 5, SHELF = 40 };

static void random_keepers_lose_nothing(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(TALKERS, 4096));
	struct fixture_sender senders[TALKERS];
	struct szc_view *shelf[SHELF] = {NULL};
	uint64_t got[TALKERS] = {0}, seed = 9;
	int ended = 0;

	for (intptr_t i = 0; i < TALKERS; i++) {
		senders[i] = (struct fixture_sender){
			.total = 300000, .piece = (size_t)1 << 2 * i << 3, .seed = (unsigned)i, .end = true};
		szc_conn_set_user(fixture_conn(rx, &senders[i].fd), (void *)i);
	}
	for (int i = 0; i < TALKERS; i++)
		fixture_sender_start(&senders[i]);
	while (ended < TALKERS) {
		struct szc_event event = fixture_event(rx, 1);
		int at = (int)fixture_random(&seed, SHELF);

		szc_view_release(shelf[at]);
		shelf[at] = NULL;
		check_limits(rx);
		if (event.type == SZC_EV_EOF)
			ended++;
		if (event.type == SZC_EV_DATA) {
			intptr_t i = (intptr_t)szc_conn_user(event.conn);

			got[i] += fixture_check(event.view, (unsigned)i, got[i]);
			shelf[at] = event.view;
		}
	}
	for (int i = 0; i < SHELF; i++)
		szc_view_release(shelf[i]);
	for (int i = 0; i < TALKERS; i++) {
		assert_int_equal(got[i], senders[i].total);
		fixture_sender_join(&senders[i]);
		close(senders[i].fd);
	}
	fixture_close(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_BACKEND(a_hoarder_stalls_only_itself),         EACH_BACKEND(one_byte_a_segment),
		EACH_BACKEND(one_byte_a_segment_beside_a_transfer), EACH_BACKEND(a_record_in_one_byte_segments),
		EACH_BACKEND(a_record_in_pieces_of_any_size),       EACH_BACKEND(an_incomplete_record_behind_a_hoard),
		EACH_BACKEND(views_of_one_buffer_count_too),        EACH_BACKEND(random_keepers_lose_nothing),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
