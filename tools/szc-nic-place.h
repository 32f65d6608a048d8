/* SPDX-License-Identifier: MIT */
/* NAME@NETNS: the namespace, and the NIC inside it. */
#ifndef TOOLS_SZC_NIC_PLACE_H
#define TOOLS_SZC_NIC_PLACE_H

#include "failure.h"
#include "szc-nic-options.h"

/* What szc_nic_* returned, as an exit code, with its sentence. */
int place_failed(struct failure *failure, int error, const char *sentence);

/* The namespace's descriptor, -1 where none is named. 0 or an exit code. */
int place_netns(const struct nic_place *place, int *fd, struct failure *failure);

/* Enters the namespace, if one is named, for good. 0 or an exit code. */
int place_enter(const struct nic_place *place, struct failure *failure);

/* Enters the namespace, for good, and opens the NIC. 0 or an exit code. */
int place_open(const struct nic_place *place, const char *state_file, struct szc_nic **nic, struct failure *failure);

#endif
