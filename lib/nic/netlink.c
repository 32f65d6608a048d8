/* SPDX-License-Identifier: MIT */
#include "netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/genl/genl.h>
#include <netlink/socket.h>

enum {
	REQUEST_SIZE = 64 * 1024, /* the largest RSS table is a quarter of it */
	LEAST = 32 * 1024,        /* most that the kernel takes for a dump's buffer */
	ANSWER_SECONDS = 10,      /* drivers restart their hardware before they answer */
};

int szc_nic_netlink_open(struct szc_nic_netlink *netlink, int protocol)
{
	struct timeval limit = {.tv_sec = ANSWER_SECONDS};
	int on = 1, fd;

	netlink->why[0] = 0;
	netlink->sock = nl_socket_alloc();
	if (!netlink->sock)
		return -ENOMEM;
	if (nl_connect(netlink->sock, protocol) < 0)
		return errno ? -errno : -EPROTONOSUPPORT;
	fd = nl_socket_get_fd(netlink->sock);
	/* Without the capped acknowledgement our whole request would come back in front of the kernel's words. */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return -errno;
	return 0;
}

void szc_nic_netlink_close(struct szc_nic_netlink *netlink)
{
	nl_socket_free(netlink->sock);
	netlink->sock = NULL;
}

struct nl_msg *szc_nic_netlink_request(int type, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(REQUEST_SIZE);

	if (!msg)
		return NULL;
	if (nlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, flags))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

struct nl_msg *szc_nic_netlink_command(int family, int command, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(REQUEST_SIZE);

	if (!msg)
		return NULL;
	if (genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, (uint8_t)command, 1))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

struct nlattr *szc_nic_netlink_nest(struct nl_msg *msg, int type)
{
	return nla_nest_start(msg, NLA_F_NESTED | type);
}

int szc_nic_netlink_verdict(const struct nlmsghdr *message, char *why, size_t size)
{
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1] = {NULL};
	int skip = message->nlmsg_type == NLMSG_ERROR ? (int)sizeof(struct nlmsgerr) : (int)sizeof(int);
	const char *data = nlmsg_data(message);
	int length = nlmsg_datalen(message), error;

	why[0] = 0;
	/* The end of a dump carries an error since Linux 4.11 only. */
	if (length < skip)
		return message->nlmsg_type == NLMSG_ERROR ? -EBADMSG : 0;
	memcpy(&error, data, sizeof(error));
	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS) || length == skip)
		return error;
	skip = NLMSG_ALIGN(skip);
	if (length > skip && !nla_parse(tb, NLMSGERR_ATTR_MAX, (struct nlattr *)(data + skip), length - skip, NULL) &&
	    tb[NLMSGERR_ATTR_MSG]) {
		int words = nla_len(tb[NLMSGERR_ATTR_MSG]);

		snprintf(why, size, "%.*s", words, (const char *)nla_data(tb[NLMSGERR_ATTR_MSG]));
	}
	return error;
}

/*
 * A datagram of any size; *data is the caller's to free. Its length or -errno. Never offered less than LEAST: by the
 * largest buffer that it was ever offered the kernel makes those of a dump, and what does not fit into one (a table of RSS
 * with a thousand entries) it cannot tell (net/netlink/af_netlink.c, netlink_dump).
 */
static ssize_t receive(int fd, void **data)
{
	struct sockaddr_nl from = {0};
	socklen_t from_length;
	ssize_t length;

	do {
		free(*data);
		*data = NULL;
		length = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
		if (length < 0)
			break;
		if (length < LEAST)
			length = LEAST;
		*data = malloc((size_t)length);
		if (!*data)
			return -ENOMEM;
		from_length = sizeof(from);
		length = recvfrom(fd, *data, (size_t)length, 0, (struct sockaddr *)&from, &from_length);
		/* Any process may send to us; only the kernel's address is 0. */
	} while (length >= 0 && from.nl_pid);
	if (length < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return length;
}

/*
 * All messages of a datagram. 1: that was the end; 0: there is more to come; negative: refused. What `each` refuses ends
 * nothing, only its being asked (*refused): a dump that is not read to its end stands in the way of the next one.
 */
static int hear(struct szc_nic_netlink *netlink, void *data, ssize_t length, uint32_t seq, szc_nic_netlink_each *each,
		void *arg, int *refused)
{
	struct nlmsghdr *message = data;
	int left = (int)length, error;

	for (; message && nlmsg_ok(message, left); message = nlmsg_next(message, &left)) {
		if (message->nlmsg_seq != seq)
			continue;
		if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
			error = szc_nic_netlink_verdict(message, netlink->why, sizeof(netlink->why));
			return error < 0 ? error : 1;
		}
		if (each && !*refused && message->nlmsg_type >= NLMSG_MIN_TYPE)
			*refused = each(message, arg);
	}
	return 0;
}

int szc_nic_netlink_ask(struct szc_nic_netlink *netlink, struct nl_msg *msg, szc_nic_netlink_each *each, void *arg)
{
	void *data = NULL;
	ssize_t length;
	int state, refused = 0;
	uint32_t seq;

	netlink->why[0] = 0;
	if (!msg)
		return -ENOMEM;
	nl_complete_msg(netlink->sock, msg);
	seq = nlmsg_hdr(msg)->nlmsg_seq;
	length = send(nl_socket_get_fd(netlink->sock), nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len, 0);
	state = length < 0 ? -errno : 0;
	/* What is asked, and told, may be keys. */
	explicit_bzero(nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
	nlmsg_free(msg);
	while (!state) {
		length = receive(nl_socket_get_fd(netlink->sock), &data);
		state = length < 0 ? (int)length : hear(netlink, data, length, seq, each, arg, &refused);
		if (data && length > 0)
			explicit_bzero(data, (size_t)length);
	}
	free(data);
	return state < 0 ? state : refused;
}

uint64_t szc_nic_netlink_uint(const struct nlattr *attr)
{
	switch (nla_len(attr)) {
	case 0:
		return 0;
	case 1:
		return nla_get_u8(attr);
	case 2:
		return nla_get_u16(attr);
	case 4:
		return nla_get_u32(attr);
	default:
		return nla_len(attr) >= 8 ? nla_get_u64((struct nlattr *)attr) : 0;
	}
}

static int take_family(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[CTRL_ATTR_MAX + 1];
	int *family = arg;

	if (!genlmsg_parse((struct nlmsghdr *)answer, 0, tb, CTRL_ATTR_MAX, NULL) && tb[CTRL_ATTR_FAMILY_ID])
		*family = (int)szc_nic_netlink_uint(tb[CTRL_ATTR_FAMILY_ID]);
	return 0;
}

int szc_nic_netlink_family(struct szc_nic_netlink *netlink, const char *name)
{
	struct nl_msg *msg = szc_nic_netlink_command(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	int family = -ENOENT, error;

	if (msg)
		nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, name);
	error = szc_nic_netlink_ask(netlink, msg, take_family, &family);
	return error ? error : family;
}

struct wanted_group {
	const char *name;
	int number;
};

static int take_group(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[CTRL_ATTR_MAX + 1], *group;
	struct wanted_group *wanted = arg;
	int left;

	if (genlmsg_parse((struct nlmsghdr *)answer, 0, tb, CTRL_ATTR_MAX, NULL) || !tb[CTRL_ATTR_MCAST_GROUPS])
		return 0;
	nla_for_each_nested(group, tb[CTRL_ATTR_MCAST_GROUPS], left)
	{
		const struct nlattr *name = nla_find(nla_data(group), nla_len(group), CTRL_ATTR_MCAST_GRP_NAME);
		const struct nlattr *number = nla_find(nla_data(group), nla_len(group), CTRL_ATTR_MCAST_GRP_ID);

		if (name && number && !nla_strcmp(name, wanted->name))
			wanted->number = (int)szc_nic_netlink_uint(number);
	}
	return 0;
}

/* Not libnl's own: what we ask it does not count, and it would refuse the answer for its number. */
int szc_nic_netlink_join(struct szc_nic_netlink *netlink, const char *family, const char *group)
{
	struct nl_msg *msg = szc_nic_netlink_command(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	struct wanted_group wanted = {.name = group, .number = -ENOENT};
	int error;

	if (msg)
		nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, family);
	error = szc_nic_netlink_ask(netlink, msg, take_group, &wanted);
	if (error || wanted.number < 0)
		return error ? error : wanted.number;
	return nl_socket_add_membership(netlink->sock, wanted.number) ? -EOPNOTSUPP : 0;
}
