/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/area.h"

enum { HUGE = 2 << 20 };

static bool mapped(const void *base, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *resident = malloc(size / page + 1);
	bool is = mincore((void *)base, size, resident) == 0;

	free(resident);
	return is;
}

static void usable(struct szc_area *area, size_t asked)
{
	uint8_t *kept = area->base;
	size_t size = area->size;

	assert_true(size >= asked);
	for (size_t i = 0; i < size; i += 1021)
		assert_int_equal(area->base[i], 0);
	memset(area->base, 0xab, size);
	assert_true(mapped(kept, size));
	szc_area_unmap(area);
	assert_null(area->base);
	szc_area_unmap(area);
	assert_false(mapped(kept, size));
}

static void plain_pages(void **state)
{
	struct szc_area area = {0};

	(void)state;
	assert_int_equal(szc_area_map(&area, 5000, SZC_PAGES_PLAIN), 0);
	assert_string_equal(area.pages, "plain pages");
	assert_int_equal(area.size, 8192);
	usable(&area, 5000);
	/* Too small for huge ones. */
	assert_int_equal(szc_area_map(&area, HUGE - 1, SZC_PAGES_AUTO), 0);
	assert_string_equal(area.pages, "plain pages");
	usable(&area, HUGE - 1);
}

static void large_areas_are_aligned_for_huge_pages(void **state)
{
	struct szc_area area = {0};

	(void)state;
	assert_int_equal(szc_area_map(&area, HUGE + 1, SZC_PAGES_AUTO), 0);
	assert_int_equal((uintptr_t)area.base % HUGE, 0);
	assert_int_equal(area.size, 2 * HUGE);
	assert_non_null(strstr(area.pages, "huge pages"));
	usable(&area, HUGE + 1);
}

static long number_in(const char *path, const char *format)
{
	FILE *file = fopen(path, "r");
	char line[200];
	long number = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, format, &number) == 1)
			break;
	if (file)
		fclose(file);
	return number;
}

/* More than are reserved: refused with a sentence when asked for, done without when not. */
static void huge_pages_that_are_not_there(void **state)
{
	long reserved = number_in("/proc/meminfo", "HugePages_Free: %ld");
	long more = number_in("/proc/sys/vm/nr_overcommit_hugepages", "%ld");
	char why[300] = "";
	struct szc_rx_options options = {
		.size = sizeof(options),
		.backend = SZC_BACKEND_EPOLL,
		.pages = SZC_PAGES_HUGE,
		.error = why,
		.error_size = sizeof(why),
	};
	struct szc_area area = {0};
	struct szc_rx *rx;
	int before, error;

	(void)state;
	if (reserved > 1024 || more > 0) {
		printf("# skip: this machine has %ld huge pages free and may make %ld more: too many to ask for one more\n",
		       reserved, more);
		skip();
	}
	options.area_size = (size_t)(reserved > 0 ? reserved + 1 : 1) * HUGE;
	options.area_size += 64 * 8 * 65536;
	before = fixture_open_files();
	error = szc_rx_open(&rx, &options);
	/* A kernel without huge pages at all says EINVAL or ENOSYS. */
	assert_true(error == -ENOMEM || error == -EINVAL || error == -ENOSYS);
	assert_null(rx);
	assert_non_null(strstr(why, "reserved huge pages"));
	assert_non_null(strstr(why, "nr_hugepages"));
	assert_int_equal(fixture_open_files(), before);

	assert_int_equal(szc_area_map(&area, options.area_size, SZC_PAGES_AUTO), 0);
	usable(&area, options.area_size);
	options.pages = SZC_PAGES_AUTO;
	assert_int_equal(szc_rx_open(&rx, &options), 0);
	fixture_close(rx);
}

static void more_than_there_is(void **state)
{
	struct szc_area area = {0};

	(void)state;
	assert_int_equal(szc_area_map(&area, (size_t)1 << 60, SZC_PAGES_AUTO), -ENOMEM);
	assert_null(area.base);
	assert_int_equal(szc_area_map(&area, (size_t)1 << 60, SZC_PAGES_PLAIN), -ENOMEM);
	assert_null(area.base);
}

static void a_child_does_not_have_it(void **state)
{
	static const enum szc_pages kinds[] = {SZC_PAGES_PLAIN, SZC_PAGES_AUTO};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct szc_area area = {0};
		int status;
		pid_t child;

		assert_int_equal(szc_area_map(&area, 16 * HUGE, kinds[i]), 0);
		memset(area.base, 1, area.size);
		child = fork();
		assert_true(child >= 0);
		if (!child) {
			unsigned char resident[1];
			long page = sysconf(_SC_PAGESIZE);
			size_t there = 0;

			for (size_t at = 0; at < area.size; at += (size_t)page)
				if (mincore(area.base + at, (size_t)page, resident) == 0 || errno != ENOMEM)
					there += (size_t)page;
			/* A sanitizer's thread may have put its stack into the hole. */
			_exit(there < area.size / 2 ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_int_equal(area.base[area.size - 1], 1);
		szc_area_unmap(&area);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_pages),
		cmocka_unit_test(large_areas_are_aligned_for_huge_pages),
		cmocka_unit_test(huge_pages_that_are_not_there),
		cmocka_unit_test(more_than_there_is),
		cmocka_unit_test(a_child_does_not_have_it),
	};

	return cmocka_run_group_tests_name("area", tests, NULL, NULL);
}
