/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rings.h"
#include "queues.h"
#include "rss.h"

static const char *const split_names[] = {
	[SZC_NIC_SPLIT_UNKNOWN] = "unknown", [SZC_NIC_SPLIT_OFF] = "off", [SZC_NIC_SPLIT_ON] = "on"};

static int copy(char **text, const char *value)
{
	*text = strdup(value);
	return *text ? 0 : -ENOMEM;
}

static int copy_number(char **text, unsigned value)
{
	char shown[16];

	snprintf(shown, sizeof(shown), "%u", value);
	return copy(text, shown);
}

static bool parse_number(const char *text, unsigned *value)
{
	unsigned long parsed;
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 10)
		return false;
	parsed = strtoul(text, &end, 10);
	*value = (unsigned)parsed;
	return !*end && parsed <= UINT_MAX;
}

/* ------------------------------------------------------------------------------------------------ rings */

static int read_split(struct szc_nic *nic, char **text)
{
	struct szc_nic_rings rings;
	int error = szc_nic_rings_get(nic, &rings);

	return error ? error : copy(text, split_names[rings.split]);
}

static int write_split(struct szc_nic *nic, const char *text)
{
	for (int split = SZC_NIC_SPLIT_UNKNOWN; split <= SZC_NIC_SPLIT_ON; split++)
		if (!strcmp(text, split_names[split]))
			return szc_nic_rings_set_split(nic, (enum szc_nic_split)split);
	return SZC_E_STATE;
}

static int read_threshold(struct szc_nic *nic, char **text)
{
	struct szc_nic_rings rings;
	int error = szc_nic_rings_get(nic, &rings);

	if (!error && !rings.has_threshold)
		error = -EOPNOTSUPP;
	return error ? error : copy_number(text, rings.threshold);
}

static int write_threshold(struct szc_nic *nic, const char *text)
{
	unsigned threshold;

	return parse_number(text, &threshold) ? szc_nic_rings_set_threshold(nic, threshold) : SZC_E_STATE;
}

static int read_ring(struct szc_nic *nic, char **text)
{
	struct szc_nic_rings rings;
	int error = szc_nic_rings_get(nic, &rings);

	if (!error && !rings.rx)
		error = -EOPNOTSUPP;
	return error ? error : copy_number(text, rings.rx);
}

static int write_ring(struct szc_nic *nic, const char *text)
{
	unsigned rx;

	return parse_number(text, &rx) && rx ? szc_nic_rings_set_rx(nic, rx) : SZC_E_STATE;
}

/* ------------------------------------------------------------------------------------------------ ntuple */

static int read_ntuple(struct szc_nic *nic, char **text)
{
	enum szc_nic_feature ntuple;
	int error = szc_nic_ntuple_get(nic, &ntuple);

	/* Drivers need not have the switch to have the rules. */
	if (!error && ntuple == SZC_NIC_FEATURE_NONE)
		error = -EOPNOTSUPP;
	return error ? error : copy(text, ntuple == SZC_NIC_FEATURE_ON ? "on" : "off");
}

static int write_ntuple(struct szc_nic *nic, const char *text)
{
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return SZC_E_STATE;
	return szc_nic_ntuple_set(nic, !strcmp(text, "on"));
}

/* ------------------------------------------------------------------------------------------------ RSS */

/* The table that is there, and the number of queues it can name. The caller's to free. */
static int present_table(struct szc_nic *nic, struct szc_nic_table **table, unsigned *queues)
{
	struct szc_nic_channels channels;
	int error = szc_nic_channels_get(nic, &channels);

	*table = NULL;
	if (error)
		return error;
	*queues = channels.rx;
	*table = malloc(sizeof(**table));
	if (!*table)
		return -ENOMEM;
	error = szc_nic_rss_get(nic, *table);
	if (!error && !(*table)->count)
		error = -EOPNOTSUPP;
	return error;
}

static int read_rss(struct szc_nic *nic, char **text)
{
	struct szc_nic_table *table;
	unsigned queues;
	int error = present_table(nic, &table, &queues);

	if (!error) {
		*text = szc_nic_table_text(table, queues);
		error = *text ? 0 : -ENOMEM;
	}
	free(table);
	return error;
}

static int write_rss(struct szc_nic *nic, const char *text)
{
	struct szc_nic_table *table;
	unsigned queues;
	int error = present_table(nic, &table, &queues);

	if (!error && !szc_nic_table_parse(table, text, table->count, queues))
		error = SZC_E_STATE;
	if (!error && !strcmp(text, "default"))
		table->count = 0;
	if (!error)
		error = szc_nic_rss_set(nic, table);
	free(table);
	return error;
}

static int spare_rss(struct szc_nic *nic, const char *text, unsigned queue, char **spared)
{
	struct szc_nic_table *table;
	unsigned queues;
	int error = present_table(nic, &table, &queues);

	if (!error && !szc_nic_table_parse(table, text, table->count, queues))
		error = SZC_E_STATE;
	if (!error && !szc_nic_table_without(table, queue, queues))
		error = SZC_E_OPTION;
	if (!error) {
		*spared = szc_nic_table_text(table, queues);
		error = *spared ? 0 : -ENOMEM;
	}
	free(table);
	return error;
}

/*
 * The kernel keeps the split of a queue that is registered, in words that do not tell whose; and ordinary traffic that
 * lands in an application's memory could be read by nobody.
 */
static int queue_released(struct szc_nic *nic, unsigned queue)
{
	enum szc_nic_memory memory;
	int error = szc_nic_queue_memory(nic, queue, &memory);

	if (!error && memory != SZC_NIC_MEMORY_POOL)
		error = szc_nic_fail(
			nic, -EBUSY,
			"queue %u of %s is still used, by %s: split and RSS table stay as it needs them until "
			"that ends",
			queue, nic->ifname, szc_nic_memory_name(memory));
	return error;
}

/* ------------------------------------------------------------------------------------------------ the list */

const struct szc_nic_setting szc_nic_split_setting = {
	.kind = "split",
	.what = "header/data split",
	.natural = "unknown",
	.read = read_split,
	.write = write_split,
	.released = queue_released,
};
const struct szc_nic_setting szc_nic_threshold_setting = {
	.kind = "hds-thresh",
	.what = "split threshold",
	.read = read_threshold,
	.write = write_threshold,
	.released = queue_released,
};
const struct szc_nic_setting szc_nic_ring_setting = {
	.kind = "rx-ring", .what = "receive ring", .rounds = true, .read = read_ring, .write = write_ring};
const struct szc_nic_setting szc_nic_ntuple_setting = {
	.kind = "ntuple", .what = "ntuple filters", .flushes = true, .read = read_ntuple, .write = write_ntuple};
const struct szc_nic_setting szc_nic_rss_setting = {
	.kind = "rss",
	.what = "RSS table",
	.read = read_rss,
	.write = write_rss,
	.spare = spare_rss,
	.released = queue_released,
	.summary = szc_nic_table_summary,
};

const struct szc_nic_setting *szc_nic_setting_find(const char *kind)
{
	static const struct szc_nic_setting *const settings[] = {&szc_nic_split_setting, &szc_nic_threshold_setting,
								 &szc_nic_ring_setting, &szc_nic_ntuple_setting,
								 &szc_nic_rss_setting};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!strcmp(settings[i]->kind, kind))
			return settings[i];
	return NULL;
}

char *szc_nic_setting_summary(const struct szc_nic_setting *setting, const char *text)
{
	return setting && setting->summary ? setting->summary(text) : strdup(text);
}
