// SPDX-License-Identifier: GPL-2.0
/*
 * Completions, interrupts and doorbells.
 *
 * No wake-up is lost: `prod`, `cons` and `armed` change under hw_rxq.lock only. A driver that arms either leaves
 * `armed` set for the next hw_cp_publish(), or is told at once of what it had not seen.
 */
#include "fw.h"
#include "hw.h"

u32 hw_cp_room(const struct hw_rxq *rxq)
{
	return rxq->cp.size - (rxq->cp.prod - rxq->cp.cons);
}

struct hw_cmp *hw_cp_next(struct hw_rxq *rxq, u32 ahead)
{
	return &rxq->cp.cmps[(rxq->cp.prod + ahead) & (rxq->cp.size - 1)];
}

void hw_irq(struct hw_port *port, u16 queue)
{
	if (atomic_dec_if_positive(&port->rxqs[queue].lose_irqs) < 0)
		port->irq(port, queue);
}

static void cp_raise(struct hw_rxq *rxq)
{
	rxq->cp.armed = false;
	rxq->uncoalesced = 0;
	hw_irq(rxq->port, rxq->index);
}

static void cp_advance(struct hw_rxq *rxq, u32 count)
{
	/* Pairs with NAPI's acquire in rx_poll(): the entries come before their number. */
	smp_store_release(&rxq->cp.prod, rxq->cp.prod + count);
}

void hw_cp_publish(struct hw_rxq *rxq, u32 count)
{
	cp_advance(rxq, count);
	rxq->uncoalesced++;
	if (!rxq->cp.armed)
		return;
	if (!rxq->coalesce_usecs || (rxq->coalesce_frames && rxq->uncoalesced >= rxq->coalesce_frames))
		cp_raise(rxq);
	else if (!hrtimer_is_queued(&rxq->coalesce))
		hrtimer_start(&rxq->coalesce, us_to_ktime(rxq->coalesce_usecs), HRTIMER_MODE_REL_SOFT);
}

bool hw_cp_ring_freed(struct hw_rxq *rxq, u16 ring)
{
	if (!hw_cp_room(rxq))
		return false;
	*hw_cp_next(rxq, 0) = (struct hw_cmp){ .type = HW_CMP_RING_FREED, .ring = ring };
	cp_advance(rxq, 1);
	if (rxq->cp.armed)
		cp_raise(rxq);
	return true;
}

enum hrtimer_restart hw_cp_timeout(struct hrtimer *timer)
{
	struct hw_rxq *rxq = container_of(timer, struct hw_rxq, coalesce);
	unsigned long flags;

	spin_lock_irqsave(&rxq->lock, flags);
	if (rxq->cp.armed && rxq->cp.prod != rxq->cp.cons)
		cp_raise(rxq);
	spin_unlock_irqrestore(&rxq->lock, flags);
	return HRTIMER_NORESTART;
}

/* Without the lock: a ring's id changes by commands only, which its owner does not mix with its doorbell. */
void hw_doorbell(struct hw_rxq *rxq, struct hw_ring *ring, u16 id, u32 prod)
{
	if (id == HW_RING_NONE || READ_ONCE(ring->id) != id)
		fw_note_dead_doorbell(rxq->port, rxq->index);
	else
		smp_store_release(&ring->prod, prod);	/* pairs with posted() in hw_rx.c */
}

void hw_cp_ack(struct hw_rxq *rxq, u32 cons, bool arm)
{
	unsigned long flags;

	spin_lock_irqsave(&rxq->lock, flags);
	WRITE_ONCE(rxq->cp.cons, cons);
	/* All was seen: the next interrupt counts from here. */
	if (rxq->cp.prod == cons)
		rxq->uncoalesced = 0;
	if (arm && rxq->cp.prod != cons)
		cp_raise(rxq);
	else
		rxq->cp.armed = arm;
	spin_unlock_irqrestore(&rxq->lock, flags);
}

void hw_coalesce_set(struct hw_rxq *rxq, u32 usecs, u32 frames)
{
	unsigned long flags;

	spin_lock_irqsave(&rxq->lock, flags);
	rxq->coalesce_usecs = usecs;
	rxq->coalesce_frames = frames;
	spin_unlock_irqrestore(&rxq->lock, flags);
}
