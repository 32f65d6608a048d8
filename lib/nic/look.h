/* SPDX-License-Identifier: MIT */
/* All there is to see of a NIC, at one time. */
#ifndef SZC_LIB_NIC_LOOK_H
#define SZC_LIB_NIC_LOOK_H

#include "queues.h"

struct szc_nic_snapshot {
	struct szc_nic_info info;
	struct szc_nic_queues queues;
	struct szc_nic_rule *rules; /* their texts are allocated */
	size_t rule_count;
};

/* NULL is ignored. */
void szc_nic_snapshot_free(struct szc_nic_snapshot *snapshot);

#endif
