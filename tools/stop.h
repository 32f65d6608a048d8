/* SPDX-License-Identifier: MIT */
/* SIGINT, SIGTERM and SIGHUP as a wish to end, so that nothing half-written stays behind. */
#ifndef TOOLS_STOP_H
#define TOOLS_STOP_H

/* Also ignores SIGPIPE: a reader that went away is an error of the write. */
void stop_install(void);

/* The signal that asked for the end, or 0. System calls that block are interrupted by it. */
int stop_signal(void);

#endif
