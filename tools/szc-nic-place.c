/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "szc-nic-place.h"

int place_failed(struct failure *failure, int error, const char *sentence)
{
	int code = EXIT_SYSTEM;

	if (error == SZC_E_OPTION)
		code = EXIT_USAGE;
	else if (error == SZC_E_STATE)
		code = EXIT_FILE;
	return failure_set(failure, code, "%s", *sentence ? sentence : szc_strerror(error));
}

int place_netns(const struct nic_place *place, int *fd, struct failure *failure)
{
	char path[sizeof("/run/netns/") + sizeof(place->netns)];

	*fd = -1;
	if (!*place->netns)
		return 0;
	snprintf(path, sizeof(path), "/run/netns/%s", place->netns);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT)
		return failure_set(failure, EXIT_SYSTEM, "there is no network namespace %s (%s): ip netns add %s",
				   place->netns, path, place->netns);
	return failure_set(failure, EXIT_SYSTEM, "cannot open the network namespace %s (%s): %s", place->netns, path,
			   strerror(errno));
}

int place_enter(const struct nic_place *place, struct failure *failure)
{
	int fd, code = place_netns(place, &fd, failure);

	if (code || fd < 0)
		return code;
	if (setns(fd, CLONE_NEWNET))
		code = failure_set(failure, EXIT_SYSTEM, "cannot enter the network namespace %s: %s", place->netns,
				   strerror(errno));
	close(fd);
	return code;
}

int place_open(const struct nic_place *place, const char *state_file, struct szc_nic **nic, struct failure *failure)
{
	char sentence[512] = "";
	struct szc_nic_options options = {
		.size = sizeof(options),
		.ifname = place->ifname,
		.state_file = state_file,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	int code, error;

	*nic = NULL;
	code = place_enter(place, failure);
	if (code)
		return code;
	error = szc_nic_open(nic, &options);
	return error ? place_failed(failure, error, sentence) : 0;
}
