/* SPDX-License-Identifier: MIT */
/* Rules put in and taken out, and the switch that takes them all. */
#include "nic_device.h"

#include <errno.h>
#include <string.h>

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
	scene_told(&scene->nic, 0, "rule 3", "none", "tcp4 *:* *:4433 queue 1");
	assert_string_equal(scene->state.steps[0].after, "3 tcp4 *:* *:4433 queue 1");
	assert_int_equal(scene_undo_all(scene), 0);
	scene_told(&scene->nic, 0, "rule 2", "tcp4 *:* *:4434 queue 1", "none");
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
	assert_int_equal(scene_undo_all(scene), 0);
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
	assert_int_equal(scene_undo_all(scene), 0);
	assert_non_null(szc_nic_change(&scene->nic, 0)->note);
	assert_true(device.used[1] && device.used[2] && device.used[3]);
	/* Ours is gone. */
	device.used[3] = false;
	assert_int_equal(steer(scene, 4435, 1), 3);
	device.used[3] = false;
	assert_int_equal(scene_undo_all(scene), 0);
	assert_non_null(szc_nic_change(&scene->nic, 0)->note);
}

static void a_rule_that_cannot_be_read_stays_on_record(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(steer(scene, 4433, 1), 3);
	device.absent = -ENODEV;
	assert_int_equal(scene_undo_all(scene), -ENODEV);
	assert_int_equal(scene->state.count, 1);
	device.absent = 0;
	assert_int_equal(scene_undo_all(scene), 0);
	assert_false(device.used[3]);
	assert_int_equal(scene->state.count, 0);
}

/* A server that is killed again and again: its rule is there each time it starts, and the record does not fill up. */
static void the_dead_hold_a_rule_once(void **given)
{
	struct scene *scene = *given;
	uint64_t start = scene->nic.start;

	for (uint64_t i = 0; i < SZC_NIC_STATE_STEPS; i++) {
		scene->nic.token = i;
		scene->nic.start = start + 1 + i;
		assert_int_equal(steer(scene, 4433, 1), 3);
		assert_true(scene->state.count <= 2);
	}
	scene->nic.start = start;
	assert_int_equal(scene_undo_all(scene), 0);
	assert_false(device.used[3]);
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
	assert_int_equal(scene_undo_all(scene), 0);
	assert_null(szc_nic_change(&scene->nic, 0));
	foreign(2, 4433, 1);
	foreign(1, 4434, 1);
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "rule", 1, "none", record));
	assert_int_equal(scene_undo_all(scene), 0);
	assert_false(device.used[2]);
	assert_true(device.used[1]);
}

/* Turning the filters off would take every rule with it. */
static void filters_stay_on_while_there_are_rules_of_others(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(scene_set(scene, &szc_nic_ntuple_setting, "on", 1), 0);
	assert_int_equal(steer(scene, 4433, 1), 3);
	foreign(0, 80, 2);
	assert_int_equal(scene_undo_all(scene), 0);
	assert_true(device.used[0] && !device.used[3]);
	assert_string_equal(device.ntuple, "on");
	scene_told(&scene->nic, 1, "filters", "on", "on");
	assert_non_null(strstr(szc_nic_change(&scene->nic, 1)->note, "rules that szc did not make"));
	assert_int_equal(scene->state.count, 0);
	/* None but ours: as it was. */
	device.used[0] = false;
	strcpy(device.ntuple, "off");
	assert_int_equal(scene_set(scene, &szc_nic_ntuple_setting, "on", 1), 0);
	assert_int_equal(steer(scene, 4433, 1), 3);
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.ntuple, "off");
	assert_null(szc_nic_change(&scene->nic, 1)->note);
}

/* Of a handle that did not ask for the filters, or one whose removal failed. */
static void filters_stay_on_record_while_there_are_rules_of_ours(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(scene_set(scene, &szc_nic_ntuple_setting, "on", 1), 0);
	scene->nic.token = 2;
	assert_int_equal(steer(scene, 4433, 1), 3);
	scene->nic.token = 1;
	assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), -EBUSY);
	assert_non_null(strstr(scene->nic.error_text, "rules that szc made are still on eth7"));
	assert_true(device.used[3]);
	assert_int_equal(scene->state.count, 2);
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.ntuple, "off");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, scene_make, scene_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rules_come_and_go),
		TEST(slots_are_named_where_the_driver_wants_them),
		TEST(a_rule_that_is_not_ours_stays),
		TEST(a_rule_that_cannot_be_read_stays_on_record),
		TEST(the_dead_hold_a_rule_once),
		TEST(a_rule_of_two_handles_goes_with_the_second),
		TEST(planned_rules_are_found),
		TEST(filters_stay_on_while_there_are_rules_of_others),
		TEST(filters_stay_on_record_while_there_are_rules_of_ours),
	};

	return cmocka_run_group_tests_name("nic_rules", tests, NULL, NULL);
}
