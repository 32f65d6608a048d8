/* SPDX-License-Identifier: MIT */
/* Places in areas, as the kernel names them, and which buffers are given back first. */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/engine.h"
#include "lib/ifq.h"
#include "lib/zcrx_abi.h"

enum { SIZE = 8192 };

static uint8_t memory[2][SIZE];
static const uint64_t second = (uint64_t)1 << 48;

static struct szc_ifq an_ifq(struct szc_rq *rq)
{
	struct szc_ifq ifq = {.rq = rq};

	*rq = (struct szc_rq){.areas = {{.base = memory[0], .size = SIZE}, {.base = memory[1], .size = SIZE / 2}}};
	atomic_store(&rq->area_count, 2);
	return ifq;
}

static void places_lie_in_their_area(void **state)
{
	static struct szc_rq rq;
	struct szc_ifq ifq = an_ifq(&rq);

	(void)state;
	assert_ptr_equal(szc_ifq_at(&ifq, 0, SIZE), memory[0]);
	assert_ptr_equal(szc_ifq_at(&ifq, 4095, 1), memory[0] + 4095);
	assert_ptr_equal(szc_ifq_at(&ifq, second | 4000, 96), memory[1] + 4000);
}

static void ends_at(const struct szc_ifq *ifq, uint64_t off, size_t len)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		szc_ifq_at(ifq, off, len);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void other_places_end_the_program(void **state)
{
	static struct szc_rq rq;
	struct szc_ifq ifq = an_ifq(&rq);

	(void)state;
	ends_at(&ifq, 0, SIZE + 1);
	ends_at(&ifq, SIZE, 1);
	ends_at(&ifq, second - 1, 1);
	ends_at(&ifq, second | 4000, 97);
	ends_at(&ifq, 2 * second, 1);
	ends_at(&ifq, UINT64_MAX, 1);
}

/* ---- what goes into the ring, and what waits */

enum { ENTRIES = 16, LEVEL = 4, FRAGS = 24 };

/* We are the kernel, too. */
struct ring {
	struct szc_rx rx;
	struct szc_rq rq;
	struct szc_ifq ifq;
	struct szc_zcrx_rqe entries[ENTRIES];
	struct szc_frag frags[FRAGS];
	uint32_t head, tail;
};

/* Whose ring the kernel reads when it is asked to. */
static struct ring *flushed;

int __wrap_szc_uring_register(struct szc_uring *uring, unsigned opcode, void *arg, unsigned nr);
int __wrap_szc_uring_register(struct szc_uring *uring, unsigned opcode, void *arg, unsigned nr)
{
	const struct szc_zcrx_ctrl *ctrl = arg;

	(void)uring;
	(void)nr;
	assert_int_equal(opcode, SZC_IORING_REGISTER_ZCRX_CTRL);
	assert_int_equal(ctrl->op, SZC_ZCRX_CTRL_FLUSH_RQ);
	if (!flushed)
		return -EINVAL;
	flushed->head = flushed->tail;
	return 0;
}

static void make_ring(struct ring *ring, uint32_t level)
{
	memset(ring, 0, sizeof(*ring));
	ring->rq.khead = &ring->head;
	ring->rq.ktail = &ring->tail;
	ring->rq.rqes = ring->entries;
	ring->rq.entries = ENTRIES;
	ring->ifq.rq = &ring->rq;
	ring->ifq.level = level;
	ring->ifq.share = FRAGS;
	ring->rx.refill.count = FRAGS;
	for (unsigned i = 0; i < FRAGS; i++)
		ring->frags[i].off = i;
}

static void give_back(struct ring *ring, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		szc_ifq_return(&ring->rx, &ring->ifq, &ring->frags[i]);
}

static unsigned in_ring(const struct ring *ring)
{
	return ring->tail - ring->head;
}

/* The kernel takes the oldest entry. */
static unsigned taken(struct ring *ring)
{
	assert_true(in_ring(ring) > 0);
	return (unsigned)ring->entries[ring->head++ % ENTRIES].off;
}

static void the_newest_is_filled_next(void **state)
{
	static struct ring ring;

	(void)state;
	make_ring(&ring, LEVEL);
	give_back(&ring, 0, 10);
	assert_int_equal(in_ring(&ring), LEVEL);
	assert_int_equal(ring.rx.refill.reserved, 10 - LEVEL);
	assert_int_equal(taken(&ring), 0);
	assert_int_equal(taken(&ring), 1);
	assert_false(szc_ifq_settle(&ring.rx, &ring.ifq));
	assert_int_equal(in_ring(&ring), LEVEL);
	assert_int_equal(taken(&ring), 2);
	assert_int_equal(taken(&ring), 3);
	assert_int_equal(taken(&ring), 9);
	assert_int_equal(taken(&ring), 8);
	assert_int_equal(ring.rx.stats.refill_full, 0);
}

static void a_ring_used_up_is_filled_higher(void **state)
{
	static struct ring ring;

	(void)state;
	make_ring(&ring, LEVEL);
	give_back(&ring, 0, 20);
	szc_ifq_settle(&ring.rx, &ring.ifq);
	/* Nearly is not all of it. */
	ring.head = ring.tail - 1;
	szc_ifq_settle(&ring.rx, &ring.ifq);
	assert_int_equal(in_ring(&ring), LEVEL);
	ring.head = ring.tail;
	szc_ifq_settle(&ring.rx, &ring.ifq);
	assert_int_equal(in_ring(&ring), 2 * LEVEL);
}

/* What the NIC and sockets were promised is not held back. */
static void the_reserve_has_a_limit(void **state)
{
	static struct ring ring;

	(void)state;
	make_ring(&ring, LEVEL);
	/* All are out; so many may stay. */
	ring.ifq.share = 10;
	give_back(&ring, 0, 14);
	assert_int_equal(in_ring(&ring), 14);
	assert_int_equal(ring.rx.refill.reserved, 0);
	give_back(&ring, 14, 1);
	assert_int_equal(in_ring(&ring), 14);
	assert_int_equal(ring.rx.refill.reserved, 1);
	/* Connections take more: the reserve makes room for it. */
	ring.ifq.share = 9;
	szc_ifq_settle(&ring.rx, &ring.ifq);
	assert_int_equal(in_ring(&ring), 15);
	assert_int_equal(ring.rx.refill.reserved, 0);
}

static void a_shortage_ends_the_reserve(void **state)
{
	static struct ring ring;

	(void)state;
	make_ring(&ring, LEVEL);
	give_back(&ring, 0, 10);
	szc_ifq_hold_nothing(&ring.ifq);
	szc_ifq_settle(&ring.rx, &ring.ifq);
	assert_int_equal(in_ring(&ring), 10);
	assert_int_equal(ring.rx.refill.reserved, 0);
	give_back(&ring, 10, 2);
	assert_int_equal(in_ring(&ring), 12);
}

static void nobody_withholds_what_others_need(void **state)
{
	static struct ring ring;

	(void)state;
	make_ring(&ring, LEVEL);
	ring.rq.shared = true;
	assert_int_equal(pthread_mutex_init(&ring.rq.lock, NULL), 0);
	give_back(&ring, 0, 10);
	assert_int_equal(in_ring(&ring), 10);
	assert_int_equal(pthread_mutex_destroy(&ring.rq.lock), 0);
}

static void what_finds_the_ring_full_waits(void **state)
{
	static struct ring ring;
	bool seen[FRAGS] = {0};

	(void)state;
	make_ring(&ring, ENTRIES);
	give_back(&ring, 0, FRAGS);
	assert_int_equal(in_ring(&ring), ENTRIES);
	assert_int_equal(ring.rx.stats.refill_full, FRAGS - ENTRIES);
	assert_true(szc_ifq_settle(&ring.rx, &ring.ifq));
	for (unsigned i = 0; i < FRAGS; i++) {
		unsigned number = taken(&ring);

		assert_false(seen[number]);
		seen[number] = true;
		szc_ifq_settle(&ring.rx, &ring.ifq);
	}
	assert_int_equal(in_ring(&ring), 0);
	assert_int_equal(ring.rx.refill.reserved, 0);
}

/* The ring is full of others' buffers, and stays theirs: what an importer that goes has left is given back all the same. */
static void who_leaves_keeps_nothing(void **state)
{
	static struct ring ring;

	(void)state;
	make_ring(&ring, ENTRIES);
	give_back(&ring, 0, FRAGS);
	assert_int_equal(ring.rx.refill.reserved, FRAGS - ENTRIES);
	ring.ifq.unread = false;
	flushed = &ring;
	szc_ifq_leave(&ring.rx, &ring.ifq);
	assert_int_equal(ring.rx.refill.reserved, 0);
	assert_int_equal(ring.ifq.put, FRAGS);
	/* A kernel that cannot. */
	make_ring(&ring, ENTRIES);
	give_back(&ring, 0, FRAGS);
	flushed = NULL;
	szc_ifq_leave(&ring.rx, &ring.ifq);
	assert_int_equal(ring.rx.refill.reserved, FRAGS - ENTRIES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_lie_in_their_area),          cmocka_unit_test(other_places_end_the_program),
		cmocka_unit_test(the_newest_is_filled_next),         cmocka_unit_test(a_ring_used_up_is_filled_higher),
		cmocka_unit_test(the_reserve_has_a_limit),           cmocka_unit_test(a_shortage_ends_the_reserve),
		cmocka_unit_test(nobody_withholds_what_others_need), cmocka_unit_test(what_finds_the_ring_full_waits),
		cmocka_unit_test(who_leaves_keeps_nothing),
	};

	return cmocka_run_group_tests_name("ifq", tests, NULL, NULL);
}
