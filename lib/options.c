/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdio.h>
#include <string.h>

enum {
	CONNECTIONS = 64,
	CONNECTIONS_MAX = 1 << 16, /* a buffer group a connection, and their numbers are 16 bits */
	QUOTA_DEFAULT = 8,
	BUFFER_MIN = 4096,
	BUFFER_MAX = 1 << 20,
	BUFFER_FEW = 64 * 1024,       /* up to CONNECTIONS: most 16 KiB records lie in one piece */
	BUFFER_MANY = 16 * 1024,      /* above: a connection's share matters more */
	RECORD_MAX = 5 + 16384 + 256, /* RFC 8446 5.2, the largest that can wait for its end */
	SEND_LIMIT = 1 << 20,
	HANDSHAKE_MS = 10000,
};

unsigned szc_rx_min_quota(size_t buffer_size)
{
	if (!buffer_size)
		return 0;
	/* Packed, the largest record lies in that many whole buffers; it may begin at the end of one more; and one must
	 * be free to receive into. */
	return (unsigned)((RECORD_MAX + buffer_size - 1) / buffer_size) + 2;
}

static int check(struct szc_rx *rx)
{
	struct szc_rx_options *o = &rx->options;
	unsigned floor = szc_rx_min_quota(o->buffer_size);
	size_t buffers = o->area_size / o->buffer_size;

	if (!o->quota_buffers)
		o->quota_buffers = (unsigned)(buffers / o->max_connections);
	if (o->quota_buffers < floor)
		return szc_rx_fail(
			rx, SZC_E_OPTION,
			"a quota of %u buffers of %zu bytes a connection is less than the %u that one TLS record "
			"may need: raise area_size to %zu, or lower max_connections (%u)",
			o->quota_buffers, o->buffer_size, floor, (size_t)floor * o->buffer_size * o->max_connections,
			o->max_connections);
	if ((size_t)o->quota_buffers * o->max_connections > buffers)
		return szc_rx_fail(
			rx, SZC_E_OPTION,
			"%u connections with a quota of %u buffers of %zu bytes do not fit into an area of %zu: "
			"raise area_size to %zu",
			o->max_connections, o->quota_buffers, o->buffer_size, o->area_size,
			(size_t)o->quota_buffers * o->max_connections * o->buffer_size);
	return 0;
}

static int check_queue(struct szc_rx *rx, const struct szc_rx_options *o)
{
	if (o->backend == SZC_BACKEND_ZCRX && !o->ifname && !o->share)
		return szc_rx_fail(rx, SZC_E_OPTION, "zcrx needs a NIC's queue: set ifname and queue, or share");
	if (o->share && (o->ifname || o->dmabuf_fd || o->area_size || o->area_max || o->shareable))
		return szc_rx_fail(
			rx, SZC_E_OPTION,
			"with share the queue and the area are the other engine's: ifname, area_size, area_max, "
			"dmabuf_fd and shareable stay unset");
	if (o->dmabuf_fd && (o->area_size || o->area_max))
		return szc_rx_fail(
			rx, SZC_E_OPTION,
			"with dmabuf_fd the area is that buffer, all of it: area_size and area_max stay unset");
	return 0;
}

static int check_given(struct szc_rx *rx, const struct szc_rx_options *o)
{
	if ((unsigned)o->backend > SZC_BACKEND_ZCRX || (unsigned)o->pages > SZC_PAGES_PLAIN ||
	    (unsigned)o->recycle > SZC_RECYCLE_OLDEST)
		return szc_rx_fail(rx, SZC_E_OPTION,
				   "backend %d, pages %d or recycle %d is not one of the values in rx.h",
				   (int)o->backend, (int)o->pages, (int)o->recycle);
	if (o->max_connections > CONNECTIONS_MAX)
		return szc_rx_fail(rx, SZC_E_OPTION, "max_connections %u is above %d", o->max_connections,
				   CONNECTIONS_MAX);
	if (o->buffer_size &&
	    (o->buffer_size < BUFFER_MIN || o->buffer_size > BUFFER_MAX || (o->buffer_size & (o->buffer_size - 1))))
		return szc_rx_fail(rx, SZC_E_OPTION, "buffer_size %zu is not a power of two from %d to %d",
				   o->buffer_size, BUFFER_MIN, BUFFER_MAX);
	if (o->quota_buffers > UINT32_MAX / 2 / o->max_connections)
		return szc_rx_fail(rx, SZC_E_OPTION,
				   "%u connections with a quota of %u buffers are more than this library can number",
				   o->max_connections, o->quota_buffers);
	if ((o->area_size > o->area_max ? o->area_size : o->area_max) / BUFFER_MIN > UINT32_MAX / 2)
		return szc_rx_fail(rx, SZC_E_OPTION,
				   "area_size %zu or area_max %zu is more than this library can number", o->area_size,
				   o->area_max);
	return check_queue(rx, o);
}

int szc_options_take(struct szc_rx *rx, const struct szc_rx_options *given)
{
	struct szc_rx_options *o = &rx->given;

	if (given) {
		if (given->size < offsetof(struct szc_rx_options, max_connections))
			return szc_rx_fail(rx, SZC_E_OPTION,
					   "options->size is not set: write sizeof(struct szc_rx_options)");
		memcpy(o, given, given->size < sizeof(*o) ? given->size : sizeof(*o));
	}
	o->size = sizeof(*o);
	o->error = NULL;
	o->error_size = 0;
	if (o->ifname) {
		snprintf(rx->ifname, sizeof(rx->ifname), "%s", o->ifname);
		o->ifname = rx->ifname;
	}
	if (!o->max_connections)
		o->max_connections = CONNECTIONS;
	if (!o->send_limit)
		o->send_limit = SEND_LIMIT;
	if (!o->handshake_timeout)
		o->handshake_timeout = HANDSHAKE_MS;
	return check_given(rx, o);
}

int szc_options_derive(struct szc_rx *rx)
{
	struct szc_rx_options *o = &rx->options;

	if (!o->buffer_size)
		o->buffer_size = o->max_connections > CONNECTIONS ? BUFFER_MANY : BUFFER_FEW;
	if (o->backend == SZC_BACKEND_NODEV)
		o->buffer_size = BUFFER_MIN; /* the kernel's fall-back copies page by page */
	if (!o->area_size) {
		unsigned quota = o->quota_buffers ? o->quota_buffers : QUOTA_DEFAULT;

		if (!o->quota_buffers && o->backend == SZC_BACKEND_NODEV)
			quota = QUOTA_DEFAULT * (BUFFER_FEW / BUFFER_MIN);
		o->area_size = (size_t)quota * o->max_connections * o->buffer_size;
	}
	return check(rx);
}

void szc_options_describe(struct szc_rx *rx, const char *why)
{
	const struct szc_rx_options *o = &rx->options;
	int len = snprintf(rx->describe, sizeof(rx->describe),
			   "backend: %s\n%sarea: %zu KiB of %s, %zu buffers of %zu KiB\n"
			   "connections: at most %u, %u buffers each\n",
			   rx->ops->name, why, rx->area.size / 1024, rx->area.pages, o->area_size / o->buffer_size,
			   o->buffer_size / 1024, o->max_connections, o->quota_buffers);

	if (rx->ops->describe && len > 0 && (size_t)len < sizeof(rx->describe))
		rx->ops->describe(rx, rx->describe + len, sizeof(rx->describe) - (size_t)len);
}
