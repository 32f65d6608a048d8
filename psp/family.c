/* SPDX-License-Identifier: MIT */
#include "psp/family.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <netlink/genl/genl.h>

int szc_psp_open(struct szc_psp *psp)
{
	int error;

	*psp = (struct szc_psp){0};
	error = szc_nic_netlink_open(&psp->netlink, NETLINK_GENERIC);
	if (error)
		return error;
	psp->family = szc_nic_netlink_family(&psp->netlink, PSP_FAMILY);
	return psp->family < 0 ? psp->family : 0;
}

void szc_psp_close(struct szc_psp *psp)
{
	szc_nic_netlink_close(&psp->netlink);
}

static const struct nlattr *attributes(const struct nlmsghdr *answer, int *len)
{
	const struct genlmsghdr *header = nlmsg_data(answer);

	*len = genlmsg_attrlen(header, 0);
	return genlmsg_attrdata(header, 0);
}

static const struct nlattr *find(const struct nlmsghdr *answer, int type)
{
	int len;
	const struct nlattr *first = attributes(answer, &len);

	return nla_find(first, len, type);
}

static uint64_t value(const struct nlmsghdr *answer, int type)
{
	const struct nlattr *attr = find(answer, type);

	return attr ? szc_nic_netlink_uint(attr) : 0;
}

/* ---- devices */

struct found {
	struct szc_psp_device *devices;
	int count;
};

static int add_device(const struct nlmsghdr *answer, void *arg)
{
	struct found *found = arg;

	if (found->count == SZC_PSP_DEVICES_MAX)
		return 0;
	found->devices[found->count++] = (struct szc_psp_device){
		.id = (uint32_t)value(answer, PSP_A_DEV_ID),
		.ifindex = (uint32_t)value(answer, PSP_A_DEV_IFINDEX),
		.capable = (uint32_t)value(answer, PSP_A_DEV_PSP_VERSIONS_CAP),
		.enabled = (uint32_t)value(answer, PSP_A_DEV_PSP_VERSIONS_ENA),
	};
	return 0;
}

int szc_psp_devices(struct szc_psp *psp, struct szc_psp_device *devices)
{
	struct found found = {.devices = devices};
	struct nl_msg *msg = szc_nic_netlink_command(psp->family, PSP_CMD_DEV_GET, NLM_F_DUMP);
	int error = szc_nic_netlink_ask(&psp->netlink, msg, add_device, &found);

	return error ? error : found.count;
}

int szc_psp_device(struct szc_psp *psp, uint32_t ifindex, struct szc_psp_device *device)
{
	struct szc_psp_device devices[SZC_PSP_DEVICES_MAX];
	int count = szc_psp_devices(psp, devices);

	for (int i = 0; i < count; i++) {
		if (devices[i].ifindex == ifindex) {
			*device = devices[i];
			return 0;
		}
	}
	return count < 0 ? count : -ENODEV;
}

/* A question with numbers in it, which come in pairs of attribute and value. NULL: no memory. */
static struct nl_msg *command(const struct szc_psp *psp, int number, const uint32_t (*values)[2], size_t count)
{
	struct nl_msg *msg = szc_nic_netlink_command(psp->family, number, 0);

	for (size_t i = 0; msg && i < count; i++) {
		if (nla_put_u32(msg, (int)values[i][0], values[i][1])) {
			nlmsg_free(msg);
			msg = NULL;
		}
	}
	return msg;
}

int szc_psp_enable(struct szc_psp *psp, uint32_t device, uint32_t versions)
{
	const uint32_t values[][2] = {{PSP_A_DEV_ID, device}, {PSP_A_DEV_PSP_VERSIONS_ENA, versions}};

	return szc_nic_netlink_ask(&psp->netlink, command(psp, PSP_CMD_DEV_SET, values, 2), NULL, NULL);
}

int szc_psp_rotate(struct szc_psp *psp, uint32_t device)
{
	const uint32_t values[][2] = {{PSP_A_DEV_ID, device}};

	return szc_nic_netlink_ask(&psp->netlink, command(psp, PSP_CMD_KEY_ROTATE, values, 1), NULL, NULL);
}

/* ---- notices */

int szc_psp_listen(struct szc_psp *psp)
{
	int error = szc_psp_open(psp);

	return error ? error : szc_nic_netlink_join(&psp->netlink, PSP_FAMILY, PSP_GROUP_USE);
}

int szc_psp_rotated(struct szc_psp *psp, void (*each)(uint32_t device, void *arg), void *arg)
{
	char data[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl from = {0};
	ssize_t length;

	for (;;) {
		struct nlmsghdr *message = (struct nlmsghdr *)data;
		socklen_t from_length = sizeof(from);
		int left;

		length = recvfrom(nl_socket_get_fd(psp->netlink.sock), data, sizeof(data), MSG_DONTWAIT,
				  (struct sockaddr *)&from, &from_length);
		if (length < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		left = (int)length;
		for (; !from.nl_pid && nlmsg_ok(message, left); message = nlmsg_next(message, &left)) {
			const struct genlmsghdr *header = nlmsg_data(message);

			if (message->nlmsg_type == psp->family && nlmsg_datalen(message) >= (int)GENL_HDRLEN &&
			    header->cmd == PSP_CMD_KEY_ROTATE_NTF)
				each((uint32_t)value(message, PSP_A_DEV_ID), arg);
		}
	}
}

static int take_stats(const struct nlmsghdr *answer, void *arg)
{
	struct szc_psp_stats *stats = arg;

	for (int i = PSP_A_STATS_DEV_ID; i <= PSP_A_STATS_LAST; i++)
		stats->count[i] = value(answer, i);
	return 0;
}

int szc_psp_stats(struct szc_psp *psp, uint32_t device, struct szc_psp_stats *stats)
{
	const uint32_t values[][2] = {{PSP_A_STATS_DEV_ID, device}};

	*stats = (struct szc_psp_stats){0};
	return szc_nic_netlink_ask(&psp->netlink, command(psp, PSP_CMD_GET_STATS, values, 1), take_stats, stats);
}

/* ---- keys */

static struct nl_msg *association(const struct szc_psp *psp, int number, int fd, uint32_t device,
				  enum szc_psp_version version)
{
	const uint32_t values[][2] = {
		{PSP_A_ASSOC_DEV_ID, device}, {PSP_A_ASSOC_VERSION, version}, {PSP_A_ASSOC_SOCK_FD, (uint32_t)fd}};

	return command(psp, number, values, 3);
}

static int take_key(const struct nlmsghdr *answer, void *arg)
{
	const struct nlattr *nest = find(answer, PSP_A_ASSOC_RX_KEY), *bytes, *spi;
	struct szc_psp_key *key = arg;

	if (!nest)
		return -EPROTO;
	bytes = nla_find(nla_data(nest), nla_len(nest), PSP_A_KEYS_KEY);
	spi = nla_find(nla_data(nest), nla_len(nest), PSP_A_KEYS_SPI);
	if (!bytes || !spi || nla_len(bytes) > SZC_PSP_KEY_MAX)
		return -EPROTO;
	key->spi = (uint32_t)szc_nic_netlink_uint(spi);
	key->size = (unsigned)nla_len(bytes);
	memcpy(key->key, nla_data(bytes), key->size);
	return 0;
}

int szc_psp_receive_key(struct szc_psp *psp, int fd, uint32_t device, enum szc_psp_version version,
			struct szc_psp_key *key)
{
	struct nl_msg *msg = association(psp, PSP_CMD_RX_ASSOC, fd, device, version);
	int error;

	*key = (struct szc_psp_key){0};
	error = szc_nic_netlink_ask(&psp->netlink, msg, take_key, key);
	if (error)
		return error;
	return key->spi ? 0 : -EPROTO;
}

int szc_psp_send_key(struct szc_psp *psp, int fd, uint32_t device, enum szc_psp_version version,
		     const struct szc_psp_key *key)
{
	struct nl_msg *msg = association(psp, PSP_CMD_TX_ASSOC, fd, device, version);
	struct nlattr *nest = msg ? szc_nic_netlink_nest(msg, PSP_A_ASSOC_TX_KEY) : NULL;

	if (!nest || nla_put(msg, PSP_A_KEYS_KEY, (int)key->size, key->key) ||
	    nla_put_u32(msg, PSP_A_KEYS_SPI, key->spi)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	nla_nest_end(msg, nest);
	return szc_nic_netlink_ask(&psp->netlink, msg, NULL, NULL);
}
