/* SPDX-License-Identifier: GPL-2.0 */
/* Every difference between the kernels that szcnic builds against, and no such #ifdef anywhere else. */
#ifndef SZCNIC_COMPAT_H
#define SZCNIC_COMPAT_H

#include <linux/ethtool.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 2, 0)
#error "szcnic needs Linux 7.2 or later: older kernels' queue management ops are different"
#endif

/* Later kernels call ethtool's operations of a device with an instance lock without RTNL, unless it asks for it. */
#ifdef ETHTOOL_OP_NEEDS_RTNL_GLINK
#define SZCNIC_OPS_UNDER_RTNL	.op_needs_rtnl = ETHTOOL_OP_NEEDS_RTNL_GLINK | ETHTOOL_OP_NEEDS_RTNL_SCHANNELS | \
						 ETHTOOL_OP_NEEDS_RTNL_SRINGPARAM,
#else
#define SZCNIC_OPS_UNDER_RTNL
#endif

#endif
