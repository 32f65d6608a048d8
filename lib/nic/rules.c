/* SPDX-License-Identifier: MIT */
#include "rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ioctl.h"

enum {
	RULES_MAX = 1 << 16,
	READ_TRIES = 5, /* rules come and go while they are counted */
};

void szc_nic_filters_free(struct szc_nic_filters *filters)
{
	free(filters->all);
	filters->all = NULL;
	filters->count = 0;
}

int szc_nic_filter_read(struct szc_nic *nic, unsigned slot, struct szc_nic_filter *filter)
{
	struct ethtool_rxnfc command = {.cmd = ETHTOOL_GRXCLSRULE, .fs = {.location = slot}};
	int error = szc_nic_ioctl(nic, &command);

	filter->spec = command.fs;
	filter->context = command.fs.flow_type & FLOW_RSS ? command.rss_context : 0;
	return error;
}

/* The slots in use; *locations is the caller's to free. */
static int read_slots(struct szc_nic *nic, struct szc_nic_filters *filters, struct ethtool_rxnfc **locations)
{
	struct ethtool_rxnfc count = {.cmd = ETHTOOL_GRXCLSRLCNT};
	int error = szc_nic_ioctl(nic, &count);

	*locations = NULL;
	if (error)
		return error;
	if (count.rule_cnt > RULES_MAX)
		return -E2BIG;
	filters->slots = (unsigned)count.data & ~RX_CLS_LOC_SPECIAL;
	filters->picks_slots = count.data & RX_CLS_LOC_SPECIAL;
	*locations = calloc(1, sizeof(**locations) + count.rule_cnt * sizeof(uint32_t));
	if (!*locations)
		return -ENOMEM;
	(*locations)->cmd = ETHTOOL_GRXCLSRLALL;
	(*locations)->rule_cnt = count.rule_cnt;
	error = szc_nic_ioctl(nic, *locations);
	if (error)
		return error;
	/* Some drivers tell the table's size with the list only. */
	if (!filters->slots)
		filters->slots = (unsigned)(*locations)->data & ~RX_CLS_LOC_SPECIAL;
	if ((*locations)->rule_cnt > count.rule_cnt)
		(*locations)->rule_cnt = count.rule_cnt;
	return 0;
}

int szc_nic_filters_read(struct szc_nic *nic, struct szc_nic_filters *filters)
{
	struct ethtool_rxnfc *locations = NULL;
	int error = -EMSGSIZE;

	memset(filters, 0, sizeof(*filters));
	for (int i = 0; i < READ_TRIES && error == -EMSGSIZE; i++) {
		free(locations);
		error = read_slots(nic, filters, &locations);
	}
	if (error)
		goto out;
	filters->all = calloc(locations->rule_cnt + 1, sizeof(filters->all[0]));
	if (!filters->all) {
		error = -ENOMEM;
		goto out;
	}
	for (unsigned i = 0; i < locations->rule_cnt; i++)
		/* One that went meanwhile is not there. */
		if (!szc_nic_filter_read(nic, locations->rule_locs[i], &filters->all[filters->count]))
			filters->count++;
out:
	free(locations);
	return error;
}

static int insert_at(struct szc_nic *nic, const struct szc_nic_filter *filter, uint32_t slot)
{
	struct ethtool_rxnfc command = {.cmd = ETHTOOL_SRXCLSRLINS, .fs = filter->spec};
	int error;

	command.fs.location = slot;
	error = szc_nic_ioctl(nic, &command);
	return error ? error : (int)command.fs.location;
}

/* -1: all are taken. */
static int last_free(const struct szc_nic_filters *filters)
{
	for (unsigned slot = filters->slots; slot-- > 0;) {
		size_t i;

		for (i = 0; i < filters->count && filters->all[i].spec.location != slot; i++)
			;
		if (i == filters->count)
			return (int)slot;
	}
	return -1;
}

int szc_nic_filter_insert(struct szc_nic *nic, struct szc_nic_filter *filter, const struct szc_nic_filters *filters)
{
	int slot = -EINVAL;

	if (filters->picks_slots)
		slot = insert_at(nic, filter, RX_CLS_LOC_ANY);
	/* Drivers that promised to pick one may still want to be told for this kind of rule. */
	if (!filters->picks_slots || slot == -EINVAL) {
		int free_slot = last_free(filters);

		if (free_slot >= 0)
			slot = insert_at(nic, filter, (uint32_t)free_slot);
		else if (!filters->picks_slots)
			slot = filters->slots ? -ENOSPC : -EOPNOTSUPP;
	}
	if (slot >= 0)
		filter->spec.location = (uint32_t)slot;
	return slot;
}

int szc_nic_filter_delete(struct szc_nic *nic, unsigned slot)
{
	struct ethtool_rxnfc command = {.cmd = ETHTOOL_SRXCLSRLDEL, .fs = {.location = slot}};

	return szc_nic_ioctl(nic, &command);
}
