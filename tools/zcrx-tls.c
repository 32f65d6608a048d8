/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <stdio.h>
#include <string.h>
#include "commands.h"
#include "failure.h"
#include "stop.h"

static struct command {
	const char *name;
	char full_name[20]; /* what argp calls the program */
	void (*parse)(struct options *options, int argc, char **argv);
	int (*run)(const struct options *options);
} commands[] = {
	{"recv", "zcrx-tls recv", options_parse_recv, receive},
	{"send", "zcrx-tls send", options_parse_send, send_file},
	{"echo", "zcrx-tls echo", options_parse_echo, echo},
	{"capture", "zcrx-tls capture", options_parse_capture, capture},
};

static const char commands_doc[] =
	"Moves data over TLS 1.3, opened in place in the memory it was received into, and counts how often each byte "
	"crossed the memory bus.\v"
	"Commands:\n"
	"  recv    receive into a file, a directory of files, or a pipe\n"
	"  send    send a file or a pipe\n"
	"  echo    send back what comes\n"
	"  capture show PSP packets in a capture of the wire\n"
	"`zcrx-tls COMMAND --help' tells the options of each.\n\n"
	"A throw-away certificate, and a file from one terminal to another:\n"
	"  openssl req -x509 -newkey rsa -nodes -subj /CN=localhost \\\n"
	"    -addext subjectAltName=DNS:localhost -keyout k.pem -out c.pem\n"
	"  zcrx-tls recv --listen :4433 --cert c.pem --key k.pem --once --out copy\n"
	"  zcrx-tls send --connect localhost:4433 --ca c.pem original\n";

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "zcrx-tls %s\n", szc_version());
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
			argp_error(state, "'%s' is not a command; there are recv, send, echo and capture", arg);
		/* What follows is the command's. */
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a command is missing: recv, send, echo or capture");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_command, .args_doc = "recv|send|echo|capture [OPTION...]", .doc = commands_doc};
	struct command *command = NULL;
	struct options options = {0};

	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_USAGE;
	stop_install();
	/* In order: an option after the command's name is not ours. */
	argp_parse(&argp, argc < 2 ? argc : 2, argv, ARGP_IN_ORDER, NULL, &command);
	argv[1] = command->full_name;
	command->parse(&options, argc - 1, argv + 1);
	return command->run(&options);
}
