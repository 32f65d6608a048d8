/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include "settle.h"

#define STEP_NS 100000000L

int settle(void)
{
	struct timespec at;

	if (mlockall(MCL_CURRENT | MCL_FUTURE) || clock_gettime(CLOCK_MONOTONIC, &at))
		return -1;
	/* Not the next one: that may be too near. */
	at.tv_nsec = (at.tv_nsec / STEP_NS + 2) * STEP_NS;
	at.tv_sec += at.tv_nsec / 1000000000L;
	at.tv_nsec %= 1000000000L;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
	return 0;
}
