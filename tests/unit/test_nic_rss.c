/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include "lib/nic/rss.h"

static struct szc_nic_table table;

static void parsed(const char *text, unsigned count, unsigned queues)
{
	if (!szc_nic_table_parse(&table, text, count, queues))
		fail_msg("\"%s\" is refused", text);
}

static void reads(const char *text, unsigned queues)
{
	char *shown = szc_nic_table_text(&table, queues);

	assert_non_null(shown);
	assert_string_equal(shown, text);
	free(shown);
}

static void tables_are_text(void **state)
{
	(void)state;
	parsed("0,1,2,3,0,1,2,3", 8, 4);
	reads("default", 4);
	reads("0,1,2,3,0,1,2,3", 8);
	parsed("default", 6, 4);
	reads("default", 4);
	assert_int_equal(table.entries[5], 1);
	parsed("3", 1, 4);
	reads("3", 4);
	/* One queue: the default is that it has everything. */
	parsed("0,0,0", 3, 1);
	reads("default", 1);
}

static void what_is_no_table_is_refused(void **state)
{
	static const char *const bad[] = {"",
					  "0",
					  "0,1",
					  "0,1,2,3",
					  "0,1,4",
					  "0,1,-1",
					  "0,1,+1",
					  " 0,1,2",
					  "0,1,2,",
					  "0,,1",
					  "0,1,2 ",
					  "0;1;2",
					  "Default",
					  "0x1,0,0",
					  "1e0,0,0",
					  "0,1,99999999999999999999",
					  "0,1,4294967296"};

	(void)state;
	parsed("0,1,2", 3, 4);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (szc_nic_table_parse(&table, bad[i], 3, 4))
			fail_msg("\"%s\" is taken", bad[i]);
	assert_false(szc_nic_table_parse(&table, "default", 0, 4));
	assert_false(szc_nic_table_parse(&table, "default", 4, 0));
	assert_false(szc_nic_table_parse(&table, "default", SZC_NIC_RSS_MAX + 1, 4));
}

static void a_queue_is_spared(void **state)
{
	(void)state;
	parsed("default", 8, 4);
	assert_true(szc_nic_table_without(&table, 1, 4));
	reads("0,2,2,3,0,3,2,3", 4);
	assert_true(szc_nic_table_without(&table, 0, 4));
	reads("2,2,2,3,3,3,2,3", 4);
	/* Not in it: nothing to do. */
	assert_true(szc_nic_table_without(&table, 1, 4));
	reads("2,2,2,3,3,3,2,3", 4);
	/* The only one in it: all the others. */
	parsed("2,2,2,2,2,2,2,2", 8, 4);
	assert_true(szc_nic_table_without(&table, 2, 4));
	reads("3,0,1,3,0,1,3,0", 4);
	parsed("0,0", 2, 1);
	assert_false(szc_nic_table_without(&table, 0, 1));
}

/* The queue is gone, the others have what they had, and queues that had nothing still do. */
static void nobody_else_loses_or_joins(void **state)
{
	uint64_t seed = 11;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		unsigned queues = 2 + fixture_random(&seed, 12), count = 1 + fixture_random(&seed, 64);
		unsigned spread = 1 + fixture_random(&seed, queues), queue = fixture_random(&seed, queues);
		struct szc_nic_table before = {.count = count};
		bool others = false;

		for (unsigned i = 0; i < count; i++) {
			before.entries[i] = fixture_random(&seed, spread);
			others |= before.entries[i] != queue;
		}
		table = before;
		assert_true(szc_nic_table_without(&table, queue, queues));
		assert_false(szc_nic_table_has(&table, queue));
		for (unsigned i = 0; i < count; i++) {
			if (before.entries[i] != queue)
				assert_int_equal(table.entries[i], before.entries[i]);
			else if (others)
				assert_true(szc_nic_table_has(&before, table.entries[i]));
			assert_true(table.entries[i] < queues);
		}
	}
}

static void summarized(const char *text, const char *summary)
{
	char *shown = szc_nic_table_summary(text);

	assert_non_null(shown);
	assert_string_equal(shown, summary);
	free(shown);
}

static void people_read_sets(void **state)
{
	(void)state;
	summarized("default", "default");
	summarized("0,2,3,0,2,3", "queues 0,2-3");
	summarized("7", "queues 7");
	summarized("3,2,1,0", "queues 0-3");
	summarized("0,1,2,5,6,9", "queues 0-2,5-6,9");
	summarized("4095", "queues 4095");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_text),   cmocka_unit_test(what_is_no_table_is_refused),
		cmocka_unit_test(a_queue_is_spared), cmocka_unit_test(nobody_else_loses_or_joins),
		cmocka_unit_test(people_read_sets),
	};

	return cmocka_run_group_tests_name("nic_rss", tests, NULL, NULL);
}
