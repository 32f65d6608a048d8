/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "failure.h"
#include "szc-nic-options.h"
#include "szc-nic-units.h"

enum key {
	KEY_QUEUE = 0x100,
	KEY_PORT,
	KEY_RX_RING,
	KEY_STATE,
	KEY_DRY_RUN,
	KEY_JSON,
	KEY_QUEUES,
	KEY_MTU,
	KEY_ENABLE,
	KEY_ROTATE,
};

#define EXIT_CODES                                                                                                     \
	"Exit codes: 0 done; 2 command line; 6 the state file; 7 the system, the NIC or its driver. A failed command " \
	"leaves the NIC as it was, or says what it could not undo."

#define WIRE_WORDS                                                                                                     \
	"What a wire can do to packets:\n"                                                                             \
	"  rate RATE        10Gbit, 800kbit; 0 is no limit\n"                                                          \
	"  delay TIME       100us, 2ms, up to 1s\n"                                                                    \
	"  loss SHARE       1%: vanish\n"                                                                              \
	"  reorder SHARE    overtake those before them\n"                                                              \
	"  duplicate SHARE  arrive twice\n"                                                                            \
	"  corrupt SHARE    arrive with one bit flipped\n\n"

static const struct argp_option common_options[] = {
	{"json", KEY_JSON, NULL, 0, "Print one JSON object", 9},
	{0},
};

static const struct argp_option state_options[] = {
	{"state", KEY_STATE, "FILE", 0,
	 "Where the steps are on record (default: a file for each interface and namespace in /run/szc)", 8},
	{0},
};

static const struct argp_option prepare_options[] = {
	{"queue", KEY_QUEUE, "N", 0, "The receive queue, counted from 0", 1},
	{"port", KEY_PORT, "P", 0, "A TCP port that is going to be steered to it; can be given more than once", 1},
	{"rx-ring", KEY_RX_RING, "N", 0, "Descriptors of each receive ring (default: as it is)", 1},
	{"dry-run", KEY_DRY_RUN, NULL, 0, "Only say what would be done", 1},
	{0},
};

static const struct argp_option pair_options[] = {
	{"queues", KEY_QUEUES, "N", 0, "Most queues a port can have, 1 to 128", 1},
	{"mtu", KEY_MTU, "BYTES", 0, "MTU of both ports", 1},
	{0},
};

static const struct argp_option psp_options[] = {
	{"enable", KEY_ENABLE, "VERSIONS", 0,
	 "What the device opens: all, none, or some of aes-gcm-128, aes-gcm-256, aes-gmac-128, aes-gmac-256, with commas",
	 1},
	{"rotate", KEY_ROTATE, NULL, 0, "A new device key: keys of the one before last are dead from then on", 1},
	{0},
};

static unsigned parse_number(struct argp_state *state, const char *name, const char *text, unsigned min, unsigned max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value < min || value > max)
		argp_error(state, "--%s=%s is not a number from %u to %u", name, text, min, max);
	return (unsigned)value;
}

static void parse_place(struct argp_state *state, const char *text, struct nic_place *place)
{
	const char *at = strchr(text, '@');
	size_t length = at ? (size_t)(at - text) : strlen(text);

	if (!length || length >= sizeof(place->ifname))
		argp_error(state, "'%s' is not the name of an interface (1 to %zu characters)", text,
			   sizeof(place->ifname) - 1);
	if (at && (!at[1] || strlen(at + 1) >= sizeof(place->netns) || strchr(at + 1, '/')))
		argp_error(state, "'%s' does not name a network namespace behind the @", text);
	memcpy(place->ifname, text, length);
	place->ifname[length] = 0;
	snprintf(place->netns, sizeof(place->netns), "%s", at ? at + 1 : "");
}

/* One place more, of `max`. */
static void take_place(struct argp_state *state, const char *text, unsigned max)
{
	struct nic_options *options = state->input;

	if (options->place_count >= max)
		argp_error(state, "'%s' is one argument too many", text);
	parse_place(state, text, &options->places[options->place_count++]);
}

/* "rate 10Gbit": a word and its value, which is the next argument. */
static void take_wire_word(struct argp_state *state, const char *word)
{
	struct szc_nic_wire *wire = &((struct nic_options *)state->input)->wire;
	const struct {
		const char *word;
		unsigned set;
		uint64_t *wide;
		uint32_t *share;
	} words[] = {
		{"rate", SZC_NIC_WIRE_RATE, &wire->rate, NULL},
		{"delay", SZC_NIC_WIRE_DELAY, &wire->delay, NULL},
		{"loss", SZC_NIC_WIRE_LOSS, NULL, &wire->loss},
		{"reorder", SZC_NIC_WIRE_REORDER, NULL, &wire->reorder},
		{"duplicate", SZC_NIC_WIRE_DUPLICATE, NULL, &wire->duplicate},
		{"corrupt", SZC_NIC_WIRE_CORRUPT, NULL, &wire->corrupt},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *value = state->argv[state->next];
		bool good;

		if (strcmp(words[i].word, word) != 0)
			continue;
		if (!value)
			argp_error(state, "%s needs a value", word);
		if (words[i].share)
			good = units_parse_share(value, words[i].share);
		else if (words[i].wide == &wire->rate)
			good = units_parse_rate(value, words[i].wide);
		else
			good = units_parse_time(value, words[i].wide);
		if (!good)
			argp_error(state, "'%s %s' is not understood; see --help", word, value);
		wire->set |= words[i].set;
		state->next++;
		return;
	}
	argp_error(state, "'%s' is not rate, delay, loss, reorder, duplicate or corrupt", word);
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct nic_options *options = state->input;

	switch (key) {
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_STATE:
		options->state_file = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp common_argp = {.options = common_options, .parser = parse_common};
static const struct argp state_argp = {.options = state_options, .parser = parse_common};
static const struct argp_child plain_children[] = {{&common_argp, 0, NULL, 0}, {0}};
static const struct argp_child state_children[] = {{&state_argp, 0, NULL, 0}, {&common_argp, 0, NULL, 0}, {0}};

static void hand_down(struct argp_state *state)
{
	for (int i = 0; state->root_argp->children[i].argp; i++)
		state->child_inputs[i] = state->input;
}

/* ------------------------------------------------------------------------------------------------ pair, wire */

static error_t parse_pair(int key, char *arg, struct argp_state *state)
{
	struct nic_options *options = state->input;

	switch (key) {
	case KEY_QUEUES:
		options->queues = parse_number(state, "queues", arg, 1, 128);
		break;
	case KEY_MTU:
		options->mtu = parse_number(state, "mtu", arg, 68, 65535);
		break;
	case ARGP_KEY_INIT:
		hand_down(state);
		break;
	case ARGP_KEY_ARG:
		if (options->place_count < 2)
			take_place(state, arg, 2);
		else
			take_wire_word(state, arg);
		break;
	case ARGP_KEY_END:
		if (options->place_count < 2)
			argp_error(state, "a pair has two names");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void nic_options_parse_pair(struct nic_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = pair_options,
		.parser = parse_pair,
		.args_doc = "NAME[@NETNS] NAME[@NETNS] [WIRE...]",
		.doc = "Makes two ports of the virtual NIC szcnic, joined by a wire. The module must be loaded.\v" WIRE_WORDS
		       "Here they hold for both directions.\n\n"
		       "  szc-nic pair szc0 szc1@peer rate 10Gbit delay 50us\n\n" EXIT_CODES,
		.children = plain_children,
	};

	argp_parse(&argp, argc, argv, 0, NULL, options);
}

static error_t parse_wire(int key, char *arg, struct argp_state *state)
{
	struct nic_options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		hand_down(state);
		break;
	case ARGP_KEY_ARG:
		if (!options->place_count)
			take_place(state, arg, 1);
		else
			take_wire_word(state, arg);
		break;
	case ARGP_KEY_END:
		if (!options->place_count)
			argp_error(state, "the name of a port is missing");
		if (!options->wire.set)
			argp_error(state,
				   "nothing to be changed was given: rate, delay, loss, reorder, duplicate, corrupt");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void nic_options_parse_wire(struct nic_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_wire,
		.args_doc = "IFNAME[@NETNS] WIRE...",
		.doc = "Changes what the wire does to the packets that a port of szcnic sends.\v" WIRE_WORDS
		       "What is not named stays.\n\n"
		       "  szc-nic wire szc1@peer loss 1% corrupt 0.1%\n\n" EXIT_CODES,
		.children = plain_children,
	};

	argp_parse(&argp, argc, argv, 0, NULL, options);
}

/* ------------------------------------------------------------------------------------------------ prepare, restore */

static error_t parse_prepare(int key, char *arg, struct argp_state *state)
{
	struct nic_options *options = state->input;

	switch (key) {
	case KEY_QUEUE:
		options->queue = parse_number(state, "queue", arg, 0, UINT16_MAX);
		options->has_queue = true;
		break;
	case KEY_PORT:
		if (options->port_count >= NIC_PORTS_MAX)
			argp_error(state, "more than %d ports", NIC_PORTS_MAX);
		options->ports[options->port_count++] = (uint16_t)parse_number(state, "port", arg, 1, UINT16_MAX);
		break;
	case KEY_RX_RING:
		options->rx_ring = parse_number(state, "rx-ring", arg, 1, INT_MAX);
		break;
	case KEY_DRY_RUN:
		options->dry_run = true;
		break;
	case ARGP_KEY_INIT:
		hand_down(state);
		break;
	case ARGP_KEY_ARG:
		take_place(state, arg, 1);
		break;
	case ARGP_KEY_END:
		if (!options->place_count)
			argp_error(state, "the name of an interface is missing");
		if (!options->has_queue)
			argp_error(state, "--queue N is missing: which receive queue");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void nic_options_parse_prepare(struct nic_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = prepare_options,
		.parser = parse_prepare,
		.args_doc = "IFNAME[@NETNS] --queue N",
		.doc = "Makes a receive queue ready for zero-copy receive: headers split from payload with threshold 0, the "
		       "ring's size, and the queue out of the RSS table. Each value is read back; what was changed is said, "
		       "and undone by `szc-nic restore'.\v"
		       "Rules that steer a port to the queue are made by the program that receives, once the queue is its "
		       "own; --port looks now whether they can be made, and turns ntuple filters on.\n\n"
		       "  szc-nic prepare eth0 --queue 7 --port 4433\n\n" EXIT_CODES,
		.children = state_children,
	};

	argp_parse(&argp, argc, argv, 0, NULL, options);
}

static error_t parse_restore(int key, char *arg, struct argp_state *state)
{
	struct nic_options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		hand_down(state);
		break;
	case ARGP_KEY_ARG:
		take_place(state, arg, 1);
		break;
	case ARGP_KEY_END:
		if (!options->place_count)
			argp_error(state, "the name of an interface is missing");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void nic_options_parse_restore(struct nic_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_restore,
		.args_doc = "IFNAME[@NETNS]",
		.doc = "Undoes what was done to the NIC and is on record, the latest first. What somebody else changed since "
		       "is left as it is, and said.\v" EXIT_CODES,
		.children = state_children,
	};

	argp_parse(&argp, argc, argv, 0, NULL, options);
}

static error_t parse_show(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		hand_down(state);
		break;
	case ARGP_KEY_ARG:
		take_place(state, arg, 1);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void nic_options_parse_show(struct nic_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_show,
		.args_doc = "[IFNAME[@NETNS]]",
		.doc = "Shows of a NIC, or of every one that has receive queues: rings, header/data split, each queue with "
		       "who holds its memory and its counters, RSS, rules, and the steps on record.\v" EXIT_CODES,
		.children = state_children,
	};

	argp_parse(&argp, argc, argv, 0, NULL, options);
}

/* ------------------------------------------------------------------------------------------------ psp */

const char *const nic_psp_versions[NIC_PSP_VERSIONS] = {"aes-gcm-128", "aes-gcm-256", "aes-gmac-128", "aes-gmac-256"};

static uint32_t parse_versions(struct argp_state *state, const char *text)
{
	uint32_t set = 0;

	if (!strcmp(text, "all"))
		return NIC_PSP_ALL;
	if (!strcmp(text, "none"))
		return 0;
	while (*text) {
		size_t length = strcspn(text, ","), i = 0;

		while (i < NIC_PSP_VERSIONS &&
		       (strlen(nic_psp_versions[i]) != length || strncmp(nic_psp_versions[i], text, length) != 0))
			i++;
		if (i == NIC_PSP_VERSIONS)
			argp_error(state, "'%.*s' is no version of PSP; see --help", (int)length, text);
		set |= 1U << i;
		text += length + (text[length] == ',');
	}
	return set;
}

static error_t parse_psp(int key, char *arg, struct argp_state *state)
{
	struct nic_options *options = state->input;

	switch (key) {
	case KEY_ENABLE:
		options->psp_enable = true;
		options->psp_versions = parse_versions(state, arg);
		break;
	case KEY_ROTATE:
		options->psp_rotate = true;
		break;
	case ARGP_KEY_INIT:
		hand_down(state);
		break;
	case ARGP_KEY_ARG:
		take_place(state, arg, 1);
		break;
	case ARGP_KEY_END:
		if ((options->psp_enable || options->psp_rotate) && !options->place_count)
			argp_error(state, "the name of an interface is missing");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void nic_options_parse_psp(struct nic_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = psp_options,
		.parser = parse_psp,
		.args_doc = "[IFNAME[@NETNS]]",
		.doc = "Shows the devices that encrypt by PSP: versions, and counters. Changes one if asked to.\v"
		       "  szc-nic psp eth0 --enable all\n"
		       "  szc-nic psp eth0 --rotate\n\n" EXIT_CODES,
		.children = plain_children,
	};

	argp_parse(&argp, argc, argv, 0, NULL, options);
}
