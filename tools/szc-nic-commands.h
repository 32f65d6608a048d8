/* SPDX-License-Identifier: MIT */
/* The commands of szc-nic. Each runs to its end and returns the exit code. */
#ifndef TOOLS_SZC_NIC_COMMANDS_H
#define TOOLS_SZC_NIC_COMMANDS_H

#include "szc-nic-options.h"

int nic_pair(const struct nic_options *options);
int nic_wire(const struct nic_options *options);
int nic_prepare(const struct nic_options *options);
int nic_restore(const struct nic_options *options);
int nic_show(const struct nic_options *options);

#endif
