/* SPDX-License-Identifier: MIT */
/* Links over rtnetlink: what one is, pairs of the virtual NIC, and the wire between them. */
#ifndef SZC_LIB_NIC_LINK_H
#define SZC_LIB_NIC_LINK_H

#include "nic.h"

struct szc_nic_link {
	char kind[16]; /* "" if it has none, as hardware */
	bool up;
	struct szc_nic_wire wire; /* `set` is 0 for other kinds */
};

/* 0 or -errno. */
int szc_nic_link_get(unsigned ifindex, struct szc_nic_link *link);

#endif
