/* SPDX-License-Identifier: MIT */
/* A NIC of the test's: doubles of the settings and of the ioctl stand in front of lib/nic/steps.c. And a handle on it. */
#ifndef SZC_TESTS_NIC_DEVICE_H
#define SZC_TESTS_NIC_DEVICE_H

#include "fixture.h"
#include "lib/nic/rss.h"
#include "lib/nic/steps.h"

enum {
	QUEUES = 4,
	ENTRIES = 8,
	SLOTS = 4,
};

extern struct nic_device {
	char split[8], ring[16], ntuple[8], rss[64];
	int refuse; /* the next writes fail with it */
	bool deaf;  /* writes are taken and do nothing */
	int absent; /* reading a rule fails with it */
	int writes;
	const char *choice; /* where the split is left to it; NULL: it does not tell */
	bool no_way_back;   /* it takes no "unknown" */
	bool rounds_up;     /* rings to the next 64 */
	bool picks_slots;
	bool wants_slots; /* ... but not for our kind of rule */
	struct ethtool_rxnfc rules[SLOTS];
	bool used[SLOTS];
} device;

struct scene {
	struct szc_nic nic;
	struct szc_nic_state state;
	char folder[32];
};

int scene_make(void **given);
int scene_drop(void **given);

/* The change of that index is this one. */
void scene_told(struct szc_nic *nic, size_t index, const char *what, const char *before, const char *after);

int scene_set(struct scene *scene, const struct szc_nic_setting *setting, const char *value, unsigned queue);
int scene_undo_all(struct scene *scene);

#endif
