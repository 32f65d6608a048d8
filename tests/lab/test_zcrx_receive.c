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
	assert_int_equal(sink_stats(queue->rx).elsewhere, 0);
}

/* Returns the length of the longest piece that it came in. */
static size_t one_stream(int family, size_t total, struct szc_rx_options options)
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
	return sink.longest;
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

static void in_long_packets(void **state)
{
	(void)state;
	queue_mtu(9000);
	one_stream(AF_INET, 2 * BYTES, (struct szc_rx_options){.max_connections = 2});
	queue_mtu(1500);
}

/* They need memory that lies in pieces as long. */
static size_t into_buffers_of(size_t length, int mtu)
{
	struct szc_rx_options options = {
		.max_connections = 2, .buffer_size = length, .area_size = length << 10, .pages = SZC_PAGES_HUGE};
	struct queue queue;
	size_t longest;
	char why[400];

	/* For two engines, and one before them: the kernel gives a closed engine's area back a moment later. */
	queue_huge_pages((unsigned)(options.area_size >> 21) * 3);
	queue_prepare(&queue);
	if (queue_engine(&queue, options, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(queue_buffer_length(&queue), length);
	assert_null(strstr(szc_rx_describe(queue.rx), "not longer than a page"));
	assert_non_null(strstr(szc_rx_describe(queue.rx), "mixed completions"));
	assert_int_equal(szc_rx_close(queue.rx), 0);
	queue_restore(&queue);
	queue_mtu(mtu);
	longest = one_stream(AF_INET6, 2 * BYTES, options);
	queue_mtu(1500);
	queue_huge_pages(0);
	return longest;
}

static void into_long_buffers(void **state)
{
	(void)state;
	into_buffers_of(32 << 10, 9000);
}

/*
 * Packets that the NIC merged lie one behind the other in a buffer, which a page would not hold. A sender as slow as the
 * debug kernel sends but a few at once: there two are enough.
 */
static void merged_into_long_buffers(void **state)
{
	size_t least = access("/proc/lockdep", F_OK) ? 8192 : 1500;

	(void)state;
	queue_run("ethtool -K szc0 rx-gro-hw on && ethtool -C szc0 rx-usecs 5000");
	assert_in_range(into_buffers_of(32 << 10, 1500), least, 32 << 10);
	queue_run("ethtool -C szc0 rx-usecs 0 && ethtool -K szc0 rx-gro-hw off");
}

static void into_the_longest_buffers(void **state)
{
	(void)state;
	into_buffers_of(64 << 10, 9000);
}

/* More than the NIC takes: pages instead, which is told, and what was counted in buffers is as much memory as before. */
static void into_pages_where_longer_ones_are_refused(void **state)
{
	struct szc_rx_options options = {
		.max_connections = 2, .buffer_size = 128 << 10, .quota_buffers = 8, .area_size = 64 << 20};
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;

	(void)state;
	queue_open(&queue, AF_INET, options);
	assert_non_null(strstr(szc_rx_describe(queue.rx), "not longer than a page, because"));
	assert_non_null(strstr(szc_rx_describe(queue.rx), "at most 2, 256 buffers each"));
	sink_send(&sender, queue_connect(&queue, &sink, 2), 2, BYTES, 30000);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, BYTES);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

static void many_at_once(void **state)
{
	enum { COUNT = 16 };
	struct queue queue;
	struct sink *sinks = calloc(COUNT, sizeof(*sinks));
	struct sink_sender senders[COUNT];
	struct written before;
	int i;

	(void)state;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = COUNT});
	before = written();
	for (i = 0; i < COUNT; i++)
		sink_send(&senders[i], queue_connect(&queue, &sinks[i], (unsigned)i), (unsigned)i, BYTES / COUNT,
			  500 + 3000 * (size_t)i);
	sink_until_over(queue.rx, sinks, COUNT);
	for (i = 0; i < COUNT; i++) {
		assert_int_equal(sinks[i].error, 0);
		assert_int_equal(sinks[i].got, BYTES / COUNT);
	}
	by_the_device_alone(&queue, &before, BYTES);
	for (i = 0; i < COUNT; i++) {
		sink_send_end(&senders[i]);
		szc_conn_close(sinks[i].conn);
	}
	queue_close(&queue);
	free(sinks);
}

/* A damaged packet is the NIC's to drop, a lost one TCP's to send again: what arrives is right, and nobody copied it. */
static void over_a_bad_wire(void **state)
{
	struct szc_nic_wire bad = {.set = SZC_NIC_WIRE_LOSS | SZC_NIC_WIRE_REORDER | SZC_NIC_WIRE_DUPLICATE |
					  SZC_NIC_WIRE_CORRUPT,
				   .loss = 5000,
				   .reorder = 10000,
				   .duplicate = 5000,
				   .corrupt = 5000};
	struct szc_nic_wire good = {.set = bad.set};

	(void)state;
	queue_wire(bad);
	one_stream(AF_INET, BYTES, (struct szc_rx_options){.max_connections = 2});
	queue_wire(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_ipv4),
		cmocka_unit_test(over_ipv6),
		cmocka_unit_test(in_long_packets),
		cmocka_unit_test(into_long_buffers),
		cmocka_unit_test(merged_into_long_buffers),
		cmocka_unit_test(into_the_longest_buffers),
		cmocka_unit_test(into_pages_where_longer_ones_are_refused),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(over_a_bad_wire),
	};

	queue_limit(800);
	return cmocka_run_group_tests_name("zcrx_receive", tests, NULL, NULL);
}
