/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <string.h>
#include "tools/szc-nic-units.h"

static void rate(const char *text, uint64_t expected, const char *shown)
{
	char again[UNITS_TEXT];
	uint64_t value = 1;

	if (!units_parse_rate(text, &value))
		fail_msg("%s is refused", text);
	assert_int_equal(value, expected);
	assert_string_equal(units_rate(again, value), shown);
	assert_true(units_parse_rate(again, &value));
	assert_int_equal(value, expected);
}

static void span(const char *text, uint64_t expected, const char *shown)
{
	char again[UNITS_TEXT];
	uint64_t value = 1;

	if (!units_parse_time(text, &value))
		fail_msg("%s is refused", text);
	assert_int_equal(value, expected);
	assert_string_equal(units_time(again, value), shown);
}

static void share(const char *text, uint32_t expected, const char *shown)
{
	char again[UNITS_TEXT];
	uint32_t value = 1;

	if (!units_parse_share(text, &value))
		fail_msg("%s is refused", text);
	assert_int_equal(value, expected);
	assert_string_equal(units_share(again, value), shown);
}

static void units_are_read_and_written(void **state)
{
	(void)state;
	rate("10Gbit", 10000000000, "10Gbit");
	rate("2.5gbit", 2500000000, "2500Mbit");
	rate("800kbit", 800000, "800kbit");
	rate("9601BIT", 9601, "9601bit");
	rate("0", 0, "0bit");
	rate("1Tbit", 1000000000000, "1Tbit");
	span("100us", 100000, "100us");
	span("1.5ms", 1500000, "1500us");
	span("1s", 1000000000, "1s");
	span("20ns", 20, "20ns");
	span("0", 0, "0ns");
	share("1%", 10000, "1%");
	share("0.01%", 100, "0.01%");
	share("0.0001%", 1, "0.0001%");
	share("33.3333%", 333333, "33.3333%");
	share("100%", 1000000, "100%");
	share("0", 0, "0%");
	share("0%", 0, "0%");
}

static void what_is_no_figure_is_refused(void **state)
{
	static const char *const bad[] = {"",     "x",    "1",    "-1%",  "+1%",      "1 %", " 1%", "1%%",   "101%",
					  "inf%", "nan%", "0x1%", "1e1%", "0.00001%", "%",   ".",   "1..2%", "1.2.3%"};
	uint64_t wide;
	uint32_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (units_parse_share(bad[i], &value))
			fail_msg("\"%s\" is taken for a share", bad[i]);
	assert_false(units_parse_time("0.5ns", &wide));
	assert_false(units_parse_time("1m", &wide));
	assert_false(units_parse_time("2s", &wide));
	assert_false(units_parse_time("99999999999999999999s", &wide));
	assert_false(units_parse_rate("10G", &wide));
	assert_false(units_parse_rate("0.5bit", &wide));
	assert_false(units_parse_rate("10000Tbit", &wide));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_read_and_written),
		cmocka_unit_test(what_is_no_figure_is_refused),
	};

	return cmocka_run_group_tests_name("nic_units", tests, NULL, NULL);
}
