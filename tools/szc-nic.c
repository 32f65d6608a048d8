/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <stdio.h>
#include <string.h>
#include "failure.h"
#include "szc-nic-commands.h"

static struct command {
	const char *name;
	char full_name[20]; /* what argp calls the program */
	void (*parse)(struct nic_options *options, int argc, char **argv);
	int (*run)(const struct nic_options *options);
} commands[] = {
	{"prepare", "szc-nic prepare", nic_options_parse_prepare, nic_prepare},
	{"restore", "szc-nic restore", nic_options_parse_restore, nic_restore},
	{"show", "szc-nic show", nic_options_parse_show, nic_show},
	{"pair", "szc-nic pair", nic_options_parse_pair, nic_pair},
	{"wire", "szc-nic wire", nic_options_parse_wire, nic_wire},
	{"psp", "szc-nic psp", nic_options_parse_psp, nic_psp},
};

static const char commands_doc[] =
	"Prepares a NIC for zero-copy receive, puts it back as it was, and shows who uses which queue.\v"
	"Commands:\n"
	"  prepare  make a receive queue ready\n"
	"  restore  undo what was done\n"
	"  show     queues, who holds them, rules, RSS, rings\n"
	"  pair     make a pair of the virtual NIC szcnic\n"
	"  wire     let its wire lose, delay, damage packets\n"
	"  psp      devices that encrypt by PSP: show, enable, rotate\n"
	"`szc-nic COMMAND --help' tells the options of each.\n\n"
	"  szc-nic prepare eth0 --queue 7 --port 4433\n"
	"  szc-nic show eth0\n"
	"  szc-nic restore eth0\n";

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "szc-nic %s\n", szc_version());
}

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct command **command = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			if (!strcmp(commands[i].name, arg))
				*command = &commands[i];
		if (!*command)
			argp_error(state, "'%s' is not a command; there are prepare, restore, show, pair, wire and psp",
				   arg);
		/* What follows is the command's. */
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a command is missing: prepare, restore, show, pair, wire or psp");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {.parser = parse_command,
					 .args_doc = "prepare|restore|show|pair|wire|psp [OPTION...]",
					 .doc = commands_doc};
	struct nic_options options = {.wire = {.size = sizeof(options.wire)}};
	struct command *command = NULL;

	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_USAGE;
	/* In order: an option after the command's name is not ours. */
	argp_parse(&argp, argc < 2 ? argc : 2, argv, ARGP_IN_ORDER, NULL, &command);
	argv[1] = command->full_name;
	command->parse(&options, argc - 1, argv + 1);
	return command->run(&options);
}
