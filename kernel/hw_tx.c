// SPDX-License-Identifier: GPL-2.0
/* The transmit queues: skbs in, frames out. */
#include "hw.h"
#include "szcnic_trips.h"

#define HW_TX_BURST	64	/* frames that leave together, more or less: an skb is not taken apart */

/* Under txq->lock. Sets `again` if it stopped because the burst was full. Returns whether any skb was read. */
static bool tx_collect(struct hw_txq *txq, struct list_head *frames)
{
	u64 enough = txq->stats.packets + HW_TX_BURST;
	struct hw_tx_slot *slot;
	u32 cons = txq->cons;
	u32 prod;

	if (!txq->live)
		return false;
	prod = smp_load_acquire(&txq->prod);	/* pairs with hw_tx_doorbell() */
	while (cons != prod && hw_wire_room(txq->port)) {
		if (txq->stats.packets >= enough) {
			txq->again = true;
			break;
		}
		slot = &txq->slots[cons & (txq->size - 1)];
		slot->dropped = hw_segment(txq, slot, frames);
		if (slot->dropped)
			txq->stats.dropped++;
		cons++;
	}
	if (cons == txq->cons)
		return false;
	/* Pairs with szcnic_tx_clean(): an skb is freed only after it was read. */
	smp_store_release(&txq->cons, cons);
	return true;
}

/* The lock is let go while frames are delivered; `running` keeps others from overtaking them meanwhile. */
static void tx_run(struct hw_txq *txq)
{
	struct hw_port *port = txq->port;
	unsigned long flags;
	LIST_HEAD(frames);
	bool done;

	spin_lock_irqsave(&txq->lock, flags);
	txq->again = true;
	if (txq->running) {
		spin_unlock_irqrestore(&txq->lock, flags);
		return;
	}
	txq->running = true;
	szc_mark(SZC_MARK_DEVICE);
	while (txq->again) {
		txq->again = false;
		done = tx_collect(txq, &frames);
		spin_unlock_irqrestore(&txq->lock, flags);
		hw_wire_send(port, &frames);
		if (done)
			hw_irq(port, txq->index);
		spin_lock_irqsave(&txq->lock, flags);
	}
	szc_mark(SZC_MARK_DRIVER);
	txq->running = false;
	spin_unlock_irqrestore(&txq->lock, flags);
}

void hw_tx_doorbell(struct hw_txq *txq, u32 prod)
{
	smp_store_release(&txq->prod, prod);	/* pairs with tx_collect() */
	tx_run(txq);
}

void hw_tx_resume(struct hw_port *port)
{
	u32 i;

	for (i = 0; i < port->nr_queues; i++)
		if (READ_ONCE(port->txqs[i].live))
			tx_run(&port->txqs[i]);
}
