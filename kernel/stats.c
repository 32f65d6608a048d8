// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: per queue for the kernel (netdev_stat_ops), for the port (get_stats64), and by name for ethtool -S.
 *
 * A queue's counters live as long as the port. What the kernel wants as a base, the share of queues that are not in use
 * now, is therefore the sum over those queues, and totals stay right whatever the number of queues does.
 */
#include <linux/ethtool.h>

#include "szcnic.h"

/* ---- reading */

static void read_rx(struct szcnic_rxq *rxq, struct szcnic_rx_stats *stats)
{
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&rxq->sync);
		*stats = rxq->stats;
	} while (u64_stats_fetch_retry(&rxq->sync, start));
}

static void read_tx(struct szcnic_txq *txq, struct szcnic_tx_stats *stats)
{
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&txq->sync);
		*stats = txq->stats;
	} while (u64_stats_fetch_retry(&txq->sync, start));
}

static u64 rx_overruns(const struct hw_rxq_stats *hw)
{
	return READ_ONCE(hw->no_buffer) + READ_ONCE(hw->no_completion);
}

static u64 rx_drops(const struct hw_rxq_stats *hw)
{
	return rx_overruns(hw) + READ_ONCE(hw->mru) + READ_ONCE(hw->stalled) + READ_ONCE(hw->dma);
}

/* What the port dropped before it had a queue for it. */
static u64 port_drops(struct hw_port *hw)
{
	const struct hw_port_stats *stats = &hw->stats;

	return READ_ONCE(stats->csum_dropped) + READ_ONCE(stats->malformed) + READ_ONCE(stats->link_down) +
	       READ_ONCE(stats->no_vnic) + READ_ONCE(stats->filtered);
}

/* ---- netdev_stat_ops: under the instance lock */

static void add_rx(struct szcnic_port *port, u32 queue, struct netdev_queue_stats_rx *sum)
{
	const struct hw_rxq_stats *hw = &port->hw.rxqs[queue].stats;
	struct szcnic_rx_stats rx;

	read_rx(&port->rxqs[queue], &rx);
	sum->packets += rx.packets;
	sum->bytes += rx.bytes;
	sum->alloc_fail += rx.alloc_fail;
	sum->csum_unnecessary += rx.csum_unnecessary;
	sum->csum_none += rx.csum_none;
	sum->hw_drops += rx_drops(hw);
	sum->hw_drop_overruns += rx_overruns(hw);
	sum->hw_gro_packets += READ_ONCE(hw->gro_packets);
	sum->hw_gro_bytes += READ_ONCE(hw->gro_bytes);
	sum->hw_gro_wire_packets += READ_ONCE(hw->gro_wire_packets);
	sum->hw_gro_wire_bytes += READ_ONCE(hw->gro_wire_bytes);
}

static void add_tx(struct szcnic_port *port, u32 queue, struct netdev_queue_stats_tx *sum)
{
	const struct hw_txq_stats *hw = &port->hw.txqs[queue].stats;
	struct szcnic_tx_stats tx;

	read_tx(&port->txqs[queue], &tx);
	sum->packets += tx.packets;
	sum->bytes += tx.bytes;
	sum->stop += tx.stop;
	sum->wake += tx.wake;
	sum->hw_drops += READ_ONCE(hw->dropped);
	sum->needs_csum += READ_ONCE(hw->csum);
	sum->hw_gso_packets += READ_ONCE(hw->gso_packets);
	sum->hw_gso_bytes += READ_ONCE(hw->gso_bytes);
	sum->hw_gso_wire_packets += READ_ONCE(hw->gso_wire_packets);
	sum->hw_gso_wire_bytes += READ_ONCE(hw->gso_wire_bytes);
}

/* Only what is collected may be touched: everything else stays "not set". */
static void zero_rx(struct netdev_queue_stats_rx *rx)
{
	rx->packets = 0;
	rx->bytes = 0;
	rx->alloc_fail = 0;
	rx->csum_unnecessary = 0;
	rx->csum_none = 0;
	rx->hw_drops = 0;
	rx->hw_drop_overruns = 0;
	rx->hw_gro_packets = 0;
	rx->hw_gro_bytes = 0;
	rx->hw_gro_wire_packets = 0;
	rx->hw_gro_wire_bytes = 0;
}

static void zero_tx(struct netdev_queue_stats_tx *tx)
{
	tx->packets = 0;
	tx->bytes = 0;
	tx->stop = 0;
	tx->wake = 0;
	tx->hw_drops = 0;
	tx->needs_csum = 0;
	tx->hw_gso_packets = 0;
	tx->hw_gso_bytes = 0;
	tx->hw_gso_wire_packets = 0;
	tx->hw_gso_wire_bytes = 0;
}

static void queue_stats_rx(struct net_device *dev, int queue, struct netdev_queue_stats_rx *stats)
{
	zero_rx(stats);
	add_rx(netdev_priv(dev), queue, stats);
}

static void queue_stats_tx(struct net_device *dev, int queue, struct netdev_queue_stats_tx *stats)
{
	zero_tx(stats);
	add_tx(netdev_priv(dev), queue, stats);
}

static void base_stats(struct net_device *dev, struct netdev_queue_stats_rx *rx, struct netdev_queue_stats_tx *tx)
{
	struct szcnic_port *port = netdev_priv(dev);

	zero_rx(rx);
	for (u32 i = dev->real_num_rx_queues; i < port->max_channels; i++)
		add_rx(port, i, rx);
	rx->hw_drops += port_drops(&port->hw);
	rx->csum_bad = READ_ONCE(port->hw.stats.csum_bad);

	zero_tx(tx);
	for (u32 i = dev->real_num_tx_queues; i < port->max_channels; i++)
		add_tx(port, i, tx);
}

const struct netdev_stat_ops szcnic_stat_ops = {
	.get_queue_stats_rx = queue_stats_rx,
	.get_queue_stats_tx = queue_stats_tx,
	.get_base_stats = base_stats,
};

/* ---- get_stats64: under RCU alone */

void szcnic_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	struct szcnic_port *port = netdev_priv(dev);
	struct szcnic_rx_stats rx;
	struct szcnic_tx_stats tx;

	for (u32 i = 0; i < port->max_channels; i++) {
		read_rx(&port->rxqs[i], &rx);
		read_tx(&port->txqs[i], &tx);
		stats->rx_packets += rx.packets;
		stats->rx_bytes += rx.bytes;
		stats->rx_dropped += rx.dropped;
		stats->tx_packets += tx.packets;
		stats->tx_bytes += tx.bytes;
		stats->rx_missed_errors += rx_drops(&port->hw.rxqs[i].stats);
		stats->tx_dropped += READ_ONCE(port->hw.txqs[i].stats.dropped);
	}
	stats->rx_crc_errors = READ_ONCE(port->hw.stats.csum_bad);
	stats->rx_length_errors = READ_ONCE(port->hw.stats.malformed);
	stats->rx_errors = stats->rx_crc_errors + stats->rx_length_errors;
}

/* ---- ethtool -S */

enum source { FROM_RX, FROM_HW_RX, FROM_TX, FROM_HW_TX, FROM_PORT, FROM_WIRE };

struct counter {
	const char *name;
	enum source source;
	u16 offset;
};

#define RX(member)	{ #member, FROM_RX, offsetof(struct szcnic_rx_stats, member) }
#define HW_RX(label, member)	{ label, FROM_HW_RX, offsetof(struct hw_rxq_stats, member) }
#define TX(member)	{ #member, FROM_TX, offsetof(struct szcnic_tx_stats, member) }
#define HW_TX(label, member)	{ label, FROM_HW_TX, offsetof(struct hw_txq_stats, member) }
#define PORT(member)	{ #member, FROM_PORT, offsetof(struct hw_port_stats, member) }
#define WIRE(member)	{ #member, FROM_WIRE, offsetof(struct hw_wire_stats, member) }

static const struct counter rx_counters[] = {
	RX(packets), RX(bytes), RX(alloc_fail), RX(dropped), RX(csum_unnecessary), RX(csum_none),
	RX(payload_netmem), RX(payload_page), RX(payload_linear), RX(missed_irqs),
	HW_RX("split", payload_split), HW_RX("whole", payload_whole),
	HW_RX("hw_packets", packets), HW_RX("hw_bytes", bytes),
	HW_RX("gro_packets", gro_packets), HW_RX("gro_wire_packets", gro_wire_packets),
	HW_RX("drop_no_buffer", no_buffer), HW_RX("drop_no_completion", no_completion),
	HW_RX("drop_mru", mru), HW_RX("drop_stalled", stalled), HW_RX("drop_dma", dma),
};

static const struct counter tx_counters[] = {
	TX(packets), TX(bytes), TX(stop), TX(wake),
	HW_TX("hw_packets", packets), HW_TX("hw_bytes", bytes), HW_TX("drop", dropped),
};

static const struct counter port_counters[] = {
	PORT(csum_bad), PORT(csum_dropped), PORT(malformed), PORT(not_for_us), PORT(link_down), PORT(no_vnic),
	PORT(filtered),
	WIRE(lost), WIRE(reordered), WIRE(duplicated), WIRE(corrupted),
};

int szcnic_stats_count(struct net_device *dev, int set)
{
	struct szcnic_port *port = netdev_priv(dev);

	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return port->channels * (ARRAY_SIZE(rx_counters) + ARRAY_SIZE(tx_counters)) + ARRAY_SIZE(port_counters);
}

void szcnic_stats_strings(struct net_device *dev, u32 set, u8 *data)
{
	struct szcnic_port *port = netdev_priv(dev);

	if (set != ETH_SS_STATS)
		return;
	for (u32 queue = 0; queue < port->channels; queue++) {
		for (int i = 0; i < ARRAY_SIZE(rx_counters); i++)
			ethtool_sprintf(&data, "rx%u_%s", queue, rx_counters[i].name);
		for (int i = 0; i < ARRAY_SIZE(tx_counters); i++)
			ethtool_sprintf(&data, "tx%u_%s", queue, tx_counters[i].name);
	}
	for (int i = 0; i < ARRAY_SIZE(port_counters); i++)
		ethtool_sprintf(&data, "%s%s", port_counters[i].source == FROM_WIRE ? "wire_" : "",
				port_counters[i].name);
}

static u64 value(const struct counter *counter, const void *const *from)
{
	return READ_ONCE(*(const u64 *)(from[counter->source] + counter->offset));
}

void szcnic_stats_values(struct net_device *dev, struct ethtool_stats *stats, u64 *data)
{
	struct szcnic_port *port = netdev_priv(dev);
	struct szcnic_rx_stats rx;
	struct szcnic_tx_stats tx;
	const void *from[] = {
		[FROM_RX] = &rx,
		[FROM_TX] = &tx,
		[FROM_PORT] = &port->hw.stats,
		[FROM_WIRE] = &port->hw.wire.stats,
	};

	for (u32 queue = 0; queue < port->channels; queue++) {
		read_rx(&port->rxqs[queue], &rx);
		read_tx(&port->txqs[queue], &tx);
		from[FROM_HW_RX] = &port->hw.rxqs[queue].stats;
		from[FROM_HW_TX] = &port->hw.txqs[queue].stats;
		for (int i = 0; i < ARRAY_SIZE(rx_counters); i++)
			*data++ = value(&rx_counters[i], from);
		for (int i = 0; i < ARRAY_SIZE(tx_counters); i++)
			*data++ = value(&tx_counters[i], from);
	}
	for (int i = 0; i < ARRAY_SIZE(port_counters); i++)
		*data++ = value(&port_counters[i], from);
}
