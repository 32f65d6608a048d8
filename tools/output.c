/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "output.h"
#include "stop.h"

static const char *shown(const struct output *output)
{
	return strcmp(output->path, "-") ? output->path : "standard output";
}

bool output_is_directory(const char *out)
{
	size_t len = strlen(out);
	struct stat st;

	if (len && out[len - 1] == '/')
		return true;
	return !stat(out, &st) && S_ISDIR(st.st_mode);
}

/* A device, a pipe: written as it is, neither replaced nor numbered. */
static bool is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

char *output_numbered_path(const char *out, uint64_t *number)
{
	bool directory = output_is_directory(out);
	const char *slash = directory && out[strlen(out) - 1] != '/' ? "/" : "";
	struct stat st;
	char *path;

	if (is_special(out))
		return strdup(out);
	for (;; (*number)++) {
		int n;

		if (directory)
			n = asprintf(&path, "%s%s%06" PRIu64, out, slash, *number);
		else
			n = asprintf(&path, "%s.%" PRIu64, out, *number);
		if (n < 0)
			return NULL;
		if (lstat(path, &st))
			return path;
		free(path);
	}
}

/* The directory that `out` is created in; to be freed. */
static char *directory_of(const char *out)
{
	const char *slash = strrchr(out, '/');

	if (output_is_directory(out))
		return strdup(out);
	if (!slash)
		return strdup(".");
	return strndup(out, slash == out ? 1 : (size_t)(slash - out));
}

int output_check(const char *out, struct failure *failure)
{
	char *directory;
	int code = 0;

	if (is_special(out))
		return access(out, W_OK) ? failure_set_file(failure, -errno, "cannot write to", out) : 0;
	directory = directory_of(out);
	if (!directory)
		return failure_set(failure, EXIT_SYSTEM, "out of memory");
	if (access(directory, W_OK | X_OK))
		code = failure_set_file(failure, -errno, "cannot create files in", directory);
	free(directory);
	return code;
}

/* Creates the file beside `output->path`, with the mode that a plain open() would give it. */
static int open_aside(struct output *output, mode_t mode)
{
	if (asprintf(&output->temp, "%s.part-XXXXXX", output->path) < 0) {
		output->temp = NULL;
		return -ENOMEM;
	}
	output->fd = mkostemp(output->temp, O_CLOEXEC);
	if (output->fd < 0) {
		int error = -errno;

		free(output->temp);
		output->temp = NULL;
		return error;
	}
	return fchmod(output->fd, mode) ? -errno : 0;
}

static mode_t new_file_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

int output_open(struct output *output, const char *path, struct failure *failure)
{
	struct stat st;
	int error = 0;

	*output = (struct output)OUTPUT_NONE;
	if (!path)
		return 0;
	if (!strcmp(path, "-")) {
		output->path = strdup(path);
		output->fd = output->path ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : -1;
		error = !output->path ? -ENOMEM : output->fd < 0 ? -errno : 0;
	} else if (stat(path, &st)) {
		output->path = strdup(path);
		error = output->path ? open_aside(output, new_file_mode()) : -ENOMEM;
	} else if (S_ISREG(st.st_mode)) {
		/* Through symbolic links: the rename must replace the file, not the link. */
		output->path = realpath(path, NULL);
		error = output->path ? open_aside(output, st.st_mode & 0777) : -errno;
	} else {
		output->path = strdup(path);
		output->fd = output->path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
		error = !output->path ? -ENOMEM : output->fd < 0 ? -errno : 0;
	}
	if (!error)
		return 0;
	error = failure_set_file(failure, error, "cannot create", path);
	output_discard(output);
	return error;
}

/* 0 when writing may go on. */
static int may_go_on(int fd, int error)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	if (error == EINTR)
		return stop_signal() ? -EINTR : 0;
	if (error != EAGAIN)
		return -error;
	while (poll(&poll_fd, 1, -1) < 0)
		if (errno != EINTR || stop_signal())
			return -errno;
	return 0;
}

/* Writes iov[] from byte `skip` of its first element on; how many bytes, or an error. */
static ssize_t write_some(int fd, const struct iovec *iov, int iovcnt, size_t skip)
{
	ssize_t n;
	int error;

	do {
		if (skip)
			n = write(fd, (const char *)iov->iov_base + skip, iov->iov_len - skip);
		else
			n = writev(fd, iov, iovcnt < IOV_MAX ? iovcnt : IOV_MAX);
		if (n >= 0)
			return n;
		error = may_go_on(fd, errno);
	} while (!error);
	return error;
}

static int interrupted(const struct output *output, struct failure *failure)
{
	return failure_set(failure, 128 + stop_signal(), "interrupted while writing %s", shown(output));
}

int output_write(struct output *output, const struct iovec *iov, int iovcnt, struct failure *failure)
{
	size_t skip = 0;

	if (output->fd < 0)
		return 0;
	while (iovcnt > 0) {
		ssize_t n = write_some(output->fd, iov, iovcnt, skip);

		if (n == -EINTR)
			return interrupted(output, failure);
		if (n < 0)
			return failure_set_file(failure, (int)n, "cannot write to", shown(output));
		for (skip += (size_t)n; iovcnt > 0 && skip >= iov->iov_len; iov++, iovcnt--)
			skip -= iov->iov_len;
		/* A signal ends a write that took a part as if that were all: the next one would wait unnoticed. */
		if (iovcnt > 0 && stop_signal())
			return interrupted(output, failure);
	}
	return 0;
}

static void forget(struct output *output)
{
	free(output->temp);
	free(output->path);
	*output = (struct output)OUTPUT_NONE;
}

int output_commit(struct output *output, struct failure *failure)
{
	int code = 0;

	if (output->fd < 0)
		return 0;
	/* Some file systems report a full disk only now. */
	if (close(output->fd) && errno != EINTR)
		code = failure_set_file(failure, -errno, "cannot write to", shown(output));
	output->fd = -1;
	if (!code && output->temp && rename(output->temp, output->path))
		code = failure_set_file(failure, -errno, "cannot rename the finished file to", output->path);
	if (code) {
		output_discard(output);
		return code;
	}
	free(output->temp);
	output->temp = NULL;
	return 0;
}

void output_discard(struct output *output)
{
	if (output->fd >= 0)
		close(output->fd);
	if (output->temp)
		unlink(output->temp);
	forget(output);
}
