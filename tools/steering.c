/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <szc/nic.h>
#include <time.h>
#include "steering.h"

/* The kernel gives a closed engine's queue back a moment later. */
enum { TRIES = 50, NAP_NS = 20000000 };

static void nap(void)
{
	nanosleep(&(struct timespec){0, NAP_NS}, NULL);
}

int steering_prepare(struct steering *steering, const struct options *options, struct failure *failure)
{
	char sentence[512] = "";
	struct szc_nic_options nic_options = {
		.size = sizeof(nic_options),
		.ifname = options->ifname,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	struct szc_nic_prepare_options prepare = {.size = sizeof(prepare), .queue = options->queue};
	int error, tries = TRIES;

	*steering = (struct steering){.queue = options->queue};
	if (!options->ifname)
		return 0;
	error = szc_nic_open(&steering->nic, &nic_options);
	if (error) {
		steering->nic = NULL;
		return failure_set_szc(failure, error, "cannot use the NIC", sentence);
	}
	while ((error = szc_nic_prepare(steering->nic, &prepare)) == -EBUSY && tries--)
		nap();
	if (!error)
		return 0;
	failure_set_szc(failure, error, "cannot prepare the NIC", szc_nic_last_error(steering->nic));
	szc_nic_close(steering->nic);
	steering->nic = NULL;
	return failure->exit_code;
}

int steering_begin(struct steering *steering, unsigned port, struct failure *failure)
{
	int error = steering->nic ? szc_nic_steer_port(steering->nic, (uint16_t)port, steering->queue) : 0;

	return error ? failure_set_szc(failure, error, "cannot steer to the NIC's queue",
				       szc_nic_last_error(steering->nic))
		     : 0;
}

void steering_end(struct steering *steering)
{
	/* What must wait until the queue is free again stays on record: steering_restore() is the one that tells. */
	if (steering->nic)
		szc_nic_restore(steering->nic);
}

void steering_restore(struct steering *steering)
{
	int error, tries = TRIES;

	if (!steering->nic)
		return;
	while ((error = szc_nic_restore(steering->nic)) && tries--)
		nap();
	if (error)
		fprintf(stderr, "zcrx-tls: the NIC is not all as it was: %s\n", szc_nic_last_error(steering->nic));
	szc_nic_close(steering->nic);
	steering->nic = NULL;
}
