/* SPDX-License-Identifier: MIT */
/* A connection from the other netns with a plain socket at our end, too: for what no engine of ours has in hand. */
#ifndef SZC_TESTS_LAB_PAIR_H
#define SZC_TESTS_LAB_PAIR_H

#include "tests/lab/queue.h"

struct pair {
	int near, far;
};

enum pair_way { STEERED, UNSTEERED, TUNNELLED };

/* A listener for one connection: its receive buffer and largest segment, or 0 as it comes. Sets the queue's port. */
struct pair pair_connect(struct queue *queue, enum pair_way way, int receive_buffer, int segment);
void pair_close(struct pair pair);

/* A tunnel the NIC cannot split: small packets of it arrive whole, in the skb's linear head. */
void pair_tunnel(void);
void pair_no_tunnel(void);

#endif
