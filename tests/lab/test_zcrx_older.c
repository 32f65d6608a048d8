/* SPDX-License-Identifier: MIT */
/*
 * Kernels that know less, from 6.15 on. What they lack is taken away here, between the library and a kernel that has it
 * all: the wrapped functions say less, and refuse.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/features.h"
#include "lib/uring.h"
#include "lib/zcrx_abi.h"
#include "tests/lab/queue.h"

enum {
	BYTES = 3 << 20,
	RING_SHORT = 64, /* entries of a refill ring */
	/* Of one connection: what the NIC holds, a quota of 32, and 32 in its socket and in each of 4 unaccepted ones. */
	AREA = (2 * QUEUE_RING + 128 + 32 + 5 * 32) * 4096,
};

static bool knows_little, refuses_our_ring, refuses_growth, short_ring;
static int our_rings, kernel_rings, calls_of_new_ones, flushes;

void __real_szc_features_query(struct szc_features *features);
void __wrap_szc_features_query(struct szc_features *features);
int __real_szc_uring_register(struct szc_uring *uring, unsigned opcode, void *arg, unsigned count);
int __wrap_szc_uring_register(struct szc_uring *uring, unsigned opcode, void *arg, unsigned count);

void __wrap_szc_features_query(struct szc_features *features)
{
	if (knows_little)
		*features = (struct szc_features){.error = -EINVAL};
	else
		__real_szc_features_query(features);
}

static bool in_our_memory(const struct szc_zcrx_ifq_reg *reg)
{
	const struct szc_region_desc *region = (const struct szc_region_desc *)(uintptr_t)reg->region_ptr;

	return region && region->user_addr;
}

int __wrap_szc_uring_register(struct szc_uring *uring, unsigned opcode, void *arg, unsigned count)
{
	if (opcode == SZC_IORING_REGISTER_ZCRX_IFQ) {
		bool ours = in_our_memory(arg);

		our_rings += ours;
		kernel_rings += !ours;
		if (short_ring)
			((struct szc_zcrx_ifq_reg *)arg)->rq_entries = RING_SHORT;
		if (ours && refuses_our_ring)
			return -EFAULT;
		if (knows_little &&
		    (((struct szc_zcrx_ifq_reg *)arg)->rx_buf_len || ((struct szc_zcrx_ifq_reg *)arg)->event_desc))
			return -EINVAL;
	}
	if (opcode == SZC_IORING_REGISTER_ZCRX_CTRL) {
		calls_of_new_ones++;
		flushes += ((struct szc_zcrx_ctrl *)arg)->op == SZC_ZCRX_CTRL_FLUSH_RQ;
		if (knows_little)
			return -EINVAL;
		if (refuses_growth && ((struct szc_zcrx_ctrl *)arg)->op == SZC_ZCRX_CTRL_ADD_AREA)
			return -ENOMEM;
	}
	return __real_szc_uring_register(uring, opcode, arg, count);
}

static int setup(void **state)
{
	(void)state;
	knows_little = refuses_our_ring = refuses_growth = short_ring = false;
	our_rings = kernel_rings = calls_of_new_ones = flushes = 0;
	return 0;
}

static void transfer(struct queue *queue)
{
	struct sink sink;
	struct sink_sender sender;

	sink_send(&sender, queue_connect(queue, &sink, 1), 1, BYTES, 50000);
	sink_until_over(queue->rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, BYTES);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
}

static void the_oldest_will_do(void **state)
{
	struct queue queue;

	(void)state;
	knows_little = true;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 2, .buffer_size = 16384});
	assert_non_null(strstr(szc_rx_describe(queue.rx), "because this kernel knows no other"));
	assert_non_null(strstr(szc_rx_describe(queue.rx), "wide completions, our refill ring, starvation is not told"));
	transfer(&queue);
	assert_int_equal(calls_of_new_ones, 0);
	queue_close(&queue);
}

static void the_ring_can_lie_in_the_kernels_memory(void **state)
{
	struct queue queue;
	int i;

	(void)state;
	refuses_our_ring = true;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 2});
	assert_int_equal(our_rings, 1);
	assert_int_equal(kernel_rings, 1);
	assert_non_null(strstr(szc_rx_describe(queue.rx), "its own refill ring, starvation is told"));
	for (i = 0; i < 3; i++)
		transfer(&queue);
	queue_close(&queue);
}

/* A quota that small segments overrun would park it for good if a release depended on a flush that is not there. */
static void a_small_area_needs_no_flush(void **state)
{
	struct queue queue;

	(void)state;
	knows_little = true;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 1, .area_size = AREA});
	transfer(&queue);
	queue_close(&queue);
}

static void a_share_is_refused_with_a_sentence(void **state)
{
	struct queue queue;
	char why[400];

	(void)state;
	queue_prepare(&queue);
	knows_little = true;
	assert_int_equal(queue_engine(&queue, (struct szc_rx_options){.max_connections = 2, .shareable = true}, why,
				      sizeof(why)),
			 SZC_E_BACKEND);
	assert_non_null(strstr(why, "cannot share a queue"));
	queue_restore(&queue);
}

/* The refill ring holds fewer than come back at once: the kernel is made to read it, and nothing is lost. */
static void a_full_refill_ring_loses_nothing(void **state)
{
	struct szc_rx_options options = {
		.max_connections = 1, .quota_buffers = 512, .area_size = (2 * QUEUE_RING + 128 + 512 + 5 * 512) * 4096};
	struct sink *sink = calloc(1, sizeof(*sink));
	struct sink_sender sender;
	struct queue queue;

	(void)state;
	short_ring = true;
	queue_open(&queue, AF_INET, options);
	sink_send(&sender, queue_connect(&queue, sink, 3), 3, BYTES, 60000);
	sink->hoard = true;
	while (sink_stats(queue.rx).buffers_out <= RING_SHORT)
		sink_turn(queue.rx, SINK_TURN_MS);
	sink_release(queue.rx, sink);
	sink_until_over(queue.rx, sink, 1);
	assert_int_equal(sink->got, BYTES);
	assert_true(sink_stats(queue.rx).refill_full >= 1);
	assert_true(flushes >= 1);
	sink_send_end(&sender);
	szc_conn_close(sink->conn);
	queue_close(&queue);
	free(sink);
}

static void what_cannot_grow_promises_what_it_has(void **state)
{
	struct szc_rx_options options = {.max_connections = 1, .area_size = AREA, .area_max = 64 << 20};
	struct queue queue;
	char why[400];

	(void)state;
	knows_little = true;
	queue_open(&queue, AF_INET, options);
	assert_non_null(strstr(szc_rx_describe(queue.rx), "at most 32 in each socket"));
	assert_non_null(strstr(szc_rx_describe(queue.rx), "it cannot grow, as this kernel cannot add to it"));
	transfer(&queue);
	queue_close(&queue);
	/* Nor is what fits only into the larger one taken. */
	queue_prepare(&queue);
	options.area_size = 1 << 20;
	assert_int_equal(queue_engine(&queue, options, why, sizeof(why)), SZC_E_OPTION);
	assert_non_null(strstr(why, "Raise area_size to"));
	queue_restore(&queue);
}

static int receive_buffer(const struct sink *sink)
{
	socklen_t len = sizeof(int);
	int size;

	assert_return_code(getsockopt(szc_conn_fd(sink->conn), SOL_SOCKET, SO_RCVBUF, &size, &len), errno);
	return size;
}

/* Until the queue has run dry; our bound undone, which would not let it. */
static void run_dry(const struct sink *sink, uint64_t before)
{
	int size = 64 << 20, calls;

	assert_return_code(setsockopt(szc_conn_fd(sink->conn), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), errno);
	for (calls = 0; calls < 400 && queue_counter("rx1_alloc_fail") == before; calls++)
		usleep(50000);
}

static void need_growth(void)
{
	struct szc_features features;

	szc_features_query(&features);
	if (features.ctrls > SZC_ZCRX_CTRL_ADD_AREA)
		return;
	printf("# skip: this kernel cannot add memory to an area\n");
	skip();
}

static void growth_that_fails_is_tried_again_later(void **state)
{
	struct szc_rx_options options = {
		.max_connections = 1, .area_size = AREA, .area_max = 8 << 20, .quota_buffers = 32};
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	uint64_t before;
	int fd;

	(void)state;
	need_growth();
	refuses_growth = true;
	queue_open(&queue, AF_INET, options);
	fd = queue_connect(&queue, &sink, 2);
	sink.anywhere = true;
	before = queue_counter("rx1_alloc_fail");
	assert_true(receive_buffer(&sink) > 1 << 20);
	sink_send(&sender, fd, 2, 4 * BYTES, 60000);
	run_dry(&sink, before);
	while (!sink_stats(queue.rx).queue_empty)
		sink_turn(queue.rx, SINK_TURN_MS);
	assert_int_equal(sink_stats(queue.rx).areas_added, 0);
	assert_non_null(strstr(szc_rx_last_error(queue.rx), "cannot grow"));
	assert_int_equal(receive_buffer(&sink), 32 * 4096 / 4 * 3);
	refuses_growth = false;
	usleep(1100000);
	/* So that it asks the kernel once more to be told when it is dry: before it is. */
	sink_turn(queue.rx, 0);
	run_dry(&sink, queue_counter("rx1_alloc_fail"));
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, 4 * BYTES);
	assert_true(sink_stats(queue.rx).areas_added >= 1);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_oldest_will_do, setup),
		cmocka_unit_test_setup(the_ring_can_lie_in_the_kernels_memory, setup),
		cmocka_unit_test_setup(a_small_area_needs_no_flush, setup),
		cmocka_unit_test_setup(a_share_is_refused_with_a_sentence, setup),
		cmocka_unit_test_setup(a_full_refill_ring_loses_nothing, setup),
		cmocka_unit_test_setup(what_cannot_grow_promises_what_it_has, setup),
		cmocka_unit_test_setup(growth_that_fails_is_tried_again_later, setup),
	};

	queue_limit(800);
	return cmocka_run_group_tests_name("zcrx_older", tests, NULL, NULL);
}
