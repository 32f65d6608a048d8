/* SPDX-License-Identifier: MIT */
/* Settings taken and undone. */
#include "nic_device.h"

#include <errno.h>
#include <string.h>

static void what_is_set_goes_back(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(scene_set(scene, &szc_nic_rss_setting, NULL, 1), 0);
	assert_string_equal(device.split, "on");
	assert_string_equal(device.rss, "0,2,2,3,0,3,2,3");
	scene_told(&scene->nic, 0, "split", "unknown", "on");
	scene_told(&scene->nic, 1, "RSS table", "default", "0,2,2,3,0,3,2,3");
	assert_null(szc_nic_change(&scene->nic, 2));
	/* Again: nothing to be done, nothing to be told, and no further step. */
	szc_nic_forget_changes(&scene->nic);
	device.writes = 0;
	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(scene_set(scene, &szc_nic_rss_setting, NULL, 1), 0);
	assert_int_equal(device.writes, 0);
	assert_int_equal(scene->state.count, 2);
	assert_null(szc_nic_change(&scene->nic, 0));

	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	assert_string_equal(device.rss, "default");
	scene_told(&scene->nic, 0, "RSS table", "0,2,2,3,0,3,2,3", "default");
	scene_told(&scene->nic, 1, "split", "on", "unknown");
	assert_int_equal(scene->state.count, 0);
}

static void a_split_that_was_on_is_made_firm(void **given)
{
	struct scene *scene = *given;

	device.choice = "on";
	for (uint64_t token = 1; token <= 2; token++) {
		scene->nic.token = token;
		assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", (unsigned)token), 0);
		assert_string_equal(device.split, "on");
	}
	assert_int_equal(device.writes, 1);
	scene_told(&scene->nic, 0, "split", "on", "on");
	assert_non_null(strstr(szc_nic_change(&scene->nic, 0)->note, "made firm"));
	assert_null(szc_nic_change(&scene->nic, 1));
	/* It is the driver's again when the last one leaves. */
	scene->nic.token = 1;
	assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
	assert_string_equal(device.split, "on");
	assert_int_equal(scene_undo_all(scene), 0);
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
	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "on");
	/* It is not asked for its choice. */
	device.no_way_back = true;
	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "on");
	assert_non_null(strstr(szc_nic_change(&scene->nic, 0)->note, "left firm"));
	assert_int_equal(scene->state.count, 0);
}

/* "off" can be the driver's own choice: it goes back to that, and is not made firm. */
static void a_split_goes_back_to_the_drivers_choice(void **given)
{
	struct scene *scene = *given;

	device.choice = "off";
	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	scene_told(&scene->nic, 0, "split", "off", "on");
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	/* A driver that would choose otherwise is told. */
	device.choice = NULL;
	strcpy(device.split, "off");
	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "off");
}

static void what_others_changed_since_is_left_alone(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(scene_set(scene, &szc_nic_rss_setting, NULL, 1), 0);
	strcpy(device.rss, "0,0,0,0,0,0,0,0");
	device.writes = 0;
	assert_int_equal(scene_undo_all(scene), 0);
	assert_int_equal(device.writes, 1);
	assert_string_equal(device.rss, "0,0,0,0,0,0,0,0");
	assert_string_equal(device.split, "unknown");
	assert_non_null(szc_nic_change(&scene->nic, 0)->note);
	assert_int_equal(scene->state.count, 0);
}

static void what_was_put_back_already_is_not_told(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	strcpy(device.split, "unknown");
	device.writes = 0;
	assert_int_equal(scene_undo_all(scene), 0);
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
			assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", queue), 0);
			assert_int_equal(scene_set(scene, &szc_nic_ring_setting, "128", queue), 0);
			assert_int_equal(scene_set(scene, &szc_nic_rss_setting, NULL, queue), 0);
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
		assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
		assert_int_equal(scene_set(scene, &szc_nic_rss_setting, NULL, 1), 0);
		assert_int_equal(scene_set(scene, &szc_nic_rss_setting, NULL, 1), 0);
		if (token == 1)
			continue;
		scene->nic.token = token - 1;
		assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
		assert_string_equal(device.split, "on");
		assert_string_equal(device.rss, "0,2,2,3,0,3,2,3");
		assert_int_equal(scene->state.count, 2);
	}
	assert_int_equal(scene_undo_all(scene), 0);
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
		assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
		assert_true(scene->state.count <= 2);
	}
	scene->nic.start = start;
	scene->nic.token = SZC_NIC_STATE_STEPS;
	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(szc_nic_steps_undo(&scene->nic, &scene->state, 0, false), 0);
	assert_string_equal(device.split, "on");
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
}

static void a_refusal_leaves_no_trace(void **given)
{
	struct scene *scene = *given;

	device.refuse = -EOPNOTSUPP;
	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), -EOPNOTSUPP);
	assert_non_null(strstr(scene->nic.error_text, "eth7 cannot set its split to on: Operation not supported"));
	assert_int_equal(scene->state.count, 0);
	device.refuse = -EPERM;
	assert_int_equal(scene_set(scene, &szc_nic_rss_setting, NULL, 1), -EPERM);
	assert_non_null(strstr(scene->nic.error_text, "CAP_NET_ADMIN"));
	assert_int_equal(scene->state.count, 0);
}

static void a_setting_that_does_not_stick_is_a_failure(void **given)
{
	struct scene *scene = *given;

	device.deaf = true;
	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), -EIO);
	assert_non_null(strstr(scene->nic.error_text, "was told to set its split to on, and has unknown"));
	device.deaf = false;
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	assert_int_equal(scene->state.count, 0);
}

static void what_the_nic_rounded_is_undone_all_the_same(void **given)
{
	struct scene *scene = *given;

	device.rounds_up = true;
	assert_int_equal(scene_set(scene, &szc_nic_ring_setting, "100", 1), 0);
	scene_told(&scene->nic, 0, "ring", "512", "128");
	/* Again, by the same handle and by another: as it is. */
	szc_nic_forget_changes(&scene->nic);
	assert_int_equal(scene_set(scene, &szc_nic_ring_setting, "100", 1), 0);
	assert_int_equal(scene->state.count, 1);
	scene->nic.token = 2;
	assert_int_equal(scene_set(scene, &szc_nic_ring_setting, "100", 1), 0);
	assert_null(szc_nic_change(&scene->nic, 0));
	assert_int_equal(scene->state.count, 2);
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.ring, "512");
	/* Nobody's step made it so: nothing to be undone. */
	strcpy(device.ring, "128");
	assert_int_equal(scene_set(scene, &szc_nic_ring_setting, "100", 1), 0);
	assert_int_equal(scene->state.count, 0);
}

static void what_cannot_be_undone_stays_on_record(void **given)
{
	struct scene *scene = *given;

	assert_int_equal(scene_set(scene, &szc_nic_split_setting, "on", 1), 0);
	assert_int_equal(scene_set(scene, &szc_nic_ring_setting, "128", 1), 0);
	device.refuse = -EBUSY;
	assert_int_equal(scene_undo_all(scene), -EBUSY);
	assert_int_equal(scene->state.count, 2);
	/* The first that failed is what is told. */
	assert_non_null(strstr(scene->nic.error_text, "ring"));
	device.refuse = 0;
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
	assert_string_equal(device.ring, "512");
}

/* A process that died between the record and the step, or between the step and its confirmation. */
static void planned_steps_are_undone_if_they_were_taken(void **given)
{
	struct scene *scene = *given;

	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "split", 1, "unknown", "on"));
	device.writes = 0;
	assert_int_equal(scene_undo_all(scene), 0);
	assert_int_equal(device.writes, 0);
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "split", 1, "unknown", "on"));
	strcpy(device.split, "on");
	assert_int_equal(scene_undo_all(scene), 0);
	assert_string_equal(device.split, "unknown");
}

/* ... and it was a later one: what an earlier one did is undone all the same. */
static void a_later_step_that_was_not_taken_hides_none(void **given)
{
	struct scene *scene = *given;
	uint64_t start = scene->nic.start;

	assert_int_equal(scene_set(scene, &szc_nic_rss_setting, NULL, 1), 0);
	assert_string_equal(device.rss, "0,2,2,3,0,3,2,3");
	scene->nic.start = start + 1;
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "rss", 2, device.rss, "0,3,3,3,0,3,3,3"));
	scene->nic.start = start;
	assert_int_equal(szc_nic_step_undo(&scene->nic, &scene->state, &scene->state.steps[0]), 0);
	assert_string_equal(device.rss, "default");
	assert_int_equal(scene->state.count, 0);
}

static void values_that_cannot_be_are_refused(void **given)
{
	struct scene *scene = *given;

	strcpy(device.rss, "0,0,0,0,0,0,0,0");
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "rss", 1, "9,9", "0,0,0,0,0,0,0,0"));
	assert_int_equal(scene_undo_all(scene), SZC_E_STATE);
	assert_non_null(strstr(scene->nic.error_text, "9,9"));
	assert_string_equal(device.rss, "0,0,0,0,0,0,0,0");
	szc_nic_state_remove(&scene->state, &scene->state.steps[0]);
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "teleport", 1, "here", "there"));
	assert_int_equal(scene_undo_all(scene), SZC_E_STATE);
	assert_non_null(strstr(scene->nic.error_text, "teleport"));
	szc_nic_state_remove(&scene->state, &scene->state.steps[0]);
	assert_non_null(szc_nic_state_add(&scene->nic, &scene->state, "rule", 1, "none", "0 tcp4 *:* *:0 queue 1"));
	assert_int_equal(scene_undo_all(scene), SZC_E_STATE);
	szc_nic_state_remove(&scene->state, &scene->state.steps[0]);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, scene_make, scene_drop)

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
		TEST(a_later_step_that_was_not_taken_hides_none),
		TEST(values_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests_name("nic_steps", tests, NULL, NULL);
}
