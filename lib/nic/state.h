/* SPDX-License-Identifier: MIT */
/*
 * The state file: the steps that were taken on a NIC and not yet undone, in the order they were taken. Each is written
 * before it is taken, and confirmed after, so that whoever finds the file knows what may have happened.
 *
 * The first line is "szc-nic 1 IFNAME IFINDEX", each further line a step, its fields separated by one tab:
 *   ID PID START TOKEN QUEUE planned|done KIND BEFORE AFTER
 * It is replaced as a whole, by rename, under a lock on the file; it is gone when no step is left. It is not forced to
 * the disk: what it tells of does not survive a restart of the machine either.
 *
 * Its bytes are trusted no further than its owner: it must belong to root or to us and be nobody else's to write, and
 * szc_nic_state_parse() takes nothing that szc_nic_state_render() would not have written. What the values mean is
 * checked by the settings they belong to.
 */
#ifndef SZC_LIB_NIC_STATE_H
#define SZC_LIB_NIC_STATE_H

#include "nic.h"

enum {
	SZC_NIC_STATE_BYTES = 1 << 20, /* of the file */
	SZC_NIC_STATE_STEPS = 128,
	SZC_NIC_STATE_VALUE = 1 << 15, /* of BEFORE and AFTER; the largest RSS table takes less */
	SZC_NIC_KIND_LENGTH = 16,
};

struct szc_nic_step {
	unsigned id; /* ascending within the file */
	pid_t pid;
	uint64_t start;
	uint64_t token;
	unsigned queue;
	bool done; /* else planned: it may have been taken or not */
	char kind[SZC_NIC_KIND_LENGTH];
	char *before; /* allocated */
	char *after;
};

struct szc_nic_state {
	int fd;    /* locked; -1: only looked at */
	bool read; /* what is below is all that the file has */
	unsigned ifindex;
	char ifname[IF_NAMESIZE];
	struct szc_nic_step *steps;
	size_t count;
};

/*
 * Opens, locks and reads the state of a NIC; waits a few seconds for another process's call to end. Steps of an
 * interface that is gone, of which only the name came back, are dropped; those of one that is there, under whatever name
 * now, are SZC_E_STATE. Errors are told by szc_nic_fail().
 */
int szc_nic_state_open(struct szc_nic *nic, struct szc_nic_state *state);

/* Reads without a lock, for those who only look; no file is no steps. */
int szc_nic_state_peek(struct szc_nic *nic, struct szc_nic_state *state);

/* Unlocks, and removes the file if no step is left. In every case after the two above. */
void szc_nic_state_close(struct szc_nic *nic, struct szc_nic_state *state);

/* Writes it all. 0, or an error told by szc_nic_fail(); then the file is what it was. */
int szc_nic_state_save(struct szc_nic *nic, struct szc_nic_state *state);

/*
 * Adds a planned step of this handle's, in memory only: values are copied. Valid until the next addition or removal; NULL
 * without memory or room.
 */
struct szc_nic_step *szc_nic_state_add(struct szc_nic *nic, struct szc_nic_state *state, const char *kind,
				       unsigned queue, const char *before, const char *after);
void szc_nic_state_remove(struct szc_nic_state *state, struct szc_nic_step *step);

/* Gives a value a new text, of which a copy is kept; -ENOMEM leaves the old one. */
int szc_nic_state_replace(char **value, const char *text);

/* Of this handle; ... of a process that still runs and is not this one; ... of one that runs no more. */
bool szc_nic_step_mine(const struct szc_nic *nic, const struct szc_nic_step *step);
bool szc_nic_step_foreign(const struct szc_nic *nic, const struct szc_nic_step *step);
bool szc_nic_step_dead(const struct szc_nic *nic, const struct szc_nic_step *step);

/* The two below know nothing of files. `text` ends with a 0 behind `length`, and is cut up. */
bool szc_nic_state_parse(struct szc_nic_state *state, char *text, size_t length);
int szc_nic_state_render(const struct szc_nic_state *state, char **text, size_t *length);
void szc_nic_state_free(struct szc_nic_state *state);

#endif
