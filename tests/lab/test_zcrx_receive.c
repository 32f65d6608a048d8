/* SPDX-License-Identifier: MIT */
/* Streams through a queue of the NIC: right to the byte, written by the device alone, and given back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/lab/queue.h"

enum { BYTES = 4 << 20 };

/* Nothing but the device wrote payload: by the NIC's own count, the kernel's, and the library's. */
struct written {
	uint64_t netmem, page, linear;
};

static struct written written(void)
{
	return (struct written){queue_counter("rx1_payload_netmem"), queue_counter("rx1_payload_page"),
				queue_counter("rx1_payload_linear")};
}

static void by_the_device_alone(struct queue *queue, const struct written *before, uint64_t bytes)
{
	struct written after = written();
	struct szc_trips trips;

	assert_true(after.netmem - before->netmem >= bytes);
	assert_int_equal(after.page - before->page, 0);
	assert_int_equal(after.linear - before->linear, 0);
	szc_rx_trips(queue->rx, &trips);
	assert_int_equal(trips.bytes_zero_copy, bytes);
	assert_int_equal(trips.bytes_kernel_copied, 0);
	assert_int_equal(trips.bytes_user_copied, 0);
}

static void one_stream(int family, size_t total, struct szc_rx_options options)
{
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	struct written before;

	queue_open(&queue, family, options);
	before = written();
	sink_send(&sender, queue_connect(&queue, &sink, 1), 1, total, 100000);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, total);
	by_the_device_alone(&queue, &before, total);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

static void over_ipv4(void **state)
{
	(void)state;
	one_stream(AF_INET, BYTES, (struct szc_rx_options){.max_connections = 2});
}

static void over_ipv6(void **state)
{
	(void)state;
	one_stream(AF_INET6, BYTES, (struct szc_rx_options){.max_connections = 2});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_ipv4),
		cmocka_unit_test(over_ipv6),
	};

	alarm(300);
	return cmocka_run_group_tests_name("zcrx_receive", tests, NULL, NULL);
}
