/* SPDX-License-Identifier: MIT */
/* Places in areas, as the kernel names them. */
#include "fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/ifq.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_lie_in_their_area),
		cmocka_unit_test(other_places_end_the_program),
	};

	return cmocka_run_group_tests_name("ifq", tests, NULL, NULL);
}
