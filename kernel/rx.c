// SPDX-License-Identifier: GPL-2.0
/*
 * Reception: NAPI reads completions, makes skbs, refills the rings.
 *
 * An skb's payload lies either in pages or in net_iovs, never in both: what is split has its headers copied and its
 * payload from the agg ring, what is whole comes from the rx ring, which always has pages. If an skb cannot be made,
 * its buffers are posted again as they are.
 */
#include <linux/etherdevice.h>
#include <linux/ipv6.h>
#include <net/gro.h>
#include <net/ip6_checksum.h>
#include <net/page_pool/helpers.h>
#include <net/tcp.h>

#include "szcnic.h"

#define COPY_MAX	512	/* frames up to this size are copied as a whole */
#define STARVED_MS	1
#define WATCHDOG_MS	100

static struct hw_rxq *device_queue(const struct szcnic_rxq *rxq)
{
	return &rxq->port->hw.rxqs[rxq->index];
}

static const struct hw_cmp *cmp_at(const struct szcnic_rxq *rxq, u32 ahead)
{
	return &rxq->cmps[(rxq->cons + ahead) & (rxq->nr_cmps - 1)];
}

static struct sk_buff *skb_alloc(struct szcnic_rxq *rxq, u32 len)
{
	return szcnic_fault_alloc(rxq->port) ? NULL : napi_alloc_skb(&rxq->napi, len);
}

/* ---- one packet */

static const void *rx_data(const struct szcnic_rxq *rxq, u32 slot, u32 len)
{
	const struct szcnic_bufs *bufs = &rxq->mem.rx;
	netmem_ref netmem = bufs->slots[slot];

	page_pool_dma_sync_netmem_for_cpu(bufs->pool, netmem, 0, len);
	return netmem_address(netmem);
}

static void drop(struct szcnic_rxq *rxq, const struct hw_cmp *cmp)
{
	u32 i;

	for (i = 1; i <= cmp->nr_agg; i++)
		szcnic_bufs_repost(&rxq->mem.agg, cmp_at(rxq, i)->opaque);
	szcnic_bufs_repost(&rxq->mem.rx, cmp->opaque);
	rxq->stats.alloc_fail++;
	rxq->stats.dropped++;
}

/* Headers copied, so that the header buffer goes back at once. */
static struct sk_buff *make_split(struct szcnic_rxq *rxq, const struct hw_cmp *cmp)
{
	struct szcnic_bufs *bufs = &rxq->mem.agg;
	struct sk_buff *skb;
	u32 i;

	if (cmp->nr_agg > MAX_SKB_FRAGS)
		return NULL;
	skb = skb_alloc(rxq, cmp->len);
	if (!skb)
		return NULL;
	skb_put_data(skb, rx_data(rxq, cmp->opaque, cmp->len), cmp->len);
	szcnic_bufs_repost(&rxq->mem.rx, cmp->opaque);
	for (i = 1; i <= cmp->nr_agg; i++) {
		const struct hw_cmp *agg = cmp_at(rxq, i);
		netmem_ref netmem = szcnic_bufs_take(bufs, agg->opaque);

		page_pool_dma_sync_netmem_for_cpu(bufs->pool, netmem, 0, agg->len);
		skb_add_rx_frag_netmem(skb, i - 1, netmem, 0, agg->len, bufs->buf_len);
		if (netmem_is_net_iov(netmem))
			rxq->stats.payload_netmem += agg->len;
		else
			rxq->stats.payload_page += agg->len;
	}
	return skb;
}

static struct sk_buff *make_copied(struct szcnic_rxq *rxq, const struct hw_cmp *cmp)
{
	struct sk_buff *skb;

	skb = skb_alloc(rxq, cmp->len);
	if (!skb)
		return NULL;
	skb_put_data(skb, rx_data(rxq, cmp->opaque, cmp->len), cmp->len);
	szcnic_bufs_repost(&rxq->mem.rx, cmp->opaque);
	rxq->stats.payload_linear += cmp->l4_payload;
	return skb;
}

static struct sk_buff *make_whole(struct szcnic_rxq *rxq, const struct hw_cmp *cmp)
{
	u32 linear = cmp->hdr_len ?: COPY_MAX;
	struct sk_buff *skb;

	skb = skb_alloc(rxq, linear);
	if (!skb)
		return NULL;
	skb_put_data(skb, rx_data(rxq, cmp->opaque, cmp->len), linear);
	skb_add_rx_frag_netmem(skb, 0, szcnic_bufs_take(&rxq->mem.rx, cmp->opaque), linear, cmp->len - linear,
			       rxq->mem.rx.buf_len);
	rxq->stats.payload_page += cmp->l4_payload;
	return skb;
}

/* What the stack wants of a packet that consists of several: as if its own GRO had made it. */
static void gro_finish(struct sk_buff *skb, const struct hw_cmp *cmp)
{
	u32 l4 = cmp->l4_off - ETH_HLEN;

	skb_reset_network_header(skb);
	skb_set_transport_header(skb, l4);
	if (cmp->flags & HW_CMP_IPV6) {
		const struct ipv6hdr *ip = ipv6_hdr(skb);

		tcp_hdr(skb)->check = ~tcp_v6_check(skb->len - l4, &ip->saddr, &ip->daddr, 0);
		skb_shinfo(skb)->gso_type = SKB_GSO_TCPV6;
	} else {
		const struct iphdr *ip = ip_hdr(skb);

		tcp_hdr(skb)->check = ~tcp_v4_check(skb->len - l4, ip->saddr, ip->daddr, 0);
		skb_shinfo(skb)->gso_type = SKB_GSO_TCPV4;
		if (cmp->flags & HW_CMP_FIXED_ID)
			skb_shinfo(skb)->gso_type |= SKB_GSO_TCP_FIXEDID;
	}
	skb_shinfo(skb)->gso_size = cmp->gro_mss;
	NAPI_GRO_CB(skb)->count = cmp->gro_segs;
	tcp_gro_complete(skb);
}

static void annotate(struct szcnic_rxq *rxq, struct sk_buff *skb, const struct hw_cmp *cmp)
{
	struct net_device *dev = rxq->port->dev;

	skb_mark_for_recycle(skb);
	skb_record_rx_queue(skb, rxq->index);
	if (cmp->flags & HW_CMP_HASH && dev->features & NETIF_F_RXHASH)
		skb_set_hash(skb, cmp->rss_hash, cmp->flags & HW_CMP_HASH_L4 ? PKT_HASH_TYPE_L4 : PKT_HASH_TYPE_L3);
	skb->protocol = eth_type_trans(skb, dev);
	/* What the stack cannot read it cannot sum, whatever was asked for. */
	if (cmp->flags & HW_CMP_CSUM_OK && (dev->features & NETIF_F_RXCSUM || !skb_frags_readable(skb))) {
		skb->ip_summed = CHECKSUM_UNNECESSARY;
		rxq->stats.csum_unnecessary++;
	} else {
		rxq->stats.csum_none++;
	}
	if (cmp->flags & HW_CMP_GRO && cmp->gro_segs > 1)
		gro_finish(skb, cmp);
}

static void receive(struct szcnic_rxq *rxq, const struct hw_cmp *cmp)
{
	u32 segs = cmp->flags & HW_CMP_GRO ? cmp->gro_segs : 1;
	struct sk_buff *skb;

	u64_stats_update_begin(&rxq->sync);
	if (cmp->nr_agg || cmp->flags & HW_CMP_SPLIT)
		skb = make_split(rxq, cmp);
	else if (cmp->len <= COPY_MAX || cmp->len == cmp->hdr_len)
		skb = make_copied(rxq, cmp);
	else
		skb = make_whole(rxq, cmp);
	if (skb) {
		rxq->stats.packets += segs;
		rxq->stats.bytes += cmp->len + cmp->payload + (segs - 1) * cmp->hdr_len;
		annotate(rxq, skb, cmp);
		/* What came sealed must not pass for clear. */
		if (!szcnic_psp_mark(rxq->port, skb, &cmp->psp)) {
			dev_kfree_skb(skb);
			skb = NULL;
			rxq->stats.dropped++;
		}
	} else {
		drop(rxq, cmp);
	}
	u64_stats_update_end(&rxq->sync);
	if (skb)
		napi_gro_receive(&rxq->napi, skb);
}

static void ring_freed(struct szcnic_rxq *rxq, u16 ring)
{
	if (ring == rxq->mem.rx_ring)
		complete(&rxq->rx_freed);
	else if (ring == rxq->mem.agg_ring)
		complete(&rxq->agg_freed);
}

/* ---- NAPI */

static int rx_poll(struct szcnic_rxq *rxq, int budget)
{
	u32 prod = smp_load_acquire(&device_queue(rxq)->cp.prod);	/* pairs with the device's release */
	int work = 0;

	while (rxq->cons != prod && work < budget) {
		const struct hw_cmp *cmp = cmp_at(rxq, 0);
		u32 entries = 1;

		if (cmp->type == HW_CMP_PACKET) {
			receive(rxq, cmp);
			entries += cmp->nr_agg;
			work++;
		} else if (cmp->type == HW_CMP_RING_FREED) {
			ring_freed(rxq, cmp->ring);
		}
		WRITE_ONCE(rxq->cons, rxq->cons + entries);
	}
	return work;
}

/*
 * A ring that is not full is the rule where a provider's area is smaller. But one that may not take the largest packet
 * could wait for ever: nothing completes, so nobody looks again.
 */
static bool starving(const struct szcnic_bufs *bufs, u32 packet)
{
	return bufs->fill - bufs->nr_free < 2 * DIV_ROUND_UP(packet, bufs->buf_len);
}

static bool fill(struct szcnic_rxq *rxq, struct szcnic_bufs *bufs)
{
	if (szcnic_bufs_fill(bufs, GFP_ATOMIC))
		return false;
	u64_stats_update_begin(&rxq->sync);
	rxq->stats.alloc_fail++;
	u64_stats_update_end(&rxq->sync);
	return starving(bufs, szcnic_mru(rxq->port));
}

static void refill(struct szcnic_rxq *rxq)
{
	bool starved;

	if (READ_ONCE(rxq->draining))
		return;
	starved = fill(rxq, &rxq->mem.rx);
	starved |= fill(rxq, &rxq->mem.agg);
	szcnic_doorbells(rxq);
	if (starved)
		mod_timer(&rxq->starved, jiffies + msecs_to_jiffies(STARVED_MS));
}

int szcnic_poll(struct napi_struct *napi, int budget)
{
	struct szcnic_rxq *rxq = container_of(napi, struct szcnic_rxq, napi);
	int work;

	szcnic_tx_clean(&rxq->port->txqs[rxq->index], budget);
	if (!budget)
		return 0;
	work = rx_poll(rxq, budget);
	if (xchg(&rxq->missed, false)) {
		u64_stats_update_begin(&rxq->sync);
		rxq->stats.missed_irqs++;
		u64_stats_update_end(&rxq->sync);
	}
	/* Room for completions before buffers that will need it. */
	hw_cp_ack(device_queue(rxq), rxq->cons, false);
	refill(rxq);
	if (work < budget && napi_complete_done(napi, work))
		hw_cp_ack(device_queue(rxq), rxq->cons, true);
	return work;
}

/* ---- timers */

void szcnic_starved(struct timer_list *timer)
{
	struct szcnic_rxq *rxq = timer_container_of(rxq, timer, starved);

	napi_schedule(&rxq->napi);
}

/* What waits since the last look, of either direction, though nobody is on the way to it: its interrupt was lost. */
static void watch(struct szcnic_rxq *rxq)
{
	const struct szcnic_txq *txq = &rxq->port->txqs[rxq->index];
	u32 cons = READ_ONCE(rxq->cons), clean = READ_ONCE(txq->clean);
	bool waiting = READ_ONCE(device_queue(rxq)->cp.prod) != cons ||
		       READ_ONCE(rxq->port->hw.txqs[rxq->index].cons) != clean;

	waiting = waiting && !napi_is_scheduled(&rxq->napi);
	if (waiting && rxq->watched && rxq->watched_cons == cons && rxq->watched_clean == clean) {
		WRITE_ONCE(rxq->missed, true);
		napi_schedule(&rxq->napi);
		waiting = false;
	}
	rxq->watched = waiting;
	rxq->watched_cons = cons;
	rxq->watched_clean = clean;
}

void szcnic_watchdog(struct timer_list *timer)
{
	struct szcnic_port *port = timer_container_of(port, timer, watchdog);
	u32 i;

	for (i = 0; i < port->channels; i++)
		watch(&port->rxqs[i]);
	mod_timer(timer, jiffies + msecs_to_jiffies(WATCHDOG_MS));
}
