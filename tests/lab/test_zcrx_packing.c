/* SPDX-License-Identifier: MIT */
/* Records that arrive in shreds: each takes a whole buffer, and nothing behind it in that buffer is ours. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <szc/layer.h>
#include "tests/lab/queue.h"

enum {
	RECORD = 16000,
	RECORDS = 8,
	SHRED = 90,
	/* With time stamps, so that a sender whose peer was slow does not put shreds together. */
	SEGMENT = SHRED + 12,
	QUOTA = 24, /* far fewer than a record has shreds */
};

/* A layer whose records are RECORD bytes of payload, delivered whole. */
static int start(struct szc_conn *conn, void *state)
{
	(void)state;
	szc_layer_ready(conn);
	return 0;
}

static int input(struct szc_conn *conn, void *state)
{
	const struct iovec *iov;
	int count, error;

	(void)state;
	if (szc_layer_peek(conn, &iov, &count) < RECORD)
		return SZC_LAYER_NEED_MORE;
	error = szc_layer_deliver(conn, RECORD);
	return error ? error : SZC_LAYER_PROGRESS;
}

static int fin(struct szc_conn *conn, void *state)
{
	const struct iovec *iov;
	int count;

	(void)state;
	return szc_layer_peek(conn, &iov, &count) ? SZC_E_TRUNCATED : 0;
}

static void nothing(void *state)
{
	(void)state;
}

static const struct szc_layer_ops records = {
	.name = "records", .start = start, .input = input, .fin = fin, .free = nothing};

static void shreds_of_a_record_are_packed(void **state)
{
	struct szc_rx_options options = {.max_connections = 2, .quota_buffers = QUOTA};
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	struct szc_rx_stats stats;
	struct szc_trips trips;

	(void)state;
	queue_open(&queue, AF_INET, options);
	queue.segment = SEGMENT;
	sink_send(&sender, queue_connect(&queue, &sink, 1), 1, RECORD * RECORDS, SHRED);
	assert_int_equal(szc_layer_attach(sink.conn, &records, NULL), 0);
	sink.anywhere = true;
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, RECORD * RECORDS);
	stats = sink_stats(queue.rx);
	assert_true(stats.compactions >= 1);
	szc_conn_trips(sink.conn, &trips);
	/* Once each, at most, and what is left over when one more shred comes. */
	assert_in_range(trips.bytes_user_copied, 1, 2 * RECORD * RECORDS);
	assert_int_equal(trips.bytes_kernel_copied, 0);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

/* Two connections whose shreds lie side by side: neither is written to when the other one's are packed, and views are
 * checked again when they are released. */
static void packing_leaves_neighbours_alone(void **state)
{
	enum { HOARDED = 2 * QUOTA };
	struct szc_rx_options options = {.max_connections = 2, .quota_buffers = 3 * QUOTA};
	struct queue queue;
	struct sink sinks[2];
	struct sink_sender senders[2];

	(void)state;
	queue_open(&queue, AF_INET, options);
	queue.segment = SEGMENT;
	sink_send(&senders[0], queue_connect(&queue, &sinks[0], 2), 2, RECORD * RECORDS, SHRED);
	assert_int_equal(szc_layer_attach(sinks[0].conn, &records, NULL), 0);
	sink_send(&senders[1], queue_connect(&queue, &sinks[1], 3), 3, HOARDED * SHRED, SHRED);
	sinks[0].anywhere = true;
	sinks[1].hoard = true;
	sink_until_over(queue.rx, sinks, 2);
	assert_int_equal(sinks[0].got, RECORD * RECORDS);
	assert_int_equal(sinks[1].got, HOARDED * SHRED);
	assert_true(sink_stats(queue.rx).compactions >= 1);
	sink_release(queue.rx, &sinks[1]);
	sink_send_end(&senders[0]);
	sink_send_end(&senders[1]);
	szc_conn_close(sinks[0].conn);
	szc_conn_close(sinks[1].conn);
	queue_close(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shreds_of_a_record_are_packed),
		cmocka_unit_test(packing_leaves_neighbours_alone),
	};

	queue_limit(800);
	return cmocka_run_group_tests_name("zcrx_packing", tests, NULL, NULL);
}
