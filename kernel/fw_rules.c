// SPDX-License-Identifier: GPL-2.0
/*
 * The firmware's rules: the order of steps that a driver must keep when it takes receive rings away from a device
 * that is receiving, and gives them back. They are what bnxt's queue ops keep, and why each of its steps is where it
 * is.
 */
#include <linux/netdevice.h>

#include "fw_rules.h"

static const char *const rule_names[FW_RULES] = {
	[FW_RULE_FREE_REACHABLE] = "free-reachable",
	[FW_RULE_MRU_DEAD_RING] = "mru-dead-ring",
	[FW_RULE_DOORBELL_DEAD] = "doorbell-dead",
	[FW_RULE_AGG_FIRST] = "agg-first",
	[FW_RULE_NAPI_DEAD] = "napi-dead",
	[FW_RULE_EARLY_FREE] = "early-free",
	[FW_RULE_GEOMETRY] = "geometry",
	[FW_RULE_DOUBLE_STOP] = "double-stop",
};

static const char *const rule_texts[FW_RULES] = {
	[FW_RULE_FREE_REACHABLE] = "the ring is reached by a VNIC whose MRU is not 0",
	[FW_RULE_MRU_DEAD_RING] = "the VNIC would receive, and names a ring that does not exist",
	[FW_RULE_DOORBELL_DEAD] = "the doorbell is of a ring that does not exist",
	[FW_RULE_AGG_FIRST] = "an agg ring needs its rx ring first",
	[FW_RULE_NAPI_DEAD] = "NAPI is gone while a ring lives or its release is not acknowledged",
	[FW_RULE_EARLY_FREE] = "buffers are freed before the ring's release was acknowledged",
	[FW_RULE_GEOMETRY] = "the ring comes back with another size",
	[FW_RULE_DOUBLE_STOP] = "the ring does not exist, or was freed already",
};

const char *fw_rule_name(enum fw_rule rule)
{
	return rule < FW_RULES ? rule_names[rule] : "none";
}

int fw_violated(struct hw_port *port, enum fw_rule rule, const char *by, u16 queue)
{
	atomic64_inc(&port->fw->violations[rule]);
	if (net_ratelimit())
		netdev_err(port->dev, "firmware refuses %s on queue %u: %s (rule %s)\n", by, queue,
			   rule_texts[rule], rule_names[rule]);
	return -EPERM;
}

u64 fw_violations(const struct fw *fw, enum fw_rule rule)
{
	return atomic64_read(&fw->violations[rule]);
}

/* ---- what names what */

static bool vnic_names(const struct hw_vnic *vnic, u16 ring)
{
	int i;

	if (vnic->default_ring == ring)
		return true;
	if (!vnic->rss)
		return false;
	for (i = 0; i < HW_INDIR_SIZE; i++)
		if (vnic->indir[i] == ring)
			return true;
	return false;
}

static bool reachable(struct hw_port *port, u16 rx_ring)
{
	int i;

	for (i = 0; i < HW_VNICS; i++) {
		const struct hw_vnic *vnic = &port->vnics[i];

		if (vnic->live && vnic->mru && vnic_names(vnic, rx_ring))
			return true;
	}
	return false;
}

static bool rx_ring_lives(struct hw_port *port, u16 ring)
{
	struct hw_rxq *rxq = ring == HW_RING_NONE ? NULL : hw_ring_queue(port, ring);

	return rxq && rxq->rx.id == ring;
}

static struct hw_rxq *queue_of(struct hw_port *port, u16 ring)
{
	u32 i;

	for (i = 0; i < port->nr_queues; i++)
		if (port->rxqs[i].rx.id == ring || port->rxqs[i].agg.id == ring)
			return &port->rxqs[i];
	return NULL;
}

/* The driver has not read past the completion yet. */
static bool awaited(const struct hw_rxq *rxq, const struct fw_freed *freed)
{
	return freed->ring != HW_RING_NONE && (s32)(READ_ONCE(rxq->cp.cons) - freed->at) <= 0;
}

/* ---- judgements */

enum fw_rule fw_judge_ring_free(struct hw_port *port, u16 ring)
{
	struct hw_rxq *rxq = ring == HW_RING_NONE ? NULL : queue_of(port, ring);

	if (!rxq)
		return FW_RULE_DOUBLE_STOP;
	/* An agg ring is reached through the rx ring it belongs to, be that dead already. */
	if (reachable(port, port->fw->queues[rxq->index].last_rx))
		return FW_RULE_FREE_REACHABLE;
	return FW_RULES;
}

enum fw_rule fw_judge_rx_alloc(struct hw_port *port, u16 queue, u32 size)
{
	const struct fw_queue *state = &port->fw->queues[queue];

	return state->rx_size && state->rx_size != size ? FW_RULE_GEOMETRY : FW_RULES;
}

enum fw_rule fw_judge_agg_alloc(struct hw_port *port, u16 queue, u16 rx_ring, u32 size)
{
	const struct fw_queue *state = &port->fw->queues[queue];

	if (rx_ring == HW_RING_NONE || port->rxqs[queue].rx.id != rx_ring)
		return FW_RULE_AGG_FIRST;
	return state->agg_size && state->agg_size != size ? FW_RULE_GEOMETRY : FW_RULES;
}

enum fw_rule fw_judge_vnic(struct hw_port *port, u32 mru, u16 default_ring, const u16 *indir)
{
	int i;

	if (!mru)
		return FW_RULES;
	if (!rx_ring_lives(port, default_ring))
		return FW_RULE_MRU_DEAD_RING;
	for (i = 0; indir && i < HW_INDIR_SIZE; i++)
		if (!rx_ring_lives(port, indir[i]))
			return FW_RULE_MRU_DEAD_RING;
	return FW_RULES;
}

enum fw_rule fw_judge_napi_dead(struct hw_port *port, u16 queue)
{
	const struct fw_queue *state = &port->fw->queues[queue];
	const struct hw_rxq *rxq = &port->rxqs[queue];

	if (rxq->rx.id != HW_RING_NONE || rxq->agg.id != HW_RING_NONE)
		return FW_RULE_NAPI_DEAD;
	return awaited(rxq, &state->rx_freed) || awaited(rxq, &state->agg_freed) ? FW_RULE_NAPI_DEAD : FW_RULES;
}

enum fw_rule fw_judge_buffers_freed(struct hw_port *port, u16 queue, u16 ring)
{
	const struct fw_queue *state = &port->fw->queues[queue];
	const struct hw_rxq *rxq = &port->rxqs[queue];

	if (ring == HW_RING_NONE)
		return FW_RULES;
	if (rxq->rx.id == ring || rxq->agg.id == ring)
		return FW_RULE_EARLY_FREE;
	if (state->rx_freed.ring == ring && awaited(rxq, &state->rx_freed))
		return FW_RULE_EARLY_FREE;
	if (state->agg_freed.ring == ring && awaited(rxq, &state->agg_freed))
		return FW_RULE_EARLY_FREE;
	return FW_RULES;
}
