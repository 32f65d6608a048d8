/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stddef.h>
#include <unistd.h>
#include "stop.h"

static volatile sig_atomic_t caught;

/* A signal that came just before a call began to wait would not end that wait: knock again until we are through. */
static void catch (int signal)
{
	if (signal != SIGALRM)
		caught = signal;
	if (caught)
		alarm(1);
}

void stop_install(void)
{
	/* Without SA_RESTART, so that a write to a pipe nobody drains ends too. */
	struct sigaction action = {.sa_handler = catch}, before;

	/* A script's background job finds SIGINT ignored, and is to be ended by it all the same. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	/* nohup(1) means it. */
	if (!sigaction(SIGHUP, NULL, &before) && before.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &action, NULL);
	/* A reader that went away and a file that grew to its limit are errors of a write, and are told as such. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

int stop_signal(void)
{
	return caught;
}
