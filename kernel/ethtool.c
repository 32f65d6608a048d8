// SPDX-License-Identifier: GPL-2.0
/*
 * ethtool: link, rings, header/data split, channels, coalescing. All under the instance lock. RSS is in rss.c, rules
 * are in rules.c, counters in stats.c.
 *
 * What needs new rings goes through szcnic_reconfigure(); header/data split is told to the VNICs of a running port.
 */
#include <linux/ethtool.h>
#include <linux/log2.h>

#include "szcnic.h"

/* ---- who and what */

static void get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	struct szcnic_port *port = netdev_priv(dev);

	strscpy(info->driver, SZCNIC_NAME, sizeof(info->driver));
	snprintf(info->bus_info, sizeof(info->bus_info), "%s:%d", SZCNIC_NAME, port->number);
}

static int get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *link)
{
	struct szcnic_port *port = netdev_priv(dev);
	u64 rate = READ_ONCE(port->hw.wire.params.rate);

	ethtool_link_ksettings_zero_link_mode(link, supported);
	ethtool_link_ksettings_zero_link_mode(link, advertising);
	link->base.port = PORT_OTHER;
	link->base.autoneg = AUTONEG_DISABLE;
	link->base.duplex = DUPLEX_UNKNOWN;
	link->base.speed = SPEED_UNKNOWN;
	if (!netif_carrier_ok(dev))
		return 0;
	link->base.duplex = DUPLEX_FULL;
	/* A wire without a limit says the speed of the NICs that the port is modelled on. */
	link->base.speed = rate ? clamp_t(u64, div_u64(rate, 1000000), 1, INT_MAX) : SPEED_200000;
	return 0;
}

/* ---- rings and header/data split */

struct rings {
	u32 rx;
	u32 agg;
	u32 tx;
	u8 split;
	u32 threshold;
};

static void get_ringparam(struct net_device *dev, struct ethtool_ringparam *param,
			  struct kernel_ethtool_ringparam *kparam, struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = netdev_priv(dev);

	param->rx_max_pending = SZCNIC_RING_MAX;
	param->rx_jumbo_max_pending = SZCNIC_AGG_RING_MAX;
	param->tx_max_pending = SZCNIC_RING_MAX;
	param->rx_pending = port->rx_pending;
	param->rx_jumbo_pending = szcnic_agg_ring_size(port);
	param->tx_pending = port->tx_pending;
	kparam->tcp_data_split = port->split == ETHTOOL_TCP_DATA_SPLIT_ENABLED ?
				 ETHTOOL_TCP_DATA_SPLIT_ENABLED : ETHTOOL_TCP_DATA_SPLIT_DISABLED;
	kparam->hds_thresh = port->split_threshold;
	kparam->hds_thresh_max = SZCNIC_HDS_THRESH_MAX;
}

static bool ring_size_ok(u32 size, u32 most, struct netlink_ext_ack *extack)
{
	if (size >= SZCNIC_RING_MIN && size <= most && is_power_of_2(size))
		return true;
	NL_SET_ERR_MSG_FMT_MOD(extack, "a ring has %u to %u entries, a power of two", SZCNIC_RING_MIN, most);
	return false;
}

/* 0: as long as the rx ring and the MTU make it; so it stays unless another length is asked for. */
static u32 agg_wanted(const struct szcnic_port *port, const struct ethtool_ringparam *param)
{
	u32 wanted = param->rx_jumbo_pending;

	if (!port->agg_pending && wanted == szcnic_agg_ring_size(port))
		return 0;
	return wanted == szcnic_agg_ring_usual(port, param->rx_pending) ? 0 : wanted;
}

static void rings_change(struct szcnic_port *port, const void *arg)
{
	const struct rings *rings = arg;

	port->rx_pending = rings->rx;
	port->agg_pending = rings->agg;
	port->tx_pending = rings->tx;
	port->split = rings->split;
	port->split_threshold = rings->threshold;
}

/* Rings that stay as they are run on while split and threshold change. */
static int split_change(struct szcnic_port *port, const struct rings *to, const struct rings *from)
{
	int err;

	rings_change(port, to);
	if (!port->open)
		return 0;
	err = szcnic_vnic_place_apply(port);
	if (!err)
		return 0;
	rings_change(port, from);
	if (szcnic_vnic_place_apply(port))
		netdev_err(port->dev, "header/data split is neither the old nor the new one: close and open the port\n");
	return err;
}

static int set_ringparam(struct net_device *dev, struct ethtool_ringparam *param,
			 struct kernel_ethtool_ringparam *kparam, struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = netdev_priv(dev);
	const struct rings from = { port->rx_pending, port->agg_pending, port->tx_pending, port->split,
				    port->split_threshold };
	struct rings to = { param->rx_pending, 0, param->tx_pending, kparam->tcp_data_split, kparam->hds_thresh };

	if (param->rx_mini_pending)
		return -EINVAL;
	if (!ring_size_ok(to.rx, SZCNIC_RING_MAX, extack) || !ring_size_ok(to.tx, SZCNIC_RING_MAX, extack))
		return -EINVAL;
	to.agg = agg_wanted(port, param);
	if (to.agg && !ring_size_ok(to.agg, SZCNIC_AGG_RING_MAX, extack))
		return -EINVAL;
	if (to.rx == from.rx && to.agg == from.agg && to.tx == from.tx)
		return split_change(port, &to, &from);
	return szcnic_reconfigure(port, rings_change, &to, &from);
}

/* ---- channels */

static void get_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct szcnic_port *port = netdev_priv(dev);

	channels->max_combined = port->max_channels;
	channels->combined_count = port->channels;
}

static void channels_change(struct szcnic_port *port, const void *arg)
{
	port->channels = *(const u32 *)arg;
	szcnic_rss_defaults(port);
}

/* The core has refused numbers that leave a table, a rule or a memory provider without its queue. */
static int set_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct szcnic_port *port = netdev_priv(dev);
	const u32 from = port->channels;
	const u32 to = channels->combined_count;
	int err;

	if (channels->rx_count || channels->tx_count || channels->other_count)
		return -EINVAL;
	if (!to || to > port->max_channels)
		return -EINVAL;
	if (to == from)
		return 0;
	err = szcnic_reconfigure(port, channels_change, &to, &from);
	if (err || port->open)
		return err;
	err = netif_set_real_num_queues(dev, to, to);
	if (err)
		channels_change(port, &from);
	return err;
}

static u32 get_rx_ring_count(struct net_device *dev)
{
	struct szcnic_port *port = netdev_priv(dev);

	return port->channels;
}

/* ---- coalescing: the device holds it, queue by queue; what concerns all of them reads the first */

static int get_queue_coalesce(struct net_device *dev, u32 queue, struct ethtool_coalesce *coalesce)
{
	struct szcnic_port *port = netdev_priv(dev);

	if (queue >= port->channels)
		return -EINVAL;
	coalesce->rx_coalesce_usecs = READ_ONCE(port->hw.rxqs[queue].coalesce_usecs);
	coalesce->rx_max_coalesced_frames = READ_ONCE(port->hw.rxqs[queue].coalesce_frames);
	return 0;
}

static int get_coalesce(struct net_device *dev, struct ethtool_coalesce *coalesce,
			struct kernel_ethtool_coalesce *kcoalesce, struct netlink_ext_ack *extack)
{
	return get_queue_coalesce(dev, 0, coalesce);
}

static bool coalesce_ok(const struct ethtool_coalesce *coalesce)
{
	return coalesce->rx_coalesce_usecs <= SZCNIC_COALESCE_USECS_MAX &&
	       coalesce->rx_max_coalesced_frames <= SZCNIC_RING_MAX;
}

static int set_queue_coalesce(struct net_device *dev, u32 queue, struct ethtool_coalesce *coalesce)
{
	struct szcnic_port *port = netdev_priv(dev);

	if (queue >= port->channels || !coalesce_ok(coalesce))
		return -EINVAL;
	hw_coalesce_set(&port->hw.rxqs[queue], coalesce->rx_coalesce_usecs, coalesce->rx_max_coalesced_frames);
	return 0;
}

static int set_coalesce(struct net_device *dev, struct ethtool_coalesce *coalesce,
			struct kernel_ethtool_coalesce *kcoalesce, struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = netdev_priv(dev);

	if (!coalesce_ok(coalesce)) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "at most %u microseconds and %u frames", SZCNIC_COALESCE_USECS_MAX,
				       SZCNIC_RING_MAX);
		return -EINVAL;
	}
	for (u32 i = 0; i < port->max_channels; i++)
		hw_coalesce_set(&port->hw.rxqs[i], coalesce->rx_coalesce_usecs, coalesce->rx_max_coalesced_frames);
	return 0;
}

const struct ethtool_ops szcnic_ethtool_ops = {
	.supported_coalesce_params = ETHTOOL_COALESCE_RX_USECS | ETHTOOL_COALESCE_RX_MAX_FRAMES,
	.supported_ring_params = ETHTOOL_RING_USE_TCP_DATA_SPLIT | ETHTOOL_RING_USE_HDS_THRS,
	.supported_input_xfrm = RXH_XFRM_SYM_XOR,
	.rxfh_per_ctx_fields = 1,
	.rxfh_per_ctx_key = 1,
	.rxfh_max_num_contexts = SZCNIC_CONTEXTS + 1,
	.rxfh_indir_space = HW_INDIR_SIZE,
	.rxfh_key_space = HW_KEY_SIZE,
	.rxfh_priv_size = sizeof(struct szcnic_rss),
	.op_needs_rtnl = ETHTOOL_OP_NEEDS_RTNL_GLINK | ETHTOOL_OP_NEEDS_RTNL_SCHANNELS |
			 ETHTOOL_OP_NEEDS_RTNL_SRINGPARAM,
	.get_drvinfo = get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = get_link_ksettings,
	.get_ts_info = ethtool_op_get_ts_info,
	.get_ringparam = get_ringparam,
	.set_ringparam = set_ringparam,
	.get_channels = get_channels,
	.set_channels = set_channels,
	.get_coalesce = get_coalesce,
	.set_coalesce = set_coalesce,
	.get_per_queue_coalesce = get_queue_coalesce,
	.set_per_queue_coalesce = set_queue_coalesce,
	.get_rx_ring_count = get_rx_ring_count,
	.get_rxfh_key_size = szcnic_get_rxfh_key_size,
	.get_rxfh_indir_size = szcnic_get_rxfh_indir_size,
	.get_rxfh = szcnic_get_rxfh,
	.set_rxfh = szcnic_set_rxfh,
	.get_rxfh_fields = szcnic_get_rxfh_fields,
	.set_rxfh_fields = szcnic_set_rxfh_fields,
	.create_rxfh_context = szcnic_create_context,
	.modify_rxfh_context = szcnic_modify_context,
	.remove_rxfh_context = szcnic_remove_context,
	.get_rxnfc = szcnic_get_rxnfc,
	.set_rxnfc = szcnic_set_rxnfc,
	.get_sset_count = szcnic_stats_count,
	.get_strings = szcnic_stats_strings,
	.get_ethtool_stats = szcnic_stats_values,
};
