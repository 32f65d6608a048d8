/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/input.h"

enum {
	FRAGS = 24, /* at once, in input and views */
	VIEWS = 4,
	CAP = 12,    /* entries of the input */
	ROOM = 256,  /* between the starts of two fragments' memory */
	BEFORE = 32, /* of it, before the fragment: canary */
	BYTES_MAX = 120,
	CANARY = 0xc5,
	FREED = 0xee,
};

/* The input, beside what it should be: a stream of which [front, back) is undelivered. */
struct model {
	struct szc_input input;
	uint8_t arena[FRAGS][ROOM];
	struct szc_frag frags[FRAGS];
	bool used[FRAGS];
	uint64_t front, back;
	struct szc_view *free_views;
	struct szc_view *views[VIEWS];
	uint64_t view_at[VIEWS];
	uint64_t seed;
};

static void model_open(struct model *model, uint64_t seed)
{
	memset(model, 0, sizeof(*model));
	memset(model->arena, CANARY, sizeof(model->arena));
	model->seed = seed;
	assert_int_equal(szc_input_open(&model->input, CAP), 0);
}

static void take_back(struct model *model, struct szc_frag_list *unused)
{
	while (unused->first) {
		struct szc_frag *frag = unused->first;
		size_t i = (size_t)(frag - model->frags);

		unused->first = frag->next_free;
		assert_true(model->used[i]);
		assert_int_equal(frag->refs, 0);
		memset(frag->base, FREED, frag->cap > frag->len ? frag->cap : frag->len);
		model->used[i] = false;
	}
}

static void check_canaries(struct model *model)
{
	for (int i = 0; i < FRAGS; i++) {
		struct szc_frag *frag = &model->frags[i];
		size_t end = BEFORE;

		if (frag->base)
			end += frag->cap > frag->len ? frag->cap : frag->len;
		for (size_t j = 0; j < ROOM; j++)
			if ((j < BEFORE || j >= end) && model->arena[i][j] != CANARY)
				fail_msg("byte %zu of fragment %d's surroundings was written", j, i);
	}
}

static uint64_t check_stream(const struct szc_input *input, unsigned seed, uint64_t at)
{
	for (int i = 0; i < input->count; i++) {
		const struct iovec *iov = &input->iov[input->head + i];

		for (size_t j = 0; j < iov->iov_len; j++, at++)
			assert_int_equal(((const uint8_t *)iov->iov_base)[j], fixture_byte(seed, at));
	}
	return at;
}

static void check_state(struct model *model)
{
	assert_int_equal(model->input.bytes, model->back - model->front);
	for (int i = 0; i < model->input.count; i++) {
		struct iovec *iov = &model->input.iov[model->input.head + i];
		struct szc_frag *frag = model->input.frags[model->input.head + i];
		const uint8_t *bytes = iov->iov_base;

		assert_true(iov->iov_len > 0 && frag->refs > 0);
		assert_true(bytes >= frag->base && bytes + iov->iov_len <= frag->base + frag->len);
	}
	assert_int_equal(check_stream(&model->input, 1, model->front), model->back);
	for (int i = 0; i < VIEWS; i++)
		if (model->views[i])
			fixture_check(model->views[i], 1, model->view_at[i]);
	check_canaries(model);
}

static void push(struct model *model)
{
	struct szc_frag *frag;
	uint32_t len = 1 + fixture_random(&model->seed, fixture_random(&model->seed, 3) ? BYTES_MAX : 3);
	int i = 0;

	while (i < FRAGS && model->used[i])
		i++;
	if (i == FRAGS || model->input.count == CAP)
		return;
	frag = &model->frags[i];
	memset(model->arena[i], CANARY, ROOM);
	/* Half of them alone in their buffer, with room behind. */
	*frag = (struct szc_frag){.base = model->arena[i] + BEFORE, .len = len, .cap = len};
	if (fixture_random(&model->seed, 2))
		frag->cap += fixture_random(&model->seed, ROOM - 2 * BEFORE - BYTES_MAX);
	fixture_fill(frag->base, len, 1, model->back);
	model->back += len;
	model->used[i] = true;
	szc_input_push(&model->input, frag);
}

static size_t some_bytes(struct model *model)
{
	size_t all = model->input.bytes;
	size_t here = all ? model->input.iov[model->input.head].iov_len : 0;

	switch (fixture_random(&model->seed, 3)) {
	case 0:
		return here; /* to an entry's very end */
	case 1:
		return fixture_random(&model->seed, (uint32_t)all + 1);
	default:
		return all ? 1 : 0;
	}
}

static void drop(struct model *model)
{
	struct szc_frag_list unused = {NULL};
	size_t len = some_bytes(model);

	szc_input_drop(&model->input, len, &unused);
	model->front += len;
	take_back(model, &unused);
}

static void deliver(struct model *model)
{
	struct szc_frag_list unused = {NULL};
	size_t len = some_bytes(model);
	int i = (int)fixture_random(&model->seed, VIEWS);
	struct szc_view *view = model->views[i];

	if (!len || (view && model->view_at[i] + view->size != model->front))
		return;
	if (!view) {
		view = szc_view_make(&model->free_views, NULL, NULL);
		assert_non_null(view);
		model->views[i] = view;
		model->view_at[i] = model->front;
	}
	assert_int_equal(szc_input_deliver(&model->input, len, view, &unused), 0);
	model->front += len;
	take_back(model, &unused);
}

static void release(struct model *model, int i)
{
	struct szc_frag_list unused = {NULL};
	struct szc_view *view = model->views[i];

	if (!view)
		return;
	for (int j = 0; j < view->count; j++)
		szc_frag_unref(view->frags[j], &unused);
	szc_view_recycle(view, &model->free_views);
	model->views[i] = NULL;
	take_back(model, &unused);
}

/* Every entry but the last fills its buffer to the end, and begins where the buffer begins, unless a view has the bytes
 * before: so nothing could be packed into fewer. */
static void check_packed(struct model *model)
{
	for (int i = 0; i < model->input.count; i++) {
		struct iovec *iov = &model->input.iov[model->input.head + i];
		struct szc_frag *frag = model->input.frags[model->input.head + i];

		if (frag->refs == 1)
			assert_ptr_equal(iov->iov_base, frag->base);
		if (i < model->input.count - 1)
			assert_ptr_equal((uint8_t *)iov->iov_base + iov->iov_len, frag->base + frag->cap);
	}
}

static void compact(struct model *model)
{
	struct szc_frag_list unused = {NULL};
	size_t bytes = model->input.bytes, copied;
	int before = model->input.count;

	copied = szc_input_compact(&model->input, &unused);
	assert_true(copied <= 2 * bytes);
	assert_true(model->input.count <= before && (before == 0) == (model->input.count == 0));
	take_back(model, &unused);
	check_packed(model);
	copied = szc_input_compact(&model->input, &unused);
	assert_int_equal(copied, 0);
	assert_null(unused.first);
}

static void random_operations_match_a_model(void **state)
{
	static struct model model;

	(void)state;
	for (uint64_t round = 0; round < 60; round++) {
		model_open(&model, round);
		for (int step = 0; step < 400; step++) {
			uint32_t what = fixture_random(&model.seed, 16);

			if (what < 8)
				push(&model);
			else if (what < 10)
				drop(&model);
			else if (what < 12)
				deliver(&model);
			else if (what < 15)
				release(&model, (int)fixture_random(&model.seed, VIEWS));
			else
				compact(&model);
			check_state(&model);
		}
		for (int i = 0; i < VIEWS; i++)
			release(&model, i);
		struct szc_frag_list unused = {NULL};

		szc_input_drop(&model.input, model.input.bytes, &unused);
		take_back(&model, &unused);
		for (int i = 0; i < FRAGS; i++)
			assert_false(model.used[i]);
		szc_input_close(&model.input);
		szc_view_free_all(model.free_views);
	}
}

/* A record that begins at the last byte of a buffer a view holds, in pieces just over half a buffer: the least quota must
 * be enough to get it whole, whatever the pieces' size. */
static void a_largest_record_fits_the_least_quota(void **state)
{
	enum { BUFFER = 4096, RECORD = 5 + 16384 + 256 };
	unsigned quota = szc_rx_min_quota(BUFFER);
	uint8_t *memory = malloc((size_t)quota * BUFFER);

	(void)state;
	assert_non_null(memory);
	for (uint32_t piece = 1; piece <= BUFFER; piece = piece < 8 ? piece + 1 : piece + 37) {
		struct szc_frag frags[16] = {0};
		struct szc_frag_list unused = {NULL};
		struct szc_input input = {0};
		size_t got = 1;

		assert_true(quota <= 16);
		assert_int_equal(szc_input_open(&input, (int)quota), 0);
		for (unsigned i = 0; i < quota; i++)
			frags[i] = (struct szc_frag){
				.base = memory + i * BUFFER, .cap = BUFFER, .next_free = frags + i + 1};
		frags[quota - 1].next_free = NULL;
		unused.first = frags + 1;
		frags[0].len = BUFFER;
		szc_input_push(&input, &frags[0]);
		frags[0].refs++; /* the view's */
		fixture_fill(frags[0].base, BUFFER, 2, 0);
		szc_input_drop(&input, BUFFER - 1, &unused);
		while (got < RECORD) {
			struct szc_frag *frag = unused.first;
			size_t len = RECORD - got < piece ? RECORD - got : piece;

			if (!frag)
				fail_msg("pieces of %u bytes: stuck with %zu bytes in %d buffers", piece, got,
					 input.count);
			unused.first = frag->next_free;
			frag->len = (uint32_t)len;
			fixture_fill(frag->base, len, 2, BUFFER - 1 + got);
			szc_input_push(&input, frag);
			got += len;
			if (!unused.first)
				szc_input_compact(&input, &unused);
		}
		assert_int_equal(input.bytes, RECORD);
		check_stream(&input, 2, BUFFER - 1);
		szc_input_close(&input);
	}
	free(memory);
}

static void a_slot_used_again_keeps_its_memory(void **state)
{
	struct szc_input input = {0};
	struct iovec *kept;

	(void)state;
	assert_int_equal(szc_input_open(&input, 4), 0);
	kept = input.iov;
	assert_int_equal(szc_input_open(&input, 4), 0);
	assert_ptr_equal(input.iov, kept);
	szc_input_close(&input);
	assert_null(input.iov);
	assert_null(input.frags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_match_a_model),
		cmocka_unit_test(a_largest_record_fits_the_least_quota),
		cmocka_unit_test(a_slot_used_again_keeps_its_memory),
	};

	return cmocka_run_group_tests_name("input", tests, NULL, NULL);
}
