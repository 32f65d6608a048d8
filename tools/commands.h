/* SPDX-License-Identifier: MIT */
/* The commands of zcrx-tls. Each runs to its end and returns the exit code. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "options.h"

int receive(const struct options *options);
int send_file(const struct options *options);
int echo(const struct options *options);
int capture(const struct options *options);

#endif
