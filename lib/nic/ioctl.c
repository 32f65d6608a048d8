/* SPDX-License-Identifier: MIT */
#include "ioctl.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>

int szc_nic_ioctl(struct szc_nic *nic, void *command)
{
	struct ifreq request = {.ifr_data = command};

	/* The kernel takes a name only: the one that the number has now, should the interface have been renamed. */
	nic->netlink.why[0] = 0;
	if (!if_indextoname(nic->ifindex, request.ifr_name))
		return -ENODEV;
	return ioctl(nic->ioctl_fd, SIOCETHTOOL, &request) ? -errno : 0;
}
