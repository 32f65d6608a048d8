/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include "lib/budget.h"

static char why[400];

static struct szc_budget filled(struct szc_budget given)
{
	why[0] = '\0';
	if (szc_budget_fill(&given, why, sizeof(why)))
		fail_msg("refused: %s", why);
	return given;
}

/* What is said of a budget in its header. */
static void holds(const struct szc_budget *b)
{
	size_t ceiling = b->area_max > b->area_size ? b->area_max : b->area_size;

	assert_int_equal(szc_budget_total(b) - szc_budget_promise(b), b->standing + b->reserved);
	assert_in_range(b->unaccepted, 4, 16);
	assert_true(szc_budget_total(b) <= ceiling / b->buffer_size);
	assert_true(b->quota >= szc_rx_min_quota(b->buffer_size));
	assert_true(b->queued >= 16);
	assert_true(b->receive_buffer > 0);
	assert_true((size_t)b->receive_buffer <= (size_t)b->queued * b->buffer_size / 4 * 3);
	assert_int_equal(b->area_size % b->buffer_size, 0);
}

static void defaults_are_some_tens_of_mebibytes(void **state)
{
	struct szc_budget b = filled((struct szc_budget){.buffer_size = 4096, .connections = 64, .ring = 256});

	(void)state;
	holds(&b);
	assert_int_equal(b.standing, 2 * 256 + 128);
	assert_int_equal(b.quota, 64);
	assert_int_equal(b.queued, 64);
	assert_int_equal(b.unaccepted, 16);
	assert_int_equal(b.area_size, (640 + 64 * 64 + (64 + 16) * 64) * 4096);
	/* Long buffers: fewer of them. */
	b = filled((struct szc_budget){.buffer_size = 32768, .connections = 64, .ring = 256});
	holds(&b);
	assert_int_equal(b.quota, 32);
}

static unsigned standing(unsigned ring, unsigned ring_payload, size_t buffer_size)
{
	struct szc_budget b = filled((struct szc_budget){
		.buffer_size = buffer_size, .connections = 1, .ring = ring, .ring_payload = ring_payload});

	holds(&b);
	return b.standing;
}

static void the_ring_that_takes_payload_counts(void **state)
{
	(void)state;
	assert_int_equal(standing(512, 0, 4096), 2 * 512 + 128);
	assert_int_equal(standing(512, 0, 32768), 2 * 512 + 128);
	/* bnxt */
	assert_int_equal(standing(511, 2044, 4096), 2 * 2044 + 128);
	assert_int_equal(standing(511, 2044, 8192), 2 * 1022 + 128);
	assert_int_equal(standing(511, 2044, 32768), 2 * 511 + 128);
	/* fbnic */
	assert_int_equal(standing(1024, 256, 4096), 2 * 1024 + 128);
	/* a driver that does not tell */
	assert_int_equal(standing(0, 0, 4096), 2 * 1024 + 128);
}

static void a_given_area_is_shared_out(void **state)
{
	struct szc_budget b =
		filled((struct szc_budget){.buffer_size = 4096, .connections = 2, .ring = 64, .area_size = 4 << 20});

	(void)state;
	holds(&b);
	assert_int_equal(b.standing, 256);
	assert_int_equal(b.unaccepted, 4);
	assert_int_equal(b.quota, (1024 - 256) / (2 + 2 + 4));
	assert_int_equal(b.queued, b.quota);
	assert_int_equal(b.receive_buffer, b.queued * 4096 / 4 * 3);
	b = filled((struct szc_budget){
		.buffer_size = 4096, .connections = 2, .ring = 64, .area_size = 4 << 20, .quota = 300});
	holds(&b);
	assert_int_equal(b.queued, (1024 - 256 - 2 * 300) / (2 + 4));
}

static void others_are_left_room(void **state)
{
	struct szc_budget first = filled((struct szc_budget){
		.buffer_size = 4096, .connections = 8, .ring = 64, .area_size = 64 << 20, .leave_room = true});
	struct szc_budget second = {.buffer_size = 4096,
				    .connections = 8,
				    .ring = 64,
				    .area_size = 64 << 20,
				    .reserved = (unsigned)szc_budget_promise(&first),
				    .leave_room = true};

	(void)state;
	holds(&first);
	assert_int_equal(first.quota, 64);
	second = filled(second);
	holds(&second);
	second.reserved = (64 << 20) / 4096 - second.standing;
	second.quota = 0;
	assert_int_equal(szc_budget_fill(&second, why, sizeof(why)), SZC_E_OPTION);
	assert_non_null(strstr(why, "for other engines on this area"));
}

static void a_growing_area_begins_small(void **state)
{
	struct szc_budget b =
		filled((struct szc_budget){.buffer_size = 4096, .connections = 64, .ring = 256, .area_max = 256 << 20});

	(void)state;
	holds(&b);
	assert_true(b.area_size < 256 << 20);
	assert_true(b.area_size / 4096 > b.standing);
	b = filled((struct szc_budget){
		.buffer_size = 4096, .connections = 4, .ring = 256, .area_max = 64 << 20, .area_size = 4 << 20});
	holds(&b);
	assert_int_equal(b.area_size, 4 << 20);
}

static void less_than_promised_is_shared_again(void **state)
{
	struct szc_budget b = filled((struct szc_budget){
		.buffer_size = 4096, .connections = 4, .ring = 64, .area_max = 64 << 20, .area_size = 4 << 20});
	unsigned quota = b.quota = 64, queued = b.queued;

	(void)state;
	szc_budget_limit(&b, 64 << 20);
	assert_int_equal(b.queued, queued);
	szc_budget_limit(&b, 4 << 20);
	assert_int_equal(b.quota, quota);
	assert_int_equal(b.queued, (1024 - 256 - 4 * 64) / (4 + 4));
	assert_int_equal(b.receive_buffer, b.queued * 4096 / 4 * 3);
	assert_true(szc_budget_total(&b) <= 1024);
	/* Quotas alone are more: it cannot be helped. */
	szc_budget_limit(&b, 1 << 20);
	assert_int_equal(b.queued, 16);
}

static void the_arithmetic_is_told(void **state)
{
	struct szc_budget b = {.buffer_size = 4096, .connections = 64, .ring = 256, .area_size = 8 << 20};
	struct szc_budget enough = b;
	size_t need = 640 + 64 * 7 + (64 + 16) * 16;
	char words[80];

	(void)state;
	enough.area_size = need * 4096;
	enough = filled(enough);
	holds(&enough);
	enough.area_size -= 4096;
	enough.quota = 0;
	assert_int_equal(szc_budget_fill(&enough, why, sizeof(why)), SZC_E_OPTION);
	snprintf(words, sizeof(words), "Raise area_size to %zu", need * 4096);
	assert_non_null(strstr(why, words));
	assert_non_null(strstr(why, "640 for the NIC (twice its ring of 256, and 128)"));
	assert_non_null(
		strstr(why, "7 of quota for each of 64 connections, 16 in each socket and in 16 unaccepted ones"));
	/* A quota that no TLS record fits into is refused, however large the area. */
	b.area_size = 1 << 30;
	b.quota = 3;
	assert_int_equal(szc_budget_fill(&b, why, sizeof(why)), SZC_E_OPTION);
	assert_non_null(strstr(why, "a quota of 3 buffers"));
}

static void whatever_is_taken_fits(void **state)
{
	uint64_t seed = 11;
	int taken = 0, i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		struct szc_budget b = {
			.buffer_size = (size_t)4096 << fixture_random(&seed, 9),
			.connections = 1 + fixture_random(&seed, 300),
			.ring = fixture_random(&seed, 3) ? 64u << fixture_random(&seed, 8) : 0,
			.ring_payload = fixture_random(&seed, 3) ? 0 : 64u << fixture_random(&seed, 10),
			.area_size = fixture_random(&seed, 2) ? fixture_random(&seed, 1u << 30) : 0,
			.area_max = fixture_random(&seed, 2) ? fixture_random(&seed, 1u << 31) : 0,
			.quota = fixture_random(&seed, 2) ? fixture_random(&seed, 200) : 0,
			.reserved = fixture_random(&seed, 4) ? 0 : fixture_random(&seed, 5000),
			.leave_room = fixture_random(&seed, 2),
		};
		unsigned quota = b.quota;

		if (szc_budget_fill(&b, why, sizeof(why))) {
			assert_true(strlen(why) > 20);
			continue;
		}
		holds(&b);
		assert_true(!quota || b.quota == quota);
		taken++;
	}
	assert_true(taken > 10000);
}

static void a_receive_buffer_can_be_bounded(void **state)
{
	struct szc_budget given = {.buffer_size = 16384, .connections = 1, .ring = 64, .area_size = 64 << 20}, b;

	(void)state;
	given.receive_buffer_max = 512 << 10;
	b = filled(given);
	holds(&b);
	assert_in_range(b.receive_buffer, (512 << 10) - 3 * 16384, 512 << 10);
	/* Not below what lets a connection move at all, nor above what there is. */
	given.receive_buffer_max = 1;
	b = filled(given);
	holds(&b);
	assert_int_equal(b.queued, 16);
	given.receive_buffer_max = SIZE_MAX;
	b = filled(given);
	holds(&b);
	assert_int_equal(b.receive_buffer, b.queued * 16384 / 4 * 3);
	assert_true(b.queued > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_receive_buffer_can_be_bounded),
		cmocka_unit_test(defaults_are_some_tens_of_mebibytes),
		cmocka_unit_test(the_ring_that_takes_payload_counts),
		cmocka_unit_test(a_given_area_is_shared_out),
		cmocka_unit_test(others_are_left_room),
		cmocka_unit_test(a_growing_area_begins_small),
		cmocka_unit_test(less_than_promised_is_shared_again),
		cmocka_unit_test(the_arithmetic_is_told),
		cmocka_unit_test(whatever_is_taken_fits),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
