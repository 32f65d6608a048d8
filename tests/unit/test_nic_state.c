/* SPDX-License-Identifier: MIT */
/* The state file: what is written is read, and nothing else is. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "lib/nic/state.h"

static struct szc_nic nic_of(const char *file)
{
	struct szc_nic nic = {.ifname = "eth7", .ifindex = 7, .pid = getpid(), .token = 42};

	nic.start = szc_nic_process_start(nic.pid);
	nic.state_file = strdup(file);
	assert_non_null(nic.state_file);
	return nic;
}

static bool parses(const char *text, size_t length, struct szc_nic_state *state)
{
	char *copy = malloc(length + 1);
	bool good;

	assert_non_null(copy);
	memcpy(copy, text, length);
	copy[length] = 0;
	memset(state, 0, sizeof(*state));
	good = szc_nic_state_parse(state, copy, length);
	free(copy);
	return good;
}

static void add(struct szc_nic *nic, struct szc_nic_state *state, const char *kind, const char *before,
		const char *after)
{
	assert_non_null(szc_nic_state_add(nic, state, kind, 1, before, after));
}

static void what_is_rendered_is_parsed(void **unused)
{
	struct szc_nic nic = nic_of("unused");
	struct szc_nic_state state = {.fd = -1, .ifindex = 7, .ifname = "eth7"}, again;
	size_t length;
	char *text;

	(void)unused;
	add(&nic, &state, "split", "unknown", "on");
	add(&nic, &state, "rss", "default", "0,2,3,0");
	add(&nic, &state, "rule", "none", "any tcp4 *:* *:4433 queue 1");
	state.steps[1].done = true;
	assert_int_equal(szc_nic_state_render(&state, &text, &length), 0);
	assert_true(parses(text, length, &again));
	assert_int_equal(again.count, 3);
	assert_string_equal(again.ifname, "eth7");
	assert_int_equal(again.ifindex, 7);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(again.steps[i].id, i + 1);
		assert_int_equal(again.steps[i].done, i == 1);
		assert_int_equal(again.steps[i].pid, getpid());
		assert_int_equal(again.steps[i].queue, 1);
		assert_true(szc_nic_step_mine(&nic, &again.steps[i]));
		assert_string_equal(again.steps[i].kind, state.steps[i].kind);
		assert_string_equal(again.steps[i].before, state.steps[i].before);
		assert_string_equal(again.steps[i].after, state.steps[i].after);
	}
	/* From the middle; the numbers of the others stay. */
	szc_nic_state_remove(&again, &again.steps[1]);
	assert_int_equal(again.count, 2);
	assert_int_equal(again.steps[1].id, 3);
	add(&nic, &again, "hds-thresh", "1", "0");
	assert_int_equal(again.steps[2].id, 4);
	szc_nic_state_free(&again);
	szc_nic_state_free(&state);
	free(text);
	free(nic.state_file);
}

#define HEAD "szc-nic 1 eth7 7\n"
#define STEP "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\ton\n"

static void anything_else_is_refused(void **unused)
{
	static const char *const bad[] = {
		"",
		"\n",
		"szc-nic 1 eth7 7",
		"szc-nic 2 eth7 7\n",
		"szc-nic 01 eth7 7\n",
		"szc-nic 1 eth7\n",
		"szc-nic 1 eth7 7 \n",
		"szc-nic 1 eth7 7 7\n",
		"szc-nic 1 eth7 0\n",
		"szc-nic 1 eth7 -7\n",
		"szc-nic 1 eth7 2147483648\n",
		"szc-nic 1  7\n",
		"szc-nic 1 sixteencharacter 7\n",
		"szc-nic\t1\teth7\t7\n",
		STEP,
		HEAD HEAD,
		HEAD "\n",
		HEAD STEP STEP,
		HEAD "0\t100\t2000\t3\t1\tdone\tsplit\tunknown\ton\n",
		HEAD "4294967295\t100\t2000\t3\t1\tdone\tsplit\tunknown\ton\n",
		HEAD "5\t-1\t2000\t3\t1\tdone\tsplit\tunknown\ton\n",
		HEAD "5\t100\t+2\t3\t1\tdone\tsplit\tunknown\ton\n",
		HEAD "5\t100\t2000\t18446744073709551616\t1\tdone\tsplit\tunknown\ton\n",
		HEAD "5\t100\t2000\t3\t65537\tdone\tsplit\tunknown\ton\n",
		HEAD "5\t100\t2000\t3\t1\tDone\tsplit\tunknown\ton\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsixteencharacter\tunknown\ton\n",
		HEAD "5\t100\t2000\t3\t1\tdone\t\tunknown\ton\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\t\ton\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\t\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\ton\tmore\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\ton",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\to\x7fn\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\to\x1bn\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\to\xc3\xa4n\n",
		HEAD "5\t100\t2000\t3\t1\tdone\tsplit\tunknown\ton\r\n",
	};
	struct szc_nic_state state;

	(void)unused;
	assert_true(parses(HEAD, strlen(HEAD), &state));
	szc_nic_state_free(&state);
	assert_true(parses(HEAD STEP, strlen(HEAD STEP), &state));
	assert_int_equal(state.count, 1);
	szc_nic_state_free(&state);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parses(bad[i], strlen(bad[i]), &state))
			fail_msg("taken: \"%s\"", bad[i]);
		assert_int_equal(state.count, 0);
		assert_null(state.steps);
	}
	assert_false(parses(HEAD "\0" STEP, strlen(HEAD STEP) + 1, &state));
}

static void there_are_limits(void **unused)
{
	struct szc_nic nic = nic_of("unused");
	struct szc_nic_state state = {.fd = -1, .ifindex = 7, .ifname = "eth7"}, again;
	char *text, *value = malloc(SZC_NIC_STATE_VALUE + 1);
	size_t length;

	(void)unused;
	assert_non_null(value);
	for (int i = 0; i < SZC_NIC_STATE_STEPS; i++)
		add(&nic, &state, "split", "unknown", "on");
	assert_null(szc_nic_state_add(&nic, &state, "split", 1, "unknown", "on"));
	assert_int_equal(szc_nic_state_render(&state, &text, &length), 0);
	assert_true(parses(text, length, &again));
	szc_nic_state_free(&again);
	text = realloc(text, length + 100);
	assert_non_null(text);
	strcpy(text + length, "500\t100\t2000\t3\t1\tdone\tsplit\tunknown\ton\n");
	assert_false(parses(text, strlen(text), &again));
	free(text);
	szc_nic_state_free(&state);

	for (int over = 0; over < 2; over++) {
		memset(value, '1', SZC_NIC_STATE_VALUE);
		value[SZC_NIC_STATE_VALUE - 1 + over] = 0;
		add(&nic, &state, "rss", "default", value);
		assert_int_equal(szc_nic_state_render(&state, &text, &length), 0);
		assert_int_equal(parses(text, length, &again), !over);
		szc_nic_state_free(&again);
		szc_nic_state_free(&state);
		free(text);
	}
	free(value);
	free(nic.state_file);
}

/* Bytes of a good file changed, lost and added at random: taken or refused, but never more than that. */
static void damaged_files_do_no_harm(void **unused)
{
	static const char good[] = HEAD STEP "6\t100\t2000\t3\t1\tplanned\trss\tdefault\t0,2,3,0,2,3\n"
					     "9\t100\t2000\t3\t1\tdone\trule\tnone\t7 tcp6 *:* [::1]:4433 queue 1\n";
	struct szc_nic_state state;
	uint64_t seed = 3;
	int refused = 0;

	(void)unused;
	for (int round = 0; round < 100000; round++) {
		char text[sizeof(good)];
		size_t length = sizeof(good) - 1;
		int changes = 1 + (int)fixture_random(&seed, 4);

		memcpy(text, good, sizeof(good));
		if (!fixture_random(&seed, 4))
			length = fixture_random(&seed, (unsigned)length + 1);
		for (int i = 0; i < changes && length; i++)
			text[fixture_random(&seed, (unsigned)length)] = (char)fixture_random(&seed, 256);
		if (!parses(text, length, &state)) {
			refused++;
			continue;
		}
		for (size_t i = 0; i < state.count; i++)
			assert_true(state.steps[i].id && *state.steps[i].kind && *state.steps[i].before &&
				    *state.steps[i].after && state.steps[i].queue <= 65536);
		szc_nic_state_free(&state);
	}
	assert_true(refused > 10000);
}

/* ------------------------------------------------------------------------------------------------ the file */

struct folder {
	char path[64];
	char file[96];
};

static int make(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	strcpy(folder->path, "/tmp/szc-nic-XXXXXX");
	if (!mkdtemp(folder->path))
		return -1;
	snprintf(folder->file, sizeof(folder->file), "%s/state", folder->path);
	*state = folder;
	return 0;
}

static int drop(void **state)
{
	struct folder *folder = *state;

	unlink(folder->file);
	rmdir(folder->path);
	free(folder);
	return 0;
}

static void write_file(const struct folder *folder, const char *text, mode_t mode)
{
	int fd = open(folder->file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void a_file_lives_as_long_as_its_steps(void **given)
{
	struct folder *folder = *given;
	struct szc_nic nic = nic_of(folder->file);
	struct szc_nic_state state;
	struct stat status;

	assert_int_equal(szc_nic_state_peek(&nic, &state), 0);
	assert_int_equal(state.count, 0);
	szc_nic_state_close(&nic, &state);
	assert_int_equal(szc_nic_state_open(&nic, &state), 0);
	add(&nic, &state, "split", "unknown", "on");
	assert_int_equal(szc_nic_state_save(&nic, &state), 0);
	state.steps[0].done = true;
	assert_int_equal(szc_nic_state_save(&nic, &state), 0);
	szc_nic_state_close(&nic, &state);
	assert_int_equal(stat(folder->file, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0644);

	assert_int_equal(szc_nic_state_open(&nic, &state), 0);
	assert_int_equal(state.count, 1);
	assert_true(state.steps[0].done);
	szc_nic_state_remove(&state, &state.steps[0]);
	assert_int_equal(szc_nic_state_save(&nic, &state), 0);
	szc_nic_state_close(&nic, &state);
	assert_int_equal(stat(folder->file, &status), -1);
	free(nic.state_file);
}

static struct szc_nic_state read_as(const struct folder *folder, struct szc_nic *nic, const char *text)
{
	struct szc_nic_state state;

	write_file(folder, text, 0600);
	assert_int_equal(szc_nic_state_open(nic, &state), 0);
	return state;
}

static void steps_of_an_interface_that_is_gone_are_dropped(void **given)
{
	struct folder *folder = *given;
	struct szc_nic nic = nic_of(folder->file);
	struct szc_nic_state state = read_as(folder, &nic, "szc-nic 1 eth7 2147483600\n" STEP);

	assert_int_equal(state.count, 0);
	szc_nic_state_close(&nic, &state);
	assert_int_equal(access(folder->file, F_OK), -1);
	free(nic.state_file);
}

static void steps_of_a_renamed_interface_are_kept(void **given)
{
	struct folder *folder = *given;
	struct szc_nic nic = nic_of(folder->file);
	struct szc_nic_state state = read_as(folder, &nic, "szc-nic 1 eth0 7\n" STEP);

	assert_int_equal(state.count, 1);
	assert_string_equal(state.ifname, "eth7");
	szc_nic_state_close(&nic, &state);
	free(nic.state_file);
}

static void refused(const struct folder *folder, struct szc_nic *nic, int error, const char *words)
{
	struct szc_nic_state state;
	bool there = !access(folder->file, F_OK);

	assert_int_equal(szc_nic_state_open(nic, &state), error);
	assert_int_equal(state.count, 0);
	szc_nic_state_close(nic, &state);
	if (!strstr(nic->error_text, words) || !strstr(nic->error_text, folder->file))
		fail_msg("\"%s\" does not say \"%s\"", nic->error_text, words);
	assert_int_equal(szc_nic_state_peek(nic, &state), error);
	szc_nic_state_close(nic, &state);
	/* Whoever has to look into it finds it. */
	assert_int_equal(!access(folder->file, F_OK), there);
}

static void steps_of_another_interface_are_not_forgotten(void **given)
{
	struct folder *folder = *given;
	struct szc_nic nic = nic_of(folder->file);

	write_file(folder, "szc-nic 1 eth7 1\n" STEP, 0600);
	refused(folder, &nic, SZC_E_STATE, "what was changed of lo");
	free(nic.state_file);
}

static void strange_files_are_not_believed(void **given)
{
	struct folder *folder = *given;
	struct szc_nic nic = nic_of(folder->file);
	char *large;

	write_file(folder, HEAD STEP, 0622);
	refused(folder, &nic, -EPERM, "written by others");
	write_file(folder, "hello\n", 0600);
	refused(folder, &nic, SZC_E_STATE, "damaged");
	large = calloc(1, SZC_NIC_STATE_BYTES + 2);
	assert_non_null(large);
	memset(large, '\n', SZC_NIC_STATE_BYTES + 1);
	write_file(folder, large, 0600);
	free(large);
	refused(folder, &nic, SZC_E_STATE, "larger");
	unlink(folder->file);
	assert_int_equal(symlink("/dev/null", folder->file), 0);
	refused(folder, &nic, -ELOOP, "cannot open");
	unlink(folder->file);
	assert_int_equal(mkfifo(folder->file, 0600), 0);
	refused(folder, &nic, -EPERM, "is not a file");
	unlink(folder->file);
	if (!geteuid()) {
		write_file(folder, HEAD STEP, 0600);
		assert_int_equal(chown(folder->file, 4711, (gid_t)-1), 0);
		refused(folder, &nic, -EPERM, "written by others");
	}
	free(nic.state_file);
}

static void a_folder_that_cannot_be_made_is_named(void **given)
{
	struct folder *folder = *given;
	struct szc_nic nic = nic_of(folder->file);
	struct szc_nic_state state;

	free(nic.state_file);
	assert_true(asprintf(&nic.state_file, "%s/no/such/state", folder->path) > 0);
	assert_int_equal(szc_nic_state_open(&nic, &state), -ENOENT);
	szc_nic_state_close(&nic, &state);
	assert_non_null(strstr(nic.error_text, "cannot make the folder"));
	assert_non_null(strstr(nic.error_text, "/no/such of the state file: No such file or directory"));
	/* Whoever only looks finds no steps. */
	assert_int_equal(szc_nic_state_peek(&nic, &state), 0);
	szc_nic_state_close(&nic, &state);
	free(nic.state_file);
}

static void one_at_a_time(void **given)
{
	enum { PROCESSES = 8, ROUNDS = 40 };
	struct folder *folder = *given;
	struct szc_nic nic = nic_of(folder->file);
	struct szc_nic_state state;
	pid_t children[PROCESSES];

	/* Each adds a step and takes one away; between, the file is replaced and removed under the others' feet. */
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i])
			continue;
		for (int round = 0; round < ROUNDS; round++) {
			if (szc_nic_state_open(&nic, &state))
				_exit(1);
			if (!szc_nic_state_add(&nic, &state, "split", (unsigned)i, "unknown", "on") ||
			    szc_nic_state_save(&nic, &state))
				_exit(2);
			szc_nic_state_close(&nic, &state);
			if (szc_nic_state_open(&nic, &state))
				_exit(3);
			for (size_t at = 0; at < state.count; at++) {
				if (state.steps[at].queue != (unsigned)i)
					continue;
				szc_nic_state_remove(&state, &state.steps[at]);
				break;
			}
			if (szc_nic_state_save(&nic, &state))
				_exit(4);
			szc_nic_state_close(&nic, &state);
		}
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(access(folder->file, F_OK), -1);
	free(nic.state_file);
}

static void a_lock_is_waited_for_but_not_for_ever(void **given)
{
	struct folder *folder = *given;
	struct szc_nic nic = nic_of(folder->file);
	struct szc_nic_state state;
	int fd;

	write_file(folder, HEAD STEP, 0600);
	fd = open(folder->file, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(szc_nic_state_open(&nic, &state), -EBUSY);
	szc_nic_state_close(&nic, &state);
	assert_non_null(strstr(nic.error_text, "another process is changing eth7"));
	/* Who only looks does not wait. */
	assert_int_equal(szc_nic_state_peek(&nic, &state), 0);
	assert_int_equal(state.count, 1);
	szc_nic_state_close(&nic, &state);
	close(fd);
	free(nic.state_file);
}

static void holders_are_told_apart(void **unused)
{
	struct szc_nic nic = nic_of("unused");
	struct szc_nic_step step = {.pid = nic.pid, .start = nic.start, .token = nic.token};
	pid_t child;

	(void)unused;
	assert_true(nic.start > 0);
	assert_true(szc_nic_step_mine(&nic, &step));
	assert_false(szc_nic_step_foreign(&nic, &step));
	/* Another handle of the same process. */
	step.token++;
	assert_false(szc_nic_step_mine(&nic, &step));
	assert_false(szc_nic_step_foreign(&nic, &step));
	/* A process that had our number before us. */
	step.start--;
	assert_false(szc_nic_step_foreign(&nic, &step));
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		pause();
		_exit(0);
	}
	step.pid = child;
	step.start = szc_nic_process_start(child);
	assert_true(szc_nic_step_foreign(&nic, &step));
	assert_false(szc_nic_step_dead(&nic, &step));
	kill(child, SIGKILL);
	/* Though nobody has asked for its status yet. */
	assert_int_equal(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_false(szc_nic_step_foreign(&nic, &step));
	waitpid(child, NULL, 0);
	assert_false(szc_nic_step_foreign(&nic, &step));
	assert_true(szc_nic_step_dead(&nic, &step));
	free(nic.state_file);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_rendered_is_parsed),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(there_are_limits),
		cmocka_unit_test(damaged_files_do_no_harm),
		WITH_FOLDER(a_file_lives_as_long_as_its_steps),
		WITH_FOLDER(steps_of_an_interface_that_is_gone_are_dropped),
		WITH_FOLDER(steps_of_a_renamed_interface_are_kept),
		WITH_FOLDER(steps_of_another_interface_are_not_forgotten),
		WITH_FOLDER(strange_files_are_not_believed),
		WITH_FOLDER(a_folder_that_cannot_be_made_is_named),
		WITH_FOLDER(one_at_a_time),
		WITH_FOLDER(a_lock_is_waited_for_but_not_for_ever),
		cmocka_unit_test(holders_are_told_apart),
	};

	return cmocka_run_group_tests_name("nic_state", tests, NULL, NULL);
}
