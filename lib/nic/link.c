/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include "uapi.h"

static const struct wire_member {
	unsigned set;
	int attribute;
	size_t offset;
	size_t size;
} members[] = {
	{SZC_NIC_WIRE_RATE, SZC_SZCNIC_INFO_RATE, offsetof(struct szc_nic_wire, rate), 8},
	{SZC_NIC_WIRE_DELAY, SZC_SZCNIC_INFO_DELAY, offsetof(struct szc_nic_wire, delay), 8},
	{SZC_NIC_WIRE_LOSS, SZC_SZCNIC_INFO_LOSS, offsetof(struct szc_nic_wire, loss), 4},
	{SZC_NIC_WIRE_REORDER, SZC_SZCNIC_INFO_REORDER, offsetof(struct szc_nic_wire, reorder), 4},
	{SZC_NIC_WIRE_DUPLICATE, SZC_SZCNIC_INFO_DUPLICATE, offsetof(struct szc_nic_wire, duplicate), 4},
	{SZC_NIC_WIRE_CORRUPT, SZC_SZCNIC_INFO_CORRUPT, offsetof(struct szc_nic_wire, corrupt), 4},
};

enum {
	MEMBERS = sizeof(members) / sizeof(members[0]),
};

/* ------------------------------------------------------------------------------------------------ get */

static void take_wire(struct szc_nic_wire *wire, struct nlattr *data)
{
	struct nlattr *tb[SZC_SZCNIC_INFO_MAX + 1];

	if (nla_parse_nested(tb, SZC_SZCNIC_INFO_MAX, data, NULL))
		return;
	for (int i = 0; i < MEMBERS; i++) {
		struct nlattr *attr = tb[members[i].attribute];

		if (!attr || nla_len(attr) != (int)members[i].size)
			continue;
		memcpy((char *)wire + members[i].offset, nla_data(attr), members[i].size);
		wire->set |= members[i].set;
	}
}

static int take_link(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
	struct szc_nic_link *link = arg;

	if (nlmsg_parse((struct nlmsghdr *)answer, sizeof(struct ifinfomsg), tb, IFLA_MAX, NULL))
		return -EBADMSG;
	link->up = ((struct ifinfomsg *)nlmsg_data(answer))->ifi_flags & IFF_UP;
	if (!tb[IFLA_LINKINFO] || nla_parse_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) ||
	    !info[IFLA_INFO_KIND])
		return 0;
	nla_strlcpy(link->kind, info[IFLA_INFO_KIND], sizeof(link->kind));
	if (!strcmp(link->kind, SZC_NIC_KIND) && info[IFLA_INFO_DATA])
		take_wire(&link->wire, info[IFLA_INFO_DATA]);
	return 0;
}

static struct nl_msg *request(int type, int flags, unsigned ifindex)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex};
	struct nl_msg *msg = szc_nic_netlink_request(type, flags);

	if (msg)
		nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	return msg;
}

int szc_nic_link_get(unsigned ifindex, struct szc_nic_link *link)
{
	struct szc_nic_netlink netlink;
	int error;

	memset(link, 0, sizeof(*link));
	link->wire.size = sizeof(link->wire);
	error = szc_nic_netlink_open(&netlink, NETLINK_ROUTE);
	if (!error)
		error = szc_nic_netlink_ask(&netlink, request(RTM_GETLINK, 0, ifindex), take_link, link);
	szc_nic_netlink_close(&netlink);
	return error;
}

/* ------------------------------------------------------------------------------------------------ wire */

static void put_wire(struct nl_msg *msg, const struct szc_nic_wire *wire)
{
	struct nlattr *info = szc_nic_netlink_nest(msg, IFLA_LINKINFO), *data;

	nla_put_string(msg, IFLA_INFO_KIND, SZC_NIC_KIND);
	data = szc_nic_netlink_nest(msg, IFLA_INFO_DATA);
	for (int i = 0; i < MEMBERS; i++)
		if (wire->set & members[i].set)
			nla_put(msg, members[i].attribute, (int)members[i].size,
				(const char *)wire + members[i].offset);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
}

int szc_nic_set_wire(struct szc_nic *nic, const struct szc_nic_wire *wire)
{
	struct szc_nic_netlink netlink = {0};
	struct szc_nic_link link;
	struct nl_msg *msg;
	int error;

	if (!wire || wire->size != sizeof(*wire))
		return szc_nic_fail(nic, SZC_E_OPTION, "wire->size is not set: write sizeof(struct szc_nic_wire)");
	error = szc_nic_link_get(nic->ifindex, &link);
	if (!error && strcmp(link.kind, SZC_NIC_KIND) != 0)
		return szc_nic_fail(nic, -EOPNOTSUPP, "%s is not a port of " SZC_NIC_KIND ", so its wire is a real one",
				    nic->ifname);
	if (!error)
		error = szc_nic_netlink_open(&netlink, NETLINK_ROUTE);
	if (!error) {
		msg = request(RTM_NEWLINK, 0, nic->ifindex);
		if (msg)
			put_wire(msg, wire);
		error = szc_nic_netlink_ask(&netlink, msg, NULL, NULL);
	}
	memcpy(nic->netlink.why, netlink.why, sizeof(nic->netlink.why));
	szc_nic_netlink_close(&netlink);
	return error ? szc_nic_refused(nic, error, "cannot change the wire of %s", nic->ifname) : 0;
}

/* ------------------------------------------------------------------------------------------------ pair */

static void put_port(struct nl_msg *msg, const struct szc_nic_port *port, unsigned mtu)
{
	nla_put_string(msg, IFLA_IFNAME, port->ifname);
	if (port->netns_fd >= 0)
		nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)port->netns_fd);
	if (mtu)
		nla_put_u32(msg, IFLA_MTU, mtu);
}

static struct nl_msg *pair_request(const struct szc_nic_pair_options *options)
{
	struct nl_msg *msg = request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data, *peer;
	struct ifinfomsg head = {0};

	if (!msg)
		return NULL;
	put_port(msg, &options->ports[0], options->mtu);
	info = szc_nic_netlink_nest(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, SZC_NIC_KIND);
	data = szc_nic_netlink_nest(msg, IFLA_INFO_DATA);
	if (options->queues)
		nla_put_u32(msg, SZC_SZCNIC_INFO_QUEUES, options->queues);
	peer = szc_nic_netlink_nest(msg, SZC_SZCNIC_INFO_PEER);
	nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	put_port(msg, &options->ports[1], options->mtu);
	nla_nest_end(msg, peer);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return msg;
}

/* Known to the kernel by its name alone: asked of rtnetlink, it would load the module. */
static int pair_refused(const struct szc_nic_pair_options *options, int error, const char *why)
{
	const char *first = options->ports[0].ifname, *second = options->ports[1].ifname;
	char sentence[512];

	if (error == -EOPNOTSUPP && (!*why || !strcmp(why, "Unknown device type")))
		snprintf(sentence, sizeof(sentence),
			 "the kernel does not know the virtual NIC " SZC_NIC_KIND ": modprobe " SZC_NIC_KIND
			 " (or insmod kernel/" SZC_NIC_KIND ".ko)");
	else if (error == -EPERM)
		snprintf(sentence, sizeof(sentence), "cannot make %s and %s: it needs root or CAP_NET_ADMIN", first,
			 second);
	else if (error == -EEXIST && !*why)
		snprintf(sentence, sizeof(sentence), "cannot make %s and %s: one of these names is taken", first,
			 second);
	else
		snprintf(sentence, sizeof(sentence), "cannot make %s and %s: %s", first, second,
			 *why ? why : szc_strerror(error));
	if (options->error && options->error_size)
		snprintf(options->error, options->error_size, "%s", sentence);
	return error;
}

static bool good_name(const char *name)
{
	return name && *name && strlen(name) < IF_NAMESIZE && !strpbrk(name, "/ \t\n");
}

int szc_nic_pair(const struct szc_nic_pair_options *options)
{
	struct szc_nic_netlink netlink;
	int error;

	if (!options || options->size != sizeof(*options))
		return SZC_E_OPTION;
	if (!good_name(options->ports[0].ifname) || !good_name(options->ports[1].ifname) ||
	    options->queues > SZC_SZCNIC_QUEUES_MAX) {
		if (options->error && options->error_size)
			snprintf(options->error, options->error_size,
				 "a pair has two names of 1 to %d characters and up to %d queues", IF_NAMESIZE - 1,
				 SZC_SZCNIC_QUEUES_MAX);
		return SZC_E_OPTION;
	}
	error = szc_nic_netlink_open(&netlink, NETLINK_ROUTE);
	if (!error)
		error = szc_nic_netlink_ask(&netlink, pair_request(options), NULL, NULL);
	if (error)
		pair_refused(options, error, netlink.why);
	szc_nic_netlink_close(&netlink);
	return error;
}
