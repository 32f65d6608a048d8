/* SPDX-License-Identifier: MIT */
/* Views in the hands of other threads while the engine receives; made for ThreadSanitizer, which must find nothing. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 4, TALKERS = 3, SHELF = 6, SLOTS = 64, BUFFER = 4096, TOTAL = 600000, ENDINGS = 1000 };

/* From the engine to the workers, in no particular order. */
struct hand_over {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct {
		struct szc_view *view;
		unsigned seed;
		uint64_t at;
	} slots[SLOTS];
	int count;
	bool over;
	atomic_uint_fast64_t checked;
	atomic_int wrong;
};

static void check_bytes(struct hand_over *all, const struct szc_view *view, unsigned seed, uint64_t at)
{
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (int i = 0; i < iovcnt; i++)
		for (size_t j = 0; j < iov[i].iov_len; j++, at++)
			if (((const uint8_t *)iov[i].iov_base)[j] != fixture_byte(seed, at))
				atomic_store(&all->wrong, 1);
}

static void wait_a_moment(struct hand_over *all)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 2000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&all->filled, &all->lock, &until);
}

/* Takes views, keeps some of them, shares them by retaining, writes into them after it checked, releases at random. */
static void *work(void *arg)
{
	struct hand_over *all = arg;
	struct szc_view *shelf[SHELF] = {NULL};
	uint64_t seed = (uint64_t)(uintptr_t)shelf;

	for (;;) {
		struct szc_view *view = NULL;
		unsigned stream = 0;
		uint64_t at = 0;
		int place = (int)fixture_random(&seed, SHELF);
		bool over;

		pthread_mutex_lock(&all->lock);
		if (!all->count && !all->over)
			wait_a_moment(all);
		over = all->over;
		if (all->count) {
			all->count--;
			view = all->slots[all->count].view;
			stream = all->slots[all->count].seed;
			at = all->slots[all->count].at;
		}
		pthread_mutex_unlock(&all->lock);
		if (!view && over)
			break;
		/* The engine may be starved by what lies on the shelves: then nothing comes until something is taken down. */
		szc_view_release(shelf[place]);
		shelf[place] = NULL;
		if (!view)
			continue;
		check_bytes(all, view, stream, at);
		atomic_fetch_add(&all->checked, szc_view_size(view));
		switch (fixture_random(&seed, 4)) {
		case 0:
			/* Alone with it, we may write. */
			memset(szc_view_iov(view, &(int){0})[0].iov_base, 0x5a, 1);
			szc_view_release(view);
			break;
		case 1:
			szc_view_retain(view);
			szc_view_release(view);
			szc_view_release(view);
			break;
		default:
			shelf[place] = view;
			break;
		}
		if (!fixture_random(&seed, 50))
			usleep(fixture_random(&seed, 2000));
	}
	for (int i = 0; i < SHELF; i++)
		szc_view_release(shelf[i]);
	return NULL;
}

static void give(struct hand_over *all, struct szc_view *view, unsigned seed, uint64_t at)
{
	bool given = false;

	while (!given) {
		pthread_mutex_lock(&all->lock);
		if (all->count < SLOTS) {
			all->slots[all->count].view = view;
			all->slots[all->count].seed = seed;
			all->slots[all->count].at = at;
			all->count++;
			given = true;
			pthread_cond_signal(&all->filled);
		}
		pthread_mutex_unlock(&all->lock);
		if (!given)
			sched_yield();
	}
}

static void views_wander_among_threads(void **state)
{
	/* Shelves can hold more than all quotas: the engine starves again and again, asleep until somebody releases. */
	struct szc_rx *rx = fixture_open(state, fixture_least(TALKERS, BUFFER));
	struct hand_over all = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};
	struct fixture_sender senders[TALKERS];
	struct szc_conn *conns[TALKERS];
	pthread_t workers[WORKERS];
	uint64_t got[TALKERS] = {0};
	int ended = 0;

	for (intptr_t i = 0; i < TALKERS; i++) {
		senders[i] = (struct fixture_sender){.total = TOTAL, .piece = 3000, .seed = (unsigned)i, .end = true};
		conns[i] = fixture_conn(rx, &senders[i].fd);
		szc_conn_set_user(conns[i], (void *)i);
	}
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&workers[i], NULL, work, &all), 0);
	for (int i = 0; i < TALKERS; i++)
		fixture_sender_start(&senders[i]);
	while (ended < TALKERS) {
		struct szc_event event = fixture_event(rx, FIXTURE_MS);
		intptr_t i;

		if (!event.type)
			fail_msg("asleep for good");
		i = (intptr_t)szc_conn_user(event.conn);
		if (event.type == SZC_EV_EOF) {
			/* Views may still be out: they stay valid. */
			szc_conn_close(event.conn);
			ended++;
			continue;
		}
		assert_int_equal(event.type, SZC_EV_DATA);
		got[i] += szc_view_size(event.view);
		give(&all, event.view, (unsigned)i, got[i] - szc_view_size(event.view));
	}
	pthread_mutex_lock(&all.lock);
	all.over = true;
	pthread_cond_broadcast(&all.filled);
	pthread_mutex_unlock(&all.lock);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	for (int i = 0; i < TALKERS; i++) {
		fixture_sender_join(&senders[i]);
		close(senders[i].fd);
		assert_int_equal(got[i], TOTAL);
	}
	assert_int_equal(atomic_load(&all.wrong), 0);
	assert_int_equal(atomic_load(&all.checked), (uint64_t)TALKERS * TOTAL);
	fixture_close(rx);
}

/* ---- the last release and the end of its engine at the same time */

struct last_views {
	_Atomic(struct szc_view *) next;
	atomic_bool over;
};

static void *release_what_comes(void *arg)
{
	struct last_views *last = arg;

	while (!atomic_load(&last->over)) {
		struct szc_view *view = atomic_exchange(&last->next, NULL);

		if (view)
			szc_view_release(view);
	}
	return NULL;
}

/* Whoever closes successfully may forget the engine: no release that let it close still looks at its memory. */
static void an_engine_is_closed_in_the_middle_of_a_release(void **state)
{
	struct last_views last = {.over = false};
	pthread_t thread;

	fixture_close(fixture_open(state, fixture_least(1, BUFFER))); /* skips where the backend is not to be had */
	assert_int_equal(pthread_create(&thread, NULL, release_what_comes, &last), 0);
	for (int i = 0; i < ENDINGS; i++) {
		struct szc_rx *rx = fixture_open(state, fixture_least(1, BUFFER));
		int peer, error;

		fixture_conn(rx, &peer);
		fixture_write(peer, 1, 1, 0);
		atomic_store(&last.next, fixture_expect(rx, SZC_EV_DATA).view);
		do {
			error = szc_rx_close(rx);
		} while (error == SZC_E_VIEWS_OUT);
		assert_int_equal(error, 0);
		close(peer);
	}
	atomic_store(&last.over, true);
	pthread_join(thread, NULL);
}

/* ---- one engine a thread */

struct engine_thread {
	void **state;
	pthread_barrier_t *opened;
	pthread_t thread;
	struct szc_rx *rx;
	int fd;
	int error;
	uint64_t got;
	bool wrong;
};

static void *run_engine(void *arg)
{
	struct engine_thread *self = arg;
	struct szc_rx_options options = fixture_least(1, BUFFER);
	struct szc_conn *conn;
	struct szc_view *view;

	options.size = sizeof(options);
	options.backend = *(enum szc_backend *)*self->state;
	self->error = szc_rx_open(&self->rx, &options);
	/* Before one closes all are open: ThreadSanitizer does not see liburing unmap a ring, and would take another at
	   the same address for the same. */
	pthread_barrier_wait(self->opened);
	if (!self->error)
		self->error = szc_rx_adopt(self->rx, self->fd, &conn);
	if (self->error)
		return NULL;
	while ((self->error = szc_conn_recv(conn, &view, FIXTURE_MS)) == 1) {
		int iovcnt;
		const struct iovec *iov = szc_view_iov(view, &iovcnt);

		for (int i = 0; i < iovcnt; i++)
			for (size_t j = 0; j < iov[i].iov_len; j++, self->got++)
				self->wrong |= ((const uint8_t *)iov[i].iov_base)[j] != fixture_byte(7, self->got);
		szc_view_release(view);
	}
	if (!self->error)
		self->error = szc_rx_close(self->rx);
	return NULL;
}

static void engines_do_not_know_each_other(void **state)
{
	struct engine_thread engines[3];
	struct fixture_sender senders[3];
	pthread_barrier_t opened;

	fixture_close(fixture_open(state, fixture_least(1, BUFFER))); /* skips where the backend is not to be had */
	assert_int_equal(pthread_barrier_init(&opened, NULL, 3), 0);
	for (int i = 0; i < 3; i++) {
		int fds[2];

		fixture_tcp_pair(fds);
		engines[i] = (struct engine_thread){.state = state, .opened = &opened, .fd = fds[0]};
		senders[i] = (struct fixture_sender){.fd = fds[1], .total = TOTAL, .seed = 7, .end = true};
		fixture_sender_start(&senders[i]);
		assert_int_equal(pthread_create(&engines[i].thread, NULL, run_engine, &engines[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(engines[i].thread, NULL);
		fixture_sender_join(&senders[i]);
		close(senders[i].fd);
		assert_int_equal(engines[i].error, 0);
		assert_int_equal(engines[i].got, TOTAL);
		assert_false(engines[i].wrong);
	}
	pthread_barrier_destroy(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_BACKEND(views_wander_among_threads),
		EACH_BACKEND(an_engine_is_closed_in_the_middle_of_a_release),
		EACH_BACKEND(engines_do_not_know_each_other),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
