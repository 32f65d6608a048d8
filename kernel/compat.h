/* SPDX-License-Identifier: GPL-2.0 */
/* Every difference between the kernels that szcnic builds against, and no such #ifdef anywhere else. */
#ifndef SZCNIC_COMPAT_H
#define SZCNIC_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 2, 0)
#error "szcnic needs Linux 7.2 or later: older kernels' queue management ops are different"
#endif

#endif
