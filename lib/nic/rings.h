/* SPDX-License-Identifier: MIT */
/* Rings, channels and the one feature flag that matters here, over ethtool's netlink. Errors are -errno. */
#ifndef SZC_LIB_NIC_RINGS_H
#define SZC_LIB_NIC_RINGS_H

#include "nic.h"

struct szc_nic_rings {
	unsigned rx; /* 0: the driver does not tell */
	unsigned rx_max;
	unsigned payload; /* of a ring for payload alone, which ethtool calls jumbo; 0: none */
	enum szc_nic_split split;
	bool has_threshold;
	unsigned threshold;
};

struct szc_nic_channels {
	unsigned rx; /* receive queues in use, whether they have a transmit queue beside them or not */
	unsigned rx_max;
};

enum szc_nic_feature {
	SZC_NIC_FEATURE_NONE, /* the NIC does not have it */
	SZC_NIC_FEATURE_OFF,
	SZC_NIC_FEATURE_ON,
};

int szc_nic_rings_get(struct szc_nic *nic, struct szc_nic_rings *rings);
int szc_nic_rings_set_rx(struct szc_nic *nic, unsigned rx);
int szc_nic_rings_set_split(struct szc_nic *nic, enum szc_nic_split split);
int szc_nic_rings_set_threshold(struct szc_nic *nic, unsigned threshold);

int szc_nic_channels_get(struct szc_nic *nic, struct szc_nic_channels *channels);

/* Ntuple filters: rules. */
int szc_nic_ntuple_get(struct szc_nic *nic, enum szc_nic_feature *ntuple);
int szc_nic_ntuple_set(struct szc_nic *nic, bool on);

/* A question to ethtool about this NIC; NULL: out of memory. The header is attribute 1 of all of them. */
struct nl_msg *szc_nic_ethtool(const struct szc_nic *nic, int command, int flags);

#endif
