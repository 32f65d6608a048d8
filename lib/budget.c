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
	UNACCEPTED_MIN = 4,  /* as many listeners can there be */
	UNACCEPTED_MAX = 16, /* each costs as much of the area as a socket that moves payload */
	PAGE = 4096,
	LARGE_SHARE = 2,        /* buffers of many pages: half as many */
	SHARE_MAX = UINT16_MAX, /* of either half; a window of 256 MiB */
};

/*
 * Buffers in a ring that is full. bnxt has one for payload alone, several times as long as that for packets, and fills it
 * with as many bytes of long buffers as of pages, but with a buffer for each packet (bnxt_rx_agg_ring_fill_level). What
 * fbnic tells of as the ring for packets is one of completions, longer than any that takes buffers: rather too much.
 */
static unsigned ring(const struct szc_budget *b)
{
	size_t payload = b->ring_payload / (b->buffer_size / PAGE);

	if (!b->ring)
		return RING_UNKNOWN;
	return payload > b->ring ? (unsigned)payload : b->ring;
}

/*
 * The ring is full when all is idle. The page pool between it and the area keeps as many again, in its own ring, and a
 * few at hand: those are free for the NIC, but not for the kernel when it must copy what did not come through the queue
 * (io_alloc_fallback_niov takes from the area alone).
 */
static unsigned standing(const struct szc_budget *b)
{
	return 2 * ring(b) + POOL_CACHE;
}

static unsigned usual(const struct szc_budget *b, unsigned count)
{
	return b->buffer_size > PAGE ? count / LARGE_SHARE : count;
}

/* As many as there may be connections: who comes when all slots are free finds room in the backlog. */
static unsigned unaccepted(unsigned connections)
{
	if (connections < UNACCEPTED_MIN)
		return UNACCEPTED_MIN;
	return connections < UNACCEPTED_MAX ? connections : UNACCEPTED_MAX;
}

static size_t sockets(const struct szc_budget *b)
{
	return (size_t)b->connections + b->unaccepted;
}

static size_t together(const struct szc_budget *b, unsigned quota, unsigned queued)
{
	return (size_t)b->connections * quota + sockets(b) * queued;
}

size_t szc_budget_promise(const struct szc_budget *b)
{
	return together(b, b->quota, b->queued);
}

size_t szc_budget_total(const struct szc_budget *b)
{
	return b->standing + b->reserved + szc_budget_promise(b);
}

static size_t ceiling_of(const struct szc_budget *b)
{
	return b->area_max > b->area_size ? b->area_max : b->area_size;
}

size_t szc_budget_room(const struct szc_budget *b)
{
	return ceiling_of(b) / b->buffer_size;
}

static int too_small(const struct szc_budget *b, size_t ceiling, unsigned quota, char *why, size_t size)
{
	size_t need = b->standing + b->reserved + together(b, quota, QUEUED_MIN);
	char others[80] = "";

	if (b->reserved)
		snprintf(others, sizeof(others), ", %u for other engines on this area", b->reserved);
	snprintf(why, size,
		 "an area of %zu bytes has %zu buffers of %zu, and %zu are needed: %u for the NIC (twice its ring of "
		 "%u, and %u)%s, %u of quota for each of %u connections, %u in each socket and in %u unaccepted ones. "
		 "Raise %s to %zu, or lower max_connections, or the ring (ethtool -G)",
		 ceiling, ceiling / b->buffer_size, b->buffer_size, need, b->standing, ring(b), POOL_CACHE, others,
		 quota, b->connections, QUEUED_MIN, b->unaccepted, b->area_max ? "area_max" : "area_size",
		 need * b->buffer_size);
	return SZC_E_OPTION;
}

/* Whose three quarters are no more than receive_buffer_max, if there is one. */
static size_t queued_max(const struct szc_budget *b)
{
	size_t buffers = b->receive_buffer_max / b->buffer_size / 3 * 4;

	if (!b->receive_buffer_max || buffers > SHARE_MAX)
		return SHARE_MAX;
	return buffers > QUEUED_MIN ? buffers : QUEUED_MIN;
}

static void set_queued(struct szc_budget *b, size_t room)
{
	size_t each = room / sockets(b), most = queued_max(b), bytes;

	b->queued = (unsigned)(each < most ? each : most);
	bytes = (size_t)b->queued * b->buffer_size / 4 * 3;
	b->receive_buffer = bytes > INT_MAX / 2 ? INT_MAX / 2 : (int)bytes;
}

void szc_budget_limit(struct szc_budget *b, size_t area)
{
	size_t held = b->standing + b->reserved + (size_t)b->connections * b->quota;
	size_t least = sockets(b) * QUEUED_MIN, most = sockets(b) * b->queued, room = area / b->buffer_size;

	room = room > held ? room - held : 0;
	if (room < least)
		room = least;
	set_queued(b, room < most ? room : most);
}

/* A quota and a socket's queue are of the same size, where there is room for that and the queue is not bounded. */
static void split(struct szc_budget *b, size_t room, unsigned floor)
{
	size_t usually = together(b, b->quota ? b->quota : usual(b, QUOTA), usual(b, QUEUED));
	size_t equal, most;

	if (b->leave_room && room > usually)
		room = usually;
	equal = room / (b->connections + sockets(b));
	most = (room - sockets(b) * QUEUED_MIN) / b->connections;
	if (equal > most)
		equal = most;
	if (equal < floor)
		equal = floor;
	if (!b->quota)
		b->quota = equal < SHARE_MAX ? (unsigned)equal : SHARE_MAX;
	set_queued(b, room - (size_t)b->connections * b->quota);
}

int szc_budget_fill(struct szc_budget *b, char *why, size_t why_size)
{
	unsigned floor = szc_rx_min_quota(b->buffer_size);
	size_t ceiling = ceiling_of(b), room;
	unsigned least = b->quota ? b->quota : floor;

	b->standing = standing(b);
	b->unaccepted = unaccepted(b->connections);
	if (!ceiling) {
		if (!b->quota)
			b->quota = usual(b, QUOTA) > floor ? usual(b, QUOTA) : floor;
		b->queued = usual(b, QUEUED);
		ceiling = szc_budget_total(b) * b->buffer_size;
	}
	room = ceiling / b->buffer_size;
	room = room > b->standing + b->reserved ? room - b->standing - b->reserved : 0;
	if (room < together(b, least, QUEUED_MIN))
		return too_small(b, ceiling, least, why, why_size);
	split(b, room, floor);
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
	return 0;
}
