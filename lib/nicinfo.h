/* SPDX-License-Identifier: MIT */
/* What a NIC says of itself and of one of its receive queues (szc/nic.h), as far as an engine needs it. */
#ifndef SZC_LIB_NICINFO_H
#define SZC_LIB_NICINFO_H

#include <stdbool.h>
#include <szc/nic.h>

struct szc_nicinfo {
	unsigned ifindex;
	unsigned ring;         /* descriptors; 0: the driver does not tell */
	unsigned ring_payload; /* of a ring for payload alone; 0: there is none */
	unsigned queues;       /* receive queues in use; 0: the driver does not tell */
	unsigned napi_id;      /* the queue's; 0: it has none now, or the driver does not tell */
	enum szc_nic_split split;
	bool threshold; /* packets up to some length are not split */
};

/* 0, or -ENODEV if there is no such interface. What the driver does not tell is left 0. */
int szc_nicinfo_look(struct szc_nicinfo *info, const char *ifname, unsigned queue);

#endif
