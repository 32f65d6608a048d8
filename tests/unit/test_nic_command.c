/* SPDX-License-Identifier: MIT */
/* szc-nic's command line, and what it says. */
#include "fixture.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include "tools/failure.h"
#include "tools/szc-nic-options.h"
#include "tools/szc-nic-render.h"

enum {
	WORDS = 16,
};

typedef void parser(struct nic_options *options, int argc, char **argv);

static struct nic_options parse(parser *parse, const char *line)
{
	struct nic_options options = {.wire = {.size = sizeof(options.wire)}};
	static char copy[512];
	char *argv[WORDS + 1], *rest = copy;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while (rest && argc < WORDS)
		argv[argc++] = strsep(&rest, " ");
	argv[argc] = NULL;
	parse(&options, argc, argv);
	return options;
}

/* In a child, as a mistake ends the program; what it said on standard error. */
static void refused(parser *parser, const char *line, const char *words)
{
	char said[4096] = "";
	size_t length = 0;
	int out[2], status;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(out), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		argp_err_exit_status = EXIT_USAGE;
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		parse(parser, line);
		_exit(0);
	}
	close(out[1]);
	while (length < sizeof(said) - 1 && (got = read(out[0], said + length, sizeof(said) - 1 - length)) > 0)
		length += (size_t)got;
	close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_USAGE || !strstr(said, words))
		fail_msg("%s: \"%s\" does not say \"%s\"", line, said, words);
}

static void lines_are_understood(void **state)
{
	struct nic_options options =
		parse(nic_options_parse_prepare,
		      "x eth0@peer --queue 0 --port 80 --port=443 --rx-ring 512 --state f --dry-run");

	(void)state;
	assert_string_equal(options.places[0].ifname, "eth0");
	assert_string_equal(options.places[0].netns, "peer");
	assert_int_equal(options.queue, 0);
	assert_int_equal(options.port_count, 2);
	assert_int_equal(options.ports[1], 443);
	assert_int_equal(options.rx_ring, 512);
	assert_string_equal(options.state_file, "f");
	assert_true(options.dry_run && !options.json);

	options = parse(nic_options_parse_pair, "x a b@c loss 1% --queues 8 delay 2ms --mtu 9000 --json");
	assert_string_equal(options.places[0].netns, "");
	assert_string_equal(options.places[1].ifname, "b");
	assert_string_equal(options.places[1].netns, "c");
	assert_int_equal(options.wire.set, SZC_NIC_WIRE_LOSS | SZC_NIC_WIRE_DELAY);
	assert_int_equal(options.wire.loss, 10000);
	assert_int_equal(options.wire.delay, 2000000);
	assert_int_equal(options.queues, 8);
	assert_int_equal(options.mtu, 9000);
	assert_true(options.json);

	options = parse(nic_options_parse_wire, "x a rate 0 reorder 1% duplicate 2% corrupt 3%");
	assert_int_equal(options.wire.set,
			 SZC_NIC_WIRE_RATE | SZC_NIC_WIRE_REORDER | SZC_NIC_WIRE_DUPLICATE | SZC_NIC_WIRE_CORRUPT);
	assert_int_equal(parse(nic_options_parse_show, "x").place_count, 0);
	assert_int_equal(parse(nic_options_parse_show, "x a").place_count, 1);
	assert_int_equal(parse(nic_options_parse_restore, "x a").place_count, 1);
}

static void mistakes_are_named(void **state)
{
	(void)state;
	refused(nic_options_parse_prepare, "x", "name of an interface is missing");
	refused(nic_options_parse_prepare, "x eth0", "--queue N is missing");
	refused(nic_options_parse_prepare, "x eth0 eth1 --queue 1", "'eth1' is one argument too many");
	refused(nic_options_parse_prepare, "x sixteencharacter --queue 1", "'sixteencharacter' is not the name");
	refused(nic_options_parse_prepare, "x @peer --queue 1", "'@peer' is not the name");
	refused(nic_options_parse_prepare, "x eth0@ --queue 1", "does not name a network namespace");
	refused(nic_options_parse_prepare, "x eth0@../x --queue 1", "does not name a network namespace");
	refused(nic_options_parse_prepare, "x eth0 --queue -1", "--queue=-1 is not a number from 0 to 65535");
	refused(nic_options_parse_prepare, "x eth0 --queue 1x", "--queue=1x is not a number");
	refused(nic_options_parse_prepare, "x eth0 --queue 1 --port 0", "--port=0 is not a number from 1 to 65535");
	refused(nic_options_parse_prepare, "x eth0 --queue 1 --rx-ring 0", "--rx-ring=0 is not a number");
	refused(nic_options_parse_restore, "x", "name of an interface is missing");
	refused(nic_options_parse_show, "x a b", "'b' is one argument too many");
	refused(nic_options_parse_pair, "x a", "a pair has two names");
	refused(nic_options_parse_pair, "x a b --queues 129", "--queues=129 is not a number from 1 to 128");
	refused(nic_options_parse_pair, "x a b lost 1%", "'lost' is not rate, delay");
	refused(nic_options_parse_wire, "x a", "nothing to be changed was given");
	refused(nic_options_parse_wire, "x a loss", "loss needs a value");
	refused(nic_options_parse_wire, "x a loss much", "'loss much' is not understood");
	refused(nic_options_parse_wire, "x", "the name of a port is missing");
	refused(nic_options_parse_psp, "x --rotate", "the name of an interface is missing");
	refused(nic_options_parse_psp, "x a --enable aes-gcm-128,rot13", "'rot13' is no version of PSP");
	refused(nic_options_parse_psp, "x a --enable aes-gcm", "'aes-gcm' is no version of PSP");
}

static void psp_versions_are_named(void **state)
{
	struct nic_options options;

	(void)state;
	options = parse(nic_options_parse_psp, "x");
	assert_false(options.psp_enable || options.psp_rotate);
	options = parse(nic_options_parse_psp, "x a --enable aes-gcm-128,aes-gmac-256 --rotate");
	assert_true(options.psp_enable && options.psp_rotate);
	assert_int_equal(options.psp_versions, 1 << 0 | 1 << 3);
	options = parse(nic_options_parse_psp, "x a --enable none");
	assert_true(options.psp_enable);
	assert_int_equal(options.psp_versions, 0);
	options = parse(nic_options_parse_psp, "x a --enable all");
	assert_int_equal(options.psp_versions, NIC_PSP_ALL);
}

/* ------------------------------------------------------------------------------------------------ said */

static char *said;
static size_t said_size;

static FILE *begin(void)
{
	FILE *file = open_memstream(&said, &said_size);

	assert_non_null(file);
	return file;
}

static void end(FILE *file, const char *expected)
{
	fclose(file);
	assert_string_equal(said, expected);
	free(said);
}

static void json_is(json_t *object, const char *expected)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
	json_decref(object);
}

static void nics_are_told(void **state)
{
	struct szc_nic_info info = {
		.ifname = "szc0",
		.ifindex = 3,
		.kind = "szcnic",
		.up = true,
		.rx_queues = 2,
		.rx_queues_max = 4,
		.rx_ring = 256,
		.rx_ring_max = 4096,
		.rx_ring_payload = 1024,
		.split = SZC_NIC_SPLIT_ON,
		.rss_entries = 128,
		.rule_slots = 256,
		.rules = 1,
		.wire = {.set = SZC_NIC_WIRE_RATE, .rate = 10000000000, .delay = 1000, .loss = 5000},
	};
	FILE *file = begin();

	(void)state;
	render_info(file, &info);
	end(file, "szc0 (szcnic): up, 2 receive queues of at most 4\n"
		  "  split      on, threshold 0\n"
		  "  rx ring    256 of at most 4096, and 1024 for payload\n"
		  "  RSS table  128 entries\n"
		  "  rules      1 of at most 256\n"
		  "  wire       rate 10Gbit, delay 1us, loss 0.5%, reorder 0%, duplicate 0%, corrupt 0%\n");
	json_is(render_info_json(&info),
		"{\"ifname\":\"szc0\",\"ifindex\":3,\"kind\":\"szcnic\",\"up\":true,\"rx_queues\":2,\"rx_queues_max\":4,"
		"\"rx_ring\":256,\"rx_ring_max\":4096,\"rx_ring_payload\":1024,\"split\":\"on\",\"split_threshold\":0,"
		"\"rss_entries\":128,\"rule_slots\":256,\"wire\":{\"rate\":10000000000,\"delay_ns\":1000,\"loss\":0.005,"
		"\"reorder\":0.0,\"duplicate\":0.0,\"corrupt\":0.0}}");
	info = (struct szc_nic_info){.ifname = "eth0", .rx_queues = 1, .split_threshold = SZC_NIC_UNKNOWN};
	file = begin();
	render_info(file, &info);
	end(file, "eth0: down, 1 receive queue of at most 0\n  split      unknown\n");
}

static void queues_are_told(void **state)
{
	static const unsigned contexts[] = {3, 5};
	struct szc_nic_queue queue = {
		.id = 1,
		.napi_id = 9,
		.memory = SZC_NIC_MEMORY_IO_URING,
		.rx_buf_len = 4096,
		.dmabuf_id = SZC_NIC_UNKNOWN,
		.pools = 1,
		.pool_bytes = 2048,
		.contexts = contexts,
		.context_count = 2,
		.rx_packets = 7,
		.rx_bytes = SZC_NIC_UNKNOWN,
		.rx_alloc_fail = 0,
		.rx_hw_drops = SZC_NIC_UNKNOWN,
		.rx_hw_drop_overruns = SZC_NIC_UNKNOWN,
		.rx_csum_bad = SZC_NIC_UNKNOWN,
	};
	FILE *file = begin();

	(void)state;
	render_queue(file, NULL, &queue);
	end(file,
	    "  queue 1    napi 9, held by io_uring (buffers of 4096 bytes), 1 pool with 2 KiB in flight, not in RSS, in "
	    "RSS context 3, in RSS context 5, packets 7, allocation failures 0\n");
	json_is(render_queue_json(&queue),
		"{\"id\":1,\"napi_id\":9,\"memory\":\"io_uring\",\"rx_buf_len\":4096,\"dmabuf_id\":null,\"pools\":1,"
		"\"pool_bytes\":2048,\"in_rss\":false,\"contexts\":[3,5],\"rx_packets\":7,\"rx_bytes\":null,"
		"\"rx_alloc_fail\":0,\"rx_hw_drops\":null,\"rx_hw_drop_overruns\":null,\"rx_csum_bad\":null}");
	queue.memory = SZC_NIC_MEMORY_DMABUF;
	queue.dmabuf_id = 4;
	queue.rx_packets = queue.rx_alloc_fail = SZC_NIC_UNKNOWN;
	queue.context_count = queue.pools = 0;
	queue.in_rss = true;
	file = begin();
	render_queue(file, NULL, &queue);
	queue.memory = SZC_NIC_MEMORY_XSK;
	render_queue(file, NULL, &queue);
	queue.memory = SZC_NIC_MEMORY_POOL;
	render_queue(file, NULL, &queue);
	end(file, "  queue 1    napi 9, held by dmabuf 4, in RSS\n"
		  "  queue 1    napi 9, held by AF_XDP, in RSS\n"
		  "  queue 1    napi 9, free, in RSS\n");
}

static void rules_and_changes_are_told(void **state)
{
	struct szc_nic_rule rule = {
		.slot = 7, .queue = 1, .context = -1, .ours = true, .text = "tcp4 *:* *:80 queue 1"};
	struct szc_nic_change change = {.what = "RSS table", .before = "default", .after = "queues 0,2", .queue = 1};
	FILE *file = begin();

	(void)state;
	change.holder = 5;
	render_rule(file, &rule);
	render_change(file, &change);
	end(file, "  rule 7     tcp4 *:* *:80 queue 1 (by szc)\nRSS table: default -> queues 0,2\n");
	json_is(render_rule_json(&rule),
		"{\"slot\":7,\"rule\":\"tcp4 *:* *:80 queue 1\",\"queue\":1,\"context\":null,\"ours\":true}");
	json_is(render_change_json(&change), "{\"what\":\"RSS table\",\"before\":\"default\",\"after\":\"queues 0,2\","
					     "\"note\":null,\"queue\":1,\"process\":5}");
	change.note = "left as it is";
	file = begin();
	render_change(file, &change);
	change.before = change.after;
	render_change(file, &change);
	end(file, "RSS table: default -> queues 0,2, left as it is\nRSS table: queues 0,2, left as it is\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_understood),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(nics_are_told),
		cmocka_unit_test(queues_are_told),
		cmocka_unit_test(rules_and_changes_are_told),
		cmocka_unit_test(psp_versions_are_named),
	};

	return cmocka_run_group_tests_name("nic_command", tests, NULL, NULL);
}
