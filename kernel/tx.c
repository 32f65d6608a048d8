// SPDX-License-Identifier: GPL-2.0
/*
 * Transmission: skbs go on the ring under the stack's tx lock, the device reads them, NAPI frees them.
 */
#include <linux/etherdevice.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "szcnic.h"

/* A stopped queue wakes when this much of it is free. */
static u32 wake_threshold(const struct szcnic_txq *txq)
{
	return txq->size / 4;
}

static u32 tx_avail(const struct szcnic_txq *txq)
{
	return txq->size - (READ_ONCE(txq->prod) - READ_ONCE(txq->clean));
}

static struct netdev_queue *stack_queue(const struct szcnic_txq *txq)
{
	return netdev_get_tx_queue(txq->port->dev, txq->index);
}

static struct hw_txq *device_queue(const struct szcnic_txq *txq)
{
	return &txq->port->hw.txqs[txq->index];
}

netdev_tx_t szcnic_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct szcnic_port *port = netdev_priv(dev);
	struct szcnic_txq *txq = &port->txqs[skb_get_queue_mapping(skb)];
	struct netdev_queue *queue = stack_queue(txq);
	struct hw_psp_tx_key *psp;
	struct hw_tx_slot *slot;
	bool kick;

	if (unlikely(READ_ONCE(txq->closing))) {
		netif_tx_stop_queue(queue);
		return NETDEV_TX_BUSY;
	}
	/* Looks again once the queue is stopped: NAPI may have made room meanwhile, and would not wake it. */
	if (unlikely(!tx_avail(txq))) {
		netif_txq_maybe_stop(queue, tx_avail(txq), 1, wake_threshold(txq));
		return NETDEV_TX_BUSY;
	}
	psp = szcnic_psp_tx_key(port, skb);
	if (IS_ERR(psp) || unlikely(!skb_frags_readable(skb))) {
		if (!IS_ERR(psp))
			hw_psp_tx_key_put(psp);
		dev_core_stats_tx_dropped_inc(dev);
		dev_kfree_skb_any(skb);
		/* Those before it may have left the bell to it. */
		if (!netdev_xmit_more())
			hw_tx_doorbell(device_queue(txq), txq->prod);
		return NETDEV_TX_OK;
	}
	skb_tx_timestamp(skb);
	slot = &txq->slots[txq->prod & (txq->size - 1)];
	slot->skb = skb;
	slot->psp = psp;
	WRITE_ONCE(txq->prod, txq->prod + 1);
	/* Before the doorbell: afterwards the skb may be gone. */
	kick = __netdev_tx_sent_queue(queue, skb->len, netdev_xmit_more());
	if (netif_txq_maybe_stop(queue, tx_avail(txq), 1, wake_threshold(txq)) == 0) {
		kick = true;
		u64_stats_update_begin(&txq->sync);
		txq->stats.stop++;
		u64_stats_update_end(&txq->sync);
	}
	if (kick)
		hw_tx_doorbell(device_queue(txq), txq->prod);
	return NETDEV_TX_OK;
}

/* As they are on the wire: every segment has headers of its own. */
static void count(const struct sk_buff *skb, u32 *packets, u32 *bytes)
{
	u32 segs, headers;

	*bytes += skb->len;
	if (!skb_is_gso(skb)) {
		++*packets;
		return;
	}
	headers = skb_transport_offset(skb);
	headers += skb_is_gso_tcp(skb) ? tcp_hdrlen(skb) : sizeof(struct udphdr);
	segs = DIV_ROUND_UP(skb->len - headers, skb_shinfo(skb)->gso_size);
	*packets += segs;
	*bytes += (segs - 1) * headers;
}

void szcnic_tx_clean(struct szcnic_txq *txq, int budget)
{
	u32 done = smp_load_acquire(&device_queue(txq)->cons);	/* pairs with the device's release */
	u32 clean = txq->clean, skbs = 0, raw = 0, packets = 0, bytes = 0;
	int woken;

	while (clean != done) {
		struct hw_tx_slot *slot = &txq->slots[clean & (txq->size - 1)];

		skbs++;
		raw += slot->skb->len;
		if (!slot->dropped)
			count(slot->skb, &packets, &bytes);
		napi_consume_skb(slot->skb, budget);
		slot->skb = NULL;
		hw_psp_tx_key_put(slot->psp);
		slot->psp = NULL;
		clean++;
	}
	if (!skbs)
		return;
	WRITE_ONCE(txq->clean, clean);
	woken = __netif_txq_completed_wake(stack_queue(txq), skbs, raw, tx_avail(txq), wake_threshold(txq),
					   READ_ONCE(txq->closing));
	u64_stats_update_begin(&txq->sync);
	txq->stats.packets += packets;
	txq->stats.bytes += bytes;
	txq->stats.wake += woken == 0;
	u64_stats_update_end(&txq->sync);
}

int szcnic_txq_alloc(struct szcnic_txq *txq, u32 size)
{
	if (szcnic_fault_alloc(txq->port))
		return -ENOMEM;
	txq->slots = kvcalloc(size, sizeof(*txq->slots), GFP_KERNEL);
	if (!txq->slots)
		return -ENOMEM;
	txq->size = size;
	txq->prod = 0;
	txq->clean = 0;
	return 0;
}

/* The device has let go of the ring. */
void szcnic_txq_free(struct szcnic_txq *txq)
{
	/* Set already, but for queues that never started. The stack may wake them all the same. */
	WRITE_ONCE(txq->closing, true);
	if (!txq->slots)
		return;
	for (; txq->clean != txq->prod; txq->clean++) {
		dev_kfree_skb(txq->slots[txq->clean & (txq->size - 1)].skb);
		hw_psp_tx_key_put(txq->slots[txq->clean & (txq->size - 1)].psp);
	}
	netdev_tx_reset_queue(stack_queue(txq));
	kvfree(txq->slots);
	txq->slots = NULL;
}

/* txq->closing is set, and NAPI has seen it: it wakes nothing any more. */
void szcnic_txq_halt(struct szcnic_txq *txq)
{
	struct netdev_queue *queue = stack_queue(txq);

	__netif_tx_lock_bh(queue);
	netif_tx_stop_queue(queue);
	__netif_tx_unlock_bh(queue);
}

void szcnic_txq_stop(struct szcnic_txq *txq)
{
	WRITE_ONCE(txq->closing, true);
	synchronize_net();
	szcnic_txq_halt(txq);
}

void szcnic_txq_start(struct szcnic_txq *txq)
{
	struct netdev_queue *queue = stack_queue(txq);

	/* Under the lock: whoever still saw it closing has stopped the queue by now. */
	__netif_tx_lock_bh(queue);
	WRITE_ONCE(txq->closing, false);
	__netif_tx_unlock_bh(queue);
	netif_tx_wake_queue(queue);
}
