/* SPDX-License-Identifier: MIT */
/*
 * Trap 5, in a guest with memory beyond 4 GiB (tests/lab/host/mask.sh): a device that cannot address all memory, so
 * that areas are refused there. `springs`, with a szcnic that was loaded with dma_bits=32, expects that; `holds`, with all
 * its bits, expects that everything arrives in place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "tests/lab/queue.h"
#include "tests/lab/raw.h"

enum { PAGE = 4096, AREA = 16 << 20, TOTAL = 1 << 20 };

/* Where a page of ours lies (Documentation/admin-guide/mm/pagemap.rst). */
static uint64_t physical(const void *address)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	assert_return_code(fd, errno);
	assert_int_equal(pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)address / PAGE * sizeof(entry))),
			 sizeof(entry));
	close(fd);
	return (entry & ((UINT64_C(1) << 55) - 1)) * PAGE;
}

static void springs(void **state)
{
	struct raw_options options = {
		.ifname = queue_near, .queue = QUEUE, .buffers = AREA / PAGE, .completions = AREA / PAGE};
	struct queue queue;
	struct raw raw;

	(void)state;
	queue_prepare(&queue);
	assert_int_equal(raw_open(&raw, &options), -EIO);
	queue_restore(&queue);
}

static void holds(void **state)
{
	struct szc_rx_options options = {.max_connections = 1, .area_size = AREA, .pages = SZC_PAGES_PLAIN};
	struct szc_trips trips;
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	size_t size, at, beyond = 0;
	uint8_t *area;

	(void)state;
	queue_open(&queue, AF_INET, options);
	szc_rx_area(queue.rx, (void **)&area, &size);
	for (at = 0; at < size; at += PAGE)
		beyond += physical(area + at) >> 32 != 0;
	/* Else this shows nothing. */
	assert_true(beyond > size / PAGE / 2);
	sink_send(&sender, queue_connect(&queue, &sink, 5), 5, TOTAL, 60000);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, TOTAL);
	szc_rx_trips(queue.rx, &trips);
	assert_int_equal(trips.bytes_zero_copy, TOTAL);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest with_32_bits[] = {cmocka_unit_test(springs)}, with_all[] = {cmocka_unit_test(holds)};

	if (argc == 2 && !strcmp(argv[1], "springs"))
		return cmocka_run_group_tests_name("mask", with_32_bits, NULL, NULL);
	if (argc == 2 && !strcmp(argv[1], "holds"))
		return cmocka_run_group_tests_name("mask", with_all, NULL, NULL);
	fprintf(stderr, "usage: trap_mask springs|holds\n");
	return 2;
}
