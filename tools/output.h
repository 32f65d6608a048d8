/* SPDX-License-Identifier: MIT */
/*
 * Where received payload goes. A file is written beside its name and takes the name only at output_commit(), so that a
 * file under the name is always whole. Pipes, devices and standard output are written as they are.
 */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include <stdint.h>
#include <sys/uio.h>
#include "failure.h"

struct output {
	int fd;     /* -1: bytes are dropped */
	char *path; /* NULL: bytes are dropped */
	char *temp; /* what is written until the commit; NULL where `path` itself is */
};

#define OUTPUT_NONE                                                                                                    \
	{                                                                                                              \
		.fd = -1                                                                                               \
	}

/* `path` NULL drops all bytes, "-" is standard output. 0 or an exit code. */
int output_open(struct output *output, const char *path, struct failure *failure);

/*
 * A path of its own for connection `*number` or, if that is taken by an earlier run, the next one that is free, which
 * *number becomes: "DIR/000001" if `out` is a directory or ends in '/', `out` itself if it is a device or a pipe, else "OUT.1".
 * To be freed; NULL without memory.
 */
char *output_numbered_path(const char *out, uint64_t *number);

/* Whether `out` names a directory: files in it are numbered also for a single connection. */
bool output_is_directory(const char *out);

/* Refuses early what could not be created later. 0 or an exit code. */
int output_check(const char *out, struct failure *failure);

/* Writes all of it, however short the kernel's bites are. 0 or an exit code. */
int output_write(struct output *output, const struct iovec *iov, int iovcnt, struct failure *failure);

/* The stream came to its proper end. 0 or an exit code; the output is closed either way. */
int output_commit(struct output *output, struct failure *failure);

/* Closes, and removes what was written if it has no name yet. Harmless after a commit. */
void output_discard(struct output *output);

#endif
