/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "bench/trips/plugin/llc.h"

enum {
	KIB = 1024,
	MIB = 1024 * KIB,
	WORD = 8,
	PAGE = 4096,
	CACHE = MIB,
	LENGTH = 16 * CACHE,
	FROM = 1 << 30,
	TO = 1 << 31 >> 1 | 1 << 28,
};

static struct llc *make(uint32_t device_ways)
{
	struct llc *llc = llc_new(&(struct llc_shape){CACHE, 64, 16, device_ways});

	assert_non_null(llc);
	return llc;
}

/* Bytes on the bus for each byte of `len`, times 1000. */
static uint64_t per_byte(struct llc *llc, struct llc_bus before, uint64_t len)
{
	struct llc_bus now = llc_bus(llc);

	return ((now.read - before.read) + (now.written - before.written)) * 1000 / len;
}

static void assert_costs(struct llc *llc, struct llc_bus before, uint64_t len, uint64_t expected)
{
	uint64_t cost = per_byte(llc, before, len);

	assert_in_range(cost, expected - expected / 100, expected + expected / 100);
}

static void copy(struct llc *llc, uint64_t len, enum llc_store how)
{
	for (uint64_t at = 0; at < len; at += WORD) {
		llc_load(llc, FROM + at, WORD);
		llc_store(llc, TO + at, WORD, how);
	}
	llc_clean(llc);
}

static void set(struct llc *llc, uint64_t len, enum llc_store how)
{
	for (uint64_t at = 0; at < len; at++)
		llc_store(llc, TO + at, 1, how);
	llc_clean(llc);
}

static void textbook(void **state)
{
	struct llc *llc = make(0);
	struct llc_bus before = llc_bus(llc);

	(void)state;
	llc_load(llc, FROM, LENGTH);
	assert_costs(llc, before, LENGTH, 1000);

	before = llc_bus(llc);
	set(llc, LENGTH, LLC_STORE_CACHED);
	assert_costs(llc, before, LENGTH, 2000);

	before = llc_bus(llc);
	copy(llc, LENGTH, LLC_STORE_CACHED);
	assert_costs(llc, before, LENGTH, 3000);

	before = llc_bus(llc);
	for (uint64_t at = 0; at < LENGTH; at += WORD) {
		llc_load(llc, FROM + at, WORD);
		llc_store(llc, FROM + at, WORD, LLC_STORE_CACHED);
	}
	llc_clean(llc);
	assert_costs(llc, before, LENGTH, 2000);
	llc_free(llc);
}

static void whole_lines_are_not_fetched(void **state)
{
	struct llc *llc = make(0);
	struct llc_bus before;

	(void)state;
	for (enum llc_store how = LLC_STORE_STRING; how <= LLC_STORE_PAST; how++) {
		before = llc_bus(llc);
		set(llc, LENGTH, how);
		assert_costs(llc, before, LENGTH, 1000);
		before = llc_bus(llc);
		copy(llc, LENGTH, how);
		assert_costs(llc, before, LENGTH, 2000);
	}
	llc_free(llc);
}

static void part_of_a_line_costs_a_line(void **state)
{
	struct llc *llc = make(2);
	struct llc_bus before = llc_bus(llc);

	(void)state;
	for (uint64_t at = 0; at < LENGTH; at += 64)
		llc_store(llc, TO + at + 5, 9, LLC_STORE_STRING);
	llc_clean(llc);
	assert_costs(llc, before, LENGTH, 2000);

	before = llc_bus(llc);
	for (uint64_t at = 0; at < LENGTH; at += 64)
		llc_store(llc, FROM + at + 60, 8, LLC_STORE_CACHED);
	llc_clean(llc);
	assert_costs(llc, before, LENGTH, 2000);

	/* What a string instruction left out is fetched when it is read, once. */
	llc_empty(llc);
	before = llc_bus(llc);
	llc_store(llc, TO, 63, LLC_STORE_STRING);
	llc_load(llc, TO, 63);
	assert_int_equal(llc_bus(llc).read, before.read);
	llc_load(llc, TO, 64);
	llc_load(llc, TO + 63, 1);
	assert_int_equal(llc_bus(llc).read, before.read + 64);
	llc_free(llc);
}

static void what_stays_costs_nothing(void **state)
{
	struct llc *llc = make(0);
	struct llc_bus before;

	(void)state;
	llc_load(llc, FROM, CACHE / 2);
	llc_store(llc, FROM, CACHE / 2, LLC_STORE_CACHED);
	before = llc_bus(llc);
	for (int i = 0; i < 4; i++) {
		llc_load(llc, FROM, CACHE / 2);
		llc_store(llc, FROM, CACHE / 2, LLC_STORE_CACHED);
	}
	assert_costs(llc, before, CACHE, 0);
	/* Cleaned, it is still there, and costs nothing a second time. */
	llc_clean(llc);
	before = llc_bus(llc);
	llc_load(llc, FROM, CACHE / 2);
	llc_clean(llc);
	assert_costs(llc, before, CACHE, 0);
	/* Emptied, it is not, and nothing is written back. */
	llc_store(llc, FROM, CACHE / 2, LLC_STORE_CACHED);
	llc_empty(llc);
	llc_load(llc, FROM, CACHE / 2);
	llc_clean(llc);
	assert_costs(llc, before, CACHE / 2, 1000);
	llc_free(llc);
}

static void the_oldest_makes_room(void **state)
{
	enum { STRIDE = PAGE };
	struct llc *llc = llc_new(&(struct llc_shape){16 * 64, 64, 16, 0}); /* one set */
	struct llc_bus before;

	(void)state;
	assert_non_null(llc);
	for (int way = 0; way < 16; way++)
		llc_load(llc, FROM + way * STRIDE, 1);
	llc_load(llc, FROM, 1);
	llc_load(llc, FROM + 16 * STRIDE, 1);
	before = llc_bus(llc);
	for (int way = 0; way < 17; way++) {
		if (way != 1)
			llc_load(llc, FROM + way * STRIDE, 1);
	}
	assert_int_equal(llc_bus(llc).read, before.read);
	llc_load(llc, FROM + STRIDE, 1);
	assert_int_equal(llc_bus(llc).read, before.read + 64);
	llc_free(llc);
}

/* Written by a device, read by a processor, over and over, in a ring of `ring` bytes. */
static uint64_t received(uint32_t device_ways, uint64_t ring, bool in_place)
{
	struct llc *llc = make(device_ways);
	struct llc_bus before = {0};
	uint64_t cost;

	for (int round = 0; round < 3; round++) {
		if (round == 1)
			before = llc_bus(llc);
		for (uint64_t at = 0; at < LENGTH; at += 4 * KIB) {
			llc_device_write(llc, FROM + at % ring, 4 * KIB);
			llc_load(llc, FROM + at % ring, 4 * KIB);
			if (in_place)
				llc_store(llc, FROM + at % ring, 4 * KIB, LLC_STORE_CACHED);
		}
	}
	cost = per_byte(llc, before, UINT64_C(2) * LENGTH);
	llc_free(llc);
	return cost;
}

static void a_device_writes(void **state)
{
	(void)state;
	/* To memory: written, and fetched by whoever reads it; what was changed there is written again. */
	assert_int_equal(received(0, 64 * KIB, false), 2000);
	assert_int_equal(received(0, 4 * CACHE, false), 2000);
	assert_int_equal(received(0, 4 * CACHE, true), 3000);
	/* Into the cache: nothing as long as it stays there, else written back, whoever changed it. */
	assert_int_equal(received(2, CACHE / 16, false), 0);
	assert_int_equal(received(2, CACHE / 16, true), 0);
	assert_int_equal(received(2, 4 * CACHE, false), 1000);
	assert_int_equal(received(2, 4 * CACHE, true), 1000);
}

static void a_device_keeps_to_its_ways(void **state)
{
	struct llc *llc = make(2);
	struct llc_bus before;

	(void)state;
	/* The other 14 ways hold what the processor uses, however much a device writes: of 8 lines a set 6 stay. */
	llc_load(llc, FROM, CACHE / 2);
	llc_device_write(llc, TO, LENGTH);
	before = llc_bus(llc);
	llc_load(llc, FROM, CACHE / 2);
	assert_in_range(llc_bus(llc).read - before.read, CACHE / 9, CACHE / 7);
	/* What is in another way is written there. */
	llc_empty(llc);
	llc_load(llc, TO, CACHE / 2);
	before = llc_bus(llc);
	for (int i = 0; i < 4; i++)
		llc_device_write(llc, TO, CACHE / 2);
	assert_int_equal(llc_bus(llc).read, before.read);
	assert_int_equal(llc_bus(llc).written, before.written);
	llc_free(llc);
}

static void past_the_cache_nothing_is_lost(void **state)
{
	struct llc *llc = make(0);
	struct llc_bus before;

	(void)state;
	/* A dirty line of which a part goes past the cache is written back before; one of which all does, is not. */
	llc_store(llc, TO, 64, LLC_STORE_STRING);
	llc_store(llc, TO + 64, 64, LLC_STORE_STRING);
	before = llc_bus(llc);
	llc_store(llc, TO, 63, LLC_STORE_PAST);
	llc_store(llc, TO + 64, 64, LLC_STORE_PAST);
	llc_clean(llc);
	assert_int_equal(llc_bus(llc).written, before.written + 3 * 64);
	assert_int_equal(llc_bus(llc).read, before.read);
	/* It is not there afterwards; and is read as it was written. */
	llc_store(llc, TO, 8, LLC_STORE_PAST);
	llc_load(llc, TO, 8);
	assert_int_equal(llc_bus(llc).written, before.written + 4 * 64);
	assert_int_equal(llc_bus(llc).read, before.read + 64);
	llc_free(llc);
}

static void impossible_caches(void **state)
{
	static const struct llc_shape shapes[] = {
		{0, 64, 16, 0},       {MIB, 0, 16, 0},       {MIB, 128, 16, 0}, {MIB, 48, 16, 0},  {MIB, 64, 0, 0},
		{3 * MIB, 64, 16, 0}, {MIB + 64, 64, 16, 0}, {MIB, 64, 65, 0},  {MIB, 64, 16, 17},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		assert_null(llc_new(&shapes[i]));
	llc_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(textbook),
		cmocka_unit_test(whole_lines_are_not_fetched),
		cmocka_unit_test(part_of_a_line_costs_a_line),
		cmocka_unit_test(what_stays_costs_nothing),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(a_device_writes),
		cmocka_unit_test(a_device_keeps_to_its_ways),
		cmocka_unit_test(past_the_cache_nothing_is_lost),
		cmocka_unit_test(impossible_caches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
