/* SPDX-License-Identifier: MIT */
#include "rss.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/ethtool.h>
#include <netlink/genl/genl.h>
#include "ioctl.h"
#include "rings.h"
#include "uapi.h"

struct listing {
	szc_nic_rss_each *each;
	void *arg;
	struct szc_nic_table table;
};

static int take_table(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *tb[SZC_ETHTOOL_A_RSS_MAX + 1];
	struct listing *listing = arg;
	unsigned context = 0;
	int size = 0;

	if (genlmsg_parse((struct nlmsghdr *)answer, 0, tb, SZC_ETHTOOL_A_RSS_MAX, NULL))
		return -EBADMSG;
	if (tb[SZC_ETHTOOL_A_RSS_CONTEXT])
		context = (unsigned)szc_nic_netlink_uint(tb[SZC_ETHTOOL_A_RSS_CONTEXT]);
	if (tb[SZC_ETHTOOL_A_RSS_INDIR])
		size = nla_len(tb[SZC_ETHTOOL_A_RSS_INDIR]);
	if (size > (int)sizeof(listing->table.entries))
		return -E2BIG;
	listing->table.count = (unsigned)size / sizeof(uint32_t);
	if (size)
		memcpy(listing->table.entries, nla_data(tb[SZC_ETHTOOL_A_RSS_INDIR]), (size_t)size);
	return listing->each(context, &listing->table, listing->arg);
}

int szc_nic_rss_list(struct szc_nic *nic, szc_nic_rss_each *each, void *arg)
{
	struct listing *listing = malloc(sizeof(*listing));
	int error = -ENOMEM;

	if (!listing)
		return error;
	listing->each = each;
	listing->arg = arg;
	error = szc_nic_netlink_ask(&nic->netlink, szc_nic_ethtool(nic, SZC_ETHTOOL_MSG_RSS_GET, NLM_F_DUMP),
				    take_table, listing);
	free(listing);
	return error;
}

static int keep_main(unsigned context, const struct szc_nic_table *table, void *arg)
{
	struct szc_nic_table *kept = arg;

	if (context)
		return 0;
	kept->count = table->count;
	memcpy(kept->entries, table->entries, table->count * sizeof(table->entries[0]));
	return 0;
}

int szc_nic_rss_get(struct szc_nic *nic, struct szc_nic_table *table)
{
	table->count = 0;
	return szc_nic_rss_list(nic, keep_main, table);
}

/* Kernels before 6.17. */
static int set_by_ioctl(struct szc_nic *nic, const struct szc_nic_table *table)
{
	struct ethtool_rxfh_indir *command;
	int error;

	command = calloc(1, sizeof(*command) + table->count * sizeof(table->entries[0]));
	if (!command)
		return -ENOMEM;
	command->cmd = ETHTOOL_SRXFHINDIR;
	command->size = table->count;
	memcpy(command->ring_index, table->entries, table->count * sizeof(table->entries[0]));
	error = szc_nic_ioctl(nic, command);
	free(command);
	return error;
}

int szc_nic_rss_set(struct szc_nic *nic, const struct szc_nic_table *table)
{
	struct nl_msg *msg = szc_nic_ethtool(nic, SZC_ETHTOOL_MSG_RSS_SET, 0);
	int error;

	if (msg &&
	    nla_put(msg, SZC_ETHTOOL_A_RSS_INDIR, (int)(table->count * sizeof(table->entries[0])), table->entries)) {
		nlmsg_free(msg);
		return -E2BIG;
	}
	error = szc_nic_netlink_ask(&nic->netlink, msg, NULL, NULL);
	/* An unknown command and a driver without the operation look alike; the latter is refused again. */
	return error == -EOPNOTSUPP ? set_by_ioctl(nic, table) : error;
}

/* ------------------------------------------------------------------------------------------------ arithmetic */

bool szc_nic_table_has(const struct szc_nic_table *table, unsigned queue)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->entries[i] == queue)
			return true;
	return false;
}

bool szc_nic_table_without(struct szc_nic_table *table, unsigned queue, unsigned queues)
{
	bool anywhere = true;
	unsigned next = queue;

	if (queues < 2)
		return false;
	for (unsigned q = 0; q < queues; q++)
		if (q != queue && szc_nic_table_has(table, q))
			anywhere = false;
	for (unsigned i = 0; i < table->count; i++) {
		if (table->entries[i] != queue)
			continue;
		do
			next = (next + 1) % queues;
		while (next == queue || !(anywhere || szc_nic_table_has(table, next)));
		table->entries[i] = next;
	}
	return true;
}

static bool is_default(const struct szc_nic_table *table, unsigned queues)
{
	for (unsigned i = 0; i < table->count; i++)
		if (!queues || table->entries[i] != i % queues)
			return false;
	return true;
}

char *szc_nic_table_text(const struct szc_nic_table *table, unsigned queues)
{
	char *text = NULL;
	size_t size;
	FILE *file;

	if (is_default(table, queues))
		return strdup("default");
	file = open_memstream(&text, &size);
	if (!file)
		return NULL;
	for (unsigned i = 0; i < table->count; i++)
		fprintf(file, "%s%u", i ? "," : "", table->entries[i]);
	if (!fclose(file))
		return text;
	free(text);
	return NULL;
}

bool szc_nic_table_parse(struct szc_nic_table *table, const char *text, unsigned count, unsigned queues)
{
	unsigned long value;
	char *end;

	if (!count || count > SZC_NIC_RSS_MAX || !queues)
		return false;
	table->count = count;
	if (!strcmp(text, "default")) {
		for (unsigned i = 0; i < count; i++)
			table->entries[i] = i % queues;
		return true;
	}
	for (unsigned i = 0; i < count; i++) {
		if (*text < '0' || *text > '9')
			return false;
		value = strtoul(text, &end, 10);
		if (value >= queues || *end != (i + 1 < count ? ',' : 0))
			return false;
		table->entries[i] = (uint32_t)value;
		text = end + 1;
	}
	return true;
}

/* The set of queues that a table's text names. The text was made by us or parsed: numbers and commas. */
static void mark(const char *text, bool *named)
{
	for (char *end; *text >= '0' && *text <= '9'; text = *end ? end + 1 : end) {
		unsigned long queue = strtoul(text, &end, 10);

		if (queue < SZC_NIC_RSS_MAX)
			named[queue] = true;
	}
}

char *szc_nic_table_summary(const char *text)
{
	bool named[SZC_NIC_RSS_MAX + 1] = {false};
	const char *between = "queues ";
	char *summary = NULL;
	unsigned first, last;
	size_t size;
	FILE *file;

	if (*text < '0' || *text > '9')
		return strdup(text);
	mark(text, named);
	file = open_memstream(&summary, &size);
	if (!file)
		return NULL;
	for (first = 0; first < SZC_NIC_RSS_MAX; first = last + 1) {
		last = first;
		if (!named[first])
			continue;
		while (named[last + 1])
			last++;
		fprintf(file, last > first ? "%s%u-%u" : "%s%u", between, first, last);
		between = ",";
	}
	if (!fclose(file))
		return summary;
	free(summary);
	return NULL;
}
