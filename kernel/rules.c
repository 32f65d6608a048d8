// SPDX-License-Identifier: GPL-2.0
/*
 * Rules (ntuple): what ethtool asks for, as filters of the device. A rule's slot is its priority, the lowest first.
 * Rules stay while the port is closed. Under the instance lock.
 */
#include <linux/ethtool.h>
#include <linux/slab.h>

#include "szcnic.h"

/* ---- from ethtool's words to the device's */

static int ports_of(struct hw_filter *filter, u8 proto, __be16 sport, __be16 dport, __be16 msport, __be16 mdport)
{
	filter->match.l4 = proto;
	filter->match.sport = sport & msport;
	filter->match.dport = dport & mdport;
	filter->mask.sport = msport;
	filter->mask.dport = mdport;
	return 0;
}

static void addresses4(struct hw_filter *filter, __be32 src, __be32 dst, __be32 msrc, __be32 mdst)
{
	filter->match.l3 = 4;
	filter->match.src.s6_addr32[0] = src & msrc;
	filter->match.dst.s6_addr32[0] = dst & mdst;
	filter->mask.src.s6_addr32[0] = msrc;
	filter->mask.dst.s6_addr32[0] = mdst;
}

static void addresses6(struct hw_filter *filter, const __be32 *src, const __be32 *dst, const __be32 *msrc,
		       const __be32 *mdst)
{
	filter->match.l3 = 6;
	for (int i = 0; i < 4; i++) {
		filter->match.src.s6_addr32[i] = src[i] & msrc[i];
		filter->match.dst.s6_addr32[i] = dst[i] & mdst[i];
		filter->mask.src.s6_addr32[i] = msrc[i];
		filter->mask.dst.s6_addr32[i] = mdst[i];
	}
}

/* Any protocol, or TCP or UDP; then the four bytes behind the IP header are its ports. */
static int protocol_of(struct hw_filter *filter, u8 proto, u8 mproto, __be32 l4, __be32 ml4)
{
	u32 bytes = be32_to_cpu(l4);
	u32 mask = be32_to_cpu(ml4);

	if (!mproto)
		return mask ? -EOPNOTSUPP : 0;
	if (mproto != 0xff || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return -EOPNOTSUPP;
	return ports_of(filter, proto, cpu_to_be16(bytes >> 16), cpu_to_be16(bytes & 0xffff),
			cpu_to_be16(mask >> 16), cpu_to_be16(mask & 0xffff));
}

static int filter_ipv4(struct hw_filter *filter, const struct ethtool_rx_flow_spec *spec, u8 proto)
{
	const struct ethtool_tcpip4_spec *h = &spec->h_u.tcp_ip4_spec;
	const struct ethtool_tcpip4_spec *m = &spec->m_u.tcp_ip4_spec;

	if (m->tos)
		return -EOPNOTSUPP;
	addresses4(filter, h->ip4src, h->ip4dst, m->ip4src, m->ip4dst);
	return ports_of(filter, proto, h->psrc, h->pdst, m->psrc, m->pdst);
}

static int filter_ipv6(struct hw_filter *filter, const struct ethtool_rx_flow_spec *spec, u8 proto)
{
	const struct ethtool_tcpip6_spec *h = &spec->h_u.tcp_ip6_spec;
	const struct ethtool_tcpip6_spec *m = &spec->m_u.tcp_ip6_spec;

	if (m->tclass)
		return -EOPNOTSUPP;
	addresses6(filter, h->ip6src, h->ip6dst, m->ip6src, m->ip6dst);
	return ports_of(filter, proto, h->psrc, h->pdst, m->psrc, m->pdst);
}

static int filter_user4(struct hw_filter *filter, const struct ethtool_rx_flow_spec *spec)
{
	const struct ethtool_usrip4_spec *h = &spec->h_u.usr_ip4_spec;
	const struct ethtool_usrip4_spec *m = &spec->m_u.usr_ip4_spec;

	if (m->tos || m->ip_ver || h->ip_ver != ETH_RX_NFC_IP4)
		return -EOPNOTSUPP;
	addresses4(filter, h->ip4src, h->ip4dst, m->ip4src, m->ip4dst);
	return protocol_of(filter, h->proto, m->proto, h->l4_4_bytes, m->l4_4_bytes);
}

static int filter_user6(struct hw_filter *filter, const struct ethtool_rx_flow_spec *spec)
{
	const struct ethtool_usrip6_spec *h = &spec->h_u.usr_ip6_spec;
	const struct ethtool_usrip6_spec *m = &spec->m_u.usr_ip6_spec;

	if (m->tclass)
		return -EOPNOTSUPP;
	addresses6(filter, h->ip6src, h->ip6dst, m->ip6src, m->ip6dst);
	return protocol_of(filter, h->l4_proto, m->l4_proto, h->l4_4_bytes, m->l4_4_bytes);
}

static int filter_match(struct hw_filter *filter, const struct ethtool_rx_flow_spec *spec)
{
	switch (spec->flow_type & ~FLOW_RSS) {
	case TCP_V4_FLOW:
		return filter_ipv4(filter, spec, IPPROTO_TCP);
	case UDP_V4_FLOW:
		return filter_ipv4(filter, spec, IPPROTO_UDP);
	case TCP_V6_FLOW:
		return filter_ipv6(filter, spec, IPPROTO_TCP);
	case UDP_V6_FLOW:
		return filter_ipv6(filter, spec, IPPROTO_UDP);
	case IP_USER_FLOW:
		return filter_user4(filter, spec);
	case IPV6_USER_FLOW:
		return filter_user6(filter, spec);
	default:	/* Ethernet, SCTP, VLAN and user-defined fields among them */
		return -EOPNOTSUPP;
	}
}

/* Where it goes: to a context as it is, dropped, or to a queue that is there. */
static int check_target(struct szcnic_port *port, const struct ethtool_rxnfc *cmd)
{
	u64 cookie = cmd->fs.ring_cookie;

	if (cookie == RX_CLS_FLOW_WAKE)
		return -EOPNOTSUPP;
	if (cmd->fs.flow_type & FLOW_RSS) {
		if (cmd->rss_context > SZCNIC_CONTEXTS || cookie)
			return -EINVAL;
		return !cmd->rss_context || port->contexts[cmd->rss_context] ? 0 : -ENOENT;
	}
	if (cookie == RX_CLS_FLOW_DISC)
		return 0;
	return cookie < port->channels ? 0 : -EINVAL;
}

/* ---- slots */

static bool same_match(const struct hw_filter *a, const struct hw_filter *b)
{
	return !memcmp(&a->match, &b->match, sizeof(a->match)) && !memcmp(&a->mask, &b->mask, sizeof(a->mask));
}

/* ethtool(8) fills a table from its end, so that what is put anywhere yields to what was given an early slot. */
static int find_slot(struct szcnic_port *port, u32 location, const struct hw_filter *filter)
{
	int slot = -ENOSPC;

	if (location < SZCNIC_RULES)
		return location;
	if (location != RX_CLS_LOC_ANY && location != RX_CLS_LOC_FIRST && location != RX_CLS_LOC_LAST)
		return -EINVAL;
	for (int i = 0; i < SZCNIC_RULES; i++) {
		if (!port->rules[i].used) {
			if (slot < 0 || location != RX_CLS_LOC_FIRST)
				slot = i;
		} else if (location == RX_CLS_LOC_ANY && same_match(&port->rules[i].match, filter)) {
			return -EEXIST;
		}
	}
	return slot;
}

static void bring_up(struct szcnic_port *port, struct szcnic_rule *rule)
{
	if (rule->used && port->open && szcnic_rule_up(port, rule))
		netdev_err(port->dev, "rule %u is in its slot, but not in force: close and open the port\n",
			   rule->spec.location);
}

/* A filter that the firmware does not let go of stays the rule's. */
static int take_down(struct szcnic_port *port, struct szcnic_rule *rule)
{
	bool live = rule->live;
	int err;

	err = szcnic_rule_down(port, rule);
	if (err)
		rule->live = live;
	return err;
}

/* Puts a rule into its slot and into force; what was there before stays if that fails. */
static int put_rule(struct szcnic_port *port, const struct szcnic_rule *rule)
{
	struct szcnic_rule *slot = &port->rules[rule->spec.location];
	struct szcnic_rule old;
	int err;

	err = take_down(port, slot);
	if (err)
		return err;
	old = *slot;
	*slot = *rule;
	err = port->open ? szcnic_rule_up(port, slot) : 0;
	if (err) {
		*slot = old;
		bring_up(port, slot);
	}
	return err;
}

static int insert_rule(struct szcnic_port *port, struct ethtool_rxnfc *cmd)
{
	struct szcnic_rule *rule;
	int err, slot;

	if (!(port->dev->features & NETIF_F_NTUPLE))
		return -EOPNOTSUPP;
	err = check_target(port, cmd);
	if (err)
		return err;
	rule = kzalloc_obj(*rule);
	if (!rule)
		return -ENOMEM;
	err = filter_match(&rule->match, &cmd->fs);
	if (err)
		goto out;
	slot = find_slot(port, cmd->fs.location, &rule->match);
	if (slot < 0) {
		err = slot;
		goto out;
	}
	cmd->fs.location = slot;
	rule->used = true;
	rule->spec = cmd->fs;
	rule->context = cmd->fs.flow_type & FLOW_RSS ? cmd->rss_context : 0;
	rule->match.drop = cmd->fs.ring_cookie == RX_CLS_FLOW_DISC;
	rule->match.order = slot;
	err = put_rule(port, rule);
out:
	kfree(rule);
	return err;
}

static int delete_rule(struct szcnic_port *port, u32 location)
{
	int err;

	if (location >= SZCNIC_RULES)
		return -EINVAL;
	if (!port->rules[location].used)
		return -ENOENT;
	err = take_down(port, &port->rules[location]);
	if (!err)
		memset(&port->rules[location], 0, sizeof(port->rules[location]));
	return err;
}

int szcnic_rules_flush(struct szcnic_port *port)
{
	int err = 0;

	for (u32 i = 0; !err && i < SZCNIC_RULES; i++)
		if (port->rules[i].used)
			err = delete_rule(port, i);
	return err;
}

int szcnic_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *cmd)
{
	struct szcnic_port *port = netdev_priv(dev);

	switch (cmd->cmd) {
	case ETHTOOL_SRXCLSRLINS:
		return insert_rule(port, cmd);
	case ETHTOOL_SRXCLSRLDEL:
		return delete_rule(port, cmd->fs.location);
	default:
		return -EOPNOTSUPP;
	}
}

/* ---- what there is */

static int get_rule(struct szcnic_port *port, struct ethtool_rxnfc *cmd)
{
	u32 location = cmd->fs.location;
	const struct szcnic_rule *rule;

	if (location >= SZCNIC_RULES)
		return -EINVAL;
	rule = &port->rules[location];
	if (!rule->used)
		return -ENOENT;
	cmd->fs = rule->spec;
	if (rule->spec.flow_type & FLOW_RSS)
		cmd->rss_context = rule->context;
	return 0;
}

static int list_rules(struct szcnic_port *port, struct ethtool_rxnfc *cmd, u32 *locations)
{
	u32 count = 0;

	for (u32 i = 0; i < SZCNIC_RULES; i++) {
		if (!port->rules[i].used)
			continue;
		if (count == cmd->rule_cnt)
			return -EMSGSIZE;
		locations[count++] = i;
	}
	cmd->rule_cnt = count;
	cmd->data = SZCNIC_RULES;
	return 0;
}

static int count_rules(struct szcnic_port *port, struct ethtool_rxnfc *cmd)
{
	cmd->rule_cnt = 0;
	for (u32 i = 0; i < SZCNIC_RULES; i++)
		cmd->rule_cnt += port->rules[i].used;
	cmd->data = SZCNIC_RULES | RX_CLS_LOC_SPECIAL;
	return 0;
}

int szcnic_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *cmd, u32 *locations)
{
	struct szcnic_port *port = netdev_priv(dev);

	switch (cmd->cmd) {
	case ETHTOOL_GRXCLSRLCNT:
		return count_rules(port, cmd);
	case ETHTOOL_GRXCLSRULE:
		return get_rule(port, cmd);
	case ETHTOOL_GRXCLSRLALL:
		return list_rules(port, cmd, locations);
	default:
		return -EOPNOTSUPP;
	}
}
