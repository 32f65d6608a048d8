/* SPDX-License-Identifier: MIT */
/*
 * Steps taken and undone. Each function works on an open state, saves it, tells the change, and says its failures by
 * szc_nic_fail().
 *
 * Steps of one kind form a chain: each begins with what the one before it left. When one in the middle is undone, those
 * behind it are told to begin where it began; so a setting that a second queue relies on stays, and goes back to its very
 * first value when the last queue leaves, in whichever order they leave.
 */
#ifndef SZC_LIB_NIC_STEPS_H
#define SZC_LIB_NIC_STEPS_H

#include "rules.h"
#include "settings.h"
#include "state.h"

#define SZC_NIC_RULE_KIND "rule"
#define SZC_NIC_FIRM_NOTE "made firm, as it could be the driver's own choice, which is not enough"

/*
 * Gives a setting the value that a queue needs; `wanted` is NULL for settings that spare the queue. Where it has it
 * already nothing happens, but that it is held if a step made it so that is not this handle's for this queue, and made firm
 * if it could be the driver's own choice.
 */
int szc_nic_step_set(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_setting *setting,
		     const char *wanted, unsigned queue);

/*
 * Whether a value that is there already is written all the same: the kernel asks for a split that was set, and answers
 * with one that the driver chose by itself, too.
 */
bool szc_nic_step_firms(struct szc_nic_state *state, const struct szc_nic_setting *setting, const char *present,
			const char *value);

/* The value that a setting would get; *present and *value are the caller's to free. No sentence. */
int szc_nic_step_plan(struct szc_nic *nic, const struct szc_nic_setting *setting, const char *wanted, unsigned queue,
		      char **present, char **value);

/* Puts a rule in, or finds the one that is there; its slot. */
int szc_nic_step_rule(struct szc_nic *nic, struct szc_nic_state *state, struct szc_nic_filter *filter, unsigned queue);

/* A rule's step, as it is recorded: its slot, SZC_NIC_SLOT_ANY while it was only planned, and what it says. */
bool szc_nic_step_rule_parse(const char *after, int *slot, struct szc_nic_filter *filter);

/* Whether a rule that the NIC has is one that a step stands for. */
bool szc_nic_step_rule_recorded(const struct szc_nic_state *state, const struct szc_nic_filter *filter);

/* On success the step is gone from the state. */
int szc_nic_step_undo(struct szc_nic *nic, struct szc_nic_state *state, struct szc_nic_step *step);

/* Undoes all steps, or those of this handle, from an id on, the latest first. The first failure; the others are tried. */
int szc_nic_steps_undo(struct szc_nic *nic, struct szc_nic_state *state, unsigned from, bool all);

#endif
