/* SPDX-License-Identifier: MIT */
#include "budget.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <szc/rx.h>

enum {
	RING_UNKNOWN = 1024, /* descriptors, where the driver does not tell: more than most have */
	POOL_CACHE = 128,    /* what a page pool keeps at hand (PP_ALLOC_CACHE_SIZE) */
	QUOTA = 64,          /* buffers: five records of 16 KiB in segments of 1448 bytes */
	QUEUED = 64,         /* a window of some 60 KiB at an MTU of 1500, of 200 at one of 9000 */
	QUEUED_MIN = 16,     /* below, a window is a few segments */
	PAGE = 4096,
	LARGE_SHARE = 2,        /* buffers of many pages: half as many */
	SHARE_MAX = UINT16_MAX, /* of either half; a window of 256 MiB */
};

/*
 * The ring is full when all is idle. The page pool between it and the area keeps as many again, in its own ring, and a
 * few at hand: those are free for the NIC, but not for the kernel when it must copy what did not come through the queue
 * (io_alloc_fallback_niov takes from the area alone).
 */
static unsigned standing(unsigned ring)
{
	return 2 * (ring ? ring : RING_UNKNOWN) + POOL_CACHE;
}

static unsigned usual(const struct szc_budget *b, unsigned count)
{
	return b->buffer_size > PAGE ? count / LARGE_SHARE : count;
}

size_t szc_budget_total(const struct szc_budget *b)
{
	return b->standing + b->reserved + (size_t)b->connections * (b->quota + b->queued);
}

static int too_small(const struct szc_budget *b, size_t ceiling, unsigned quota, char *why, size_t size)
{
	size_t need = b->standing + b->reserved + (size_t)b->connections * (quota + QUEUED_MIN);
	char others[80] = "";

	if (b->reserved)
		snprintf(others, sizeof(others), ", %u for other engines on this area", b->reserved);
	snprintf(
		why, size,
		"an area of %zu bytes has %zu buffers of %zu bytes, and %zu are needed: %u for the NIC (twice its ring of "
		"%u, and %u)%s, and for each of %u connections %u of quota and %u in its socket. Raise %s to %zu, or lower "
		"max_connections, or the ring (ethtool -G)",
		ceiling, ceiling / b->buffer_size, b->buffer_size, need, b->standing, b->ring ? b->ring : RING_UNKNOWN,
		POOL_CACHE, others, b->connections, quota, QUEUED_MIN, b->area_max ? "area_max" : "area_size",
		need * b->buffer_size);
	return SZC_E_OPTION;
}

/* Both halves of a connection's share of the area. */
static void split(struct szc_budget *b, size_t share, unsigned floor)
{
	size_t usually = (b->quota ? b->quota : usual(b, QUOTA)) + usual(b, QUEUED);
	size_t half;

	if (b->leave_room && share > usually)
		share = usually;
	half = share / 2 < share - QUEUED_MIN ? share / 2 : share - QUEUED_MIN;
	if (half < floor)
		half = floor;
	if (!b->quota)
		b->quota = half < SHARE_MAX ? (unsigned)half : SHARE_MAX;
	share -= b->quota;
	b->queued = share < SHARE_MAX ? (unsigned)share : SHARE_MAX;
}

int szc_budget_fill(struct szc_budget *b, char *why, size_t why_size)
{
	unsigned floor = szc_rx_min_quota(b->buffer_size);
	size_t ceiling = b->area_max > b->area_size ? b->area_max : b->area_size, share, queue;
	unsigned least = b->quota ? b->quota : floor;

	b->standing = standing(b->ring);
	if (!ceiling) {
		if (!b->quota)
			b->quota = usual(b, QUOTA) > floor ? usual(b, QUOTA) : floor;
		b->queued = usual(b, QUEUED);
		ceiling = szc_budget_total(b) * b->buffer_size;
	}
	share = ceiling / b->buffer_size;
	share = share > b->standing + b->reserved ? (share - b->standing - b->reserved) / b->connections : 0;
	if (share < (size_t)least + QUEUED_MIN)
		return too_small(b, ceiling, least, why, why_size);
	split(b, share, floor);
	if (b->quota < floor) {
		snprintf(
			why, why_size,
			"a quota of %u buffers of %zu bytes a connection is less than the %u that one TLS record may need",
			b->quota, b->buffer_size, floor);
		return SZC_E_OPTION;
	}
	/* A growing area begins with what the NIC takes, and a part of the rest. */
	if (!b->area_size && b->area_max)
		b->area_size = b->standing * b->buffer_size + (ceiling - b->standing * b->buffer_size) / 4;
	if (!b->area_size)
		b->area_size = ceiling;
	b->area_size -= b->area_size % b->buffer_size;
	queue = (size_t)b->queued * b->buffer_size / 4 * 3;
	b->receive_buffer = queue > INT_MAX / 2 ? INT_MAX / 2 : (int)queue;
	return 0;
}
