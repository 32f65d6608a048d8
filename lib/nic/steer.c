/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include "rings.h"
#include "steps.h"

static int check_queue(struct szc_nic *nic, unsigned queue)
{
	struct szc_nic_channels channels;
	int error = szc_nic_channels_get(nic, &channels);

	if (error)
		return szc_nic_refused(nic, error, "cannot read how many queues %s has", nic->ifname);
	if (queue < channels.rx)
		return 0;
	return szc_nic_fail(nic, SZC_E_OPTION, "%s has %u receive queues, counted from 0: there is no queue %u",
			    nic->ifname, channels.rx, queue);
}

/* Drivers need not have the switch to have the rules. */
static int turn_on(struct szc_nic *nic, struct szc_nic_state *state, unsigned queue)
{
	int error = szc_nic_step_set(nic, state, &szc_nic_ntuple_setting, "on", queue);

	return error == -EOPNOTSUPP ? 0 : error;
}

/* Several flows, all or none. The slot of the last, or an error. */
static int steer(struct szc_nic *nic, const struct szc_nic_flow *flows, size_t count, unsigned queue)
{
	char sentence[sizeof(nic->error_text)];
	struct szc_nic_filter filter;
	struct szc_nic_state state;
	unsigned from = 1;
	int result;

	szc_nic_forget_changes(nic);
	result = szc_nic_state_open(nic, &state) ?: check_queue(nic, queue);
	if (state.count)
		from = state.steps[state.count - 1].id + 1;
	if (!result)
		result = turn_on(nic, &state, queue);
	for (size_t i = 0; i < count && result >= 0; i++) {
		if (szc_nic_filter_make(&filter, &flows[i], queue))
			result = szc_nic_step_rule(nic, &state, &filter, queue);
		else
			result = szc_nic_fail(nic, SZC_E_OPTION,
					      "a flow needs a port, and addresses of its own family, IPv4 or IPv6");
	}
	if (result < 0) {
		memcpy(sentence, nic->error_text, sizeof(sentence));
		szc_nic_steps_undo(nic, &state, from, false);
		memcpy(nic->error_text, sentence, sizeof(sentence));
		szc_nic_forget_changes(nic);
	}
	szc_nic_state_close(nic, &state);
	return result;
}

int szc_nic_steer(struct szc_nic *nic, const struct szc_nic_flow *given, unsigned queue)
{
	struct szc_nic_flow flow = {0};

	if (!given || given->size < offsetof(struct szc_nic_flow, peer_port))
		return szc_nic_fail(nic, SZC_E_OPTION, "flow->size is not set: write sizeof(struct szc_nic_flow)");
	memcpy(&flow, given, given->size < sizeof(flow) ? given->size : sizeof(flow));
	return steer(nic, &flow, 1, queue);
}

int szc_nic_steer_port(struct szc_nic *nic, uint16_t port, unsigned queue)
{
	const struct szc_nic_flow flows[] = {
		{.size = sizeof(flows[0]), .family = AF_INET, .port = port},
		{.size = sizeof(flows[0]), .family = AF_INET6, .port = port},
	};
	int result = steer(nic, flows, 2, queue);

	return result < 0 ? result : 0;
}

int szc_nic_unsteer(struct szc_nic *nic, int rule)
{
	struct szc_nic_filter filter;
	struct szc_nic_step *found = NULL;
	struct szc_nic_state state;
	int slot, error;

	szc_nic_forget_changes(nic);
	error = szc_nic_state_open(nic, &state);
	/* Several handles can stand for one rule: our own part of it first. */
	for (size_t i = 0; i < state.count; i++)
		if (!strcmp(state.steps[i].kind, SZC_NIC_RULE_KIND) &&
		    szc_nic_step_rule_parse(state.steps[i].after, &slot, &filter) && slot == rule && rule >= 0 &&
		    (!found || szc_nic_step_mine(nic, &state.steps[i])))
			found = &state.steps[i];
	if (!error)
		error = found ? szc_nic_step_undo(nic, &state, found)
			      : szc_nic_fail(nic, SZC_E_STATE, "rule %d of %s is not one that szc made", rule,
					     nic->ifname);
	szc_nic_state_close(nic, &state);
	return error;
}
