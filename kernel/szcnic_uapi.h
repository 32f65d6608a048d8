/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What rtnetlink says to and of a port: IFLA_INFO_DATA of link kind "szcnic". Two ports joined by a wire make a pair;
 * each direction of the wire belongs to the port that sends on it, and so do its impairments.
 *
 * RTM_NEWLINK without PEER names both ports itself (szc0, szc1, ...). Impairments may be given when the pair is made,
 * for the port that is not the peer, and changed at any time; all of them are in what RTM_GETLINK answers.
 */
#ifndef SZCNIC_UAPI_H
#define SZCNIC_UAPI_H

enum szcnic_info {
	SZCNIC_INFO_UNSPEC,
	SZCNIC_INFO_PEER,	/* only when made: struct ifinfomsg and IFLA_ attributes of the other, as veth's */
	SZCNIC_INFO_QUEUES,	/* u32: most queues the port can have, 1 to SZCNIC_QUEUES_MAX; only when made */
	SZCNIC_INFO_RATE,	/* u64: bits a second; 0: no limit */
	SZCNIC_INFO_DELAY,	/* u64: nanoseconds, at most one second */
	SZCNIC_INFO_LOSS,	/* u32: packets in a million that vanish */
	SZCNIC_INFO_REORDER,	/* u32: packets in a million that overtake those before them */
	SZCNIC_INFO_DUPLICATE,	/* u32: packets in a million that arrive twice */
	SZCNIC_INFO_CORRUPT,	/* u32: packets in a million that arrive with one bit flipped */
	SZCNIC_INFO_PAD,
	SZCNIC_INFO_END,
};

#define SZCNIC_INFO_MAX		(SZCNIC_INFO_END - 1)
#define SZCNIC_QUEUES_MAX	128
#define SZCNIC_MILLION		1000000
#define SZCNIC_DELAY_MAX_NS	1000000000ULL

#endif
