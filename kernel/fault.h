/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults on demand, one file each in debugfs (szcnic/<number>/, the number being in what `ethtool -i` says of bus-info:
 * names change and are not unique): what a test asks for happens once or for a while, and is counted down to nothing.
 * And mutations: each makes the driver break one rule of the firmware, to show that the rule is enforced. With nothing
 * asked for, all of this is a few loads.
 */
#ifndef SZCNIC_FAULT_H
#define SZCNIC_FAULT_H

#include <linux/atomic.h>
#include <linux/types.h>

struct szcnic_port;
struct hw_port;

/* Ways for the driver to be wrong, the first ones each against the rule of the same name in fw.h. */
enum szcnic_mutation {
	MUTATE_NONE,
	MUTATE_FREE_REACHABLE,	/* does not set MRU 0 before freeing rings */
	MUTATE_MRU_DEAD_RING,	/* raises MRU before the table names the new rings */
	MUTATE_DOORBELL_DEAD,	/* rings before the allocation */
	MUTATE_AGG_FIRST,	/* allocates AGG before RX */
	MUTATE_NAPI_DEAD,	/* disables NAPI before RING_FREE */
	MUTATE_EARLY_FREE,	/* frees buffers without having waited for the acknowledgment */
	MUTATE_GEOMETRY,	/* restarts with half the rings: RX is the first to be refused */
	MUTATE_DOUBLE_STOP,	/* frees a ring twice */
	/* The same rules, broken another way. */
	MUTATE_GEOMETRY_AGG,	/* ... with half the AGG ring alone */
	MUTATE_NAPI_UNACKED,	/* takes RING_FREE's reply for the acknowledgment, and says that NAPI has ended */
	MUTATE_FREE_UNACKED,	/* ... and that the buffers are freed */
	/* No rule's. */
	MUTATE_NO_KICK,		/* does not schedule NAPI once it is enabled: the queue falls silent */
	MUTATIONS,
};

struct szcnic_faults {
	atomic_t alloc_fail_skip;	/* file alloc_fail "COUNT [SKIP]": after SKIP of them COUNT allocations fail, */
	atomic_t alloc_fail;		/* of rings, pools, buffers, skbs */
	u32 fw_refuse_op;	/* file fw_refuse "OPNAME COUNT [SKIP]": after SKIP of them COUNT fail with -EIO */
	atomic_t fw_refuse_skip;
	atomic_t fw_refuse;
	u32 fw_delay_op;	/* file fw_delay "OPNAME COUNT MSEC" (OPNAME "all": any) */
	atomic_t fw_delay;
	u32 fw_delay_ms;
	u32 mutation;		/* file mutate: its name; stays until "none" */
};

/*
 * Files lose_irq "QUEUE COUNT" and stall "QUEUE MSEC" write hw_rxq.lose_irqs and .stalled_until; restart "QUEUE" stops
 * and starts a receive queue. Files to read: violations (rule, count a line), commands (op, count), wire (settings and
 * counters of the wire to the peer), netdev (name, ifindex, inode number of the network namespace).
 */

/*
 * Numbers the port, and makes the files; not having debugfs is no error. Once
 * the port's queues and firmware are there.
 */
void szcnic_faults_add(struct szcnic_port *port);
/* Waits for those who are in a file, so the caller must not hold the instance lock. */
void szcnic_faults_remove(struct szcnic_port *port);

/* True once for each failure that was asked for. Any context. */
bool szcnic_fault_alloc(struct szcnic_port *port);
/* 0 or -EIO; sleeps if a delay was asked for. Process context. */
int szcnic_fault_command(struct hw_port *hw, u32 op);
bool szcnic_mutated(const struct szcnic_port *port, enum szcnic_mutation mutation);

void szcnic_faults_init(void);	/* the folder in debugfs */
void szcnic_faults_exit(void);

#endif
