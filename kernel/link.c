// SPDX-License-Identifier: GPL-2.0
/*
 * The rtnl link kind: pairs of ports are made, changed and removed here. Everything under RTNL.
 */
#include <linux/etherdevice.h>
#include <net/rtnetlink.h>

#include "szcnic.h"

static const struct netlink_range_validation in_a_million = { .max = SZCNIC_MILLION };
static const struct netlink_range_validation delay_range = { .max = SZCNIC_DELAY_MAX_NS };

static const struct nla_policy szcnic_policy[SZCNIC_INFO_MAX + 1] = {
	[SZCNIC_INFO_PEER]	= { .len = sizeof(struct ifinfomsg) },
	[SZCNIC_INFO_QUEUES]	= NLA_POLICY_RANGE(NLA_U32, 1, SZCNIC_QUEUES_MAX),
	[SZCNIC_INFO_RATE]	= { .type = NLA_U64 },
	[SZCNIC_INFO_DELAY]	= NLA_POLICY_FULL_RANGE(NLA_U64, &delay_range),
	[SZCNIC_INFO_LOSS]	= NLA_POLICY_FULL_RANGE(NLA_U32, &in_a_million),
	[SZCNIC_INFO_REORDER]	= NLA_POLICY_FULL_RANGE(NLA_U32, &in_a_million),
	[SZCNIC_INFO_DUPLICATE]	= NLA_POLICY_FULL_RANGE(NLA_U32, &in_a_million),
	[SZCNIC_INFO_CORRUPT]	= NLA_POLICY_FULL_RANGE(NLA_U32, &in_a_million),
};

static int szcnic_validate(struct nlattr *tb[], struct nlattr *data[], struct netlink_ext_ack *extack)
{
	if (tb[IFLA_ADDRESS]) {
		if (nla_len(tb[IFLA_ADDRESS]) != ETH_ALEN)
			return -EINVAL;
		if (!is_valid_ether_addr(nla_data(tb[IFLA_ADDRESS])))
			return -EADDRNOTAVAIL;
	}
	return 0;
}

/* What is not named keeps its value. */
static void wire_set(struct szcnic_port *port, struct nlattr *data[])
{
	struct hw_wire_params params = port->hw.wire.params;

	if (!data)
		return;
	if (data[SZCNIC_INFO_RATE])
		params.rate = nla_get_u64(data[SZCNIC_INFO_RATE]);
	if (data[SZCNIC_INFO_DELAY])
		params.delay_ns = nla_get_u64(data[SZCNIC_INFO_DELAY]);
	if (data[SZCNIC_INFO_LOSS])
		params.loss = nla_get_u32(data[SZCNIC_INFO_LOSS]);
	if (data[SZCNIC_INFO_REORDER])
		params.reorder = nla_get_u32(data[SZCNIC_INFO_REORDER]);
	if (data[SZCNIC_INFO_DUPLICATE])
		params.duplicate = nla_get_u32(data[SZCNIC_INFO_DUPLICATE]);
	if (data[SZCNIC_INFO_CORRUPT])
		params.corrupt = nla_get_u32(data[SZCNIC_INFO_CORRUPT]);
	hw_wire_set(&port->hw, &params);
}

static int port_register(struct net_device *dev, struct nlattr *data[], bool random_address)
{
	struct szcnic_port *port = netdev_priv(dev);

	port->max_channels = min3(dev->num_rx_queues, dev->num_tx_queues, SZCNIC_QUEUES_MAX);
	if (data && data[SZCNIC_INFO_QUEUES])
		port->max_channels = min(port->max_channels, nla_get_u32(data[SZCNIC_INFO_QUEUES]));
	if (random_address)
		eth_hw_addr_random(dev);
	return register_netdevice(dev);
}

static void join(struct szcnic_port *a, struct szcnic_port *b)
{
	rcu_assign_pointer(a->peer, b);
	rcu_assign_pointer(b->peer, a);
	rcu_assign_pointer(a->hw.peer, &b->hw);
	rcu_assign_pointer(b->hw.peer, &a->hw);
}

/* The other port. `tb` are its own attributes, or those of the first one where it has none. */
static struct net_device *peer_create(struct rtnl_newlink_params *params, struct nlattr *nested,
				      struct netlink_ext_ack *extack)
{
	struct nlattr *peer_tb[IFLA_MAX + 1], **tb = params->tb;
	struct ifinfomsg *ifmp = NULL;
	unsigned char assigned = NET_NAME_ENUM;
	char name[IFNAMSIZ] = "szc%d";
	struct net_device *peer;
	int err;

	if (nested) {
		ifmp = nla_data(nested);
		err = rtnl_nla_parse_ifinfomsg(peer_tb, nested, extack);
		if (err)
			return ERR_PTR(err);
		tb = peer_tb;
	}
	if (ifmp && tb[IFLA_IFNAME]) {
		nla_strscpy(name, tb[IFLA_IFNAME], IFNAMSIZ);
		assigned = NET_NAME_USER;
	}
	peer = rtnl_create_link(rtnl_newlink_peer_net(params), name, assigned, &szcnic_link_ops, tb, extack);
	if (IS_ERR(peer))
		return peer;
	if (ifmp)
		peer->ifindex = ifmp->ifi_index;
	err = port_register(peer, params->data, !ifmp || !tb[IFLA_ADDRESS]);
	if (err) {
		free_netdev(peer);
		return ERR_PTR(err);
	}
	err = rtnl_configure_link(peer, ifmp, 0, NULL);
	if (err) {
		unregister_netdevice(peer);
		return ERR_PTR(err);
	}
	return peer;
}

static int szcnic_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
			  struct netlink_ext_ack *extack)
{
	struct nlattr **data = params->data;
	struct net_device *peer;
	int err;

	/* Rings and buffers are charged to nobody, so a user namespace of one's own is not enough. */
	if (!capable(CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(extack, "making ports takes CAP_NET_ADMIN in the initial user namespace");
		return -EPERM;
	}
	/* The first of two unnamed ports shall have the lower number. */
	if (!params->tb[IFLA_IFNAME])
		strscpy(dev->name, "szc%d", IFNAMSIZ);
	err = port_register(dev, data, !params->tb[IFLA_ADDRESS]);
	if (err)
		return err;
	peer = peer_create(params, data ? data[SZCNIC_INFO_PEER] : NULL, extack);
	if (IS_ERR(peer)) {
		unregister_netdevice(dev);
		return PTR_ERR(peer);
	}
	join(netdev_priv(dev), netdev_priv(peer));
	wire_set(netdev_priv(dev), data);
	szcnic_psp_add(netdev_priv(dev));
	szcnic_psp_add(netdev_priv(peer));
	return 0;
}

static int szcnic_changelink(struct net_device *dev, struct nlattr *tb[], struct nlattr *data[],
			     struct netlink_ext_ack *extack)
{
	if (data && (data[SZCNIC_INFO_PEER] || data[SZCNIC_INFO_QUEUES])) {
		NL_SET_ERR_MSG(extack, "peer and queues are chosen when the pair is made");
		return -EOPNOTSUPP;
	}
	wire_set(netdev_priv(dev), data);
	return 0;
}

/* Both ports go, whichever of them was named. The readers of the pointers end before either is torn down. */
static void szcnic_dellink(struct net_device *dev, struct list_head *head)
{
	struct szcnic_port *port = netdev_priv(dev);
	struct szcnic_port *peer = rtnl_dereference(port->peer);

	szcnic_psp_remove(port);
	unregister_netdevice_queue(dev, head);
	if (!peer)
		return;
	szcnic_psp_remove(peer);
	RCU_INIT_POINTER(port->hw.peer, NULL);
	RCU_INIT_POINTER(peer->hw.peer, NULL);
	RCU_INIT_POINTER(port->peer, NULL);
	RCU_INIT_POINTER(peer->peer, NULL);
	unregister_netdevice_queue(peer->dev, head);
}

static size_t szcnic_get_size(const struct net_device *dev)
{
	return nla_total_size(sizeof(u32)) * 5 +		/* QUEUES, LOSS, REORDER, DUPLICATE, CORRUPT */
	       nla_total_size_64bit(sizeof(u64)) * 2;		/* RATE, DELAY */
}

static int szcnic_fill_info(struct sk_buff *skb, const struct net_device *dev)
{
	const struct szcnic_port *port = netdev_priv(dev);
	struct hw_wire_params params = port->hw.wire.params;

	if (nla_put_u32(skb, SZCNIC_INFO_QUEUES, port->max_channels) ||
	    nla_put_u64_64bit(skb, SZCNIC_INFO_RATE, params.rate, SZCNIC_INFO_PAD) ||
	    nla_put_u64_64bit(skb, SZCNIC_INFO_DELAY, params.delay_ns, SZCNIC_INFO_PAD) ||
	    nla_put_u32(skb, SZCNIC_INFO_LOSS, params.loss) ||
	    nla_put_u32(skb, SZCNIC_INFO_REORDER, params.reorder) ||
	    nla_put_u32(skb, SZCNIC_INFO_DUPLICATE, params.duplicate) ||
	    nla_put_u32(skb, SZCNIC_INFO_CORRUPT, params.corrupt))
		return -EMSGSIZE;
	return 0;
}

static struct net *szcnic_get_link_net(const struct net_device *dev)
{
	const struct szcnic_port *port = netdev_priv(dev);
	const struct szcnic_port *peer = rtnl_dereference(port->peer);

	return dev_net(peer ? peer->dev : dev);
}

/* The most, since what the user asks for is not known here. */
static unsigned int szcnic_get_num_queues(void)
{
	return SZCNIC_QUEUES_MAX;
}

struct rtnl_link_ops szcnic_link_ops = {
	.kind			= SZCNIC_NAME,
	.priv_size		= sizeof(struct szcnic_port),
	.setup			= szcnic_setup,
	.maxtype		= SZCNIC_INFO_MAX,
	.peer_type		= SZCNIC_INFO_PEER,
	.policy			= szcnic_policy,
	.validate		= szcnic_validate,
	.newlink		= szcnic_newlink,
	.changelink		= szcnic_changelink,
	.dellink		= szcnic_dellink,
	.get_size		= szcnic_get_size,
	.fill_info		= szcnic_fill_info,
	.get_link_net		= szcnic_get_link_net,
	.get_num_tx_queues	= szcnic_get_num_queues,
	.get_num_rx_queues	= szcnic_get_num_queues,
};
