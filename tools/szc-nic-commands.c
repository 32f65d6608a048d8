/* SPDX-License-Identifier: MIT */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "szc-nic-commands.h"
#include "szc-nic-place.h"
#include "szc-nic-render.h"

int nic_report(const struct nic_options *options, json_t *object, struct failure *failure)
{
	bool good = true;

	if (failure->exit_code)
		fprintf(stderr, "szc-nic: %s\n", failure->sentence);
	if (options->json) {
		json_t *sentence = failure->exit_code ? json_string(failure->sentence) : json_null();

		good = object && !json_object_set_new(object, "error", sentence) &&
		       !json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) && putchar('\n') != EOF;
	}
	if (fflush(stdout))
		good = false;
	json_decref(object);
	if (!good)
		failure_set(failure, EXIT_FILE, "cannot write to standard output");
	return failure->exit_code;
}

static json_t *changes_json(const struct szc_nic *nic)
{
	const struct szc_nic_change *change;
	json_t *list = json_array();

	for (size_t i = 0; nic && (change = szc_nic_change(nic, i)); i++)
		json_array_append_new(list, render_change_json(change));
	return list;
}

/* What was done, to standard output, and the end. */
static int report_changes(const struct nic_options *options, const char *command, struct szc_nic *nic,
			  const char *nothing, struct failure *failure)
{
	const char *ifname = options->places[0].ifname;
	const struct szc_nic_change *change;
	json_t *object = NULL;
	int code;

	if (options->json) {
		object = json_pack("{s:s, s:s, s:b, s:o}", "command", command, "ifname", ifname, "dry_run",
				   (int)options->dry_run, "changes", changes_json(nic));
	} else {
		for (size_t i = 0; nic && (change = szc_nic_change(nic, i)); i++) {
			printf("%s: %s", ifname, options->dry_run ? "would change " : "");
			render_change(stdout, change);
		}
		if (!failure->exit_code && nic && !szc_nic_change(nic, 0))
			printf("%s: %s\n", ifname, nothing);
	}
	code = nic_report(options, object, failure);
	szc_nic_close(nic);
	return code;
}

int nic_prepare(const struct nic_options *options)
{
	struct szc_nic_prepare_options prepare = {
		.size = sizeof(prepare),
		.queue = options->queue,
		.rx_ring = options->rx_ring,
		.ports = options->ports,
		.port_count = options->port_count,
		.dry_run = options->dry_run,
	};
	struct failure failure = {0};
	struct szc_nic *nic;

	if (!place_open(&options->places[0], options->state_file, &nic, &failure)) {
		int error = szc_nic_prepare(nic, &prepare);

		if (error)
			place_failed(&failure, error, szc_nic_last_error(nic));
	}
	return report_changes(options, "prepare", nic, "nothing to be changed, the queue is ready", &failure);
}

int nic_restore(const struct nic_options *options)
{
	struct failure failure = {0};
	struct szc_nic *nic;

	if (!place_open(&options->places[0], options->state_file, &nic, &failure)) {
		int error = szc_nic_restore_all(nic);

		if (error)
			place_failed(&failure, error, szc_nic_last_error(nic));
	}
	return report_changes(options, "restore", nic, "nothing is on record", &failure);
}

/* ------------------------------------------------------------------------------------------------ show */

static void print_nic(const struct szc_nic *nic, const struct szc_nic_info *info)
{
	const struct szc_nic_change *change;
	const struct szc_nic_queue *queue;
	const struct szc_nic_rule *rule;

	render_info(stdout, info);
	for (size_t i = 0; (queue = szc_nic_queue(nic, i)); i++)
		render_queue(stdout, nic, queue);
	for (size_t i = 0; (rule = szc_nic_rule(nic, i)); i++)
		render_rule(stdout, rule);
	for (size_t i = 0; (change = szc_nic_change(nic, i)); i++) {
		printf("  on record  ");
		if (change->holder)
			printf("queue %u, process %d: ", change->queue, change->holder);
		render_change(stdout, change);
	}
}

static json_t *nic_json(const struct szc_nic *nic, const struct szc_nic_info *info)
{
	json_t *object = render_info_json(info), *queues = json_array(), *rules = json_array();
	const struct szc_nic_queue *queue;
	const struct szc_nic_rule *rule;

	for (size_t i = 0; (queue = szc_nic_queue(nic, i)); i++)
		json_array_append_new(queues, render_queue_json(queue));
	for (size_t i = 0; (rule = szc_nic_rule(nic, i)); i++)
		json_array_append_new(rules, render_rule_json(rule));
	json_object_set_new(object, "queues", queues);
	json_object_set_new(object, "rules", rules);
	json_object_set_new(object, "on_record", changes_json(nic));
	return object;
}

/* `named`: it was asked for; else it is passed over if there is nothing to be prepared about it. */
static int show_one(const struct nic_options *options, const struct nic_place *place, bool named, json_t *list,
		    struct failure *failure)
{
	const struct szc_nic_info *info;
	struct szc_nic *nic;
	int error;

	if (place_open(place, options->state_file, &nic, failure))
		return failure->exit_code;
	error = szc_nic_look(nic, &info);
	if (error)
		place_failed(failure, error, szc_nic_last_error(nic));
	else if (options->json && (named || info->rx_queues))
		json_array_append_new(list, nic_json(nic, info));
	else if (named || info->rx_queues)
		print_nic(nic, info);
	szc_nic_close(nic);
	return failure->exit_code;
}

static void show_all(const struct nic_options *options, json_t *list, struct failure *failure)
{
	struct if_nameindex *names = if_nameindex();

	if (!names)
		failure_set(failure, EXIT_SYSTEM, "cannot list the interfaces");
	for (size_t i = 0; names && names[i].if_index; i++) {
		struct nic_place place = {0};

		snprintf(place.ifname, sizeof(place.ifname), "%s", names[i].if_name);
		show_one(options, &place, false, list, failure);
	}
	if_freenameindex(names);
}

int nic_show(const struct nic_options *options)
{
	json_t *list = options->json ? json_array() : NULL, *object = NULL;
	struct failure failure = {0};

	if (options->place_count)
		show_one(options, &options->places[0], true, list, &failure);
	else
		show_all(options, list, &failure);
	if (options->json)
		object = json_pack("{s:s, s:o}", "command", "show", "interfaces", list);
	return nic_report(options, object, &failure);
}

/* ------------------------------------------------------------------------------------------------ pair, wire */

static int set_wire(const struct nic_place *place, const struct szc_nic_wire *wire, struct failure *failure)
{
	struct szc_nic *nic;
	int error;

	if (place_open(place, NULL, &nic, failure))
		return failure->exit_code;
	error = szc_nic_set_wire(nic, wire);
	if (error)
		place_failed(failure, error, szc_nic_last_error(nic));
	szc_nic_close(nic);
	return failure->exit_code;
}

static int make_pair(const struct nic_options *options, struct failure *failure)
{
	char sentence[512] = "";
	struct szc_nic_pair_options pair = {
		.size = sizeof(pair),
		.queues = options->queues,
		.mtu = options->mtu,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	int error = 0, code = 0;

	for (int i = 0; i < 2; i++)
		pair.ports[i] = (struct szc_nic_port){.ifname = options->places[i].ifname, .netns_fd = -1};
	for (int i = 0; i < 2 && !code; i++)
		code = place_netns(&options->places[i], &pair.ports[i].netns_fd, failure);
	if (!code)
		error = szc_nic_pair(&pair);
	if (error)
		code = place_failed(failure, error, sentence);
	for (int i = 0; i < 2; i++)
		if (pair.ports[i].netns_fd >= 0)
			close(pair.ports[i].netns_fd);
	return code;
}

/* The port in our own namespace first: a namespace is entered for good. */
static int wire_both(const struct nic_options *options, struct failure *failure)
{
	int first = *options->places[0].netns ? 1 : 0;
	int code = set_wire(&options->places[first], &options->wire, failure);

	return code ? code : set_wire(&options->places[!first], &options->wire, failure);
}

int nic_pair(const struct nic_options *options)
{
	struct failure failure = {0};
	json_t *object = NULL;

	if (!make_pair(options, &failure) && options->wire.set)
		wire_both(options, &failure);
	if (options->json)
		object = json_pack("{s:s, s:s, s:s}", "command", "pair", "ifname", options->places[0].ifname, "peer",
				   options->places[1].ifname);
	return nic_report(options, object, &failure);
}

int nic_wire(const struct nic_options *options)
{
	struct failure failure = {0};
	json_t *object = NULL;

	set_wire(&options->places[0], &options->wire, &failure);
	if (options->json)
		object = json_pack("{s:s, s:s}", "command", "wire", "ifname", options->places[0].ifname);
	return nic_report(options, object, &failure);
}
