/* SPDX-License-Identifier: MIT */
/*
 * The kernel's numbers that a distribution's headers do not have yet. The names are our own, so that newer headers
 * cannot clash with them.
 *
 * From include/uapi/linux/ethtool_netlink_generated.h, ethtool.h and netdev.h of Linux 7.3: RSS_GET is there since 6.3,
 * its dump since 6.11, RSS_SET since 6.17, the threshold since 6.14, the family "netdev" with queues since 6.8.
 */
#ifndef SZC_LIB_NIC_UAPI_H
#define SZC_LIB_NIC_UAPI_H

enum szc_nic_uapi_ethtool {
	SZC_ETHTOOL_MSG_RSS_GET = 38, /* ETHTOOL_MSG_RSS_GET */
	SZC_ETHTOOL_MSG_RSS_SET = 48, /* ETHTOOL_MSG_RSS_SET */

	SZC_ETHTOOL_A_RINGS_HDS_THRESH = 17, /* ETHTOOL_A_RINGS_HDS_THRESH, u32 */
	SZC_ETHTOOL_A_RINGS_HDS_THRESH_MAX = 18,
	SZC_ETHTOOL_A_RINGS_MAX = SZC_ETHTOOL_A_RINGS_HDS_THRESH_MAX,

	SZC_ETHTOOL_A_RSS_HEADER = 1,
	SZC_ETHTOOL_A_RSS_CONTEXT = 2, /* u32 */
	SZC_ETHTOOL_A_RSS_INDIR = 4,   /* u32 each */
	SZC_ETHTOOL_A_RSS_MAX = 8,
};

enum szc_nic_uapi_netdev {
	SZC_NETDEV_CMD_PAGE_POOL_GET = 5,
	SZC_NETDEV_CMD_QUEUE_GET = 10,
	SZC_NETDEV_CMD_QSTATS_GET = 12,

	SZC_NETDEV_QUEUE_TYPE_RX = 0,
	SZC_NETDEV_QSTATS_SCOPE_QUEUE = 1,

	SZC_NETDEV_A_QUEUE_ID = 1,
	SZC_NETDEV_A_QUEUE_IFINDEX = 2,
	SZC_NETDEV_A_QUEUE_TYPE = 3,
	SZC_NETDEV_A_QUEUE_NAPI_ID = 4,
	SZC_NETDEV_A_QUEUE_DMABUF = 5,
	SZC_NETDEV_A_QUEUE_IO_URING = 6,
	SZC_NETDEV_A_QUEUE_XSK = 7,
	SZC_NETDEV_A_QUEUE_MAX = 8,

	SZC_NETDEV_A_IO_URING_RX_BUF_LEN = 1, /* uint, inside QUEUE_IO_URING */

	SZC_NETDEV_A_PAGE_POOL_IFINDEX = 2,
	SZC_NETDEV_A_PAGE_POOL_NAPI_ID = 3,      /* uint */
	SZC_NETDEV_A_PAGE_POOL_INFLIGHT_MEM = 5, /* uint */
	SZC_NETDEV_A_PAGE_POOL_DETACH_TIME = 6,  /* uint */
	SZC_NETDEV_A_PAGE_POOL_MAX = 8,

	SZC_NETDEV_A_QSTATS_IFINDEX = 1,
	SZC_NETDEV_A_QSTATS_QUEUE_TYPE = 2,
	SZC_NETDEV_A_QSTATS_QUEUE_ID = 3,
	SZC_NETDEV_A_QSTATS_SCOPE = 4,      /* uint */
	SZC_NETDEV_A_QSTATS_RX_PACKETS = 8, /* uint, as all that follow */
	SZC_NETDEV_A_QSTATS_RX_BYTES = 9,
	SZC_NETDEV_A_QSTATS_RX_ALLOC_FAIL = 12,
	SZC_NETDEV_A_QSTATS_RX_HW_DROPS = 13,
	SZC_NETDEV_A_QSTATS_RX_HW_DROP_OVERRUNS = 14,
	SZC_NETDEV_A_QSTATS_RX_CSUM_BAD = 18,
	SZC_NETDEV_A_QSTATS_MAX = 34,
};

/* IFLA_INFO_DATA of link kind "szcnic": kernel/szcnic_uapi.h. */
#define SZC_NIC_KIND "szcnic"
enum szc_nic_uapi_szcnic {
	SZC_SZCNIC_INFO_PEER = 1,   /* struct ifinfomsg, then IFLA_* attributes */
	SZC_SZCNIC_INFO_QUEUES = 2, /* u32 */
	SZC_SZCNIC_INFO_RATE = 3,   /* u64 */
	SZC_SZCNIC_INFO_DELAY = 4,  /* u64 */
	SZC_SZCNIC_INFO_LOSS = 5,   /* u32, as those that follow */
	SZC_SZCNIC_INFO_REORDER = 6,
	SZC_SZCNIC_INFO_DUPLICATE = 7,
	SZC_SZCNIC_INFO_CORRUPT = 8,
	SZC_SZCNIC_INFO_MAX = 9,
	SZC_SZCNIC_QUEUES_MAX = 128,
};

#endif
