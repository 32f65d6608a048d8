/* SPDX-License-Identifier: MIT */
/*
 * The settings that a queue needs, each as text that is compared, recorded and written back. Errors are -errno without a
 * sentence; -EOPNOTSUPP: the NIC does not have it.
 */
#ifndef SZC_LIB_NIC_SETTINGS_H
#define SZC_LIB_NIC_SETTINGS_H

#include "nic.h"

struct szc_nic_setting {
	const char *kind; /* in the state file */
	const char *what; /* for people */
	bool rounds;      /* the NIC may take another value than it was given */
	bool flushes;     /* putting it back deletes every rule of the NIC, whoever made it */

	/*
	 * The value that leaves it to the driver, where what is read may be the driver's own choice: NULL, there is no
	 * such thing. Writing what was read makes it firm, so on the way back the driver is let choose first.
	 */
	const char *natural;

	int (*read)(struct szc_nic *nic, char **text);
	/* Text out of a state file is anybody's: SZC_E_STATE if it is no value. */
	int (*write)(struct szc_nic *nic, const char *text);
	/* The value that spares a queue, made of another; NULL: the wanted value does not depend on the present one. */
	int (*spare)(struct szc_nic *nic, const char *text, unsigned queue, char **spared);
	/* Whether the queue no longer needs it: 0, or -EBUSY with a sentence. NULL: it does no harm. */
	int (*released)(struct szc_nic *nic, unsigned queue);
	/* Shorter, for people; NULL: as it is. */
	char *(*summary)(const char *text);
};

extern const struct szc_nic_setting szc_nic_split_setting, szc_nic_threshold_setting, szc_nic_ring_setting,
	szc_nic_ntuple_setting, szc_nic_rss_setting;

/* By its kind; NULL: there is none, as for rules. */
const struct szc_nic_setting *szc_nic_setting_find(const char *kind);

/* What people are shown of a value; the caller's to free, NULL without memory. */
char *szc_nic_setting_summary(const struct szc_nic_setting *setting, const char *text);

#endif
