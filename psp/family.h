/* SPDX-License-Identifier: MIT */
/*
 * PSP as the kernel has it (net/psp, Linux 6.18): devices, keys for sockets, rotation, statistics, through generic netlink.
 *
 * A socket gets a key to receive with, which its device makes, and a key to send with, which the other end's device made.
 * It keeps both for good. From the first on it also takes what comes in clear, from the second on nothing else than what
 * comes under its key. Whoever tells a key to the other end must do so under protection: it is all there is to know.
 *
 * Threads: one at a time for each session. A session sees the devices of the network namespace it was opened in.
 */
#ifndef SZC_PSP_FAMILY_H
#define SZC_PSP_FAMILY_H

#include <stdint.h>
#include <szc/psp.h>
#include "lib/nic/netlink.h"
#include "psp/uapi.h"

enum {
	SZC_PSP_KEY_MAX = 32,
	SZC_PSP_DEVICES_MAX = 64, /* more of them are not told */
};

struct szc_psp {
	struct szc_nic_netlink netlink; /* .why: the kernel's words on the last refusal */
	int family;
};

struct szc_psp_device {
	uint32_t id;
	uint32_t ifindex;
	uint32_t capable; /* versions, bit by bit */
	uint32_t enabled; /* ... that it opens */
};

struct szc_psp_key {
	uint32_t spi; /* host order */
	uint8_t key[SZC_PSP_KEY_MAX];
	unsigned size; /* bytes of it: 16 or 32 */
};

/* The device's counters, by enum psp_stats_attr. */
struct szc_psp_stats {
	uint64_t count[PSP_A_STATS_LAST + 1];
};

/* 0, -ENOENT where the kernel has no PSP, or another -errno. szc_psp_close() may follow in every case. */
int szc_psp_open(struct szc_psp *psp);
void szc_psp_close(struct szc_psp *psp);

/* How many there are in `devices`, which has room for SZC_PSP_DEVICES_MAX, or -errno. */
int szc_psp_devices(struct szc_psp *psp, struct szc_psp_device *devices);
/* The one of an interface: 0, -ENODEV, or another -errno. */
int szc_psp_device(struct szc_psp *psp, uint32_t ifindex, struct szc_psp_device *device);

/* Versions that the device shall open, bit by bit. Needs CAP_NET_ADMIN. 0 or -errno. */
int szc_psp_enable(struct szc_psp *psp, uint32_t device, uint32_t versions);
/* A new device key. Keys of the one before are good until the next rotation. Needs CAP_NET_ADMIN. 0 or -errno. */
int szc_psp_rotate(struct szc_psp *psp, uint32_t device);
/* A session that hears of rotations, and is asked nothing. As szc_psp_open(). */
int szc_psp_listen(struct szc_psp *psp);
/* Calls `each` for every rotation since the last call. It does not wait. 0 or -errno (-ENOBUFS: some went unheard). */
int szc_psp_rotated(struct szc_psp *psp, void (*each)(uint32_t device, void *arg), void *arg);
int szc_psp_stats(struct szc_psp *psp, uint32_t device, struct szc_psp_stats *stats);

/*
 * The socket's key to receive with, made by the device. 0; -ENOSPC: its device key has no SPIs left; -EBUSY: the socket
 * has PSP state; -EINVAL: it has kTLS, too, which excludes PSP; -EOPNOTSUPP: not that version; or another -errno.
 */
int szc_psp_receive_key(struct szc_psp *psp, int fd, uint32_t device, enum szc_psp_version version,
			struct szc_psp_key *key);
/*
 * The key to send with. 0; -EINVAL: no key to receive with, or one of another device or version; -EBUSY: it has one, or
 * what came in clear waits to be read, or came out of order; or another -errno.
 */
int szc_psp_send_key(struct szc_psp *psp, int fd, uint32_t device, enum szc_psp_version version,
		     const struct szc_psp_key *key);

#endif
