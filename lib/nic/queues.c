/* SPDX-License-Identifier: MIT */
#include "queues.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netlink/genl/genl.h>
#include "uapi.h"

struct gathering {
	const struct szc_nic *nic;
	struct szc_nic_queues *queues;
};

const char *szc_nic_memory_name(enum szc_nic_memory memory)
{
	static const char *const names[] = {
		[SZC_NIC_MEMORY_POOL] = "page pool",
		[SZC_NIC_MEMORY_IO_URING] = "io_uring",
		[SZC_NIC_MEMORY_DMABUF] = "dmabuf",
		[SZC_NIC_MEMORY_XSK] = "AF_XDP",
	};

	return names[memory];
}

void szc_nic_queues_free(struct szc_nic_queues *queues)
{
	for (size_t i = 0; i < queues->count; i++)
		free((void *)queues->all[i].contexts);
	free(queues->all);
	queues->all = NULL;
	queues->count = 0;
}

static void provider(struct szc_nic_queue *queue, struct nlattr *const *tb)
{
	struct nlattr *of[SZC_NETDEV_A_IO_URING_RX_BUF_LEN + 1];

	if (tb[SZC_NETDEV_A_QUEUE_IO_URING]) {
		queue->memory = SZC_NIC_MEMORY_IO_URING;
		if (!nla_parse_nested(of, SZC_NETDEV_A_IO_URING_RX_BUF_LEN, tb[SZC_NETDEV_A_QUEUE_IO_URING], NULL) &&
		    of[SZC_NETDEV_A_IO_URING_RX_BUF_LEN])
			queue->rx_buf_len = szc_nic_netlink_uint(of[SZC_NETDEV_A_IO_URING_RX_BUF_LEN]);
	} else if (tb[SZC_NETDEV_A_QUEUE_DMABUF]) {
		queue->memory = SZC_NIC_MEMORY_DMABUF;
		queue->dmabuf_id = szc_nic_netlink_uint(tb[SZC_NETDEV_A_QUEUE_DMABUF]);
	} else if (tb[SZC_NETDEV_A_QUEUE_XSK]) {
		queue->memory = SZC_NIC_MEMORY_XSK;
	}
}

static int take_queue(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[SZC_NETDEV_A_QUEUE_MAX + 1];
	struct szc_nic_queues *queues = arg;
	struct szc_nic_queue *grown, *queue;

	if (genlmsg_parse((struct nlmsghdr *)answer, 0, tb, SZC_NETDEV_A_QUEUE_MAX, NULL) ||
	    !tb[SZC_NETDEV_A_QUEUE_ID] || !tb[SZC_NETDEV_A_QUEUE_TYPE])
		return -EBADMSG;
	if (szc_nic_netlink_uint(tb[SZC_NETDEV_A_QUEUE_TYPE]) != SZC_NETDEV_QUEUE_TYPE_RX)
		return 0;
	grown = reallocarray(queues->all, queues->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	queues->all = grown;
	queue = &grown[queues->count++];
	memset(queue, 0, sizeof(*queue));
	queue->id = (unsigned)szc_nic_netlink_uint(tb[SZC_NETDEV_A_QUEUE_ID]);
	if (tb[SZC_NETDEV_A_QUEUE_NAPI_ID])
		queue->napi_id = (unsigned)szc_nic_netlink_uint(tb[SZC_NETDEV_A_QUEUE_NAPI_ID]);
	queue->rx_buf_len = queue->dmabuf_id = SZC_NIC_UNKNOWN;
	queue->rx_packets = queue->rx_bytes = queue->rx_alloc_fail = SZC_NIC_UNKNOWN;
	queue->rx_hw_drops = queue->rx_hw_drop_overruns = queue->rx_csum_bad = SZC_NIC_UNKNOWN;
	provider(queue, tb);
	return 0;
}

int szc_nic_queues_read(struct szc_nic *nic, struct szc_nic_queues *queues)
{
	struct nl_msg *msg;

	memset(queues, 0, sizeof(*queues));
	if (nic->netdev < 0)
		return -EOPNOTSUPP;
	msg = szc_nic_netlink_command(nic->netdev, SZC_NETDEV_CMD_QUEUE_GET, NLM_F_DUMP);
	if (msg)
		nla_put_u32(msg, SZC_NETDEV_A_QUEUE_IFINDEX, nic->ifindex);
	return szc_nic_netlink_ask(&nic->netlink, msg, take_queue, queues);
}

static int take_pool(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[SZC_NETDEV_A_PAGE_POOL_MAX + 1];
	struct gathering *gathering = arg;
	uint64_t napi_id;

	if (genlmsg_parse((struct nlmsghdr *)answer, 0, tb, SZC_NETDEV_A_PAGE_POOL_MAX, NULL))
		return -EBADMSG;
	/* A detached one serves nobody any more: it waits for its last pages. */
	if (!tb[SZC_NETDEV_A_PAGE_POOL_IFINDEX] || !tb[SZC_NETDEV_A_PAGE_POOL_NAPI_ID] ||
	    tb[SZC_NETDEV_A_PAGE_POOL_DETACH_TIME] ||
	    szc_nic_netlink_uint(tb[SZC_NETDEV_A_PAGE_POOL_IFINDEX]) != gathering->nic->ifindex)
		return 0;
	napi_id = szc_nic_netlink_uint(tb[SZC_NETDEV_A_PAGE_POOL_NAPI_ID]);
	for (size_t i = 0; i < gathering->queues->count; i++) {
		struct szc_nic_queue *queue = &gathering->queues->all[i];

		if (queue->napi_id != napi_id)
			continue;
		queue->pools++;
		if (tb[SZC_NETDEV_A_PAGE_POOL_INFLIGHT_MEM])
			queue->pool_bytes += szc_nic_netlink_uint(tb[SZC_NETDEV_A_PAGE_POOL_INFLIGHT_MEM]);
	}
	return 0;
}

static uint64_t counter(struct nlattr *attr)
{
	return attr ? szc_nic_netlink_uint(attr) : SZC_NIC_UNKNOWN;
}

static int take_counters(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[SZC_NETDEV_A_QSTATS_MAX + 1];
	struct gathering *gathering = arg;

	if (genlmsg_parse((struct nlmsghdr *)answer, 0, tb, SZC_NETDEV_A_QSTATS_MAX, NULL))
		return -EBADMSG;
	if (!tb[SZC_NETDEV_A_QSTATS_QUEUE_ID] || !tb[SZC_NETDEV_A_QSTATS_QUEUE_TYPE] ||
	    szc_nic_netlink_uint(tb[SZC_NETDEV_A_QSTATS_QUEUE_TYPE]) != SZC_NETDEV_QUEUE_TYPE_RX)
		return 0;
	for (size_t i = 0; i < gathering->queues->count; i++) {
		struct szc_nic_queue *queue = &gathering->queues->all[i];

		if (queue->id != szc_nic_netlink_uint(tb[SZC_NETDEV_A_QSTATS_QUEUE_ID]))
			continue;
		queue->rx_packets = counter(tb[SZC_NETDEV_A_QSTATS_RX_PACKETS]);
		queue->rx_bytes = counter(tb[SZC_NETDEV_A_QSTATS_RX_BYTES]);
		queue->rx_alloc_fail = counter(tb[SZC_NETDEV_A_QSTATS_RX_ALLOC_FAIL]);
		queue->rx_hw_drops = counter(tb[SZC_NETDEV_A_QSTATS_RX_HW_DROPS]);
		queue->rx_hw_drop_overruns = counter(tb[SZC_NETDEV_A_QSTATS_RX_HW_DROP_OVERRUNS]);
		queue->rx_csum_bad = counter(tb[SZC_NETDEV_A_QSTATS_RX_CSUM_BAD]);
	}
	return 0;
}

int szc_nic_queue_memory(struct szc_nic *nic, unsigned queue, enum szc_nic_memory *memory)
{
	struct szc_nic_queues queues;
	int error = szc_nic_queues_read(nic, &queues);

	*memory = SZC_NIC_MEMORY_POOL;
	if (error)
		error = szc_nic_refused(nic, error, "cannot read who holds the queues of %s", nic->ifname);
	/* While the interface is down there are none to be read. */
	for (size_t i = 0; i < queues.count && !error; i++)
		if (queues.all[i].id == queue)
			*memory = queues.all[i].memory;
	szc_nic_queues_free(&queues);
	return error;
}

int szc_nic_queues_count(struct szc_nic *nic, struct szc_nic_queues *queues)
{
	struct gathering gathering = {.nic = nic, .queues = queues};
	struct nl_msg *msg;
	int error;

	error = szc_nic_netlink_ask(&nic->netlink,
				    szc_nic_netlink_command(nic->netdev, SZC_NETDEV_CMD_PAGE_POOL_GET, NLM_F_DUMP),
				    take_pool, &gathering);
	/* Kernels can be built without page pools that tell. */
	if (error && error != -EOPNOTSUPP)
		return error;
	msg = szc_nic_netlink_command(nic->netdev, SZC_NETDEV_CMD_QSTATS_GET, NLM_F_DUMP);
	if (msg) {
		nla_put_u32(msg, SZC_NETDEV_A_QSTATS_IFINDEX, nic->ifindex);
		nla_put_u32(msg, SZC_NETDEV_A_QSTATS_SCOPE, SZC_NETDEV_QSTATS_SCOPE_QUEUE);
	}
	error = szc_nic_netlink_ask(&nic->netlink, msg, take_counters, &gathering);
	return error == -EOPNOTSUPP ? 0 : error;
}
