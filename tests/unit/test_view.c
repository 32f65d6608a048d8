/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <string.h>
#include "lib/refill.h"
#include "lib/view.h"

enum { FRAGS = 3 * SZC_VIEW_INLINE, SIZE = 32, THREADS = 8 };

static uint8_t memory[FRAGS * SIZE];

struct setting {
	struct szc_refill refill;
	struct szc_view *free_views;
};

static void open_setting(struct setting *setting)
{
	memset(setting, 0, sizeof(*setting));
	assert_int_equal(szc_refill_open(&setting->refill, FRAGS, memory, SIZE), 0);
}

static struct szc_view *make(struct setting *setting)
{
	struct szc_view *view = szc_view_make(&setting->free_views, NULL, &setting->refill);

	assert_non_null(view);
	assert_int_equal(view->count, 0);
	assert_int_equal(szc_view_size(view), 0);
	return view;
}

static void close_setting(struct setting *setting)
{
	szc_view_free_all(setting->free_views);
	szc_refill_close(&setting->refill);
}

static void neighbours_in_a_fragment_become_one_entry(void **state)
{
	struct setting setting;
	struct szc_frag *a, *b;
	struct szc_view *view;
	const struct iovec *iov;
	int iovcnt;

	(void)state;
	open_setting(&setting);
	view = make(&setting);
	a = szc_refill_take(&setting.refill, NULL);
	b = szc_refill_take(&setting.refill, NULL);
	assert_int_equal(szc_view_add(view, a, a->base, 10), 0);
	assert_int_equal(szc_view_add(view, a, a->base + 10, 6), 1);
	/* Framing lay in between. */
	assert_int_equal(szc_view_add(view, a, a->base + 20, 5), 0);
	assert_int_equal(szc_view_add(view, b, b->base, 1), 0);
	/* Neighbours in memory, yet of two fragments: each has its own reference. */
	assert_int_equal(szc_view_add(view, a, b->base + 1, 1), 0);
	iov = szc_view_iov(view, &iovcnt);
	assert_int_equal(iovcnt, 4);
	assert_ptr_equal(iov[0].iov_base, a->base);
	assert_int_equal(iov[0].iov_len, 16);
	assert_ptr_equal(iov[1].iov_base, a->base + 20);
	assert_ptr_equal(iov[2].iov_base, b->base);
	assert_int_equal(szc_view_size(view), 23);
	szc_view_recycle(view, &setting.free_views);
	close_setting(&setting);
}

static void fill(struct setting *setting, struct szc_view *view, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(szc_view_add(view, &setting->refill.frags[i], memory + i * SIZE, (size_t)i % SIZE + 1),
				 0);
}

static void it_grows_and_keeps_its_room(void **state)
{
	struct setting setting;
	struct szc_view *view, *again;
	const struct iovec *iov;
	size_t size = 0;
	int iovcnt;

	(void)state;
	open_setting(&setting);
	view = make(&setting);
	fill(&setting, view, FRAGS);
	iov = szc_view_iov(view, &iovcnt);
	assert_int_equal(iovcnt, FRAGS);
	for (int i = 0; i < FRAGS; i++) {
		assert_ptr_equal(iov[i].iov_base, memory + i * SIZE);
		assert_int_equal(iov[i].iov_len, i % SIZE + 1);
		assert_ptr_equal(view->frags[i], &setting.refill.frags[i]);
		size += iov[i].iov_len;
	}
	assert_int_equal(szc_view_size(view), size);
	szc_view_recycle(view, &setting.free_views);
	again = make(&setting);
	assert_ptr_equal(again, view);
	assert_true(again->cap >= FRAGS);
	fill(&setting, again, SZC_VIEW_INLINE + 1);
	szc_view_recycle(again, &setting.free_views);
	close_setting(&setting);
}

static void the_last_release_returns_it(void **state)
{
	struct setting setting;
	struct szc_view *view;

	(void)state;
	open_setting(&setting);
	view = make(&setting);
	szc_view_retain(view);
	szc_view_retain(view);
	szc_view_release(view);
	szc_view_release(NULL);
	szc_view_release(view);
	assert_null(szc_refill_returned(&setting.refill));
	szc_view_release(view);
	assert_ptr_equal(szc_refill_returned(&setting.refill), view);
	szc_view_recycle(view, &setting.free_views);
	close_setting(&setting);
}

struct holder {
	struct szc_view *view;
	pthread_barrier_t *barrier;
	pthread_t thread;
};

static void *hold_and_release(void *arg)
{
	struct holder *holder = arg;
	int iovcnt, sum = 0;

	pthread_barrier_wait(holder->barrier);
	for (int i = 0; i < 50; i++)
		szc_view_retain(holder->view);
	for (int i = 0; i < 50; i++)
		szc_view_release(holder->view);
	/* Our own reference still holds the bytes. */
	for (size_t i = 0; i < szc_view_iov(holder->view, &iovcnt)[0].iov_len; i++)
		sum += ((const uint8_t *)holder->view->iov[0].iov_base)[i];
	szc_view_release(holder->view);
	return (void *)(intptr_t)sum;
}

/* As the engine does it: once the view is back, its buffer is written again. A reader still at it is a data race, which
 * the thread sanitizer sees. */
static void released_by_many_threads_it_returns_once(void **state)
{
	pthread_barrier_t barrier;
	struct setting setting;

	(void)state;
	open_setting(&setting);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int round = 0; round < 50; round++) {
		struct holder holders[THREADS];
		struct szc_view *view = make(&setting);
		struct szc_view *back = NULL;
		uint64_t until = fixture_now_ms() + FIXTURE_MS;

		memset(memory, round, SIZE);
		assert_int_equal(szc_view_add(view, &setting.refill.frags[0], memory, SIZE), 0);
		for (int i = 0; i < THREADS; i++) {
			holders[i] = (struct holder){.view = view, .barrier = &barrier};
			if (i)
				szc_view_retain(view);
		}
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&holders[i].thread, NULL, hold_and_release, &holders[i]), 0);
		while (!back && fixture_now_ms() < until)
			back = szc_refill_returned(&setting.refill);
		assert_ptr_equal(back, view);
		assert_null(back->next);
		memset(memory, 0xff, SIZE);
		for (int i = 0; i < THREADS; i++) {
			void *sum;

			pthread_join(holders[i].thread, &sum);
			assert_int_equal((intptr_t)sum, round * SIZE);
		}
		assert_null(szc_refill_returned(&setting.refill));
		szc_view_recycle(view, &setting.free_views);
	}
	pthread_barrier_destroy(&barrier);
	close_setting(&setting);
}

static void release_twice(void *view)
{
	szc_view_release(view);
	szc_view_release(view);
}

static void retain_after_release(void *view)
{
	szc_view_release(view);
	szc_view_retain(view);
}

static void misuse_ends_the_process(void **state)
{
	struct setting setting;
	struct szc_view *view;

	(void)state;
	open_setting(&setting);
	view = make(&setting);
	fixture_aborts(release_twice, view, "a view was released after its last reference was released");
	fixture_aborts(retain_after_release, view, "a view was retained after its last reference was released");
	szc_view_recycle(view, &setting.free_views);
	close_setting(&setting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_in_a_fragment_become_one_entry),
		cmocka_unit_test(it_grows_and_keeps_its_room),
		cmocka_unit_test(the_last_release_returns_it),
		cmocka_unit_test(released_by_many_threads_it_returns_once),
		cmocka_unit_test(misuse_ends_the_process),
	};

	return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
