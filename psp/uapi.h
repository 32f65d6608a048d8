/* SPDX-License-Identifier: MIT */
/*
 * The kernel's generic netlink family "psp" (Linux 6.18; Documentation/netlink/specs/psp.yaml), as far as it is used here:
 * distributions' kernel headers do not know it yet. Numbers are the kernel's.
 */
#ifndef SZC_PSP_UAPI_H
#define SZC_PSP_UAPI_H

#define PSP_FAMILY    "psp"
#define PSP_GROUP_USE "use" /* rotations */

enum psp_cmd {
	PSP_CMD_DEV_GET = 1,
	PSP_CMD_DEV_SET = 4,
	PSP_CMD_KEY_ROTATE = 6,
	PSP_CMD_KEY_ROTATE_NTF = 7,
	PSP_CMD_RX_ASSOC = 8,
	PSP_CMD_TX_ASSOC = 9,
	PSP_CMD_GET_STATS = 10,
};

enum psp_dev_attr {
	PSP_A_DEV_ID = 1,
	PSP_A_DEV_IFINDEX,
	PSP_A_DEV_PSP_VERSIONS_CAP,
	PSP_A_DEV_PSP_VERSIONS_ENA,
};

enum psp_assoc_attr {
	PSP_A_ASSOC_DEV_ID = 1,
	PSP_A_ASSOC_VERSION,
	PSP_A_ASSOC_RX_KEY,
	PSP_A_ASSOC_TX_KEY,
	PSP_A_ASSOC_SOCK_FD,
};

enum psp_keys_attr {
	PSP_A_KEYS_KEY = 1,
	PSP_A_KEYS_SPI,
};

enum psp_stats_attr {
	PSP_A_STATS_DEV_ID = 1,
	PSP_A_STATS_KEY_ROTATIONS,
	PSP_A_STATS_STALE_EVENTS,
	PSP_A_STATS_RX_PACKETS,
	PSP_A_STATS_RX_BYTES,
	PSP_A_STATS_RX_AUTH_FAIL,
	PSP_A_STATS_RX_ERROR,
	PSP_A_STATS_RX_BAD,
	PSP_A_STATS_TX_PACKETS,
	PSP_A_STATS_TX_BYTES,
	PSP_A_STATS_TX_ERROR,
	PSP_A_STATS_LAST = PSP_A_STATS_TX_ERROR,
};

#endif
