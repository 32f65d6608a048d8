// SPDX-License-Identifier: GPL-2.0
/* The device side of a port, from its making to its end. */
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "fw.h"
#include "hw.h"

static void rxq_init(struct hw_port *port, u16 index)
{
	struct hw_rxq *rxq = &port->rxqs[index];
	int i;

	spin_lock_init(&rxq->lock);
	rxq->port = port;
	rxq->index = index;
	INIT_LIST_HEAD(&rxq->gro_open);
	for (i = 0; i < HW_GRO_FLOWS; i++)
		INIT_LIST_HEAD(&rxq->gro[i].frames);
	hrtimer_setup(&rxq->coalesce, hw_cp_timeout, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	hrtimer_setup(&rxq->gro_timer, hw_gro_timeout, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
}

static void txq_init(struct hw_port *port, u16 index)
{
	struct hw_txq *txq = &port->txqs[index];

	spin_lock_init(&txq->lock);
	txq->port = port;
	txq->index = index;
}

int hw_port_init(struct hw_port *port, u32 nr_queues)
{
	u16 i;

	rwlock_init(&port->tables);
	hw_wire_init(port);
	port->nr_queues = nr_queues;
	port->rxqs = kvcalloc(nr_queues, sizeof(*port->rxqs), GFP_KERNEL);
	if (!port->rxqs)
		return -ENOMEM;
	port->txqs = kvcalloc(nr_queues, sizeof(*port->txqs), GFP_KERNEL);
	if (!port->txqs)
		goto free_rxqs;
	for (i = 0; i < nr_queues; i++) {
		rxq_init(port, i);
		txq_init(port, i);
	}
	if (hw_psp_create(port))
		goto free_txqs;
	port->fw = fw_create(port);
	if (!port->fw)
		goto free_psp;
	return 0;

free_psp:
	hw_psp_destroy(port);

free_txqs:
	kvfree(port->txqs);
	port->txqs = NULL;
free_rxqs:
	kvfree(port->rxqs);
	port->rxqs = NULL;
	return -ENOMEM;
}

/* The caller sees to it that nothing arrives any more: neither from the stack nor from the peer. */
void hw_port_destroy(struct hw_port *port)
{
	u32 i;

	hw_port_quiesce(port);
	for (i = 0; i < port->nr_queues; i++) {
		struct hw_rxq *rxq = &port->rxqs[i];

		hrtimer_cancel(&rxq->coalesce);
		hrtimer_cancel(&rxq->gro_timer);
		hw_gro_abort(rxq);
	}
	fw_destroy(port->fw);
	port->fw = NULL;
	hw_psp_destroy(port);
	kvfree(port->txqs);
	port->txqs = NULL;
	kvfree(port->rxqs);
	port->rxqs = NULL;
}

void hw_port_quiesce(struct hw_port *port)
{
	/*
	 * Whoever runs a tx queue of ours does so with bottom halves off, or
	 * in the wire's timer, which is waited for.
	 */
	synchronize_net();
	hw_wire_drain(port);
}
