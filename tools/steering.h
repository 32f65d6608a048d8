/* SPDX-License-Identifier: MIT */
/* A NIC's queue for as long as a server runs: prepared before the engine takes it, our port steered to it when we
 * listen, and all of it undone at the end. */
#ifndef TOOLS_STEERING_H
#define TOOLS_STEERING_H

#include "failure.h"
#include "options.h"

struct szc_nic;

struct steering {
	struct szc_nic *nic; /* NULL: no queue is ours */
	unsigned queue;
};

/* Each: 0 or an exit code. Does nothing where options name no NIC. */
int steering_prepare(struct steering *steering, const struct options *options, struct failure *failure);
int steering_begin(struct steering *steering, unsigned port, struct failure *failure);

/* Traffic stays away from the queue: while the engine is still there. */
void steering_end(struct steering *steering);
/* When it is gone. */
void steering_restore(struct steering *steering);

#endif
