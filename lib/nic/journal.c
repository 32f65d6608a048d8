/* SPDX-License-Identifier: MIT */
/* The state's file. Who waits for its lock may get that of a file which was replaced or removed, and looks again. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
	LOCK_TRIES = 500, /* 10 ms each */
};

static int refuse(struct szc_nic *nic, int error, const char *what)
{
	if (error == -EACCES || error == -EROFS || error == -EPERM)
		return szc_nic_fail(nic, error, "cannot %s the state file %s: %s; run as root, or name another file",
				    what, nic->state_file, strerror(-error));
	return szc_nic_fail(nic, error, "cannot %s the state file %s: %s", what, nic->state_file, strerror(-error));
}

/* Its folder, if it is the only thing missing: /run is empty after a start. */
static int make_folder(struct szc_nic *nic)
{
	char *path = strdup(nic->state_file), *folder = path ? dirname(path) : NULL;
	int error = folder ? 0 : szc_nic_fail(nic, -ENOMEM, "out of memory");

	if (folder && mkdir(folder, 0755) && errno != EEXIST) {
		error = -errno;
		/* What is there cannot be made for other reasons, too. */
		if (!access(folder, F_OK))
			error = 0;
		else
			szc_nic_fail(nic, error,
				     "cannot make the folder %s of the state file: %s; make it, so that we can write "
				     "there, run as root, or name another file",
				     folder, strerror(-error));
	}
	free(path);
	return error;
}

static int trusted(struct szc_nic *nic, int fd, struct stat *status)
{
	if (fstat(fd, status))
		return refuse(nic, -errno, "look at");
	if (!S_ISREG(status->st_mode))
		return szc_nic_fail(nic, -EPERM, "the state file %s is not a file", nic->state_file);
	if ((status->st_uid && status->st_uid != geteuid()) || status->st_mode & (S_IWGRP | S_IWOTH))
		return szc_nic_fail(nic, -EPERM,
				    "the state file %s could have been written by others than root or us, so it is not "
				    "believed: remove it, or name another",
				    nic->state_file);
	if (status->st_size > SZC_NIC_STATE_BYTES)
		return szc_nic_fail(nic, SZC_E_STATE, "the state file %s is larger than any that szc writes",
				    nic->state_file);
	return 0;
}

/* One try: 1 if it is ours now, 0 if another has it or it was replaced, or an error. */
static int try_lock(struct szc_nic *nic, int *fd, struct stat *status)
{
	struct stat there;
	int error;

	*fd = open(nic->state_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
	if (*fd < 0)
		return refuse(nic, -errno, "open");
	if (flock(*fd, LOCK_EX | LOCK_NB)) {
		error = errno == EWOULDBLOCK ? 0 : refuse(nic, -errno, "lock");
	} else {
		error = trusted(nic, *fd, status);
		if (!error)
			error = !stat(nic->state_file, &there) && there.st_ino == status->st_ino &&
				there.st_dev == status->st_dev;
	}
	if (error <= 0) {
		close(*fd);
		*fd = -1;
	}
	return error;
}

static int load(struct szc_nic *nic, int fd, const struct stat *status, struct szc_nic_state *state)
{
	size_t size = (size_t)status->st_size;
	char *text;
	int error = 0;

	if (!size)
		return 0;
	text = calloc(1, size + 1);
	if (!text)
		return szc_nic_fail(nic, -ENOMEM, "out of memory");
	if (pread(fd, text, size, 0) != (ssize_t)size)
		error = refuse(nic, -EIO, "read");
	else if (!szc_nic_state_parse(state, text, size))
		error = szc_nic_fail(
			nic, SZC_E_STATE,
			"the state file %s is not one of this version of szc, or damaged: nothing is undone by it; "
			"remove it if the NIC's settings are as you want them",
			nic->state_file);
	free(text);
	return error;
}

/* The steps of an interface that is gone are of no use. Those of another that is there are not ours to forget. */
static int adopt(struct szc_nic *nic, struct szc_nic_state *state)
{
	char other[IF_NAMESIZE];

	if (state->ifindex != nic->ifindex && state->count && if_indextoname(state->ifindex, other)) {
		szc_nic_state_free(state);
		return szc_nic_fail(
			nic, SZC_E_STATE,
			"the state file %s has what was changed of %s: restore that first, or name another file",
			nic->state_file, other);
	}
	if (state->ifindex != nic->ifindex)
		szc_nic_state_free(state);
	state->ifindex = nic->ifindex;
	memcpy(state->ifname, nic->ifname, sizeof(state->ifname));
	state->read = true;
	return 0;
}

int szc_nic_state_open(struct szc_nic *nic, struct szc_nic_state *state)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct stat status = {0};
	int got, error;

	memset(state, 0, sizeof(*state));
	state->fd = -1;
	got = make_folder(nic);
	for (int i = 0; i < LOCK_TRIES && !got; i++) {
		got = try_lock(nic, &state->fd, &status);
		if (!got)
			nanosleep(&pause, NULL);
	}
	if (got < 0)
		return got;
	if (!got)
		return szc_nic_fail(nic, -EBUSY, "another process is changing %s: the state file %s stays locked",
				    nic->ifname, nic->state_file);
	error = load(nic, state->fd, &status, state);
	return error ? error : adopt(nic, state);
}

int szc_nic_state_peek(struct szc_nic *nic, struct szc_nic_state *state)
{
	struct stat status;
	int fd, error;

	memset(state, 0, sizeof(*state));
	state->fd = -1;
	fd = open(nic->state_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		error = errno == ENOENT ? 0 : refuse(nic, -errno, "open");
	} else {
		error = trusted(nic, fd, &status);
		if (!error)
			error = load(nic, fd, &status, state);
		close(fd);
	}
	return error ? error : adopt(nic, state);
}

void szc_nic_state_close(struct szc_nic *nic, struct szc_nic_state *state)
{
	/* One that could not be read is kept for who has to look into it. */
	if (state->fd >= 0 && state->read && !state->count)
		unlink(nic->state_file);
	if (state->fd >= 0)
		close(state->fd);
	szc_nic_state_free(state);
	state->fd = -1;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t written = write(fd, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		text += written;
		length -= (size_t)written;
	}
	return 0;
}

int szc_nic_state_save(struct szc_nic *nic, struct szc_nic_state *state)
{
	char *path = NULL, *text = NULL;
	int fd = -1, error;
	size_t length;

	error = szc_nic_state_render(state, &text, &length);
	if (!error && asprintf(&path, "%s.new", nic->state_file) < 0) {
		path = NULL;
		error = -ENOMEM;
	}
	if (error)
		goto out;
	/* Left over from somebody who died here; whoever lives and writes one has the lock, and that is us. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	/* Locked before it gets its name: nobody comes in between. */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		error = -errno;
	else
		error = write_all(fd, text, length);
	if (!error && rename(path, nic->state_file))
		error = -errno;
	if (error && fd >= 0) {
		unlink(path);
		close(fd);
	} else if (!error) {
		close(state->fd);
		state->fd = fd;
	}
out:
	free(path);
	free(text);
	return error ? refuse(nic, error, "write") : 0;
}
