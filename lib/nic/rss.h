/* SPDX-License-Identifier: MIT */
/*
 * The receive tables: which queue a packet goes to that no rule names. Entry i is the queue of the packets whose hash
 * ends in i. The main table is context 0; further contexts are reached by rules.
 *
 * As text, a table is its entries joined by commas, or "default" where it is what the kernel makes by itself (entry i is
 * queue i modulo the number of queues): that one goes back by a reset, so that it follows changes of the channels again.
 */
#ifndef SZC_LIB_NIC_RSS_H
#define SZC_LIB_NIC_RSS_H

#include "nic.h"

enum {
	SZC_NIC_RSS_MAX = 4096, /* entries; the largest table of a driver in Linux 7.3 has 2048 */
};

struct szc_nic_table {
	unsigned count; /* 0: the NIC has none */
	uint32_t entries[SZC_NIC_RSS_MAX];
};

/* Calls `each` for every table of the NIC, the main one (context 0) first. 0, -errno, or what `each` returned. */
typedef int szc_nic_rss_each(unsigned context, const struct szc_nic_table *table, void *arg);
int szc_nic_rss_list(struct szc_nic *nic, szc_nic_rss_each *each, void *arg);

/* The main table. */
int szc_nic_rss_get(struct szc_nic *nic, struct szc_nic_table *table);
int szc_nic_rss_set(struct szc_nic *nic, const struct szc_nic_table *table); /* count 0: back to the default */

bool szc_nic_table_has(const struct szc_nic_table *table, unsigned queue);

/*
 * The same table without a queue: its entries go to the other queues of the table in turn, or to all of `queues` where
 * it had no other. Always the same for the same table. false: there is no other queue.
 */
bool szc_nic_table_without(struct szc_nic_table *table, unsigned queue, unsigned queues);

/* Text of the caller's to free, NULL without memory. */
char *szc_nic_table_text(const struct szc_nic_table *table, unsigned queues);

/* A table of `count` entries, none of them `queues` or more, out of text. false: it is not one. */
bool szc_nic_table_parse(struct szc_nic_table *table, const char *text, unsigned count, unsigned queues);

/* For people: "default", or the queues it spreads over, as "queues 0,2-3". The caller's to free. */
char *szc_nic_table_summary(const char *text);

#endif
