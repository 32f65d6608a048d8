// SPDX-License-Identifier: GPL-2.0
/*
 * RSS: tables, keys and hashed fields of the default context and of those that ethtool makes. A context is kept in the
 * private part of ethtool's own (struct ethtool_rxfh_context), which outlives it. Under the instance lock and ethtool's
 * rss_lock; a running port applies each change at once and without closing, or keeps what it had.
 */
#include <linux/ethtool.h>
#include <linux/slab.h>

#include "szcnic.h"

#define FIELDS_L3	(HW_HASH_SRC | HW_HASH_DST)
#define FIELDS_L4	(FIELDS_L3 | HW_HASH_SPORT | HW_HASH_DPORT)
#define TYPES(flow, fields)	((u32)(fields) << ((flow) * HW_HASH_WIDTH))
#define DEFAULT_TYPES	(TYPES(HW_FLOW_IPV4, FIELDS_L3) | TYPES(HW_FLOW_TCP_IPV4, FIELDS_L4) |		\
			 TYPES(HW_FLOW_UDP_IPV4, FIELDS_L4) | TYPES(HW_FLOW_IPV6, FIELDS_L3) |		\
			 TYPES(HW_FLOW_TCP_IPV6, FIELDS_L4) | TYPES(HW_FLOW_UDP_IPV6, FIELDS_L4))

static_assert(HW_FLOWS * HW_HASH_WIDTH <= 32);

static void spread(struct szcnic_port *port, u32 *indir)
{
	for (u32 i = 0; i < HW_INDIR_SIZE; i++)
		indir[i] = ethtool_rxfh_indir_default(i, port->channels);
}

void szcnic_rss_defaults(struct szcnic_port *port)
{
	if (port->dev->reg_state == NETREG_UNINITIALIZED) {
		netdev_rss_key_fill(port->rss.key, HW_KEY_SIZE);
		port->rss.hash_types = DEFAULT_TYPES;
	}
	if (!netif_is_rxfh_configured(port->dev))
		spread(port, port->rss.indir);
}

/* ---- table, key, transformation */

u32 szcnic_get_rxfh_key_size(struct net_device *dev)
{
	return HW_KEY_SIZE;
}

u32 szcnic_get_rxfh_indir_size(struct net_device *dev)
{
	return HW_INDIR_SIZE;
}

int szcnic_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh)
{
	struct szcnic_port *port = netdev_priv(dev);

	rxfh->hfunc = ETH_RSS_HASH_TOP;
	rxfh->input_xfrm = port->rss.input_xfrm;
	if (rxfh->indir)
		memcpy(rxfh->indir, port->rss.indir, sizeof(port->rss.indir));
	if (rxfh->key)
		memcpy(rxfh->key, port->rss.key, HW_KEY_SIZE);
	return 0;
}

static bool fields_symmetric(u32 fields)
{
	return !(fields & HW_HASH_SRC) == !(fields & HW_HASH_DST) &&
	       !(fields & HW_HASH_SPORT) == !(fields & HW_HASH_DPORT);
}

static bool types_symmetric(u32 hash_types)
{
	for (int flow = 0; flow < HW_FLOWS; flow++)
		if (!fields_symmetric(hw_hash_fields(hash_types, flow)))
			return false;
	return true;
}

/* Does what is asked for to a copy of a context. */
static int amend(struct szcnic_rss *rss, const struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack)
{
	if (rxfh->hfunc != ETH_RSS_HASH_NO_CHANGE && rxfh->hfunc != ETH_RSS_HASH_TOP) {
		NL_SET_ERR_MSG_MOD(extack, "Toeplitz is the only hash function");
		return -EOPNOTSUPP;
	}
	if (rxfh->input_xfrm != RXH_XFRM_NO_CHANGE) {
		if (rxfh->input_xfrm && !types_symmetric(rss->hash_types)) {
			NL_SET_ERR_MSG_MOD(extack, "hash both or neither of source and destination first");
			return -EINVAL;
		}
		rss->input_xfrm = rxfh->input_xfrm;
	}
	if (rxfh->indir)
		memcpy(rss->indir, rxfh->indir, sizeof(rss->indir));
	if (rxfh->key)
		memcpy(rss->key, rxfh->key, HW_KEY_SIZE);
	return 0;
}

/* Puts a context into force, or leaves the old one there. */
static int exchange(struct szcnic_port *port, struct szcnic_rss *rss, const struct szcnic_rss *new)
{
	struct szcnic_rss *old;
	int err;

	old = kmemdup(rss, sizeof(*rss), GFP_KERNEL);
	if (!old)
		return -ENOMEM;
	*rss = *new;
	err = port->open ? szcnic_vnic_rss_apply(port, rss) : 0;
	if (err) {
		*rss = *old;
		if (szcnic_vnic_rss_apply(port, rss))
			netdev_err(port->dev, "RSS is neither the old nor the new one: close and open the port\n");
	}
	kfree(old);
	return err;
}

static int modify(struct szcnic_port *port, struct szcnic_rss *rss, const struct ethtool_rxfh_param *rxfh,
		  struct netlink_ext_ack *extack)
{
	struct szcnic_rss *new;
	int err;

	new = kmemdup(rss, sizeof(*rss), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	err = amend(new, rxfh, extack);
	if (!err)
		err = exchange(port, rss, new);
	kfree(new);
	return err;
}

int szcnic_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = netdev_priv(dev);

	return modify(port, &port->rss, rxfh, extack);
}

/* ---- hashed fields */

static int flow_of(u32 flow_type)
{
	switch (flow_type) {
	case TCP_V4_FLOW:
		return HW_FLOW_TCP_IPV4;
	case UDP_V4_FLOW:
		return HW_FLOW_UDP_IPV4;
	case IPV4_FLOW:
		return HW_FLOW_IPV4;
	case TCP_V6_FLOW:
		return HW_FLOW_TCP_IPV6;
	case UDP_V6_FLOW:
		return HW_FLOW_UDP_IPV6;
	case IPV6_FLOW:
		return HW_FLOW_IPV6;
	default:
		return -EOPNOTSUPP;
	}
}

static const struct {
	u32 ethtool;
	u32 hw;
} fields_map[] = {
	{ RXH_IP_SRC, HW_HASH_SRC },
	{ RXH_IP_DST, HW_HASH_DST },
	{ RXH_L4_B_0_1, HW_HASH_SPORT },
	{ RXH_L4_B_2_3, HW_HASH_DPORT },
};

static struct szcnic_rss *context_of(struct szcnic_port *port, u32 context)
{
	if (!context)
		return &port->rss;
	return context <= SZCNIC_CONTEXTS ? port->contexts[context] : NULL;
}

int szcnic_get_rxfh_fields(struct net_device *dev, struct ethtool_rxfh_fields *fields)
{
	struct szcnic_port *port = netdev_priv(dev);
	const struct szcnic_rss *rss = context_of(port, fields->rss_context);
	int flow = flow_of(fields->flow_type);
	u32 hw;

	if (flow < 0)
		return flow;
	if (!rss)
		return -ENOENT;
	hw = hw_hash_fields(rss->hash_types, flow);
	fields->data = 0;
	for (int i = 0; i < ARRAY_SIZE(fields_map); i++)
		if (hw & fields_map[i].hw)
			fields->data |= fields_map[i].ethtool;
	return 0;
}

int szcnic_set_rxfh_fields(struct net_device *dev, const struct ethtool_rxfh_fields *fields,
			   struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = netdev_priv(dev);
	struct szcnic_rss *rss = context_of(port, fields->rss_context);
	int flow = flow_of(fields->flow_type);
	u32 known = 0, hw = 0;
	struct szcnic_rss *new;
	int err;

	if (flow < 0)
		return flow;
	if (!rss)
		return -ENOENT;
	for (int i = 0; i < ARRAY_SIZE(fields_map); i++) {
		known |= fields_map[i].ethtool;
		if (fields->data & fields_map[i].ethtool)
			hw |= fields_map[i].hw;
	}
	if (fields->data & ~known)
		return -EOPNOTSUPP;
	if (hw & ~FIELDS_L3 && (flow == HW_FLOW_IPV4 || flow == HW_FLOW_IPV6))
		return -EINVAL;
	if (rss->input_xfrm && !fields_symmetric(hw))
		return -EINVAL;
	new = kmemdup(rss, sizeof(*rss), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	new->hash_types &= ~TYPES(flow, BIT(HW_HASH_WIDTH) - 1);
	new->hash_types |= TYPES(flow, hw);
	err = exchange(port, rss, new);
	kfree(new);
	return err;
}

/* ---- contexts */

int szcnic_create_context(struct net_device *dev, struct ethtool_rxfh_context *ctx,
			  const struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack)
{
	struct szcnic_rss *rss = ethtool_rxfh_context_priv(ctx);
	struct szcnic_port *port = netdev_priv(dev);
	int err;

	/* What is not asked for is the default context's, but for the table. */
	*rss = port->rss;
	memset(&rss->vnic, 0, sizeof(rss->vnic));
	spread(port, rss->indir);
	err = amend(rss, rxfh, extack);
	if (err)
		return err;
	err = port->open ? szcnic_context_up(port, rss) : 0;
	if (err)
		return err;
	memcpy(ethtool_rxfh_context_indir(ctx), rss->indir, sizeof(rss->indir));
	memcpy(ethtool_rxfh_context_key(ctx), rss->key, HW_KEY_SIZE);
	ctx->hfunc = ETH_RSS_HASH_TOP;
	ctx->input_xfrm = rss->input_xfrm;
	port->contexts[rxfh->rss_context] = rss;
	return 0;
}

int szcnic_modify_context(struct net_device *dev, struct ethtool_rxfh_context *ctx,
			  const struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack)
{
	return modify(netdev_priv(dev), ethtool_rxfh_context_priv(ctx), rxfh, extack);
}

int szcnic_remove_context(struct net_device *dev, struct ethtool_rxfh_context *ctx, u32 context,
			  struct netlink_ext_ack *extack)
{
	struct szcnic_rss *rss = ethtool_rxfh_context_priv(ctx);
	struct szcnic_port *port = netdev_priv(dev);
	bool live = rss->vnic.live;
	int err;

	err = szcnic_context_down(port, rss);
	if (err) {
		rss->vnic.live = live;
		return err;
	}
	port->contexts[context] = NULL;
	return 0;
}
