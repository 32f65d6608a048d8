/* SPDX-License-Identifier: MIT */
#include "nic_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/nic/ioctl.h"

/* ------------------------------------------------------------------------------------------------ the NIC */

struct nic_device device;

static int give(char **text, const char *value)
{
	*text = strdup(value);
	return *text ? 0 : -ENOMEM;
}

static int take(char *value, size_t size, const char *text)
{
	device.writes++;
	if (device.refuse)
		return device.refuse;
	if (!device.deaf)
		snprintf(value, size, "%s", text);
	return 0;
}

static int read_split(struct szc_nic *nic, char **text)
{
	(void)nic;
	return give(text, device.choice && !strcmp(device.split, "unknown") ? device.choice : device.split);
}

static int write_split(struct szc_nic *nic, const char *text)
{
	(void)nic;
	if (device.no_way_back && !strcmp(text, "unknown"))
		return -EOPNOTSUPP;
	return take(device.split, sizeof(device.split), text);
}

static int read_ring(struct szc_nic *nic, char **text)
{
	(void)nic;
	return give(text, device.ring);
}

static int write_ring(struct szc_nic *nic, const char *text)
{
	char rounded[16];

	(void)nic;
	snprintf(rounded, sizeof(rounded), "%d", device.rounds_up ? (atoi(text) + 63) / 64 * 64 : atoi(text));
	return take(device.ring, sizeof(device.ring), rounded);
}

static int read_ntuple(struct szc_nic *nic, char **text)
{
	(void)nic;
	return give(text, device.ntuple);
}

/* As the kernel has drivers do it. */
static int write_ntuple(struct szc_nic *nic, const char *text)
{
	(void)nic;
	if (!strcmp(text, "off"))
		memset(device.used, 0, sizeof(device.used));
	return take(device.ntuple, sizeof(device.ntuple), text);
}

static int read_rss(struct szc_nic *nic, char **text)
{
	(void)nic;
	return give(text, device.rss);
}

static int write_rss(struct szc_nic *nic, const char *text)
{
	struct szc_nic_table table;

	(void)nic;
	if (!szc_nic_table_parse(&table, text, ENTRIES, QUEUES))
		return SZC_E_STATE;
	return take(device.rss, sizeof(device.rss), text);
}

static int spare_rss(struct szc_nic *nic, const char *text, unsigned queue, char **spared)
{
	struct szc_nic_table table;

	(void)nic;
	if (!szc_nic_table_parse(&table, text, ENTRIES, QUEUES))
		return SZC_E_STATE;
	assert_true(szc_nic_table_without(&table, queue, QUEUES));
	*spared = szc_nic_table_text(&table, QUEUES);
	return 0;
}

const struct szc_nic_setting szc_nic_split_setting = {
	.kind = "split", .what = "split", .natural = "unknown", .read = read_split, .write = write_split};
const struct szc_nic_setting szc_nic_ring_setting = {
	.kind = "rx-ring", .what = "ring", .rounds = true, .read = read_ring, .write = write_ring};
const struct szc_nic_setting szc_nic_ntuple_setting = {
	.kind = "ntuple", .what = "filters", .flushes = true, .read = read_ntuple, .write = write_ntuple};
const struct szc_nic_setting szc_nic_rss_setting = {
	.kind = "rss", .what = "RSS table", .read = read_rss, .write = write_rss, .spare = spare_rss};

const struct szc_nic_setting *szc_nic_setting_find(const char *kind)
{
	static const struct szc_nic_setting *const all[] = {&szc_nic_split_setting, &szc_nic_ring_setting,
							    &szc_nic_ntuple_setting, &szc_nic_rss_setting};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(all[i]->kind, kind))
			return all[i];
	return NULL;
}

char *szc_nic_setting_summary(const struct szc_nic_setting *setting, const char *text)
{
	(void)setting;
	return strdup(text);
}

static int list(struct ethtool_rxnfc *command, bool locations)
{
	uint32_t count = 0, room = command->rule_cnt;

	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		if (!device.used[slot])
			continue;
		if (locations && count == room)
			return -EMSGSIZE;
		if (locations)
			command->rule_locs[count] = slot;
		count++;
	}
	command->rule_cnt = count;
	command->data = SLOTS | (!locations && device.picks_slots ? RX_CLS_LOC_SPECIAL : 0);
	return 0;
}

static int insert(struct ethtool_rxnfc *command)
{
	uint32_t slot = command->fs.location;

	device.writes++;
	if (device.refuse)
		return device.refuse;
	if (slot == RX_CLS_LOC_ANY && (!device.picks_slots || device.wants_slots))
		return -EINVAL;
	for (uint32_t i = SLOTS; slot == RX_CLS_LOC_ANY && i-- > 0;)
		if (!device.used[i])
			slot = i;
	if (slot >= SLOTS)
		return -ENOSPC;
	command->fs.location = slot;
	device.rules[slot] = *command;
	device.used[slot] = true;
	return 0;
}

int szc_nic_ioctl(struct szc_nic *nic, void *data)
{
	struct ethtool_rxnfc *command = data;

	nic->netlink.why[0] = 0;
	switch (command->cmd) {
	case ETHTOOL_GRXCLSRLCNT:
	case ETHTOOL_GRXCLSRLALL:
		return list(command, command->cmd == ETHTOOL_GRXCLSRLALL);
	case ETHTOOL_SRXCLSRLINS:
		return insert(command);
	default:
		break;
	}
	if (command->cmd == ETHTOOL_GRXCLSRULE && device.absent)
		return device.absent;
	if (command->fs.location >= SLOTS || !device.used[command->fs.location])
		return -ENOENT;
	if (command->cmd == ETHTOOL_SRXCLSRLDEL)
		device.used[command->fs.location] = false;
	else
		*command = device.rules[command->fs.location];
	return 0;
}

/* ------------------------------------------------------------------------------------------------ the handle */

int scene_make(void **given)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	memset(&device, 0, sizeof(device));
	strcpy(device.split, "unknown");
	strcpy(device.ring, "512");
	strcpy(device.ntuple, "off");
	strcpy(device.rss, "default");
	device.picks_slots = true;
	strcpy(scene->folder, "/tmp/szc-nic-XXXXXX");
	if (!mkdtemp(scene->folder) || asprintf(&scene->nic.state_file, "%s/state", scene->folder) < 0)
		return -1;
	strcpy(scene->nic.ifname, "eth7");
	scene->nic.ifindex = 7;
	scene->nic.pid = getpid();
	scene->nic.start = szc_nic_process_start(scene->nic.pid);
	scene->nic.token = 1;
	*given = scene;
	return szc_nic_state_open(&scene->nic, &scene->state);
}

int scene_drop(void **given)
{
	struct scene *scene = *given;

	szc_nic_state_close(&scene->nic, &scene->state);
	szc_nic_forget_changes(&scene->nic);
	unlink(scene->nic.state_file);
	free(scene->nic.state_file);
	rmdir(scene->folder);
	free(scene);
	return 0;
}

void scene_told(struct szc_nic *nic, size_t index, const char *what, const char *before, const char *after)
{
	const struct szc_nic_change *change = szc_nic_change(nic, index);

	assert_non_null(change);
	assert_string_equal(change->what, what);
	assert_string_equal(change->before, before);
	assert_string_equal(change->after, after);
}

int scene_set(struct scene *scene, const struct szc_nic_setting *setting, const char *value, unsigned queue)
{
	return szc_nic_step_set(&scene->nic, &scene->state, setting, value, queue);
}

int scene_undo_all(struct scene *scene)
{
	szc_nic_forget_changes(&scene->nic);
	return szc_nic_steps_undo(&scene->nic, &scene->state, 0, true);
}
