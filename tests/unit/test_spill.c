/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include "lib/spill.h"

enum { SIZE = 64, COUNT = 40, CANARY = 0xee };

/* Fragments in the middle of a buffer each, with somebody else's bytes on both sides. */
struct setting {
	struct szc_conn conn;
	uint8_t memory[COUNT][SIZE];
	struct szc_frag frags[COUNT];
	struct szc_frag_list unused;
};

static void arrive(struct setting *setting, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct szc_frag *frag = &setting->frags[i];

		memset(setting->memory[i], CANARY, SIZE);
		memset(setting->memory[i] + 8, (int)i, 10);
		*frag = (struct szc_frag){.base = setting->memory[i] + 8, .len = 10, .cap = 10, .conn = &setting->conn};
		setting->conn.held++;
		assert_int_equal(szc_input_push(&setting->conn.input, frag), 0);
	}
}

static void untouched(const struct setting *setting, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned at = 0; at < SIZE; at++)
			assert_int_equal(setting->memory[i][at], at >= 8 && at < 18 ? i : CANARY);
}

static void is_in_order(const struct szc_input *input, unsigned count)
{
	const uint8_t *bytes = input->iov[input->head].iov_base;

	assert_int_equal(input->count, 1);
	assert_int_equal(input->iov[input->head].iov_len, count * 10);
	for (unsigned i = 0; i < count * 10; i++)
		assert_int_equal(bytes[i], i / 10);
}

static unsigned given_up(struct setting *setting)
{
	unsigned count = 0;

	for (; setting->unused.first; setting->unused.first = setting->unused.first->next_free) {
		assert_false(szc_spill_recycle(setting->unused.first));
		setting->conn.held--;
		count++;
	}
	return count;
}

static void packs_outside_and_touches_nothing(void **state)
{
	struct setting *setting = calloc(1, sizeof(*setting));
	struct szc_input *input = &setting->conn.input;

	(void)state;
	assert_int_equal(szc_input_open(input, 4), 0);
	arrive(setting, 0, 20);
	assert_int_equal(szc_spill_pack(&setting->conn, &setting->unused), 200);
	assert_int_equal(given_up(setting), 20);
	assert_int_equal(setting->conn.held, 1);
	is_in_order(input, 20);
	untouched(setting, 20);

	/* The next ones go behind them, and only they are copied. */
	arrive(setting, 20, COUNT);
	assert_int_equal(szc_spill_pack(&setting->conn, &setting->unused), (COUNT - 20) * 10);
	assert_int_equal(given_up(setting), COUNT - 20);
	assert_int_equal(setting->conn.held, 1);
	is_in_order(input, COUNT);
	untouched(setting, COUNT);

	szc_input_drop(input, input->bytes, &setting->unused);
	assert_true(szc_spill_recycle(setting->unused.first));
	szc_input_close(input);
	free(setting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packs_outside_and_touches_nothing),
	};

	return cmocka_run_group_tests_name("spill", tests, NULL, NULL);
}
