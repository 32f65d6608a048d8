/* SPDX-License-Identifier: MIT */
/*
 * Kernels that know less, from 6.15 on. What they lack is taken away here, between the library and a kernel that has it
 * all: the wrapped functions say less, and refuse.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/features.h"
#include "lib/uring.h"
#include "lib/zcrx_abi.h"
#include "tests/lab/queue.h"

enum { BYTES = 3 << 20 };

static bool knows_little, refuses_our_ring, refuses_growth;
static int our_rings, kernel_rings, calls_of_new_ones;

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
		if (ours && refuses_our_ring)
			return -EFAULT;
		if (knows_little &&
		    (((struct szc_zcrx_ifq_reg *)arg)->rx_buf_len || ((struct szc_zcrx_ifq_reg *)arg)->event_desc))
			return -EINVAL;
	}
	if (opcode == SZC_IORING_REGISTER_ZCRX_CTRL) {
		calls_of_new_ones++;
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
	knows_little = refuses_our_ring = refuses_growth = false;
	our_rings = kernel_rings = calls_of_new_ones = 0;
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
	queue_open(&queue, AF_INET,
		   (struct szc_rx_options){.max_connections = 1, .area_size = (2 * QUEUE_RING + 128 + 6 * 32) * 4096});
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

static void growth_that_fails_is_not_tried_again(void **state)
{
	struct szc_rx_options options = {.max_connections = 1,
					 .area_size = (2 * QUEUE_RING + 128 + 6 * 32) * 4096,
					 .area_max = 8 << 20,
					 .quota_buffers = 32};
	int size = 64 << 20, calls;
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;

	(void)state;
	refuses_growth = true;
	queue_open(&queue, AF_INET, options);
	sink_send(&sender, queue_connect(&queue, &sink, 2), 2, BYTES, 60000);
	assert_return_code(setsockopt(szc_conn_fd(sink.conn), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), errno);
	for (calls = 0; calls < 40 && !queue_counter("rx1_alloc_fail"); calls++)
		usleep(50000);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, BYTES);
	assert_true(sink_stats(queue.rx).queue_empty >= 1);
	assert_int_equal(sink_stats(queue.rx).areas_added, 0);
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
		cmocka_unit_test_setup(growth_that_fails_is_not_tried_again, setup),
	};

	alarm(300);
	return cmocka_run_group_tests_name("zcrx_older", tests, NULL, NULL);
}
