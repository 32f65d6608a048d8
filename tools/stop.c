/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stddef.h>
#include "stop.h"

static volatile sig_atomic_t caught;

static void catch (int signal)
{
	caught = signal;
}

void stop_install(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	/* Without SA_RESTART, so that a write to a pipe nobody drains ends too. */
	struct sigaction action = {.sa_handler = catch};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction before;

		/* nohup(1) and background jobs of a plain shell ignore some of them on purpose. */
		if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
}

int stop_signal(void)
{
	return caught;
}
