/* SPDX-License-Identifier: MIT */
/* What a NIC says of itself and of one of its receive queues, as far as an engine needs it. */
#ifndef SZC_LIB_NICINFO_H
#define SZC_LIB_NICINFO_H

#include <stddef.h>

struct szc_nicinfo {
	unsigned ifindex;
	unsigned ring;   /* descriptors; 0: the driver does not tell */
	unsigned queues; /* receive queues in use; 0: the driver does not tell */
};

/* 0, or -ENODEV if there is no such interface. What the driver does not tell is left 0. */
int szc_nicinfo_look(struct szc_nicinfo *info, const char *ifname);

#endif
