/* SPDX-License-Identifier: MIT */
/* Steps taken and undone, on a NIC of this test's: doubles of the settings and of the ioctl stand in front of it. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/nic/ioctl.h"
#include "lib/nic/rss.h"
#include "lib/nic/steps.h"

enum {
	QUEUES = 4,
	ENTRIES = 8,
	SLOTS = 4,
};

/* ------------------------------------------------------------------------------------------------ the NIC */

static struct {
	char split[8], ring[16], ntuple[8], rss[64];
	int refuse; /* the next writes fail with it */
	bool deaf;  /* writes are taken and do nothing */
	int writes;
	const char *choice; /* where the split is left to it; NULL: it does not tell */
	bool no_way_back;   /* it takes no "unknown" */
	bool rounds_up;     /* rings to the next 64 */
	bool picks_slots;
	bool wants_slots; /* ... but not for our kind of rule */
	struct ethtool_rxnfc rules[SLOTS];
	bool used[SLOTS];
} device;

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
	if (command->fs.location >= SLOTS || !device.used[command->fs.location])
		return -ENOENT;
	if (command->cmd == ETHTOOL_SRXCLSRLDEL)
		device.used[command->fs.location] = false;
	else
		*command = device.rules[command->fs.location];
	return 0;
}

/* ------------------------------------------------------------------------------------------------ the handle */

struct scene {
	struct szc_nic nic;
	struct szc_nic_state state;
	char folder[32];
};

static int make(void **given)
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

static int drop(void **given)
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

static void told(struct szc_nic *nic, size_t index, const char *what, const char *before, const char *after)
{
	const struct szc_nic_change *change = szc_nic_change(nic, index);

	assert_non_null(change);
	assert_string_equal(change->what, what);
	assert_string_equal(change->before, before);
	assert_string_equal(change->after, after);
}

static int set(struct scene *scene, const struct szc_nic_setting *setting, const char *value, unsigned queue)
{
	return szc_nic_step_set(&scene->nic, &scene->state, setting, value, queue);
}

static int undo_all(struct scene *scene)
{
	szc_nic_forget_changes(&scene->nic);
	return szc_nic_steps_undo(&scene->nic, &scene->state, 0, true);
}

/* ------------------------------------------------------------------------------------------------ settings */

static void what_is_set_goes_back(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(set(scene, &szc_nic_rss_setting, NULL, 1), 0);
	assert_string_equal(device.split, "on");
	assert_string_equal(device.rss, "0,2,2,3,0,3,2,3");
	told(&scene->nic, 0, "split", "unknown", "on");
	told(&scene->nic, 1, "RSS table", "default", "0,2,2,3,0,3,2,3");
	assert_null(szc_nic_change(&scene->nic, 2));
	/* Again: nothing to be done, nothing to be told, and no further step. */
	szc_nic_forget_changes(&scene->nic);
	device.writes = 0;
	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(set(scene, &szc_nic_rss_setting, NULL, 1), 0);
	assert_int_equal(device.writes, 0);
	assert_int_equal(scene->state.count, 2);
	assert_null(szc_nic_change(&scene->nic, 0));

	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	assert_string_equal(device.rss, "default");
	told(&scene->nic, 0, "RSS table", "0,2,2,3,0,3,2,3", "default");
	told(&scene->nic, 1, "split", "on", "unknown");
	assert_int_equal(scene->state.count, 0);
}

static void a_split_that_was_on_is_made_firm(void **given)
{
	struct scene *scene = *given;

	device.choice = "on";
	for (uint64_t token = 1; token <= 2; token++) {
		scene->nic.token = token;
		assert_int_equal(set(scene, &szc_nic_split_setting, "on", (unsigned)token), 0);
		assert_string_equal(device.split, "on");
	}
	assert_int_equal(device.writes, 1);
	told(&scene->nic, 0, "split", "on", "on");
	assert_non_null(strstr(szc_nic_change(&scene->nic, 0)->note, "made firm"));
	assert_null(szc_nic_change(&scene->nic, 1));
	/* It is the driver's again when the last one leaves. */
	scene->nic.token = 1;
	assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
	assert_string_equal(device.split, "on");
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	assert_non_null(strstr(szc_nic_change(&scene->nic, 0)->note, "left to the driver again"));
	assert_int_equal(scene->state.count, 0);
}

static void a_split_that_was_set_stays_on(void **given)
{
	struct scene *scene = *given;

	/* The driver would choose otherwise. */
	strcpy(device.split, "on");
	device.choice = "off";
	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "on");
	/* It is not asked for its choice. */
	device.no_way_back = true;
	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "on");
	assert_non_null(strstr(szc_nic_change(&scene->nic, 0)->note, "left firm"));
	assert_int_equal(scene->state.count, 0);
}

/* "off" can be the driver's own choice: it goes back to that, and is not made firm. */
static void a_split_goes_back_to_the_drivers_choice(void **given)
{
	struct scene *scene = *given;

	device.choice = "off";
	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	told(&scene->nic, 0, "split", "off", "on");
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	/* A driver that would choose otherwise is told. */
	device.choice = NULL;
	strcpy(device.split, "off");
	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "off");
}

static void what_others_changed_since_is_left_alone(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(set(scene, &szc_nic_rss_setting, NULL, 1), 0);
	strcpy(device.rss, "0,0,0,0,0,0,0,0");
	device.writes = 0;
	assert_int_equal(undo_all(scene), 0);
	assert_int_equal(device.writes, 1);
	assert_string_equal(device.rss, "0,0,0,0,0,0,0,0");
	assert_string_equal(device.split, "unknown");
	assert_non_null(szc_nic_change(&scene->nic, 0)->note);
	assert_int_equal(scene->state.count, 0);
}

static void what_was_put_back_already_is_not_told(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	strcpy(device.split, "unknown");
	device.writes = 0;
	assert_int_equal(undo_all(scene), 0);
	assert_int_equal(device.writes, 0);
	assert_null(szc_nic_change(&scene->nic, 0));
}

/* In whichever order three queues leave, the NIC ends where it began, and those that stay keep what they need. */
static void queues_leave_in_any_order(void **given)
{
	static const int orders[6][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
	struct scene *scene = *given;

	for (int o = 0; o < 6; o++) {
		bool here[QUEUES] = {false, true, true, true};

		for (unsigned queue = 1; queue <= 3; queue++) {
			scene->nic.token = queue;
			assert_int_equal(set(scene, &szc_nic_split_setting, "on", queue), 0);
			assert_int_equal(set(scene, &szc_nic_ring_setting, "128", queue), 0);
			assert_int_equal(set(scene, &szc_nic_rss_setting, NULL, queue), 0);
		}
		assert_string_equal(device.rss, "0,0,0,0,0,0,0,0");
		for (int i = 0; i < 3; i++) {
			struct szc_nic_table table;

			scene->nic.token = (uint64_t)orders[o][i];
			assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
			here[orders[o][i]] = false;
			assert_string_equal(device.split, i < 2 ? "on" : "unknown");
			assert_string_equal(device.ring, i < 2 ? "128" : "512");
			assert_true(szc_nic_table_parse(&table, device.rss, ENTRIES, QUEUES));
			for (unsigned queue = 0; queue < QUEUES; queue++)
				assert_int_equal(szc_nic_table_has(&table, queue), !here[queue]);
		}
		assert_string_equal(device.rss, "default");
		assert_int_equal(scene->state.count, 0);
	}
}

/* A server that is restarted: the old one leaves when the new one has prepared the queue, and it stays prepared. */
static void a_queue_changes_hands(void **given)
{
	struct scene *scene = *given;

	for (uint64_t token = 1; token <= 3; token++) {
		scene->nic.token = token;
		assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
		assert_int_equal(set(scene, &szc_nic_rss_setting, NULL, 1), 0);
		assert_int_equal(set(scene, &szc_nic_rss_setting, NULL, 1), 0);
		if (token == 1)
			continue;
		scene->nic.token = token - 1;
		assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
		assert_string_equal(device.split, "on");
		assert_string_equal(device.rss, "0,2,2,3,0,3,2,3");
		assert_int_equal(scene->state.count, 2);
	}
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	assert_string_equal(device.rss, "default");
}

/* szc-nic prepare, run at every start of something: the record does not fill up. */
static void the_dead_hold_a_queue_once(void **given)
{
	struct scene *scene = *given;
	uint64_t start = scene->nic.start;

	for (uint64_t i = 0; i < SZC_NIC_STATE_STEPS; i++) {
		scene->nic.token = i;
		scene->nic.start = start + 1 + i;
		assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
		assert_true(scene->state.count <= 2);
	}
	scene->nic.start = start;
	scene->nic.token = SZC_NIC_STATE_STEPS;
	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
	assert_string_equal(device.split, "on");
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
}

static void a_refusal_leaves_no_trace(void **given)
{
	struct scene *scene = *given;

	device.refuse = -EOPNOTSUPP;
	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), -EOPNOTSUPP);
	assert_non_null(strstr(scene->nic.error_text, "eth7 cannot set its split to on: Operation not supported"));
	assert_int_equal(scene->state.count, 0);
	device.refuse = -EPERM;
	assert_int_equal(set(scene, &szc_nic_rss_setting, NULL, 1), -EPERM);
	assert_non_null(strstr(scene->nic.error_text, "CAP_NET_ADMIN"));
	assert_int_equal(scene->state.count, 0);
}

static void a_setting_that_does_not_stick_is_a_failure(void **given)
{
	struct scene *scene = *given;

	device.deaf = true;
	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), -EIO);
	assert_non_null(strstr(scene->nic.error_text, "was told to set its split to on, and has unknown"));
	device.deaf = false;
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	assert_int_equal(scene->state.count, 0);
}

static void what_the_nic_rounded_is_undone_all_the_same(void **given)
{
	struct scene *scene = *given;

	device.rounds_up = true;
	assert_int_equal(set(scene, &szc_nic_ring_setting, "100", 1), 0);
	told(&scene->nic, 0, "ring", "512", "128");
	/* Again, by the same handle and by another: as it is. */
	szc_nic_forget_changes(&scene->nic);
	assert_int_equal(set(scene, &szc_nic_ring_setting, "100", 1), 0);
	assert_int_equal(scene->state.count, 1);
	scene->nic.token = 2;
	assert_int_equal(set(scene, &szc_nic_ring_setting, "100", 1), 0);
	assert_null(szc_nic_change(&scene->nic, 0));
	assert_int_equal(scene->state.count, 2);
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.ring, "512");
	/* Nobody's step made it so: nothing to be undone. */
	strcpy(device.ring, "128");
	assert_int_equal(set(scene, &szc_nic_ring_setting, "100", 1), 0);
	assert_int_equal(scene->state.count, 0);
}

static void what_cannot_be_undone_stays_on_record(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(set(scene, &szc_nic_ring_setting, "128", 1), 0);
	device.refuse = -EBUSY;
	assert_int_equal(undo_all(scene), -EBUSY);
	assert_int_equal(scene->state.count, 2);
	/* The first that failed is what is told. */
	assert_non_null(strstr(scene->nic.error_text, "ring"));
	device.refuse = 0;
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	assert_string_equal(device.ring, "512");
}

/* A process that died between the record and the step, or between the step and its confirmation. */
static void planned_steps_are_undone_if_they_were_taken(void **given)
{
	struct scene *scene = *given;

	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "split", 1, "unknown", "on"));
	device.writes = 0;
	assert_int_equal(undo_all(scene), 0);
	assert_int_equal(device.writes, 0);
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "split", 1, "unknown", "on"));
	strcpy(device.split, "on");
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
}

static void values_that_cannot_be_are_refused(void **given)
{
	struct scene *scene = *given;

	strcpy(device.rss, "0,0,0,0,0,0,0,0");
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "rss", 1, "9,9", "0,0,0,0,0,0,0,0"));
	assert_int_equal(undo_all(scene), SZC_E_STATE);
	assert_non_null(strstr(scene->nic.error_text, "9,9"));
	assert_string_equal(device.rss, "0,0,0,0,0,0,0,0");
	szc_nic_state_remove(&scene->state, &scene->state.steps[0]);
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "teleport", 1, "here", "there"));
	assert_int_equal(undo_all(scene), SZC_E_STATE);
	assert_non_null(strstr(scene->nic.error_text, "teleport"));
	szc_nic_state_remove(&scene->state, &scene->state.steps[0]);
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "rule", 1, "none", "0 tcp4 *:* *:0 queue 1"));
	assert_int_equal(undo_all(scene), SZC_E_STATE);
	szc_nic_state_remove(&scene->state, &scene->state.steps[0]);
}

/* ------------------------------------------------------------------------------------------------ rules */

static struct szc_nic_filter filter(uint16_t port, unsigned queue)
{
	struct szc_nic_flow flow = {.size = sizeof(flow), .family = AF_INET, .port = port};
	struct szc_nic_filter made;

	assert_true(szc_nic_filter_make(&made, &flow, queue));
	return made;
}

static int steer(struct scene *scene, uint16_t port, unsigned queue)
{
	struct szc_nic_filter wanted = filter(port, queue);

	return szc_nic_step_rule(&scene->nic, &scene->state, &wanted, queue);
}

/* Somebody else's rule. */
static void foreign(uint32_t slot, uint16_t port, unsigned queue)
{
	device.rules[slot].fs = filter(port, queue).spec;
	device.rules[slot].fs.location = slot;
	device.used[slot] = true;
}

static void rules_come_and_go(void **given)
{
	struct scene *scene = *given;

	foreign(0, 80, 2);
	assert_int_equal(steer(scene, 4433, 1), 3);
	assert_int_equal(steer(scene, 4434, 1), 2);
	told(&scene->nic, 0, "rule 3", "none", "tcp4 *:* *:4433 queue 1");
	assert_string_equal(scene->state.steps[0].after, "3 tcp4 *:* *:4433 queue 1");
	assert_int_equal(undo_all(scene), 0);
	told(&scene->nic, 0, "rule 2", "tcp4 *:* *:4434 queue 1", "none");
	assert_true(device.used[0] && !device.used[1] && !device.used[2] && !device.used[3]);
}

static void slots_are_named_where_the_driver_wants_them(void **given)
{
	struct scene *scene = *given;

	device.picks_slots = false;
	foreign(3, 80, 2);
	assert_int_equal(steer(scene, 1, 1), 2);
	device.picks_slots = device.wants_slots = true;
	assert_int_equal(steer(scene, 2, 1), 1);
	assert_int_equal(steer(scene, 3, 1), 0);
	assert_int_equal(steer(scene, 4, 1), -EINVAL);
	device.picks_slots = false;
	assert_int_equal(steer(scene, 4, 1), -ENOSPC);
	assert_int_equal(scene->state.count, 3);
	assert_int_equal(undo_all(scene), 0);
}

static void a_rule_that_is_not_ours_stays(void **given)
{
	struct scene *scene = *given;

	/* It does what we want: taken as it is, and not undone. */
	foreign(1, 4433, 1);
	assert_int_equal(steer(scene, 4433, 1), 1);
	assert_int_equal(scene->state.count, 0);
	/* It does not: refused, and named. */
	foreign(2, 4434, 0);
	assert_int_equal(steer(scene, 4434, 1), -EEXIST);
	assert_non_null(strstr(scene->nic.error_text, "rule 2 of eth7, \"tcp4 *:* *:4434 queue 0\""));
	/* Ours was replaced in its slot. */
	assert_int_equal(steer(scene, 4435, 1), 3);
	foreign(3, 4436, 1);
	assert_int_equal(undo_all(scene), 0);
	assert_non_null(szc_nic_change(&scene->nic, 0)->note);
	assert_true(device.used[1] && device.used[2] && device.used[3]);
	/* Ours is gone. */
	device.used[3] = false;
	assert_int_equal(steer(scene, 4435, 1), 3);
	device.used[3] = false;
	assert_int_equal(undo_all(scene), 0);
	assert_non_null(szc_nic_change(&scene->nic, 0)->note);
}

static void a_rule_of_two_handles_goes_with_the_second(void **given)
{
	struct scene *scene = *given;

	scene->nic.token = 1;
	assert_int_equal(steer(scene, 4433, 1), 3);
	scene->nic.token = 2;
	assert_int_equal(steer(scene, 4433, 1), 3);
	scene->nic.token = 1;
	assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
	assert_true(device.used[3]);
	scene->nic.token = 2;
	assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
	assert_false(device.used[3]);
	assert_int_equal(scene->state.count, 0);
}

static void planned_rules_are_found(void **given)
{
	struct scene *scene = *given;
	static const char record[] = "any tcp4 *:* *:4433 queue 1";

	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "rule", 1, "none", record));
	assert_int_equal(undo_all(scene), 0);
	assert_null(szc_nic_change(&scene->nic, 0));
	foreign(2, 4433, 1);
	foreign(1, 4434, 1);
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "rule", 1, "none", record));
	assert_int_equal(undo_all(scene), 0);
	assert_false(device.used[2]);
	assert_true(device.used[1]);
}

/* Turning the filters off would take every rule with it. */
static void filters_stay_on_while_there_are_rules_of_others(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(set(scene, &szc_nic_ntuple_setting, "on", 1), 0);
	assert_int_equal(steer(scene, 4433, 1), 3);
	foreign(0, 80, 2);
	assert_int_equal(undo_all(scene), 0);
	assert_true(device.used[0] && !device.used[3]);
	assert_string_equal(device.ntuple, "on");
	told(&scene->nic, 1, "filters", "on", "on");
	assert_non_null(strstr(szc_nic_change(&scene->nic, 1)->note, "rules that szc did not make"));
	assert_int_equal(scene->state.count, 0);
	/* None but ours: as it was. */
	device.used[0] = false;
	strcpy(device.ntuple, "off");
	assert_int_equal(set(scene, &szc_nic_ntuple_setting, "on", 1), 0);
	assert_int_equal(steer(scene, 4433, 1), 3);
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.ntuple, "off");
	assert_null(szc_nic_change(&scene->nic, 1)->note);
}

/* Of a handle that did not ask for the filters, or one whose removal failed. */
static void filters_stay_on_record_while_there_are_rules_of_ours(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(set(scene, &szc_nic_ntuple_setting, "on", 1), 0);
	scene->nic.token = 2;
	assert_int_equal(steer(scene, 4433, 1), 3);
	scene->nic.token = 1;
	assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), -EBUSY);
	assert_non_null(strstr(scene->nic.error_text, "rules that szc made are still on eth7"));
	assert_true(device.used[3]);
	assert_int_equal(scene->state.count, 2);
	assert_int_equal(undo_all(scene), 0);
	assert_string_equal(device.ntuple, "off");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_set_goes_back),
		TEST(a_split_that_was_on_is_made_firm),
		TEST(a_split_that_was_set_stays_on),
		TEST(a_split_goes_back_to_the_drivers_choice),
		TEST(what_others_changed_since_is_left_alone),
		TEST(what_was_put_back_already_is_not_told),
		TEST(queues_leave_in_any_order),
		TEST(a_queue_changes_hands),
		TEST(the_dead_hold_a_queue_once),
		TEST(a_refusal_leaves_no_trace),
		TEST(a_setting_that_does_not_stick_is_a_failure),
		TEST(what_the_nic_rounded_is_undone_all_the_same),
		TEST(what_cannot_be_undone_stays_on_record),
		TEST(planned_steps_are_undone_if_they_were_taken),
		TEST(values_that_cannot_be_are_refused),
		TEST(rules_come_and_go),
		TEST(slots_are_named_where_the_driver_wants_them),
		TEST(a_rule_that_is_not_ours_stays),
		TEST(a_rule_of_two_handles_goes_with_the_second),
		TEST(planned_rules_are_found),
		TEST(filters_stay_on_while_there_are_rules_of_others),
		TEST(filters_stay_on_record_while_there_are_rules_of_ours),
	};

	return cmocka_run_group_tests_name("nic_steps", tests, NULL, NULL);
}
