/* SPDX-License-Identifier: MIT */
#include "rings.h"

#include <errno.h>
#include <string.h>
#include <linux/ethtool_netlink.h>
#include <netlink/genl/genl.h>
#include "uapi.h"

/* NETIF_F_NTUPLE's name in the kernel's string set; ethtool(8) calls it ntuple-filters. */
#define NTUPLE "rx-ntuple-filter"

struct nl_msg *szc_nic_ethtool(const struct szc_nic *nic, int command, int flags)
{
	struct nl_msg *msg = szc_nic_netlink_command(nic->ethtool, command, flags);
	struct nlattr *nest;

	if (!msg)
		return NULL;
	nest = szc_nic_netlink_nest(msg, ETHTOOL_A_RINGS_HEADER);
	nla_put_u32(msg, ETHTOOL_A_HEADER_DEV_INDEX, nic->ifindex);
	nla_nest_end(msg, nest);
	return msg;
}

static unsigned number(struct nlattr *const *tb, int type)
{
	return tb[type] ? (unsigned)szc_nic_netlink_uint(tb[type]) : 0;
}

static int take_rings(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[SZC_ETHTOOL_A_RINGS_MAX + 1];
	struct szc_nic_rings *rings = arg;

	if (genlmsg_parse((struct nlmsghdr *)answer, 0, tb, SZC_ETHTOOL_A_RINGS_MAX, NULL))
		return -EBADMSG;
	rings->rx = number(tb, ETHTOOL_A_RINGS_RX);
	rings->rx_max = number(tb, ETHTOOL_A_RINGS_RX_MAX);
	rings->payload = number(tb, ETHTOOL_A_RINGS_RX_JUMBO);
	/* The kernel counts as we do: unknown, disabled, enabled. */
	rings->split = (enum szc_nic_split)number(tb, ETHTOOL_A_RINGS_TCP_DATA_SPLIT);
	rings->has_threshold = tb[SZC_ETHTOOL_A_RINGS_HDS_THRESH];
	rings->threshold = number(tb, SZC_ETHTOOL_A_RINGS_HDS_THRESH);
	return rings->split <= SZC_NIC_SPLIT_ON ? 0 : -EBADMSG;
}

int szc_nic_rings_get(struct szc_nic *nic, struct szc_nic_rings *rings)
{
	memset(rings, 0, sizeof(*rings));
	return szc_nic_netlink_ask(&nic->netlink, szc_nic_ethtool(nic, ETHTOOL_MSG_RINGS_GET, 0), take_rings, rings);
}

int szc_nic_rings_set_rx(struct szc_nic *nic, unsigned rx)
{
	struct nl_msg *msg = szc_nic_ethtool(nic, ETHTOOL_MSG_RINGS_SET, 0);

	if (msg)
		nla_put_u32(msg, ETHTOOL_A_RINGS_RX, rx);
	return szc_nic_netlink_ask(&nic->netlink, msg, NULL, NULL);
}

int szc_nic_rings_set_split(struct szc_nic *nic, enum szc_nic_split split)
{
	struct nl_msg *msg = szc_nic_ethtool(nic, ETHTOOL_MSG_RINGS_SET, 0);

	if (msg)
		nla_put_u8(msg, ETHTOOL_A_RINGS_TCP_DATA_SPLIT, (uint8_t)split);
	return szc_nic_netlink_ask(&nic->netlink, msg, NULL, NULL);
}

int szc_nic_rings_set_threshold(struct szc_nic *nic, unsigned threshold)
{
	struct nl_msg *msg = szc_nic_ethtool(nic, ETHTOOL_MSG_RINGS_SET, 0);

	if (msg)
		nla_put_u32(msg, SZC_ETHTOOL_A_RINGS_HDS_THRESH, threshold);
	return szc_nic_netlink_ask(&nic->netlink, msg, NULL, NULL);
}

static int take_channels(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[ETHTOOL_A_CHANNELS_MAX + 1];
	struct szc_nic_channels *channels = arg;

	if (genlmsg_parse((struct nlmsghdr *)answer, 0, tb, ETHTOOL_A_CHANNELS_MAX, NULL))
		return -EBADMSG;
	channels->rx = number(tb, ETHTOOL_A_CHANNELS_RX_COUNT) + number(tb, ETHTOOL_A_CHANNELS_COMBINED_COUNT);
	channels->rx_max = number(tb, ETHTOOL_A_CHANNELS_RX_MAX) + number(tb, ETHTOOL_A_CHANNELS_COMBINED_MAX);
	return 0;
}

int szc_nic_channels_get(struct szc_nic *nic, struct szc_nic_channels *channels)
{
	memset(channels, 0, sizeof(*channels));
	return szc_nic_netlink_ask(&nic->netlink, szc_nic_ethtool(nic, ETHTOOL_MSG_CHANNELS_GET, 0), take_channels,
				   channels);
}

/* Whether a bit set, told bit by bit, has the ntuple bit. Of one with a mask only the set bits count. */
static bool has_ntuple(struct nlattr *set)
{
	struct nlattr *tb[ETHTOOL_A_BITSET_MAX + 1], *bit;
	int left;

	if (!set || nla_parse_nested(tb, ETHTOOL_A_BITSET_MAX, set, NULL) || !tb[ETHTOOL_A_BITSET_BITS])
		return false;
	nla_for_each_nested(bit, tb[ETHTOOL_A_BITSET_BITS], left)
	{
		struct nlattr *of[ETHTOOL_A_BITSET_BIT_MAX + 1];

		if (nla_parse_nested(of, ETHTOOL_A_BITSET_BIT_MAX, bit, NULL) || !of[ETHTOOL_A_BITSET_BIT_NAME])
			continue;
		if (!nla_strcmp(of[ETHTOOL_A_BITSET_BIT_NAME], NTUPLE))
			return tb[ETHTOOL_A_BITSET_NOMASK] || of[ETHTOOL_A_BITSET_BIT_VALUE];
	}
	return false;
}

static int take_features(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[ETHTOOL_A_FEATURES_MAX + 1];
	enum szc_nic_feature *ntuple = arg;

	if (genlmsg_parse((struct nlmsghdr *)answer, 0, tb, ETHTOOL_A_FEATURES_MAX, NULL))
		return -EBADMSG;
	if (has_ntuple(tb[ETHTOOL_A_FEATURES_ACTIVE]))
		*ntuple = SZC_NIC_FEATURE_ON;
	else
		*ntuple = has_ntuple(tb[ETHTOOL_A_FEATURES_HW]) ? SZC_NIC_FEATURE_OFF : SZC_NIC_FEATURE_NONE;
	return 0;
}

int szc_nic_ntuple_get(struct szc_nic *nic, enum szc_nic_feature *ntuple)
{
	*ntuple = SZC_NIC_FEATURE_NONE;
	return szc_nic_netlink_ask(&nic->netlink, szc_nic_ethtool(nic, ETHTOOL_MSG_FEATURES_GET, 0), take_features,
				   ntuple);
}

int szc_nic_ntuple_set(struct szc_nic *nic, bool on)
{
	struct nl_msg *msg = szc_nic_ethtool(nic, ETHTOOL_MSG_FEATURES_SET, 0);
	struct nlattr *set, *bits, *bit;

	if (msg) {
		/* With a mask, which is the bits named: the others stay. */
		set = szc_nic_netlink_nest(msg, ETHTOOL_A_FEATURES_WANTED);
		bits = szc_nic_netlink_nest(msg, ETHTOOL_A_BITSET_BITS);
		bit = szc_nic_netlink_nest(msg, ETHTOOL_A_BITSET_BITS_BIT);
		nla_put_string(msg, ETHTOOL_A_BITSET_BIT_NAME, NTUPLE);
		if (on)
			nla_put_flag(msg, ETHTOOL_A_BITSET_BIT_VALUE);
		nla_nest_end(msg, bit);
		nla_nest_end(msg, bits);
		nla_nest_end(msg, set);
	}
	return szc_nic_netlink_ask(&nic->netlink, msg, NULL, NULL);
}
