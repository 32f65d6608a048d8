/* SPDX-License-Identifier: MIT */
#include "nicinfo.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ask(int fd, const char *ifname, void *command)
{
	struct ifreq request = {.ifr_data = command};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	return ioctl(fd, SIOCETHTOOL, &request);
}

int szc_nicinfo_look(struct szc_nicinfo *info, const char *ifname)
{
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	int fd;

	*info = (struct szc_nicinfo){.ifindex = if_nametoindex(ifname)};
	if (!info->ifindex)
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	/* Where payload has a ring of its own it is told as the jumbo ring. */
	if (!ask(fd, ifname, &ring))
		info->ring = ring.rx_jumbo_pending > ring.rx_pending ? ring.rx_jumbo_pending : ring.rx_pending;
	if (!ask(fd, ifname, &channels))
		info->queues = channels.rx_count + channels.combined_count;
	close(fd);
	return 0;
}
