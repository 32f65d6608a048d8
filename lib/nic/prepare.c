/* SPDX-License-Identifier: MIT */
/* Plan, apply, verify; and the way back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "queues.h"
#include "rings.h"
#include "rss.h"
#include "steps.h"

enum {
	WANTS = 5,
	/* The kernel gives a closed ring's queue back a moment later. */
	FREE_TRIES = 50,
	FREE_NAP_NS = 20000000,
};

struct want {
	const struct szc_nic_setting *setting;
	const char *value; /* NULL: what spares the queue */
	bool optional;     /* a NIC without it is right as it is */
};

/* ------------------------------------------------------------------------------------------------ what is in the way */

static int check_channels(struct szc_nic *nic, unsigned queue)
{
	struct szc_nic_channels channels;
	int error = szc_nic_channels_get(nic, &channels);

	if (error == -EOPNOTSUPP)
		return szc_nic_fail(nic, error, "%s does not tell how many queues it has, so it is no NIC for this",
				    nic->ifname);
	if (error)
		return szc_nic_refused(nic, error, "cannot read how many queues %s has", nic->ifname);
	if (queue >= channels.rx)
		return szc_nic_fail(nic, SZC_E_OPTION, "%s has %u receive queues, counted from 0: there is no queue %u",
				    nic->ifname, channels.rx, queue);
	if (channels.rx > 1)
		return 0;
	return szc_nic_fail(
		nic, SZC_E_OPTION,
		"%s has one receive queue in use, and without it all other traffic would have none: give it more "
		"(ethtool -L %s combined %u)",
		nic->ifname, nic->ifname, channels.rx_max > 1 ? 2 : channels.rx_max);
}

static int check_owner(struct szc_nic *nic, unsigned queue)
{
	enum szc_nic_memory memory;
	int error = szc_nic_queue_memory(nic, queue, &memory);

	if (!error && memory != SZC_NIC_MEMORY_POOL)
		error = szc_nic_fail(nic, -EBUSY, "queue %u of %s is in use already, by %s", queue, nic->ifname,
				     szc_nic_memory_name(memory));
	return error;
}

struct search {
	struct szc_nic *nic;
	unsigned queue;
	bool has_table;
};

static int look_at_table(unsigned context, const struct szc_nic_table *table, void *arg)
{
	struct search *search = arg;
	const char *ifname = search->nic->ifname;

	if (!context && table->count)
		search->has_table = true;
	if (!context || !szc_nic_table_has(table, search->queue))
		return 0;
	return szc_nic_fail(
		search->nic, -EEXIST,
		"RSS context %u of %s spreads traffic over queue %u: change it (ethtool -X %s context %u ...) or "
		"take another queue",
		context, ifname, search->queue, ifname, context);
}

static int check_tables(struct szc_nic *nic, unsigned queue)
{
	struct search search = {.nic = nic, .queue = queue};
	int error = szc_nic_rss_list(nic, look_at_table, &search);

	if (error == -EEXIST)
		return error;
	if (error && error != -EOPNOTSUPP)
		return szc_nic_refused(nic, error, "cannot read the RSS tables of %s", nic->ifname);
	if (search.has_table)
		return 0;
	return szc_nic_fail(nic, -EOPNOTSUPP, "%s has no RSS table, so other traffic cannot be kept off queue %u",
			    nic->ifname, queue);
}

static int check_port(struct szc_nic *nic, const struct szc_nic_filters *filters, uint16_t port, unsigned queue)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct szc_nic_flow flow = {.size = sizeof(flow), .port = port};
	struct szc_nic_filter wanted;
	char text[SZC_NIC_RULE_TEXT];

	for (int family = 0; family < 2; family++) {
		flow.family = families[family];
		if (!szc_nic_filter_make(&wanted, &flow, queue))
			return szc_nic_fail(nic, SZC_E_OPTION, "port %u cannot be steered to queue %u", port, queue);
		for (size_t i = 0; i < filters->count; i++) {
			const struct szc_nic_filter *there = &filters->all[i];

			if (!szc_nic_filter_matches_same(there, &wanted) || szc_nic_filter_same(there, &wanted))
				continue;
			szc_nic_filter_text(there, text);
			return szc_nic_fail(
				nic, -EEXIST,
				"rule %u of %s, \"%s\", takes port %u elsewhere: remove it (ethtool -N %s delete "
				"%u), or use its queue",
				there->spec.location, nic->ifname, text, port, nic->ifname, there->spec.location);
		}
	}
	return 0;
}

static int check_ports(struct szc_nic *nic, const struct szc_nic_prepare_options *options)
{
	struct szc_nic_filters filters;
	int error = szc_nic_filters_read(nic, &filters);

	if (error)
		error = szc_nic_refused(nic, error, "%s has no rules that could steer a port to a queue", nic->ifname);
	for (size_t i = 0; i < options->port_count && !error; i++)
		error = check_port(nic, &filters, options->ports[i], options->queue);
	szc_nic_filters_free(&filters);
	return error;
}

static int check(struct szc_nic *nic, const struct szc_nic_prepare_options *options)
{
	int error = check_channels(nic, options->queue);

	if (!error)
		error = check_owner(nic, options->queue);
	if (!error)
		error = check_tables(nic, options->queue);
	if (!error && options->port_count)
		error = check_ports(nic, options);
	return error;
}

/* ------------------------------------------------------------------------------------------------ plan, apply */

static size_t plan(const struct szc_nic_prepare_options *options, char ring[12], struct want wants[WANTS])
{
	size_t count = 0;

	if (!options->leave_split) {
		wants[count++] = (struct want){&szc_nic_split_setting, "on", false};
		wants[count++] = (struct want){&szc_nic_threshold_setting, "0", true};
	}
	if (options->rx_ring) {
		snprintf(ring, 12, "%u", options->rx_ring);
		wants[count++] = (struct want){&szc_nic_ring_setting, ring, false};
	}
	if (options->port_count)
		wants[count++] = (struct want){&szc_nic_ntuple_setting, "on", true};
	wants[count++] = (struct want){&szc_nic_rss_setting, NULL, false};
	return count;
}

static int only_tell(struct szc_nic *nic, struct szc_nic_state *state, const struct want *want, unsigned queue)
{
	const struct szc_nic_setting *setting = want->setting;
	char *present = NULL, *value = NULL, *from = NULL, *to = NULL;
	struct szc_nic_change change = {.what = setting->what, .queue = queue, .holder = nic->pid};
	int error = szc_nic_step_plan(nic, setting, want->value, queue, &present, &value);

	if (error) {
		szc_nic_refused(nic, error, "cannot read the %s of %s", setting->what, nic->ifname);
	} else if (strcmp(present, value) != 0 || szc_nic_step_firms(state, setting, present, value)) {
		change.note = strcmp(present, value) != 0 ? NULL : SZC_NIC_FIRM_NOTE;
		change.before = from = szc_nic_setting_summary(setting, present);
		change.after = to = szc_nic_setting_summary(setting, value);
		if (!from || !to || szc_nic_tell(nic, &change))
			error = szc_nic_fail(nic, -ENOMEM, "out of memory");
	}
	free(present);
	free(value);
	free(from);
	free(to);
	return error;
}

static int apply(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_prepare_options *options)
{
	struct want wants[WANTS];
	char ring[12];
	size_t count = plan(options, ring, wants);
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		if (options->dry_run)
			error = only_tell(nic, state, &wants[i], options->queue);
		else
			error = szc_nic_step_set(nic, state, wants[i].setting, wants[i].value, options->queue);
		if (error == -EOPNOTSUPP && wants[i].optional)
			error = 0;
	}
	return error;
}

static int apply_or_undo(struct szc_nic *nic, const struct szc_nic_prepare_options *options)
{
	char sentence[sizeof(nic->error_text)];
	struct szc_nic_state state;
	unsigned from;
	int error = szc_nic_state_open(nic, &state);

	if (!error)
		error = check(nic, options);
	if (error)
		goto out;
	from = state.count ? state.steps[state.count - 1].id + 1 : 1;
	error = apply(nic, &state, options);
	if (error) {
		memcpy(sentence, nic->error_text, sizeof(sentence));
		/* What cannot be undone stays on record, and the first failure is what is told. */
		szc_nic_steps_undo(nic, &state, from, false);
		memcpy(nic->error_text, sentence, sizeof(sentence));
		szc_nic_forget_changes(nic);
	}
out:
	szc_nic_state_close(nic, &state);
	return error;
}

static int apply_dry(struct szc_nic *nic, const struct szc_nic_prepare_options *options)
{
	struct szc_nic_state state;
	int error = szc_nic_state_peek(nic, &state) ?: check(nic, options) ?: apply(nic, &state, options);

	szc_nic_state_close(nic, &state);
	return error;
}

int szc_nic_prepare(struct szc_nic *nic, const struct szc_nic_prepare_options *given)
{
	struct szc_nic_prepare_options options = {0};

	szc_nic_forget_changes(nic);
	if (!given || given->size < offsetof(struct szc_nic_prepare_options, rx_ring))
		return szc_nic_fail(nic, SZC_E_OPTION,
				    "options->size is not set: write sizeof(struct szc_nic_prepare_options)");
	memcpy(&options, given, given->size < sizeof(options) ? given->size : sizeof(options));
	return options.dry_run ? apply_dry(nic, &options) : apply_or_undo(nic, &options);
}

/* ------------------------------------------------------------------------------------------------ restore */

static int check_holders(struct szc_nic *nic, const struct szc_nic_state *state)
{
	for (size_t i = 0; i < state->count; i++)
		if (szc_nic_step_foreign(nic, &state->steps[i]))
			return szc_nic_fail(nic, -EBUSY, "process %d still uses queue %u of %s: end it first",
					    (int)state->steps[i].pid, state->steps[i].queue, nic->ifname);
	return 0;
}

/* *used: what is left waits for a queue. */
static int restore_once(struct szc_nic *nic, bool all, bool *used)
{
	struct szc_nic_state state;
	int error = szc_nic_state_open(nic, &state);

	*used = false;
	if (!error && all)
		error = check_holders(nic, &state);
	if (!error) {
		error = szc_nic_steps_undo(nic, &state, 0, all);
		*used = error == -EBUSY;
	}
	szc_nic_state_close(nic, &state);
	return error;
}

static int restore(struct szc_nic *nic, bool all)
{
	int error, tries = FREE_TRIES;
	bool used;

	szc_nic_forget_changes(nic);
	/* Others get at the record between the tries. */
	while ((error = restore_once(nic, all, &used)) && used && tries--)
		nanosleep(&(struct timespec){0, FREE_NAP_NS}, NULL);
	return error;
}

int szc_nic_restore(struct szc_nic *nic)
{
	return restore(nic, false);
}

int szc_nic_restore_all(struct szc_nic *nic)
{
	return restore(nic, true);
}
