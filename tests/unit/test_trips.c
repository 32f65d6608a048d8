/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "bench/trips/plugin/trips.h"

enum { MIB = 1 << 20, AREA = 16 * MIB, TARGET = 32 * MIB, ELSEWHERE = 48 * MIB, BYTES = 64 << 10 };

static void announced(struct trips *trips)
{
	*trips = (struct trips){0};
	assert_true(trips_add_model(trips, &(struct llc_shape){MIB, 64, 16, 2}));
	for (uint64_t at = 0; at < BYTES; at += TRIPS_PAGE) {
		assert_true(trips_announce(trips, AREA + at, TRIPS_AREA));
		assert_true(trips_announce(trips, TARGET + at, TRIPS_TARGET));
	}
}

static void counted_by_actor_and_place(void **state)
{
	struct trips trips;

	(void)state;
	announced(&trips);
	trips_store(&trips, TRIPS_DEVICE, AREA, 100, LLC_STORE_CACHED);
	trips_run(&trips);
	for (uint64_t at = 0; at < BYTES; at += 16)
		trips_store(&trips, TRIPS_DEVICE, AREA + at, 16, LLC_STORE_CACHED);
	trips_store(&trips, TRIPS_KERNEL, TARGET + BYTES - 8, 8, LLC_STORE_STRING);
	trips_store(&trips, TRIPS_KERNEL, TARGET + BYTES, 8, LLC_STORE_STRING);
	trips_load(&trips, TRIPS_USER, AREA + 4, 4);
	trips_load(&trips, TRIPS_USER, UINT64_C(1) << 50, 4);
	trips_stop(&trips);
	trips_store(&trips, TRIPS_DEVICE, AREA, 100, LLC_STORE_CACHED);
	assert_int_equal(trips.counts.stored[TRIPS_DEVICE][TRIPS_AREA], BYTES);
	assert_int_equal(trips.counts.area_written, BYTES);
	assert_int_equal(trips.counts.stored[TRIPS_KERNEL][TRIPS_TARGET], 8);
	assert_int_equal(trips.counts.stored[TRIPS_KERNEL][TRIPS_ELSEWHERE], 8);
	assert_int_equal(trips.counts.loaded[TRIPS_USER][TRIPS_AREA], 4);
	assert_int_equal(trips.counts.loaded[TRIPS_USER][TRIPS_ELSEWHERE], 4);
	/* Counting anew begins with nothing; forgotten, places are no more. */
	trips_run(&trips);
	assert_int_equal(trips.counts.stored[TRIPS_DEVICE][TRIPS_AREA], 0);
	trips_store(&trips, TRIPS_DEVICE, AREA + 100, 8, LLC_STORE_CACHED);
	trips_store(&trips, TRIPS_DEVICE, AREA + 200, 8, LLC_STORE_CACHED);
	assert_int_equal(trips.counts.area_written, TRIPS_PAGE);
	trips_forget(&trips);
	trips_run(&trips);
	trips_store(&trips, TRIPS_DEVICE, AREA, 8, LLC_STORE_CACHED);
	assert_int_equal(trips.counts.stored[TRIPS_DEVICE][TRIPS_ELSEWHERE], 8);
	trips_end(&trips);
}

/* A cipher's rounds: it loads eight blocks, and stores them, there or elsewhere. */
static void cipher(struct trips *trips, uint64_t from, uint64_t to)
{
	for (uint64_t at = 0; at < BYTES; at += 8 * TRIPS_BLOCK) {
		for (uint64_t block = 0; block < 8; block++)
			trips_load(trips, TRIPS_USER_CIPHER, from + at + block * TRIPS_BLOCK, TRIPS_BLOCK);
		for (uint64_t block = 0; block < 8; block++)
			trips_store(trips, TRIPS_USER_CIPHER, to + at + block * TRIPS_BLOCK, TRIPS_BLOCK,
				    LLC_STORE_CACHED);
	}
}

static void in_place_or_not(void **state)
{
	struct trips trips;

	(void)state;
	announced(&trips);
	trips_run(&trips);
	cipher(&trips, AREA, AREA);
	assert_int_equal(trips.counts.in_place[TRIPS_USER_CIPHER][TRIPS_AREA], BYTES);
	cipher(&trips, AREA, TARGET);
	cipher(&trips, ELSEWHERE, ELSEWHERE + MIB);
	assert_int_equal(trips.counts.stored[TRIPS_USER_CIPHER][TRIPS_TARGET], BYTES);
	assert_int_equal(trips.counts.in_place[TRIPS_USER_CIPHER][TRIPS_TARGET], 0);
	assert_int_equal(trips.counts.stored[TRIPS_USER_CIPHER][TRIPS_ELSEWHERE], BYTES);
	assert_int_equal(trips.counts.in_place[TRIPS_USER_CIPHER][TRIPS_ELSEWHERE], 0);
	/* Only ciphers work in place: what others write where they have read is a copy, or no payload. */
	trips_load(&trips, TRIPS_USER, AREA, 16);
	trips_store(&trips, TRIPS_USER, AREA, 16, LLC_STORE_CACHED);
	assert_int_equal(trips.counts.in_place[TRIPS_USER][TRIPS_AREA], 0);
	trips_end(&trips);
}

static void cold_and_warm(void **state)
{
	struct trips trips;

	(void)state;
	announced(&trips);
	trips_load(&trips, TRIPS_USER, AREA, BYTES);
	trips_run(&trips);
	trips_load(&trips, TRIPS_USER, AREA, BYTES);
	trips_store(&trips, TRIPS_USER, AREA, BYTES, LLC_STORE_CACHED);
	trips_stop(&trips);
	assert_int_equal(trips_warm(&trips.models[0]).read, 0);
	/* Not written yet, but owed. */
	assert_int_equal(trips_warm(&trips.models[0]).written, BYTES);
	assert_int_equal(trips_cold(&trips.models[0]).read, BYTES);
	assert_int_equal(trips_cold(&trips.models[0]).written, BYTES);
	trips_end(&trips);
}

static void debts_of_before_are_not_charged(void **state)
{
	struct trips trips;

	(void)state;
	announced(&trips);
	trips_store(&trips, TRIPS_USER, AREA, BYTES, LLC_STORE_CACHED);
	trips_run(&trips);
	trips_store(&trips, TRIPS_USER, AREA, BYTES, LLC_STORE_CACHED);
	trips_stop(&trips);
	assert_int_equal(trips_warm(&trips.models[0]).written, 0);
	assert_int_equal(trips_cold(&trips.models[0]).written, BYTES);
	trips_end(&trips);
}

static void too_many_caches(void **state)
{
	struct trips trips = {0};

	(void)state;
	assert_false(trips_add_model(&trips, &(struct llc_shape){MIB + 1, 64, 16, 2}));
	for (int i = 0; i < TRIPS_MODELS_MAX; i++)
		assert_true(trips_add_model(&trips, &(struct llc_shape){64 << 10, 64, 16, 2}));
	assert_false(trips_add_model(&trips, &(struct llc_shape){64 << 10, 64, 16, 2}));
	trips_end(&trips);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counted_by_actor_and_place),
		cmocka_unit_test(in_place_or_not),
		cmocka_unit_test(cold_and_warm),
		cmocka_unit_test(debts_of_before_are_not_charged),
		cmocka_unit_test(too_many_caches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
