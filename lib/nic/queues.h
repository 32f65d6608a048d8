/* SPDX-License-Identifier: MIT */
/* Receive queues as the kernel's family "netdev" tells of them: who holds them, their pools and counters. */
#ifndef SZC_LIB_NIC_QUEUES_H
#define SZC_LIB_NIC_QUEUES_H

#include "nic.h"

struct szc_nic_queues {
	struct szc_nic_queue *all; /* in the order of their numbers */
	size_t count;              /* none while the interface is down */
};

/* 0 or -errno; -EOPNOTSUPP where the kernel does not have the family. Freed by szc_nic_queues_free() in every case. */
int szc_nic_queues_read(struct szc_nic *nic, struct szc_nic_queues *queues);
void szc_nic_queues_free(struct szc_nic_queues *queues);

/* Whose memory one queue has; the driver's own pools if there is no such queue now. 0 or -errno, with a sentence. */
int szc_nic_queue_memory(struct szc_nic *nic, unsigned queue, enum szc_nic_memory *memory);

/* Pools and counters, for those who want to see them: what the driver does not tell stays SZC_NIC_UNKNOWN. */
int szc_nic_queues_count(struct szc_nic *nic, struct szc_nic_queues *queues);

/* "io_uring", "dmabuf", "AF_XDP", "page pool" */
const char *szc_nic_memory_name(enum szc_nic_memory memory);

#endif
