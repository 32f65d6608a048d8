/* SPDX-License-Identifier: MIT */
/*
 * A NIC's queue for as long as a server runs: prepared before the engine takes it, what comes to our address and port
 * steered to it when we listen, and all of it undone at the end.
 */
#ifndef TOOLS_STEERING_H
#define TOOLS_STEERING_H

#include "failure.h"
#include "options.h"

struct szc_nic;

enum {
	STEERING_RULES = 2, /* IPv4, IPv6 */
};

struct steering {
	struct szc_nic *nic; /* NULL: no queue is ours */
	unsigned queue;
	int rules[STEERING_RULES]; /* their slots */
	unsigned rule_count;
};

/* Each: 0 or an exit code. Does nothing where options name no NIC. */
int steering_prepare(struct steering *steering, const struct options *options, struct failure *failure);

/* `listen` is --listen's: a rule of the address's family if it names one address, else one of each that it stands for. */
int steering_begin(struct steering *steering, const char *listen, unsigned port, struct failure *failure);

/* Traffic stays away from the queue: while the engine is still there. */
void steering_end(struct steering *steering);
/* When it is gone. */
void steering_restore(struct steering *steering);

#endif
