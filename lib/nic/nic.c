/* SPDX-License-Identifier: MIT */
#include "nic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "look.h"

#define STATE_FOLDER "/run/szc"

static int fail_in(struct szc_nic *nic, int error, const char *format, va_list args)
{
	vsnprintf(nic->error_text, sizeof(nic->error_text), format, args);
	return error;
}

int szc_nic_fail(struct szc_nic *nic, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_in(nic, error, format, args);
	va_end(args);
	return error;
}

int szc_nic_refused(struct szc_nic *nic, int error, const char *format, ...)
{
	const char *why = nic->netlink.why;
	va_list args;
	size_t used;

	va_start(args, format);
	fail_in(nic, error, format, args);
	va_end(args);
	used = strlen(nic->error_text);
	if (error == -EPERM)
		why = "it needs root or CAP_NET_ADMIN";
	else if (!*why)
		why = szc_strerror(error);
	snprintf(nic->error_text + used, sizeof(nic->error_text) - used, ": %s", why);
	return error;
}

const char *szc_nic_last_error(const struct szc_nic *nic)
{
	return nic->error_text;
}

/* ------------------------------------------------------------------------------------------------ changes */

static void free_change(struct szc_nic_change *change)
{
	free((char *)change->what);
	free((char *)change->before);
	free((char *)change->after);
	free((char *)change->note);
}

void szc_nic_forget_changes(struct szc_nic *nic)
{
	for (size_t i = 0; i < nic->changes.count; i++)
		free_change(&nic->changes.all[i]);
	free(nic->changes.all);
	nic->changes = (struct szc_nic_changes){0};
}

int szc_nic_tell(struct szc_nic *nic, const struct szc_nic_change *change)
{
	struct szc_nic_changes *changes = &nic->changes;
	struct szc_nic_change *grown = reallocarray(changes->all, changes->count + 1, sizeof(*grown)), *added;

	if (!grown)
		return -ENOMEM;
	changes->all = grown;
	added = &grown[changes->count];
	*added = *change;
	added->what = strdup(change->what);
	added->before = strdup(change->before);
	added->after = strdup(change->after);
	added->note = change->note ? strdup(change->note) : NULL;
	if (!added->what || !added->before || !added->after || !added->note != !change->note) {
		free_change(added);
		return -ENOMEM;
	}
	changes->count++;
	return 0;
}

const struct szc_nic_change *szc_nic_change(const struct szc_nic *nic, size_t index)
{
	return index < nic->changes.count ? &nic->changes.all[index] : NULL;
}

/* ------------------------------------------------------------------------------------------------ handle */

#define SKIP_4 " %*s %*s %*s %*s"

uint64_t szc_nic_process_start(pid_t pid)
{
	unsigned long long start;
	char path[48], text[1024], status;
	int threads;
	const char *field;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return 0;
	text[length] = 0;
	/* proc(5): the name, in parentheses, can hold anything. Behind it are the state, and 16 fields on the number of threads
	 * and, but one, the start. */
	field = strrchr(text, ')');
	if (!field || sscanf(field, ") %c" SKIP_4 SKIP_4 SKIP_4 SKIP_4 " %d %*s %llu", &status, &threads, &start) != 3)
		return 0;
	/* Who only waits to be asked for his status holds nothing. One whose first thread ended goes on by the others. */
	return (status == 'Z' || status == 'X') && threads <= 1 ? 0 : start;
}

/* Interfaces of one name live in several namespaces, which the inode of the namespace tells apart. */
static int name_state_file(struct szc_nic *nic, const char *given)
{
	struct stat netns = {0};
	int length;

	if (given) {
		nic->state_file = strdup(given);
		return nic->state_file ? 0 : -ENOMEM;
	}
	if (stat("/proc/thread-self/ns/net", &netns))
		return szc_nic_fail(nic, -errno, "cannot tell the network namespace (/proc/thread-self/ns/net): %s",
				    strerror(errno));
	length = asprintf(&nic->state_file, STATE_FOLDER "/nic-%lu-%s", (unsigned long)netns.st_ino, nic->ifname);
	if (length >= 0)
		return 0;
	nic->state_file = NULL;
	return -ENOMEM;
}

static int connect_all(struct szc_nic *nic)
{
	int error = szc_nic_netlink_open(&nic->netlink, NETLINK_GENERIC);

	if (error)
		return szc_nic_refused(nic, error, "cannot open a netlink socket");
	nic->ethtool = szc_nic_netlink_family(&nic->netlink, "ethtool");
	if (nic->ethtool < 0)
		return szc_nic_fail(
			nic, -EOPNOTSUPP,
			"this kernel has no ethtool netlink (CONFIG_ETHTOOL_NETLINK), so the NIC cannot be prepared");
	nic->netdev = szc_nic_netlink_family(&nic->netlink, "netdev");
	nic->ioctl_fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (nic->ioctl_fd < 0)
		nic->ioctl_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return nic->ioctl_fd < 0 ? szc_nic_fail(nic, -errno, "cannot open a socket: %s", strerror(errno)) : 0;
}

static int open_nic(struct szc_nic *nic, const struct szc_nic_options *options)
{
	if (!options->ifname || !*options->ifname || strlen(options->ifname) >= sizeof(nic->ifname) ||
	    strchr(options->ifname, '/'))
		return szc_nic_fail(nic, SZC_E_OPTION, "'%s' is not the name of an interface",
				    options->ifname ? options->ifname : "");
	snprintf(nic->ifname, sizeof(nic->ifname), "%s", options->ifname);
	nic->ifindex = if_nametoindex(nic->ifname);
	if (!nic->ifindex)
		return szc_nic_fail(nic, -ENODEV, "there is no interface %s in this network namespace", nic->ifname);
	nic->pid = getpid();
	nic->start = szc_nic_process_start(nic->pid);
	if (getrandom(&nic->token, sizeof(nic->token), 0) != sizeof(nic->token))
		return szc_nic_fail(nic, -errno, "the kernel gives no random number: %s", strerror(errno));
	return name_state_file(nic, options->state_file) ?: connect_all(nic);
}

int szc_nic_open(struct szc_nic **opened, const struct szc_nic_options *given)
{
	struct szc_nic_options options = {0};
	struct szc_nic *nic = calloc(1, sizeof(*nic));
	int error;

	*opened = NULL;
	if (!nic)
		return -ENOMEM;
	nic->ioctl_fd = -1;
	if (given)
		memcpy(&options, given, given->size < sizeof(options) ? given->size : sizeof(options));
	if (!given || given->size < offsetof(struct szc_nic_options, state_file))
		error = szc_nic_fail(nic, SZC_E_OPTION,
				     "options->size is not set: write sizeof(struct szc_nic_options)");
	else
		error = open_nic(nic, &options);
	if (!error) {
		*opened = nic;
		return 0;
	}
	if (given && options.error && options.error_size)
		snprintf(options.error, options.error_size, "%s",
			 *nic->error_text ? nic->error_text : szc_strerror(error));
	szc_nic_close(nic);
	return error;
}

void szc_nic_close(struct szc_nic *nic)
{
	if (!nic)
		return;
	szc_nic_forget_changes(nic);
	szc_nic_snapshot_free(nic->snapshot);
	szc_nic_netlink_close(&nic->netlink);
	if (nic->ioctl_fd >= 0)
		close(nic->ioctl_fd);
	free(nic->state_file);
	free(nic);
}
