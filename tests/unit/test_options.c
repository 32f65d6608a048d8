/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include "lib/options.h"

static int fill_from(struct szc_rx *rx, const struct szc_rx_options *given)
{
	int error = szc_options_take(rx, given);

	rx->options = rx->given;
	return error ? error : szc_options_derive(rx);
}

static int fill(struct szc_rx *rx, struct szc_rx_options given)
{
	memset(rx, 0, sizeof(*rx));
	given.size = sizeof(given);
	return fill_from(rx, &given);
}

static void fits(const struct szc_rx_options *o)
{
	assert_true((size_t)o->max_connections * o->quota_buffers * o->buffer_size <= o->area_size);
	assert_true(o->quota_buffers >= szc_rx_min_quota(o->buffer_size));
	assert_int_equal(o->buffer_size & (o->buffer_size - 1), 0);
	assert_in_range(o->buffer_size, 4096, 1 << 20);
}

static void defaults(void **state)
{
	struct szc_rx rx = {0};

	(void)state;
	assert_int_equal(fill_from(&rx, NULL), 0);
	assert_int_equal(rx.options.max_connections, 64);
	assert_int_equal(rx.options.buffer_size, 65536);
	assert_int_equal(rx.options.quota_buffers, 8);
	assert_int_equal(rx.options.area_size, 64 * 8 * 65536);
	assert_int_equal(rx.options.send_limit, 1 << 20);
	assert_int_equal(rx.options.handshake_timeout, 10000);
	assert_int_equal(rx.options.idle_timeout, 0);
	assert_int_equal(rx.options.size, sizeof(rx.options));
}

static void the_rest_is_derived(void **state)
{
	struct szc_rx rx;

	(void)state;
	assert_int_equal(fill(&rx, (struct szc_rx_options){.max_connections = 65}), 0);
	assert_int_equal(rx.options.buffer_size, 16384);
	assert_int_equal(rx.options.area_size, 65 * 8 * 16384);

	assert_int_equal(fill(&rx, (struct szc_rx_options){.area_size = 32 << 20, .buffer_size = 4096}), 0);
	assert_int_equal(rx.options.quota_buffers, (32 << 20) / 4096 / 64);

	assert_int_equal(fill(&rx, (struct szc_rx_options){.quota_buffers = 5, .max_connections = 3}), 0);
	assert_int_equal(rx.options.area_size, 5 * 3 * 65536);

	/* Not a whole number of buffers: what is left over counts for nobody. */
	assert_int_equal(
		fill(&rx, (struct szc_rx_options){.area_size = 1000001, .max_connections = 2, .buffer_size = 8192}), 0);
	assert_int_equal(rx.options.quota_buffers, 1000001 / 8192 / 2);
	fits(&rx.options);

	assert_int_equal(fill(&rx, (struct szc_rx_options){.backend = SZC_BACKEND_NODEV}), 0);
	assert_int_equal(rx.options.buffer_size, 4096);
	fits(&rx.options);
}

static void the_least_quota_holds_a_record(void **state)
{
	(void)state;
	assert_int_equal(szc_rx_min_quota(0), 0);
	assert_int_equal(szc_rx_min_quota(4096), 7);
	assert_int_equal(szc_rx_min_quota(16384), 4);
	assert_int_equal(szc_rx_min_quota(32768), 3);
	assert_int_equal(szc_rx_min_quota(1 << 20), 3);
}

static void refused(struct szc_rx_options given, const char *words)
{
	struct szc_rx rx;
	char why[400] = "";
	struct szc_rx *opened;
	int error = fill(&rx, given);

	if (error != SZC_E_OPTION)
		fail_msg("taken, though it should say \"%s\"", words);
	if (!strstr(rx.error_text, words))
		fail_msg("\"%s\" does not say \"%s\"", rx.error_text, words);
	/* The caller hears the same. */
	given.size = sizeof(given);
	given.error = why;
	given.error_size = sizeof(why);
	assert_int_equal(szc_rx_open(&opened, &given), SZC_E_OPTION);
	assert_null(opened);
	assert_string_equal(why, rx.error_text);
}

static void contradictions_are_named(void **state)
{
	(void)state;
	refused((struct szc_rx_options){.backend = 77}, "backend 77");
	refused((struct szc_rx_options){.backend = -1}, "backend -1");
	refused((struct szc_rx_options){.pages = 9}, "pages 9");
	refused((struct szc_rx_options){.max_connections = 65537}, "max_connections 65537 is above 65536");
	refused((struct szc_rx_options){.buffer_size = 2048}, "buffer_size 2048 is not a power of two");
	refused((struct szc_rx_options){.buffer_size = 5000}, "buffer_size 5000 is not a power of two");
	refused((struct szc_rx_options){.buffer_size = 2 << 20}, "buffer_size 2097152 is not a power of two");
	refused((struct szc_rx_options){.area_size = 1 << 20},
		"raise area_size to 12582912, or lower max_connections (64)");
	refused((struct szc_rx_options){.quota_buffers = 2}, "a quota of 2 buffers");
	refused((struct szc_rx_options){.area_size = 4096}, "raise area_size");
	refused((struct szc_rx_options){.area_size = 32 << 20, .quota_buffers = 9}, "raise area_size to 37748736");
	refused((struct szc_rx_options){.area_size = SIZE_MAX}, "more than this library can number");
	refused((struct szc_rx_options){.quota_buffers = UINT32_MAX}, "more than this library can number");
	refused((struct szc_rx_options){.quota_buffers = 1u << 28, .max_connections = 65536, .buffer_size = 1 << 20},
		"more than this library can number");
}

static void a_size_not_set_is_named(void **state)
{
	struct szc_rx_options given = {.max_connections = 2};
	char why[200] = "";
	struct szc_rx *rx;

	(void)state;
	given.error = why;
	given.error_size = sizeof(why);
	assert_int_equal(szc_rx_open(&rx, &given), SZC_E_OPTION);
	assert_non_null(strstr(why, "sizeof(struct szc_rx_options)"));
	/* A sentence longer than its room is cut, not written past it. */
	given.error_size = 10;
	memset(why, 'x', sizeof(why));
	assert_int_equal(szc_rx_open(&rx, &given), SZC_E_OPTION);
	assert_int_equal(strlen(why), 9);
	assert_int_equal(why[10], 'x');
}

/* A program built against an older header: its struct ends early, and memory behind it is not ours to read. */
static void a_shorter_struct_is_taken(void **state)
{
	size_t size = offsetof(struct szc_rx_options, buffer_size);
	struct szc_rx_options *given = malloc(sizeof(*given));
	struct szc_rx rx = {0};

	(void)state;
	assert_non_null(given);
	memset(given, 0xff, sizeof(*given));
	memset(given, 0, size);
	given->size = size;
	given->max_connections = 3;
	assert_int_equal(fill_from(&rx, given), 0);
	assert_int_equal(rx.options.max_connections, 3);
	assert_int_equal(rx.options.buffer_size, 65536);
	assert_int_equal(rx.options.idle_timeout, 0);
	free(given);
}

/* Nor is it ours to write through pointers that only a newer struct has. */
static void a_shorter_struct_has_no_room_for_a_sentence(void **state)
{
	char why[200] = "untouched";
	struct szc_rx_options given = {.error = why, .error_size = sizeof(why), .max_connections = 70000};
	struct szc_rx *rx;

	(void)state;
	for (given.size = offsetof(struct szc_rx_options, area_size);
	     given.size <= offsetof(struct szc_rx_options, error_size); given.size += 8) {
		assert_int_equal(szc_rx_open(&rx, &given), SZC_E_OPTION);
		assert_null(rx);
		assert_string_equal(why, "untouched");
	}
	for (; given.size <= sizeof(given); given.size += 8) {
		why[0] = '\0';
		assert_int_equal(szc_rx_open(&rx, &given), SZC_E_OPTION);
		assert_non_null(strstr(why, "70000"));
	}
}

static void whatever_is_taken_fits_into_the_area(void **state)
{
	struct szc_rx rx;
	uint64_t seed = 7;
	int taken = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct szc_rx_options given = {
			.max_connections = fixture_random(&seed, 2) ? fixture_random(&seed, 300) : 0,
			.buffer_size = fixture_random(&seed, 3) ? (size_t)1 << fixture_random(&seed, 24) : 0,
			.quota_buffers = fixture_random(&seed, 2) ? fixture_random(&seed, 40) : 0,
			.area_size = fixture_random(&seed, 2) ? fixture_random(&seed, 1u << 28) : 0,
		};

		if (i % 16 == 0)
			given.quota_buffers = UINT32_MAX - fixture_random(&seed, 1u << 31);
		if (i % 32 == 0)
			given.area_size = SIZE_MAX >> fixture_random(&seed, 40);
		if (fill(&rx, given)) {
			assert_true(rx.error_text[0]);
			continue;
		}
		fits(&rx.options);
		assert_true(!given.area_size || rx.options.area_size == given.area_size);
		assert_true(!given.quota_buffers || rx.options.quota_buffers == given.quota_buffers);
		taken++;
	}
	assert_true(taken > 1000);
}

static void it_describes_itself(void **state)
{
	struct szc_rx_options options = {.max_connections = 2, .buffer_size = 4096};
	struct szc_rx *rx = fixture_open(state, options);
	const char *text = szc_rx_describe(rx);

	assert_non_null(strstr(text, szc_rx_backend(rx)));
	assert_non_null(strstr(text, "16 buffers of 4 KiB"));
	assert_non_null(strstr(text, "at most 2, 8 buffers each"));
	fixture_close(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(the_rest_is_derived),
		cmocka_unit_test(the_least_quota_holds_a_record),
		cmocka_unit_test(contradictions_are_named),
		cmocka_unit_test(a_size_not_set_is_named),
		cmocka_unit_test(a_shorter_struct_is_taken),
		cmocka_unit_test(a_shorter_struct_has_no_room_for_a_sentence),
		cmocka_unit_test(whatever_is_taken_fits_into_the_area),
		EACH_BACKEND(it_describes_itself),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
