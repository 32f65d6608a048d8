/* SPDX-License-Identifier: MIT */
/* The commands of szc-nic. Each runs to its end and returns the exit code. */
#ifndef TOOLS_SZC_NIC_COMMANDS_H
#define TOOLS_SZC_NIC_COMMANDS_H

#include <jansson.h>
#include "failure.h"
#include "szc-nic-options.h"

int nic_pair(const struct nic_options *options);
int nic_wire(const struct nic_options *options);
int nic_prepare(const struct nic_options *options);
int nic_restore(const struct nic_options *options);
int nic_show(const struct nic_options *options);
int nic_psp(const struct nic_options *options);

/* Each one's end: the sentence, and with --json the object (taken over; NULL: no memory) with the sentence in it. The exit
 * code. */
int nic_report(const struct nic_options *options, json_t *object, struct failure *failure);

#endif
