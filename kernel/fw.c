// SPDX-License-Identifier: GPL-2.0
/*
 * The firmware's commands. Each is judged (fw_rules.c) and carried out on the device's tables under the write side of
 * hw_port.tables, so that no frame is under way while it happens: what real firmware reaches by draining its pipeline.
 */
#include <linux/slab.h>

#include "fault.h"
#include "fw_rules.h"

static const char *const op_names[FW_OPS] = {
	[FW_PORT_UP] = "PORT_UP",
	[FW_PORT_DOWN] = "PORT_DOWN",
	[FW_PORT_MAC] = "PORT_MAC",
	[FW_CP_ALLOC] = "CP_ALLOC",
	[FW_CP_FREE] = "CP_FREE",
	[FW_RX_ALLOC] = "RX_ALLOC",
	[FW_AGG_ALLOC] = "AGG_ALLOC",
	[FW_RING_FREE] = "RING_FREE",
	[FW_TX_ALLOC] = "TX_ALLOC",
	[FW_TX_FREE] = "TX_FREE",
	[FW_VNIC_ALLOC] = "VNIC_ALLOC",
	[FW_VNIC_FREE] = "VNIC_FREE",
	[FW_VNIC_CFG] = "VNIC_CFG",
	[FW_VNIC_RSS] = "VNIC_RSS",
	[FW_VNIC_PLACE] = "VNIC_PLACE",
	[FW_VNIC_UPDATE] = "VNIC_UPDATE",
	[FW_FILTER_ALLOC] = "FILTER_ALLOC",
	[FW_FILTER_FREE] = "FILTER_FREE",
};

const char *fw_op_name(enum fw_op op)
{
	return op < FW_OPS ? op_names[op] : "none";
}

u64 fw_commands(const struct fw *fw, enum fw_op op)
{
	return atomic64_read(&fw->commands[op]);
}

static int judged(struct hw_port *port, enum fw_rule rule, const struct fw_cmd *cmd, u16 queue)
{
	return rule == FW_RULES ? 0 : fw_violated(port, rule, op_names[cmd->op], queue);
}

/* ---- the port */

static int do_port_up(struct hw_port *port, struct fw_cmd *cmd)
{
	port->up = true;
	return 0;
}

static int do_port_down(struct hw_port *port, struct fw_cmd *cmd)
{
	port->up = false;
	return 0;
}

static int do_port_mac(struct hw_port *port, struct fw_cmd *cmd)
{
	memcpy(port->mac, cmd->address.mac, ETH_ALEN);
	port->promiscuous = cmd->address.promiscuous;
	return 0;
}

/* ---- rings */

static bool good_size(u32 size)
{
	return size && !(size & (size - 1));
}

static int do_cp_alloc(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_rxq *rxq = &port->rxqs[cmd->queue];

	if (rxq->cp.cmps || !good_size(cmd->mem.size))
		return -EINVAL;
	/* A coalescing timer may still look at the ring. */
	spin_lock(&rxq->lock);
	rxq->cp = (struct hw_cp_ring){ .cmps = cmd->mem.entries, .size = cmd->mem.size };
	spin_unlock(&rxq->lock);
	return 0;
}

static int do_cp_free(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_rxq *rxq = &port->rxqs[cmd->queue];

	if (!rxq->cp.cmps || rxq->rx.id != HW_RING_NONE || rxq->agg.id != HW_RING_NONE)
		return -EINVAL;
	spin_lock(&rxq->lock);
	rxq->cp = (struct hw_cp_ring){ 0 };
	spin_unlock(&rxq->lock);
	port->fw->queues[cmd->queue] = (struct fw_queue){ 0 };
	return 0;
}

static void ring_begin(struct hw_port *port, struct hw_ring *ring, struct fw_cmd *cmd)
{
	*ring = (struct hw_ring){
		.id = hw_ring_id_next(port, cmd->queue),
		.bds = cmd->mem.entries,
		.size = cmd->mem.size,
	};
	cmd->ring = ring->id;
}

static int do_rx_alloc(struct hw_port *port, struct fw_cmd *cmd)
{
	struct fw_queue *state = &port->fw->queues[cmd->queue];
	struct hw_rxq *rxq = &port->rxqs[cmd->queue];
	int err;

	if (!rxq->cp.cmps || rxq->rx.id != HW_RING_NONE || !good_size(cmd->mem.size))
		return -EINVAL;
	err = judged(port, fw_judge_rx_alloc(port, cmd->queue, cmd->mem.size), cmd, cmd->queue);
	if (err)
		return err;
	ring_begin(port, &rxq->rx, cmd);
	state->rx_size = cmd->mem.size;
	state->last_rx = cmd->ring;
	return 0;
}

static int do_agg_alloc(struct hw_port *port, struct fw_cmd *cmd)
{
	struct fw_queue *state = &port->fw->queues[cmd->queue];
	struct hw_rxq *rxq = &port->rxqs[cmd->queue];
	int err;

	if (!rxq->cp.cmps || rxq->agg.id != HW_RING_NONE || !good_size(cmd->mem.size))
		return -EINVAL;
	err = judged(port, fw_judge_agg_alloc(port, cmd->queue, cmd->rx_ring, cmd->mem.size), cmd, cmd->queue);
	if (err)
		return err;
	ring_begin(port, &rxq->agg, cmd);
	state->agg_size = cmd->mem.size;
	return 0;
}

static int do_ring_free(struct hw_port *port, struct fw_cmd *cmd)
{
	struct fw_freed *freed;
	struct hw_rxq *rxq;
	struct hw_ring *ring;
	u32 i;
	int err;

	err = judged(port, fw_judge_ring_free(port, cmd->ring), cmd, cmd->queue);
	if (err)
		return err;
	for (i = 0; i < port->nr_queues; i++) {
		rxq = &port->rxqs[i];
		if (rxq->rx.id == cmd->ring || rxq->agg.id == cmd->ring)
			break;
	}
	ring = rxq->rx.id == cmd->ring ? &rxq->rx : &rxq->agg;
	freed = ring == &rxq->rx ? &port->fw->queues[i].rx_freed : &port->fw->queues[i].agg_freed;

	spin_lock(&rxq->lock);
	hw_gro_abort(rxq);
	*ring = (struct hw_ring){ 0 };
	*freed = (struct fw_freed){ .ring = cmd->ring, .at = rxq->cp.prod };
	hw_cp_ring_freed(rxq, cmd->ring);
	spin_unlock(&rxq->lock);
	return 0;
}

static int do_tx_alloc(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_txq *txq = &port->txqs[cmd->queue];

	if (txq->live || !good_size(cmd->mem.size))
		return -EINVAL;
	spin_lock(&txq->lock);
	txq->slots = cmd->mem.entries;
	txq->size = cmd->mem.size;
	txq->prod = 0;
	txq->cons = 0;
	txq->live = true;
	spin_unlock(&txq->lock);
	return 0;
}

static int do_tx_free(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_txq *txq = &port->txqs[cmd->queue];

	if (!txq->live)
		return -EINVAL;
	spin_lock(&txq->lock);
	txq->live = false;
	txq->slots = NULL;
	spin_unlock(&txq->lock);
	return 0;
}

/* ---- VNICs and filters */

static struct hw_vnic *living_vnic(struct hw_port *port, u16 id)
{
	return id < HW_VNICS && port->vnics[id].live ? &port->vnics[id] : NULL;
}

static int do_vnic_alloc(struct hw_port *port, struct fw_cmd *cmd)
{
	u16 i;

	for (i = 0; i < HW_VNICS; i++) {
		if (port->vnics[i].live)
			continue;
		port->vnics[i] = (struct hw_vnic){ .live = true };
		cmd->vnic = i;
		return 0;
	}
	return -ENOSPC;
}

static int do_vnic_free(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_vnic *vnic = living_vnic(port, cmd->vnic);
	u16 i;

	if (!vnic)
		return -EINVAL;
	for (i = 0; i < port->nr_filters; i++)
		if (port->filters[i].live && !port->filters[i].drop && port->filters[i].vnic == cmd->vnic)
			return -EINVAL;
	vnic->live = false;
	return 0;
}

static const u16 *table_of(const struct hw_vnic *vnic)
{
	return vnic->rss ? vnic->indir : NULL;
}

static int do_vnic_cfg(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_vnic *vnic = living_vnic(port, cmd->vnic);
	int err;

	if (!vnic)
		return -EINVAL;
	err = judged(port, fw_judge_vnic(port, vnic->mru, cmd->cfg.ring, table_of(vnic)), cmd, cmd->queue);
	if (!err)
		vnic->default_ring = cmd->cfg.ring;
	return err;
}

static int do_vnic_rss(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_vnic *vnic = living_vnic(port, cmd->vnic);
	int err;

	if (!vnic)
		return -EINVAL;
	err = judged(port, fw_judge_vnic(port, vnic->mru, vnic->default_ring, cmd->rss->rings), cmd, cmd->queue);
	if (err)
		return err;
	vnic->rss = true;
	memcpy(vnic->indir, cmd->rss->rings, sizeof(vnic->indir));
	memcpy(vnic->key, cmd->rss->key, sizeof(vnic->key));
	vnic->hash_types = cmd->rss->hash_types;
	vnic->symmetric = cmd->rss->symmetric;
	return 0;
}

static int do_vnic_place(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_vnic *vnic = living_vnic(port, cmd->vnic);

	if (!vnic)
		return -EINVAL;
	vnic->split = cmd->place.split;
	vnic->split_threshold = cmd->place.threshold;
	vnic->gro = cmd->place.gro;
	return 0;
}

static int do_vnic_update(struct hw_port *port, struct fw_cmd *cmd)
{
	struct hw_vnic *vnic = living_vnic(port, cmd->vnic);
	int err;

	if (!vnic)
		return -EINVAL;
	err = judged(port, fw_judge_vnic(port, cmd->mru, vnic->default_ring, table_of(vnic)), cmd, cmd->queue);
	if (!err)
		vnic->mru = cmd->mru;
	return err;
}

static int do_filter_alloc(struct hw_port *port, struct fw_cmd *cmd)
{
	u16 i;

	if (!cmd->match->drop && !living_vnic(port, cmd->match->vnic))
		return -EINVAL;
	/* The driver may ask for a place: a lower one is looked at first. */
	i = cmd->filter;
	if (i >= HW_FILTERS || port->filters[i].live)
		return -ENOSPC;
	port->filters[i] = *cmd->match;
	port->filters[i].live = true;
	port->nr_filters = max_t(u16, port->nr_filters, i + 1);
	return 0;
}

static int do_filter_free(struct hw_port *port, struct fw_cmd *cmd)
{
	if (cmd->filter >= HW_FILTERS || !port->filters[cmd->filter].live)
		return -EINVAL;
	port->filters[cmd->filter].live = false;
	while (port->nr_filters && !port->filters[port->nr_filters - 1].live)
		port->nr_filters--;
	return 0;
}

/* ---- the mailbox */

static int (*const ops[FW_OPS])(struct hw_port *port, struct fw_cmd *cmd) = {
	[FW_PORT_UP] = do_port_up,
	[FW_PORT_DOWN] = do_port_down,
	[FW_PORT_MAC] = do_port_mac,
	[FW_CP_ALLOC] = do_cp_alloc,
	[FW_CP_FREE] = do_cp_free,
	[FW_RX_ALLOC] = do_rx_alloc,
	[FW_AGG_ALLOC] = do_agg_alloc,
	[FW_RING_FREE] = do_ring_free,
	[FW_TX_ALLOC] = do_tx_alloc,
	[FW_TX_FREE] = do_tx_free,
	[FW_VNIC_ALLOC] = do_vnic_alloc,
	[FW_VNIC_FREE] = do_vnic_free,
	[FW_VNIC_CFG] = do_vnic_cfg,
	[FW_VNIC_RSS] = do_vnic_rss,
	[FW_VNIC_PLACE] = do_vnic_place,
	[FW_VNIC_UPDATE] = do_vnic_update,
	[FW_FILTER_ALLOC] = do_filter_alloc,
	[FW_FILTER_FREE] = do_filter_free,
};

int fw_command(struct hw_port *port, struct fw_cmd *cmd)
{
	unsigned long flags;
	int err;

	if (cmd->op >= FW_OPS || cmd->queue >= port->nr_queues)
		return -EINVAL;
	err = szcnic_fault_command(port, cmd->op);
	if (err)
		return err;
	atomic64_inc(&port->fw->commands[cmd->op]);
	write_lock_irqsave(&port->tables, flags);
	err = ops[cmd->op](port, cmd);
	write_unlock_irqrestore(&port->tables, flags);
	return err;
}

static void queue_reset(struct hw_port *port, u32 queue)
{
	struct hw_rxq *rxq = &port->rxqs[queue];
	struct hw_txq *txq = &port->txqs[queue];

	spin_lock(&rxq->lock);
	hw_gro_abort(rxq);
	rxq->rx = (struct hw_ring){ 0 };
	rxq->agg = (struct hw_ring){ 0 };
	rxq->cp.cmps = NULL;
	rxq->cp.size = 0;
	rxq->cp.armed = false;
	spin_unlock(&rxq->lock);
	spin_lock(&txq->lock);
	txq->live = false;
	txq->slots = NULL;
	spin_unlock(&txq->lock);
	port->fw->queues[queue] = (struct fw_queue){ 0 };
}

void fw_reset(struct hw_port *port)
{
	unsigned long flags;
	u32 i;

	write_lock_irqsave(&port->tables, flags);
	port->up = false;
	for (i = 0; i < HW_VNICS; i++)
		port->vnics[i].live = false;
	for (i = 0; i < HW_FILTERS; i++)
		port->filters[i].live = false;
	port->nr_filters = 0;
	for (i = 0; i < port->nr_queues; i++)
		queue_reset(port, i);
	write_unlock_irqrestore(&port->tables, flags);
}

/* ---- notes */

void fw_note_napi(struct hw_port *port, u16 queue, bool alive)
{
	unsigned long flags;
	enum fw_rule rule;

	write_lock_irqsave(&port->tables, flags);
	rule = alive ? FW_RULES : fw_judge_napi_dead(port, queue);
	write_unlock_irqrestore(&port->tables, flags);
	if (rule != FW_RULES)
		fw_violated(port, rule, "the end of NAPI", queue);
}

void fw_note_buffers_freed(struct hw_port *port, u16 queue, u16 ring)
{
	unsigned long flags;
	enum fw_rule rule;

	read_lock_irqsave(&port->tables, flags);
	rule = fw_judge_buffers_freed(port, queue, ring);
	read_unlock_irqrestore(&port->tables, flags);
	if (rule != FW_RULES)
		fw_violated(port, rule, "the release of buffers", queue);
}

void fw_note_dead_doorbell(struct hw_port *port, u16 queue)
{
	fw_violated(port, FW_RULE_DOORBELL_DEAD, "a doorbell", queue);
}

/* ---- life */

struct fw *fw_create(struct hw_port *port)
{
	struct fw *fw = kzalloc(sizeof(*fw), GFP_KERNEL);

	if (!fw)
		return NULL;
	fw->queues = kcalloc(port->nr_queues, sizeof(*fw->queues), GFP_KERNEL);
	if (!fw->queues) {
		kfree(fw);
		return NULL;
	}
	fw->port = port;
	return fw;
}

void fw_destroy(struct fw *fw)
{
	if (!fw)
		return;
	kfree(fw->queues);
	kfree(fw);
}
