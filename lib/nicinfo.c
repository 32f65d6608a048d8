/* SPDX-License-Identifier: MIT */
#include "nicinfo.h"

#include <errno.h>
#include <net/if.h>

static void take(struct szc_nicinfo *info, const struct szc_nic *nic, const struct szc_nic_info *told, unsigned queue)
{
	const struct szc_nic_queue *at;
	size_t i;

	info->ring = told->rx_ring;
	info->ring_payload = told->rx_ring_payload;
	info->queues = told->rx_queues;
	info->split = told->split;
	info->threshold = told->split_threshold != SZC_NIC_UNKNOWN && told->split_threshold;
	for (i = 0; (at = szc_nic_queue(nic, i)); i++)
		if (at->id == queue)
			info->napi_id = at->napi_id;
}

int szc_nicinfo_look(struct szc_nicinfo *info, const char *ifname, unsigned queue)
{
	struct szc_nic_options options = {.size = sizeof(options), .ifname = ifname};
	const struct szc_nic_info *told;
	struct szc_nic *nic;

	*info = (struct szc_nicinfo){.ifindex = if_nametoindex(ifname)};
	if (!info->ifindex)
		return -ENODEV;
	if (szc_nic_open(&nic, &options))
		return 0;
	if (!szc_nic_look(nic, &told))
		take(info, nic, told, queue);
	szc_nic_close(nic);
	return 0;
}
