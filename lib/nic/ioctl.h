/* SPDX-License-Identifier: MIT */
/* What ethtool's netlink does not do (yet) goes through SIOCETHTOOL. */
#ifndef SZC_LIB_NIC_IOCTL_H
#define SZC_LIB_NIC_IOCTL_H

#include "nic.h"

/* `command` is one of ethtool's structs, of which `cmd` is set. 0 or -errno. */
int szc_nic_ioctl(struct szc_nic *nic, void *command);

#endif
