/* SPDX-License-Identifier: MIT */
#include "look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "link.h"
#include "rings.h"
#include "rss.h"
#include "steps.h"

void szc_nic_snapshot_free(struct szc_nic_snapshot *snapshot)
{
	if (!snapshot)
		return;
	szc_nic_queues_free(&snapshot->queues);
	for (size_t i = 0; i < snapshot->rule_count; i++)
		free((char *)snapshot->rules[i].text);
	free(snapshot->rules);
	free(snapshot);
}

/* What a NIC does not have is no failure of looking. */
static int missing(int error)
{
	return error == -EOPNOTSUPP ? 0 : error;
}

static int look_at_rings(struct szc_nic *nic, struct szc_nic_info *info)
{
	struct szc_nic_channels channels;
	struct szc_nic_rings rings;
	int error = missing(szc_nic_channels_get(nic, &channels));

	if (!error)
		error = missing(szc_nic_rings_get(nic, &rings));
	if (error)
		return szc_nic_refused(nic, error, "cannot read the rings of %s", nic->ifname);
	info->rx_queues = channels.rx;
	info->rx_queues_max = channels.rx_max;
	info->rx_ring = rings.rx;
	info->rx_ring_max = rings.rx_max;
	info->rx_ring_payload = rings.payload;
	info->split = rings.split;
	info->split_threshold = rings.has_threshold ? rings.threshold : SZC_NIC_UNKNOWN;
	return 0;
}

static int look_at_table(unsigned context, const struct szc_nic_table *table, void *arg)
{
	struct szc_nic_snapshot *snapshot = arg;

	if (!context)
		snapshot->info.rss_entries = table->count;
	for (size_t i = 0; i < snapshot->queues.count; i++) {
		struct szc_nic_queue *queue = &snapshot->queues.all[i];
		unsigned *grown;

		if (!szc_nic_table_has(table, queue->id))
			continue;
		if (!context) {
			queue->in_rss = true;
			continue;
		}
		grown = reallocarray((void *)queue->contexts, queue->context_count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		grown[queue->context_count++] = context;
		queue->contexts = grown;
	}
	return 0;
}

static int look_at_rules(struct szc_nic *nic, const struct szc_nic_state *state, struct szc_nic_snapshot *snapshot)
{
	struct szc_nic_filters filters;
	char text[SZC_NIC_RULE_TEXT];
	int error = missing(szc_nic_filters_read(nic, &filters));

	if (error)
		szc_nic_refused(nic, error, "cannot read the rules of %s", nic->ifname);
	snapshot->info.rule_slots = filters.slots;
	if (!error && filters.count) {
		snapshot->rules = calloc(filters.count, sizeof(snapshot->rules[0]));
		error = snapshot->rules ? 0 : szc_nic_fail(nic, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < filters.count && snapshot->rules && !error; i++) {
		struct szc_nic_rule *rule = &snapshot->rules[i];

		szc_nic_filter_text(&filters.all[i], text);
		rule->slot = filters.all[i].spec.location;
		rule->queue = szc_nic_filter_queue(&filters.all[i]);
		rule->context = szc_nic_filter_context(&filters.all[i]);
		rule->ours = szc_nic_step_rule_recorded(state, &filters.all[i]);
		rule->text = strdup(text);
		snapshot->rule_count++;
		if (!rule->text)
			error = szc_nic_fail(nic, -ENOMEM, "out of memory");
	}
	szc_nic_filters_free(&filters);
	return error;
}

/* The steps on record, as changes. */
static int look_at_steps(struct szc_nic *nic, const struct szc_nic_state *state)
{
	int error = 0;

	for (size_t i = 0; i < state->count && !error; i++) {
		const struct szc_nic_step *step = &state->steps[i];
		const struct szc_nic_setting *setting = szc_nic_setting_find(step->kind);
		char *before = szc_nic_setting_summary(setting, step->before);
		char *after = szc_nic_setting_summary(setting, step->after);
		struct szc_nic_change change = {
			.what = setting ? setting->what : step->kind,
			.before = before,
			.after = after,
			.note = step->done ? NULL : "begun, and not known to be done",
			.queue = step->queue,
			.holder = step->pid,
		};

		error = before && after && !szc_nic_tell(nic, &change) ? 0
								       : szc_nic_fail(nic, -ENOMEM, "out of memory");
		free(before);
		free(after);
	}
	return error;
}

static int look(struct szc_nic *nic, const struct szc_nic_state *state, struct szc_nic_snapshot *snapshot)
{
	struct szc_nic_info *info = &snapshot->info;
	struct szc_nic_link link;
	int error = szc_nic_link_get(nic->ifindex, &link);

	if (error)
		return szc_nic_fail(nic, error, "cannot read the link %s: %s", nic->ifname, szc_strerror(error));
	snprintf(info->ifname, sizeof(info->ifname), "%s", nic->ifname);
	info->ifindex = nic->ifindex;
	memcpy(info->kind, link.kind, sizeof(info->kind));
	info->up = link.up;
	info->wire = link.wire;
	error = look_at_rings(nic, info);
	if (error)
		return error;
	error = missing(szc_nic_queues_read(nic, &snapshot->queues));
	if (!error && snapshot->queues.count)
		error = szc_nic_queues_count(nic, &snapshot->queues);
	if (error)
		return szc_nic_refused(nic, error, "cannot read the queues of %s", nic->ifname);
	error = missing(szc_nic_rss_list(nic, look_at_table, snapshot));
	if (error)
		return szc_nic_refused(nic, error, "cannot read the RSS tables of %s", nic->ifname);
	error = look_at_rules(nic, state, snapshot) ?: look_at_steps(nic, state);
	info->queues = snapshot->queues.count;
	info->rules = snapshot->rule_count;
	return error;
}

/* The NIC is as it is, also where the record cannot be read: that is told, and nothing is known to be ours. */
static int look_at_record(struct szc_nic *nic, struct szc_nic_state *state)
{
	int error = szc_nic_state_peek(nic, state);
	struct szc_nic_change change = {
		.what = "state file",
		.before = nic->state_file,
		.after = nic->state_file,
		.note = nic->error_text,
	};

	if (!error || error == -ENOMEM)
		return error;
	return szc_nic_tell(nic, &change) ? szc_nic_fail(nic, -ENOMEM, "out of memory") : 0;
}

int szc_nic_look(struct szc_nic *nic, const struct szc_nic_info **info)
{
	struct szc_nic_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct szc_nic_state state;
	int error;

	*info = NULL;
	szc_nic_forget_changes(nic);
	szc_nic_snapshot_free(nic->snapshot);
	nic->snapshot = NULL;
	if (!snapshot)
		return szc_nic_fail(nic, -ENOMEM, "out of memory");
	error = look_at_record(nic, &state) ?: look(nic, &state, snapshot);
	szc_nic_state_close(nic, &state);
	if (error) {
		szc_nic_snapshot_free(snapshot);
		return error;
	}
	nic->snapshot = snapshot;
	*info = &snapshot->info;
	return 0;
}

const struct szc_nic_queue *szc_nic_queue(const struct szc_nic *nic, size_t index)
{
	return nic->snapshot && index < nic->snapshot->queues.count ? &nic->snapshot->queues.all[index] : NULL;
}

const struct szc_nic_rule *szc_nic_rule(const struct szc_nic *nic, size_t index)
{
	return nic->snapshot && index < nic->snapshot->rule_count ? &nic->snapshot->rules[index] : NULL;
}
