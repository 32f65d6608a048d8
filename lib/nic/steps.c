/* SPDX-License-Identifier: MIT */
#include "steps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct szc_nic *nic)
{
	return szc_nic_fail(nic, -ENOMEM, "out of memory");
}

static int full(struct szc_nic *nic)
{
	return szc_nic_fail(nic, SZC_E_STATE,
			    "no more than %d changes of %s are kept on record: undo some (szc-nic restore)",
			    SZC_NIC_STATE_STEPS, nic->ifname);
}

static int tell(struct szc_nic *nic, const struct szc_nic_setting *setting, unsigned queue, const char *before,
		const char *after, const char *note)
{
	char *from = szc_nic_setting_summary(setting, before), *to = szc_nic_setting_summary(setting, after);
	struct szc_nic_change change = {.what = setting->what, .before = from, .after = to, .note = note};
	int error;

	change.queue = queue;
	change.holder = nic->pid;
	error = from && to && !szc_nic_tell(nic, &change) ? 0 : no_memory(nic);
	free(from);
	free(to);
	return error;
}

/* ------------------------------------------------------------------------------------------------ taken */

int szc_nic_step_plan(struct szc_nic *nic, const struct szc_nic_setting *setting, const char *wanted, unsigned queue,
		      char **present, char **value)
{
	int error = setting->read(nic, present);

	if (error) {
		*present = NULL;
		return error;
	}
	if (setting->spare)
		return setting->spare(nic, *present, queue, value);
	*value = strdup(wanted);
	return *value ? 0 : -ENOMEM;
}

static struct szc_nic_step *newest(struct szc_nic_state *state, const char *kind)
{
	struct szc_nic_step *found = NULL;

	for (size_t i = 0; i < state->count; i++)
		if (!strcmp(state->steps[i].kind, kind))
			found = &state->steps[i];
	return found;
}

bool szc_nic_step_firms(struct szc_nic_state *state, const struct szc_nic_setting *setting, const char *present,
			const char *value)
{
	return setting->natural && !strcmp(present, value) && !newest(state, setting->kind);
}

/*
 * Processes that prepare a queue and end, as szc-nic does, hold it once for all of them, and so does who is killed again
 * and again its rule (NULL: a setting is held).
 */
static void forget_dead_holds(const struct szc_nic *nic, struct szc_nic_state *state, const char *kind, unsigned queue,
			      const char *rule)
{
	bool held = false;

	for (size_t i = 0; i < state->count;) {
		struct szc_nic_step *step = &state->steps[i];
		bool dead = !strcmp(step->kind, kind) && step->queue == queue &&
			    (!rule || !strcmp(step->after, rule)) && szc_nic_step_dead(nic, step);

		if (dead && held && (rule || !strcmp(step->before, step->after))) {
			szc_nic_state_remove(state, step);
			continue;
		}
		held |= dead;
		i++;
	}
}

/* It has the value already. Whoever made it so must not take it away while we rely on it. */
static int hold(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_setting *setting,
		const char *value, unsigned queue)
{
	struct szc_nic_step *step;

	for (size_t i = 0; i < state->count; i++)
		if (!strcmp(state->steps[i].kind, setting->kind) && state->steps[i].queue == queue &&
		    szc_nic_step_mine(nic, &state->steps[i]))
			return 0;
	if (!newest(state, setting->kind))
		return 0;
	forget_dead_holds(nic, state, setting->kind, queue, NULL);
	step = szc_nic_state_add(nic, state, setting->kind, queue, value, value);
	if (!step)
		return full(nic);
	step->done = true;
	return szc_nic_state_save(nic, state);
}

static int change(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_setting *setting,
		  const char *present, const char *value, unsigned queue)
{
	struct szc_nic_step *step = szc_nic_state_add(nic, state, setting->kind, queue, present, value);
	char *now = NULL;
	int error;

	if (!step)
		return full(nic);
	error = szc_nic_state_save(nic, state);
	if (error) {
		szc_nic_state_remove(state, step);
		return error;
	}
	error = setting->write(nic, value);
	if (error) {
		szc_nic_state_remove(state, step);
		szc_nic_refused(nic, error, "%s cannot set its %s to %s", nic->ifname, setting->what, value);
		return szc_nic_state_save(nic, state) ?: error;
	}
	error = setting->read(nic, &now);
	if (error)
		return szc_nic_refused(nic, error, "cannot read back the %s of %s", setting->what, nic->ifname);
	/* What it has now is what is undone later, whether it is what we wanted or not. */
	error = szc_nic_state_replace(&step->after, now) ? no_memory(nic) : 0;
	step->done = !error;
	if (!error)
		error = szc_nic_state_save(nic, state);
	if (!error && strcmp(now, value) != 0 && !setting->rounds)
		error = szc_nic_fail(nic, -EIO, "%s was told to set its %s to %.80s, and has %.80s", nic->ifname,
				     setting->what, value, now);
	if (!error && !strcmp(present, value)) {
		error = tell(nic, setting, queue, present, now, SZC_NIC_FIRM_NOTE);
	} else if (!error && !strcmp(now, present)) {
		/* The NIC rounded to what it had. */
		szc_nic_state_remove(state, step);
		error = szc_nic_state_save(nic, state) ?: hold(nic, state, setting, present, queue);
	} else if (!error) {
		error = tell(nic, setting, queue, present, now, NULL);
	}
	free(now);
	return error;
}

int szc_nic_step_set(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_setting *setting,
		     const char *wanted, unsigned queue)
{
	char *present = NULL, *value = NULL;
	int error = szc_nic_step_plan(nic, setting, wanted, queue, &present, &value);

	if (error)
		szc_nic_refused(nic, error, "cannot read the %s of %s", setting->what, nic->ifname);
	else if (!strcmp(present, value) && !szc_nic_step_firms(state, setting, present, value))
		error = hold(nic, state, setting, value, queue);
	else
		error = change(nic, state, setting, present, value, queue);
	free(present);
	free(value);
	return error;
}

/* ------------------------------------------------------------------------------------------------ undone */

/*
 * What the setting has to be without a step: its beginning, and then what the steps behind it make of that. With `store`
 * they take note. *value is the caller's to free.
 */
static int without(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_setting *setting,
		   const struct szc_nic_step *gone, bool store, char **value)
{
	int error = 0;

	*value = strdup(gone->before);
	for (size_t i = (size_t)(gone - state->steps) + 1; i < state->count && *value && !error; i++) {
		struct szc_nic_step *step = &state->steps[i];
		char *after = NULL;

		if (strcmp(step->kind, setting->kind) != 0)
			continue;
		if (setting->spare)
			error = setting->spare(nic, *value, step->queue, &after);
		else
			after = strdup(step->after);
		if (!error && store)
			error = szc_nic_state_replace(&step->before, *value)
					?: szc_nic_state_replace(&step->after, after ? after : "");
		free(*value);
		*value = after;
	}
	return error ? error : *value ? 0 : -ENOMEM;
}

static bool alone(const struct szc_nic_state *state, const struct szc_nic_step *step)
{
	for (size_t i = 0; i < state->count; i++)
		if (&state->steps[i] != step && !strcmp(state->steps[i].kind, step->kind))
			return false;
	return true;
}

static int put_back(struct szc_nic *nic, const struct szc_nic_setting *setting, const char *value)
{
	char *now = NULL;
	int error;

	if (setting->natural && !setting->write(nic, setting->natural) && !setting->read(nic, &now) &&
	    !strcmp(now, value)) {
		free(now);
		return 0;
	}
	free(now);
	now = NULL;
	error = setting->write(nic, value);
	if (error == SZC_E_STATE)
		return szc_nic_fail(nic, error, "the state file %s wants the %s of %s to be %.80s, which it cannot be",
				    nic->state_file, setting->what, nic->ifname, value);
	if (error)
		return szc_nic_refused(nic, error, "%s cannot set its %s back to %.80s", nic->ifname, setting->what,
				       value);
	error = setting->read(nic, &now);
	if (error)
		return szc_nic_refused(nic, error, "cannot read back the %s of %s", setting->what, nic->ifname);
	if (strcmp(now, value) != 0)
		error = szc_nic_fail(nic, -EIO, "the %s of %s was set back to %.80s, and is %.80s", setting->what,
				     nic->ifname, value, now);
	free(now);
	return error;
}

/* *note says why a setting that takes the rules with it is left: somebody else has made one since. */
static int spare_rules(struct szc_nic *nic, const struct szc_nic_state *state, const struct szc_nic_setting *setting,
		       const char **note)
{
	struct szc_nic_filters filters;
	int error = szc_nic_filters_read(nic, &filters);
	size_t count = filters.count;

	for (size_t i = 0; i < count && !*note; i++)
		if (!szc_nic_step_rule_recorded(state, &filters.all[i]))
			*note = "left as it is: rules that szc did not make would be deleted with it";
	szc_nic_filters_free(&filters);
	if (error)
		return error == -EOPNOTSUPP ? 0
					    : szc_nic_refused(nic, error, "cannot read the rules of %s", nic->ifname);
	if (!count || *note)
		return 0;
	return szc_nic_fail(nic, -EBUSY, "rules that szc made are still on %s: the %s stay as they are until they go",
			    nic->ifname, setting->what);
}

/* It was on before, too: set so, or by the driver's own choice, to which it is left again. */
static int loosen(struct szc_nic *nic, const struct szc_nic_setting *setting, const char *value, const char **note)
{
	*note = "left to the driver again, if it chooses the same";
	if (!setting->write(nic, setting->natural))
		return put_back(nic, setting, value);
	*note = "left firm: it cannot be left to the driver now";
	return 0;
}

/* The NIC has what the newest step of the kind gave it. */
static int take_back(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_setting *setting,
		     const struct szc_nic_step *step, const char *present)
{
	char *value = NULL, *noted = NULL;
	const char *note = NULL;
	int error = without(nic, state, setting, step, false, &value);
	bool differs = !error && strcmp(value, present) != 0;
	bool firm = !error && !differs && setting->natural && alone(state, step);

	if (error)
		error = szc_nic_refused(nic, error, "cannot tell what the %s of %s was", setting->what, nic->ifname);
	if (!error && (differs || firm) && setting->released)
		error = setting->released(nic, step->queue);
	if (!error && differs && setting->flushes)
		error = spare_rules(nic, state, setting, &note);
	if (!error && firm)
		error = loosen(nic, setting, value, &note);
	else if (!error && differs && !note)
		error = put_back(nic, setting, value);
	if (!error && without(nic, state, setting, step, true, &noted))
		error = no_memory(nic);
	if (!error && (differs || firm))
		error = tell(nic, setting, step->queue, present, note ? present : value, note);
	free(value);
	free(noted);
	return error;
}

/* Whoever planned it died before it was done, or after it was undone: what is behind it counts. */
static bool never_happened(const struct szc_nic *nic, const struct szc_nic_step *step, const char *present)
{
	return szc_nic_step_dead(nic, step) && !strcmp(present, step->before) && strcmp(present, step->after) != 0;
}

static int undo_setting(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_setting *setting,
			struct szc_nic_step *step)
{
	struct szc_nic_step *last = newest(state, step->kind);
	char *present = NULL;
	int error = setting->read(nic, &present);

	if (error)
		return szc_nic_refused(nic, error, "cannot read the %s of %s", setting->what, nic->ifname);
	while (last != step && never_happened(nic, last, present)) {
		szc_nic_state_remove(state, last);
		last = newest(state, step->kind);
	}
	if (strcmp(present, last->after) != 0) {
		/* Either it never happened, or was undone and not noted, or somebody changed it since. */
		if (strcmp(present, last->before) != 0)
			error = tell(nic, setting, step->queue, present, present,
				     "left as it is: it is not what was set, so somebody else set it since");
	} else {
		error = take_back(nic, state, setting, step, present);
	}
	if (!error) {
		szc_nic_state_remove(state, step);
		error = szc_nic_state_save(nic, state);
	}
	free(present);
	return error;
}

/* ------------------------------------------------------------------------------------------------ rules */

static char *rule_record(int slot, const struct szc_nic_filter *filter)
{
	char text[SZC_NIC_RULE_TEXT], *record;

	szc_nic_filter_text(filter, text);
	if ((slot < 0 ? asprintf(&record, "any %s", text) : asprintf(&record, "%d %s", slot, text)) < 0)
		return NULL;
	return record;
}

bool szc_nic_step_rule_parse(const char *after, int *slot, struct szc_nic_filter *filter)
{
	const char *space = strchr(after, ' ');
	unsigned long number = 0;
	char *end;

	if (!space)
		return false;
	*slot = SZC_NIC_SLOT_ANY;
	if (strncmp(after, "any ", 4) != 0) {
		if (*after < '0' || *after > '9' || space - after > 9)
			return false;
		number = strtoul(after, &end, 10);
		if (end != space)
			return false;
		*slot = (int)number;
	}
	if (!szc_nic_filter_parse(filter, space + 1))
		return false;
	filter->spec.location = (uint32_t)number;
	return true;
}

bool szc_nic_step_rule_recorded(const struct szc_nic_state *state, const struct szc_nic_filter *filter)
{
	struct szc_nic_filter of;
	int slot;

	for (size_t i = 0; i < state->count; i++)
		if (!strcmp(state->steps[i].kind, SZC_NIC_RULE_KIND) &&
		    szc_nic_step_rule_parse(state->steps[i].after, &slot, &of) && szc_nic_filter_same(&of, filter) &&
		    (slot == SZC_NIC_SLOT_ANY || (unsigned)slot == filter->spec.location))
			return true;
	return false;
}

static int tell_rule(struct szc_nic *nic, const struct szc_nic_filter *filter, bool added, const char *note)
{
	char text[SZC_NIC_RULE_TEXT], what[32];
	struct szc_nic_change change = {.what = what, .before = "none", .after = text, .note = note};

	snprintf(what, sizeof(what), "rule %u", filter->spec.location);
	szc_nic_filter_text(filter, text);
	if (!added) {
		change.before = text;
		change.after = note ? text : "none";
	}
	change.queue = (unsigned)szc_nic_filter_queue(filter);
	change.holder = nic->pid;
	return szc_nic_tell(nic, &change) ? no_memory(nic) : 0;
}

/* The rule that matches what this one matches, NULL if there is none. */
static const struct szc_nic_filter *find(const struct szc_nic_filters *filters, const struct szc_nic_filter *filter)
{
	for (size_t i = 0; i < filters->count; i++)
		if (szc_nic_filter_matches_same(&filters->all[i], filter))
			return &filters->all[i];
	return NULL;
}

/* Whether another step stands for the very same rule. */
static bool shared(const struct szc_nic_state *state, const struct szc_nic_step *step, const char *record)
{
	for (size_t i = 0; i < state->count; i++)
		if (&state->steps[i] != step && !strcmp(state->steps[i].kind, SZC_NIC_RULE_KIND) &&
		    !strcmp(state->steps[i].after, record))
			return true;
	return false;
}

/* Ours, of another handle: one more step, so that it stays until both are gone. Somebody else's: none. */
static int take_present(struct szc_nic *nic, struct szc_nic_state *state, const struct szc_nic_filter *there,
			unsigned queue)
{
	char *record = rule_record((int)there->spec.location, there);
	struct szc_nic_step *step;
	int error = 0;

	if (!record)
		return no_memory(nic);
	if (shared(state, NULL, record)) {
		forget_dead_holds(nic, state, SZC_NIC_RULE_KIND, queue, record);
		step = szc_nic_state_add(nic, state, SZC_NIC_RULE_KIND, queue, "none", record);
		if (step)
			step->done = true;
		error = step ? szc_nic_state_save(nic, state) : full(nic);
	}
	free(record);
	return error ? error : (int)there->spec.location;
}

static int insert(struct szc_nic *nic, struct szc_nic_state *state, struct szc_nic_filter *filter,
		  const struct szc_nic_filters *filters, unsigned queue)
{
	char *planned = rule_record(SZC_NIC_SLOT_ANY, filter), *record = NULL, text[SZC_NIC_RULE_TEXT];
	struct szc_nic_step *step = NULL;
	struct szc_nic_filter now;
	int slot, error;

	szc_nic_filter_text(filter, text);
	if (planned)
		step = szc_nic_state_add(nic, state, SZC_NIC_RULE_KIND, queue, "none", planned);
	free(planned);
	if (!step)
		return full(nic);
	error = szc_nic_state_save(nic, state);
	if (error) {
		szc_nic_state_remove(state, step);
		return error;
	}
	slot = szc_nic_filter_insert(nic, filter, filters);
	if (slot < 0) {
		szc_nic_state_remove(state, step);
		szc_nic_refused(nic, slot, "%s does not take the rule \"%s\"", nic->ifname, text);
		return szc_nic_state_save(nic, state) ?: slot;
	}
	record = rule_record(slot, filter);
	error = record && !szc_nic_state_replace(&step->after, record) ? 0 : no_memory(nic);
	free(record);
	step->done = !error;
	if (!error)
		error = szc_nic_state_save(nic, state);
	if (!error && (szc_nic_filter_read(nic, (unsigned)slot, &now) || !szc_nic_filter_same(&now, filter)))
		error = szc_nic_fail(nic, -EIO, "%s took the rule \"%s\" into slot %d, and has another there",
				     nic->ifname, text, slot);
	return error ? error : tell_rule(nic, filter, true, NULL) ?: slot;
}

int szc_nic_step_rule(struct szc_nic *nic, struct szc_nic_state *state, struct szc_nic_filter *filter, unsigned queue)
{
	const struct szc_nic_filter *there;
	struct szc_nic_filters filters;
	char text[SZC_NIC_RULE_TEXT];
	int result;

	result = szc_nic_filters_read(nic, &filters);
	if (result) {
		result = szc_nic_refused(nic, result, "cannot read the rules of %s", nic->ifname);
		goto out;
	}
	there = find(&filters, filter);
	if (!there) {
		result = insert(nic, state, filter, &filters, queue);
	} else if (szc_nic_filter_same(there, filter)) {
		result = take_present(nic, state, there, queue);
	} else {
		szc_nic_filter_text(there, text);
		result = szc_nic_fail(
			nic, -EEXIST,
			"rule %u of %s, \"%s\", takes these packets elsewhere: remove it (ethtool -N %s delete "
			"%u), or use its queue",
			there->spec.location, nic->ifname, text, nic->ifname, there->spec.location);
	}
out:
	szc_nic_filters_free(&filters);
	return result;
}

/* The slot where a planned rule went in the end; SZC_NIC_SLOT_ANY: nowhere. */
static int look_for(struct szc_nic *nic, struct szc_nic_filter *filter, int *slot)
{
	const struct szc_nic_filter *there;
	struct szc_nic_filters filters;
	int error = szc_nic_filters_read(nic, &filters);

	there = error ? NULL : find(&filters, filter);
	if (there && szc_nic_filter_same(there, filter))
		*slot = (int)there->spec.location;
	szc_nic_filters_free(&filters);
	return error ? szc_nic_refused(nic, error, "cannot read the rules of %s", nic->ifname) : 0;
}

static int undo_rule(struct szc_nic *nic, struct szc_nic_state *state, struct szc_nic_step *step)
{
	static const char gone[] = "left as it is: the rule is gone, or another is in its slot";
	struct szc_nic_filter filter, there;
	int slot, error = 0;

	if (!szc_nic_step_rule_parse(step->after, &slot, &filter))
		return szc_nic_fail(nic, SZC_E_STATE, "the state file %s has a rule that szc does not make: \"%.80s\"",
				    nic->state_file, step->after);
	if (slot == SZC_NIC_SLOT_ANY)
		error = look_for(nic, &filter, &slot);
	if (!error && slot != SZC_NIC_SLOT_ANY && !shared(state, step, step->after)) {
		filter.spec.location = (uint32_t)slot;
		error = szc_nic_filter_read(nic, (unsigned)slot, &there);
		/* An empty slot is ENOENT, of some drivers EINVAL; with anything else the rule may be there still. */
		if (error && error != -ENOENT && error != -EINVAL)
			return szc_nic_refused(nic, error, "cannot read rule %d of %s", slot, nic->ifname);
		if (error || !szc_nic_filter_same(&there, &filter)) {
			error = tell_rule(nic, &filter, false, gone);
		} else {
			error = szc_nic_filter_delete(nic, (unsigned)slot);
			error = error ? szc_nic_refused(nic, error, "cannot remove rule %d of %s", slot, nic->ifname)
				      : tell_rule(nic, &filter, false, NULL);
		}
	}
	if (error)
		return error;
	szc_nic_state_remove(state, step);
	return szc_nic_state_save(nic, state);
}

/* ------------------------------------------------------------------------------------------------ any of them */

int szc_nic_step_undo(struct szc_nic *nic, struct szc_nic_state *state, struct szc_nic_step *step)
{
	const struct szc_nic_setting *setting;

	if (!strcmp(step->kind, SZC_NIC_RULE_KIND))
		return undo_rule(nic, state, step);
	setting = szc_nic_setting_find(step->kind);
	if (setting)
		return undo_setting(nic, state, setting, step);
	return szc_nic_fail(nic, SZC_E_STATE,
			    "the state file %s has a step \"%s\" that this version of szc cannot undo", nic->state_file,
			    step->kind);
}

int szc_nic_steps_undo(struct szc_nic *nic, struct szc_nic_state *state, unsigned from, bool all)
{
	char sentence[sizeof(nic->error_text)] = "";
	int first = 0, error;

	for (size_t i = state->count; i-- > 0;) {
		struct szc_nic_step *step = &state->steps[i];

		if (step->id < from || !(all || szc_nic_step_mine(nic, step)))
			continue;
		error = szc_nic_step_undo(nic, state, step);
		if (error && !first) {
			first = error;
			memcpy(sentence, nic->error_text, sizeof(sentence));
		}
	}
	if (first)
		memcpy(nic->error_text, sentence, sizeof(sentence));
	return first;
}
