/* SPDX-License-Identifier: MIT */
/*
 * Rules of the NIC (ntuple filters): which queue the packets go to that match. A rule lives in a slot, its number; where
 * two match, the lower slot wins.
 *
 * As text: "tcp4 PEER:PORT LOCAL:PORT queue N", with * for any address or port, IPv6 addresses in brackets. Rules that
 * others made can say more than that; they are told in such words as there are, and never parsed.
 */
#ifndef SZC_LIB_NIC_RULES_H
#define SZC_LIB_NIC_RULES_H

#include <linux/ethtool.h>
#include "nic.h"

enum {
	SZC_NIC_SLOT_ANY = -1,
	SZC_NIC_RULE_TEXT = 256,
};

struct szc_nic_filter {
	struct ethtool_rx_flow_spec spec; /* location is the slot */
	unsigned context;                 /* where the flow type has FLOW_RSS */
};

struct szc_nic_filters {
	struct szc_nic_filter *all;
	size_t count;
	unsigned slots;   /* how many there are; 0: not told */
	bool picks_slots; /* the driver finds a free one by itself */
};

/* All rules, to be freed by szc_nic_filters_free(). A NIC that has none at all: -EOPNOTSUPP. */
int szc_nic_filters_read(struct szc_nic *nic, struct szc_nic_filters *filters);
void szc_nic_filters_free(struct szc_nic_filters *filters);

int szc_nic_filter_read(struct szc_nic *nic, unsigned slot, struct szc_nic_filter *filter);

/*
 * Puts a rule into a slot that the driver picks, or, where it wants to be told, into the last free one: a rule of
 * somebody else's that is more special wins. `filters` were read just now. The slot, or -errno.
 */
int szc_nic_filter_insert(struct szc_nic *nic, struct szc_nic_filter *filter, const struct szc_nic_filters *filters);
int szc_nic_filter_delete(struct szc_nic *nic, unsigned slot);

/* false: the flow contradicts itself. */
bool szc_nic_filter_make(struct szc_nic_filter *filter, const struct szc_nic_flow *flow, unsigned queue);

/* Match the same packets; ... and do the same with them. */
bool szc_nic_filter_matches_same(const struct szc_nic_filter *a, const struct szc_nic_filter *b);
bool szc_nic_filter_same(const struct szc_nic_filter *a, const struct szc_nic_filter *b);

/* The queue or the context that it leads to; -1: another thing. */
int szc_nic_filter_queue(const struct szc_nic_filter *filter);
int szc_nic_filter_context(const struct szc_nic_filter *filter);

void szc_nic_filter_text(const struct szc_nic_filter *filter, char text[SZC_NIC_RULE_TEXT]);

/* A rule as szc_nic_filter_make() makes them, out of its text, to the end. false: it is not one. */
bool szc_nic_filter_parse(struct szc_nic_filter *filter, const char *text);

#endif
