/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The firmware: the only way for the driver to allocate rings, lay down steering and bring the port up, after the
 * manner of Broadcom's HWRM. It is also a model of the order of steps that real firmware and silicon depend on: a
 * command that comes out of order is refused with -EPERM, counted under the rule it broke, and reported in the log
 * and in debugfs. Rules that no command shows (a doorbell, a freed buffer, a NAPI that is gone) are checked by notes.
 *
 * Process context, under the netdev's instance lock; a command may sleep (a delay can be asked for by faults.h).
 */
#ifndef SZCNIC_FW_H
#define SZCNIC_FW_H

#include "hw.h"

enum fw_op {
	FW_PORT_UP,
	FW_PORT_DOWN,
	FW_PORT_MAC,		/* address, promiscuous */
	FW_CP_ALLOC,		/* queue, cmps, size */
	FW_CP_FREE,		/* queue */
	FW_RX_ALLOC,		/* queue, bds, size, buf_len → ring */
	FW_AGG_ALLOC,		/* queue, bds, size, buf_len, rx_ring → ring */
	FW_RING_FREE,		/* ring: rx or agg. No frame goes there any more; HW_CMP_RING_FREED confirms */
	FW_TX_ALLOC,		/* queue, slots, size */
	FW_TX_FREE,		/* queue */
	FW_VNIC_ALLOC,		/* → vnic */
	FW_VNIC_FREE,		/* vnic */
	FW_VNIC_CFG,		/* vnic, default_ring */
	FW_VNIC_RSS,		/* vnic, rss: rings, key, types */
	FW_VNIC_PLACE,		/* vnic, place: split, threshold, gro */
	FW_VNIC_UPDATE,		/* vnic, mru */
	FW_FILTER_ALLOC,	/* filter: the place, lower ones are looked at first; match */
	FW_FILTER_FREE,		/* filter */
	FW_OPS,
};

enum fw_rule {
	FW_RULE_FREE_REACHABLE,	/* RING_FREE while a VNIC that reaches the ring has MRU ≠ 0 */
	FW_RULE_MRU_DEAD_RING,	/* MRU ≠ 0 while RSS table or default ring name a dead ring */
	FW_RULE_DOORBELL_DEAD,	/* a doorbell of a ring that is not allocated, or of the one before it */
	FW_RULE_AGG_FIRST,	/* AGG ring without its RX ring */
	FW_RULE_NAPI_DEAD,	/* NAPI gone while the ring still lives: who would see the acknowledgment? */
	FW_RULE_EARLY_FREE,	/* buffers freed before RING_FREE was acknowledged */
	FW_RULE_GEOMETRY,	/* another ring size at restart than before the stop */
	FW_RULE_DOUBLE_STOP,	/* a second RING_FREE of the same ring, or one of a ring that never was */
	FW_RULES,
};

struct fw_rss {
	u16 rings[HW_INDIR_SIZE];
	u8 key[HW_KEY_SIZE];
	u32 hash_types;
	bool symmetric;
};

struct fw_cmd {
	enum fw_op op;
	u16 queue;
	u16 ring;		/* in: RING_FREE; out: RX_ALLOC, AGG_ALLOC */
	u16 rx_ring;
	u16 vnic;		/* in or out */
	u16 filter;
	union {
		struct {
			void *entries;	/* struct hw_bd[], struct hw_cmp[] or struct hw_tx_slot[] */
			u32 size;
			u32 buf_len;
		} mem;
		struct {
			u16 ring;
		} cfg;
		const struct fw_rss *rss;
		struct {
			bool split;
			bool gro;
			u32 threshold;
		} place;
		u32 mru;
		const struct hw_filter *match;
		struct {
			u8 mac[ETH_ALEN];
			bool promiscuous;
		} address;
	};
};

struct fw;

struct fw *fw_create(struct hw_port *port);
void fw_destroy(struct fw *fw);

/* 0, or -EPERM (a rule was broken), -EINVAL, -ENOSPC, -EIO (a fault on demand). */
int fw_command(struct hw_port *port, struct fw_cmd *cmd);
/*
 * What a function-level reset does for a PCI device, and a driver's last resort: every ring, VNIC and filter is gone,
 * nothing is under way, and it cannot be refused. Completions that were published may still be read.
 */
void fw_reset(struct hw_port *port);

/* Notes: things a real device sees by other means. They cannot fail; a broken rule is counted and reported. */
void fw_note_napi(struct hw_port *port, u16 queue, bool alive);
/* The buffers that ring `ring` was given are about to be freed. */
void fw_note_buffers_freed(struct hw_port *port, u16 queue, u16 ring);
/* From hw_doorbell(). Any context. */
void fw_note_dead_doorbell(struct hw_port *port, u16 queue);

const char *fw_op_name(enum fw_op op);
const char *fw_rule_name(enum fw_rule rule);
/* How often a rule was broken since the port was made. */
u64 fw_violations(const struct fw *fw, enum fw_rule rule);
u64 fw_commands(const struct fw *fw, enum fw_op op);

#endif
