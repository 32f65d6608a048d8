/* SPDX-License-Identifier: MIT */
/* The handle behind include/szc/nic.h. */
#ifndef SZC_LIB_NIC_NIC_H
#define SZC_LIB_NIC_NIC_H

#include <net/if.h>
#include <szc/nic.h>
#include "netlink.h"

struct szc_nic_changes {
	struct szc_nic_change *all; /* the texts are allocated */
	size_t count;
};

struct szc_nic {
	char ifname[IF_NAMESIZE];
	unsigned ifindex;
	char *state_file;
	struct szc_nic_netlink netlink; /* generic */
	int ethtool;                    /* the number of the family */
	int netdev;                     /* ... or negative: the kernel does not have it */
	int ioctl_fd;
	pid_t pid;      /* who steps are recorded for: the process, told from a later one of that number ... */
	uint64_t start; /* ... by when it started, clock ticks after boot */
	uint64_t token; /* ... and which of its handles, by a random number */
	struct szc_nic_changes changes;
	struct szc_nic_snapshot *snapshot; /* of the last look; NULL before */
	char error_text[768];
};

/* Keeps the sentence and returns `error`. */
int szc_nic_fail(struct szc_nic *nic, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same, with the kernel's words behind it: of netlink, or those of the number. Without privilege it says so. */
int szc_nic_refused(struct szc_nic *nic, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* One more line for szc_nic_change(). Texts are copied; `note` may be NULL. 0 or -ENOMEM. */
int szc_nic_tell(struct szc_nic *nic, const struct szc_nic_change *change);
void szc_nic_forget_changes(struct szc_nic *nic);

/* When a process started, in the kernel's ticks since boot; 0: there is none of that number. */
uint64_t szc_nic_process_start(pid_t pid);

#endif
