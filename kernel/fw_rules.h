/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the firmware knows beyond the device's own tables, and the rules it judges commands by. Private to fw.c and
 * fw_rules.c.
 */
#ifndef SZCNIC_FW_RULES_H
#define SZCNIC_FW_RULES_H

#include <linux/atomic.h>

#include "fw.h"

/* A ring that was freed, until the driver has read the completion that says so. */
struct fw_freed {
	u16 ring;	/* HW_RING_NONE: nothing is awaited */
	u32 at;		/* place of its HW_CMP_RING_FREED among the completions */
};

struct fw_queue {
	u16 last_rx;	/* the rx ring's id, also when it is dead: tables may still name it */
	u32 rx_size;	/* geometry, from the first allocation until CP_FREE; 0: not yet */
	u32 agg_size;
	struct fw_freed rx_freed;
	struct fw_freed agg_freed;
};

struct fw {
	struct hw_port *port;
	struct fw_queue *queues;
	atomic64_t commands[FW_OPS];
	atomic64_t violations[FW_RULES];
};

/* Each returns the rule that would be broken, or FW_RULES. Under port->tables. */
enum fw_rule fw_judge_ring_free(struct hw_port *port, u16 ring);
enum fw_rule fw_judge_rx_alloc(struct hw_port *port, u16 queue, u32 size);
enum fw_rule fw_judge_agg_alloc(struct hw_port *port, u16 queue, u16 rx_ring, u32 size);
/* A VNIC as it would be. `indir` has HW_INDIR_SIZE rings; NULL: it does not spread. */
enum fw_rule fw_judge_vnic(struct hw_port *port, u32 mru, u16 default_ring, const u16 *indir);
enum fw_rule fw_judge_napi_dead(struct hw_port *port, u16 queue);
enum fw_rule fw_judge_buffers_freed(struct hw_port *port, u16 queue, u16 ring);

/* Counts and reports. Any context. Always -EPERM. */
int fw_violated(struct hw_port *port, enum fw_rule rule, const char *by, u16 queue);

#endif
