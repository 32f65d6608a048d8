/* SPDX-License-Identifier: MIT */
/* Why a program ends: an exit code by kind, and a sentence for the person who started it. */
#ifndef TOOLS_FAILURE_H
#define TOOLS_FAILURE_H

#include <szc/rx.h>

/* Documented in --help and zcrx-tls(1): scripts rely on the values. 128 + the signal's number: interrupted. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_USAGE = 2,
	EXIT_NETWORK = 3,
	EXIT_TLS = 4,
	EXIT_DATA = 5,
	EXIT_FILE = 6,
	EXIT_SYSTEM = 7,
};

/* All zero: nothing failed. */
struct failure {
	int exit_code;
	char sentence[768];
};

/* The first failure is kept, as what follows is usually its consequence. Returns the kept exit code. */
int failure_set(struct failure *failure, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * For what the library returned. `detail` is its last_error text, a sentence of its own; where that is NULL or "" the
 * error's general text follows `what`, which was being tried.
 */
int failure_set_szc(struct failure *failure, int error, const char *what, const char *detail);

/* For a connection; `peer` tells people which. */
int failure_set_conn(struct failure *failure, int error, const char *peer, const struct szc_conn *conn);

/* For a local file. */
int failure_set_file(struct failure *failure, int error, const char *what, const char *path);

#endif
