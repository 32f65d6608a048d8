/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "lib/refill.h"
#include "lib/view.h"

enum { COUNT = 16, SIZE = 64, THREADS = 4, EACH = 5000 };

static uint8_t memory[COUNT * SIZE];

static void open_refill(struct szc_refill *refill, size_t size)
{
	memset(refill, 0, sizeof(*refill));
	assert_int_equal(szc_refill_open(refill, COUNT, memory, size), 0);
	assert_int_equal(refill->free_count, COUNT);
}

static void each_fragment_is_taken_once(void **state)
{
	struct szc_conn *conn = (struct szc_conn *)memory; /* only compared */
	bool seen[COUNT] = {false};
	struct szc_refill refill;

	(void)state;
	open_refill(&refill, SIZE);
	for (unsigned i = 0; i < COUNT; i++) {
		struct szc_frag *frag = szc_refill_take(&refill, conn);

		assert_non_null(frag);
		assert_true(frag->buffer < COUNT);
		assert_false(seen[frag->buffer]);
		seen[frag->buffer] = true;
		assert_ptr_equal(frag->base, memory + frag->buffer * SIZE);
		assert_int_equal(frag->cap, SIZE);
		assert_int_equal(frag->len, 0);
		assert_int_equal(frag->refs, 0);
		assert_ptr_equal(frag->conn, conn);
		assert_int_equal(refill.free_count, COUNT - 1 - i);
	}
	assert_null(szc_refill_take(&refill, conn));
	szc_refill_close(&refill);
}

static void the_last_returned_is_the_first_reused(void **state)
{
	struct szc_refill refill;
	struct szc_frag *a, *b;

	(void)state;
	open_refill(&refill, SIZE);
	a = szc_refill_take(&refill, NULL);
	b = szc_refill_take(&refill, NULL);
	a->len = 9;
	szc_refill_put(&refill, b);
	szc_refill_put(&refill, a);
	assert_ptr_equal(szc_refill_take(&refill, NULL), a);
	assert_int_equal(a->len, 0);
	assert_ptr_equal(szc_refill_take(&refill, NULL), b);
	szc_refill_close(&refill);
}

static void shared_buffers_have_no_place_yet(void **state)
{
	struct szc_refill refill;
	struct szc_frag *frag;

	(void)state;
	open_refill(&refill, 0);
	frag = szc_refill_take(&refill, NULL);
	assert_null(frag->base);
	assert_int_equal(frag->cap, 0);
	szc_refill_close(&refill);
}

static bool woken(const struct szc_refill *refill)
{
	struct pollfd poll_fd = {.fd = refill->wake_fd, .events = POLLIN};
	uint64_t count;

	if (poll(&poll_fd, 1, 0) != 1)
		return false;
	assert_int_equal(read(refill->wake_fd, &count, sizeof(count)), sizeof(count));
	return true;
}

static void a_return_wakes_only_who_sleeps(void **state)
{
	struct szc_view views[4] = {0};
	struct szc_refill refill;
	struct szc_view *got;

	(void)state;
	open_refill(&refill, SIZE);
	assert_null(szc_refill_returned(&refill));
	szc_refill_return(&refill, &views[0]);
	assert_false(woken(&refill));
	assert_false(szc_refill_sleep(&refill)); /* there is something already */
	szc_refill_awake(&refill);
	got = szc_refill_returned(&refill);
	assert_ptr_equal(got, &views[0]);
	assert_null(got->next);

	assert_true(szc_refill_sleep(&refill));
	szc_refill_return(&refill, &views[1]);
	assert_true(woken(&refill));
	szc_refill_return(&refill, &views[2]); /* it is being woken: no second system call */
	assert_false(woken(&refill));
	szc_refill_awake(&refill);
	szc_refill_return(&refill, &views[3]);
	assert_false(woken(&refill));
	got = szc_refill_returned(&refill);
	assert_true(got && got->next && got->next->next && !got->next->next->next);
	szc_refill_close(&refill);
}

struct returner {
	struct szc_refill *refill;
	struct szc_view *views;
	pthread_t thread;
};

static void *return_all(void *arg)
{
	struct returner *returner = arg;
	uint64_t seed = (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < EACH; i++) {
		szc_refill_return(returner->refill, &returner->views[i]);
		/* Now and then so slow that the other side falls asleep in between. */
		if (!fixture_random(&seed, 100))
			usleep(fixture_random(&seed, 300));
	}
	return NULL;
}

static void returns_of_many_threads_arrive_once_and_wake(void **state)
{
	struct returner returners[THREADS];
	struct szc_refill refill;
	int got = 0;

	(void)state;
	open_refill(&refill, SIZE);
	for (int i = 0; i < THREADS; i++) {
		returners[i] = (struct returner){.refill = &refill, .views = calloc(EACH, sizeof(struct szc_view))};
		assert_non_null(returners[i].views);
		assert_int_equal(pthread_create(&returners[i].thread, NULL, return_all, &returners[i]), 0);
	}
	while (got < THREADS * EACH) {
		struct szc_view *view = szc_refill_returned(&refill);

		if (!view && szc_refill_sleep(&refill)) {
			struct pollfd poll_fd = {.fd = refill.wake_fd, .events = POLLIN};

			if (poll(&poll_fd, 1, FIXTURE_MS) != 1)
				fail_msg("asleep for good after %d of %d returns", got, THREADS * EACH);
			woken(&refill);
		}
		szc_refill_awake(&refill);
		for (; view; view = view->next, got++)
			assert_int_equal(view->count++, 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(returners[i].thread, NULL);
		free(returners[i].views);
	}
	assert_int_equal(got, THREADS * EACH);
	assert_null(szc_refill_returned(&refill));
	szc_refill_close(&refill);
}

static void without_descriptors_it_says_so(void **state)
{
	struct rlimit before, none;
	struct szc_refill refill = {0};
	int error;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	error = szc_refill_open(&refill, COUNT, memory, SIZE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(error, -EMFILE);
	szc_refill_close(&refill);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fragment_is_taken_once),
		cmocka_unit_test(the_last_returned_is_the_first_reused),
		cmocka_unit_test(shared_buffers_have_no_place_yet),
		cmocka_unit_test(a_return_wakes_only_who_sleeps),
		cmocka_unit_test(returns_of_many_threads_arrive_once_and_wake),
		cmocka_unit_test(without_descriptors_it_says_so),
	};

	return cmocka_run_group_tests_name("refill", tests, NULL, NULL);
}
