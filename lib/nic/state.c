/* SPDX-License-Identifier: MIT */
/* The state as text and in memory; journal.c keeps it in a file. */
#include "state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "szc-nic"

enum {
	VERSION = 1,
	QUEUES_MAX = 1 << 16,
	FIELDS = 9,
};

void szc_nic_state_free(struct szc_nic_state *state)
{
	for (size_t i = 0; i < state->count; i++) {
		free(state->steps[i].before);
		free(state->steps[i].after);
	}
	free(state->steps);
	state->steps = NULL;
	state->count = 0;
}

int szc_nic_state_replace(char **value, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*value);
	*value = copy;
	return 0;
}

static struct szc_nic_step *append(struct szc_nic_state *state)
{
	struct szc_nic_step *grown, *step;

	if (state->count >= SZC_NIC_STATE_STEPS)
		return NULL;
	grown = reallocarray(state->steps, state->count + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	state->steps = grown;
	step = &grown[state->count++];
	memset(step, 0, sizeof(*step));
	return step;
}

struct szc_nic_step *szc_nic_state_add(struct szc_nic *nic, struct szc_nic_state *state, const char *kind,
				       unsigned queue, const char *before, const char *after)
{
	unsigned id = state->count ? state->steps[state->count - 1].id + 1 : 1;
	struct szc_nic_step *step = append(state);

	if (!step)
		return NULL;
	step->id = id;
	step->pid = nic->pid;
	step->start = nic->start;
	step->token = nic->token;
	step->queue = queue;
	snprintf(step->kind, sizeof(step->kind), "%s", kind);
	step->before = strdup(before);
	step->after = strdup(after);
	if (step->before && step->after)
		return step;
	szc_nic_state_remove(state, step);
	return NULL;
}

void szc_nic_state_remove(struct szc_nic_state *state, struct szc_nic_step *step)
{
	size_t index = (size_t)(step - state->steps);

	free(step->before);
	free(step->after);
	state->count--;
	memmove(step, step + 1, (state->count - index) * sizeof(*step));
}

bool szc_nic_step_mine(const struct szc_nic *nic, const struct szc_nic_step *step)
{
	return step->token == nic->token;
}

static bool of_our_process(const struct szc_nic *nic, const struct szc_nic_step *step)
{
	return step->pid == nic->pid && step->start == nic->start;
}

bool szc_nic_step_foreign(const struct szc_nic *nic, const struct szc_nic_step *step)
{
	return !of_our_process(nic, step) && szc_nic_process_start(step->pid) == step->start;
}

bool szc_nic_step_dead(const struct szc_nic *nic, const struct szc_nic_step *step)
{
	return !of_our_process(nic, step) && !szc_nic_step_foreign(nic, step);
}

/* ------------------------------------------------------------------------------------------------ text */

int szc_nic_state_render(const struct szc_nic_state *state, char **text, size_t *length)
{
	FILE *file = open_memstream(text, length);

	if (!file)
		return -ENOMEM;
	fprintf(file, MAGIC " %d %s %u\n", VERSION, state->ifname, state->ifindex);
	for (size_t i = 0; i < state->count; i++) {
		const struct szc_nic_step *step = &state->steps[i];

		fprintf(file, "%u\t%d\t%" PRIu64 "\t%" PRIu64 "\t%u\t%s\t%s\t%s\t%s\n", step->id, (int)step->pid,
			step->start, step->token, step->queue, step->done ? "done" : "planned", step->kind,
			step->before, step->after);
	}
	if (!fclose(file))
		return 0;
	free(*text);
	*text = NULL;
	return -ENOMEM;
}

/* Digits and nothing else, as printf would have written them. */
static bool number(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9' || (*text == '0' && text[1]) || strlen(text) > 20)
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && !*end && *value <= max;
}

static bool parse_head(struct szc_nic_state *state, char *line)
{
	char *fields[4];
	uint64_t version, ifindex;

	for (int i = 0; i < 4; i++)
		fields[i] = strsep(&line, " ");
	if (line || !fields[3] || strcmp(fields[0], MAGIC) != 0 || !number(fields[1], VERSION, &version) ||
	    version != VERSION || !*fields[2] || strlen(fields[2]) >= sizeof(state->ifname) ||
	    !number(fields[3], INT32_MAX, &ifindex) || !ifindex)
		return false;
	snprintf(state->ifname, sizeof(state->ifname), "%s", fields[2]);
	state->ifindex = (unsigned)ifindex;
	return true;
}

static bool parse_step(struct szc_nic_state *state, char *line)
{
	uint64_t id, pid, start, token, queue, last = state->count ? state->steps[state->count - 1].id : 0;
	struct szc_nic_step *step;
	char *fields[FIELDS];

	for (int i = 0; i < FIELDS; i++)
		fields[i] = strsep(&line, "\t");
	if (line || !fields[FIELDS - 1])
		return false;
	if (!number(fields[0], UINT32_MAX - 1, &id) || id <= last || !number(fields[1], INT32_MAX, &pid) ||
	    !number(fields[2], UINT64_MAX, &start) || !number(fields[3], UINT64_MAX, &token) ||
	    !number(fields[4], QUEUES_MAX, &queue))
		return false;
	if ((strcmp(fields[5], "done") != 0 && strcmp(fields[5], "planned") != 0) || !*fields[6] ||
	    strlen(fields[6]) >= SZC_NIC_KIND_LENGTH || !*fields[7] || strlen(fields[7]) >= SZC_NIC_STATE_VALUE ||
	    !*fields[8] || strlen(fields[8]) >= SZC_NIC_STATE_VALUE)
		return false;
	step = append(state);
	if (!step)
		return false;
	step->id = (unsigned)id;
	step->pid = (pid_t)pid;
	step->start = start;
	step->token = token;
	step->queue = (unsigned)queue;
	step->done = !strcmp(fields[5], "done");
	snprintf(step->kind, sizeof(step->kind), "%s", fields[6]);
	step->before = strdup(fields[7]);
	step->after = strdup(fields[8]);
	return step->before && step->after;
}

bool szc_nic_state_parse(struct szc_nic_state *state, char *text, size_t length)
{
	bool head = true, good = length > 0 && length <= SZC_NIC_STATE_BYTES && text[length - 1] == '\n';

	/* Also no byte 0: what follows one would not be looked at. */
	for (size_t i = 0; good && i < length; i++)
		good = (text[i] >= ' ' && text[i] <= '~') || text[i] == '\t' || text[i] == '\n';
	while (good && *text) {
		char *line = strsep(&text, "\n");

		good = head ? parse_head(state, line) : parse_step(state, line);
		head = false;
	}
	if (!good)
		szc_nic_state_free(state);
	return good;
}
