/* SPDX-License-Identifier: MIT */
#include "ifq.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine.h"
#include "zcrx_abi.h"

enum {
	ENTRIES_MIN = 64,
	ENTRIES_MAX = 4096,  /* it is flushed before each sleep: more would only be memory */
	HEADER_BYTES = 4096, /* head and tail, with room for any machine's cache lines */
	REGION_UNIT = 4096,
};

static int do_register(int ring_fd, unsigned opcode, void *arg, unsigned count)
{
	return syscall(__NR_io_uring_register, ring_fd, opcode, arg, count) < 0 ? -errno : 0;
}

static uint32_t ring_entries(unsigned max_connections, unsigned quota)
{
	uint64_t buffers = (uint64_t)max_connections * quota;
	uint32_t entries = ENTRIES_MIN;

	while (entries < buffers && entries < ENTRIES_MAX)
		entries *= 2;
	return entries;
}

size_t szc_ifq_overhead(unsigned max_connections, unsigned quota)
{
	size_t bytes = HEADER_BYTES + ring_entries(max_connections, quota) * sizeof(struct szc_zcrx_rqe);

	return (bytes + REGION_UNIT - 1) / REGION_UNIT * REGION_UNIT;
}

/* ---- can this kernel do it */

static int too_old(struct szc_rx *rx)
{
	struct utsname name;

	uname(&name);
	return szc_rx_fail(
		rx, SZC_E_BACKEND,
		"this kernel (Linux %s) has no zero-copy receive without a NIC: that takes Linux 7.1 or later",
		name.release);
}

/* The query needs no privilege, so that who lacks both the kernel and the capability is told of the kernel first. */
static int probe(struct szc_rx *rx, int ring_fd, uint32_t flags)
{
	struct szc_query_zcrx zcrx = {0};
	struct szc_query_hdr hdr = {
		.query_data = (uint64_t)(uintptr_t)&zcrx,
		.query_op = SZC_QUERY_ZCRX,
		.size = sizeof(zcrx),
	};
	int error = do_register(ring_fd, SZC_IORING_REGISTER_QUERY, &hdr, 0);

	if (error == -EPERM || error == -EACCES)
		return szc_rx_fail(rx, SZC_E_BACKEND, "a restriction of this sandbox forbids to query io_uring");
	if (error || hdr.result < 0)
		return too_old(rx);
	if ((zcrx.register_flags & flags) != flags || zcrx.nr_ctrl_opcodes <= SZC_ZCRX_CTRL_FLUSH_RQ)
		return too_old(rx);
	return 0;
}

static int refused(struct szc_rx *rx, int error)
{
	switch (-error) {
	case EPERM:
		return szc_rx_fail(rx, SZC_E_BACKEND,
				   "zero-copy receive takes the capability CAP_NET_ADMIN, and a container's own is not "
				   "enough: run as root, or setcap cap_net_admin+ep on the program");
	case EOPNOTSUPP:
		return szc_rx_fail(
			rx, SZC_E_BACKEND,
			"this kernel was built without CONFIG_IO_URING_ZCRX: zero-copy receive is not in it");
	case ENOMEM:
		return szc_rx_fail(rx, SZC_E_BACKEND,
				   "the kernel could not pin an area of %zu KiB: raise the limit of locked memory "
				   "(ulimit -l), or lower area_size",
				   rx->area.size / 1024);
	default:
		return szc_rx_fail(rx, SZC_E_BACKEND, "the kernel refused the area for zero-copy receive: %s",
				   strerror(-error));
	}
}

/* ---- registration */

static int flush(struct szc_ifq *ifq)
{
	struct szc_zcrx_ctrl ctrl = {.zcrx_id = ifq->id, .op = SZC_ZCRX_CTRL_FLUSH_RQ};

	return do_register(ifq->ring_fd, SZC_IORING_REGISTER_ZCRX_CTRL, &ctrl, 0);
}

int szc_ifq_open(struct szc_rx *rx, struct szc_ifq *ifq, int ring_fd, uint32_t flags)
{
	const struct szc_rx_options *o = &rx->options;
	uint8_t *ring = rx->area.base;
	struct szc_region_desc region = {
		.user_addr = (uint64_t)(uintptr_t)ring,
		.size = szc_ifq_overhead(o->max_connections, o->quota_buffers),
		.flags = SZC_IORING_MEM_REGION_TYPE_USER,
	};
	struct szc_zcrx_area_reg area = {
		.addr = (uint64_t)(uintptr_t)rx->buffers,
		.len = (uint64_t)rx->refill.count * o->buffer_size,
	};
	struct szc_zcrx_ifq_reg reg = {
		.rq_entries = ring_entries(o->max_connections, o->quota_buffers),
		.flags = flags,
		.area_ptr = (uint64_t)(uintptr_t)&area,
		.region_ptr = (uint64_t)(uintptr_t)&region,
	};
	long page = sysconf(_SC_PAGESIZE);
	int error;

	if (page != (long)o->buffer_size)
		return szc_rx_fail(
			rx, SZC_E_BACKEND,
			"without a NIC a buffer is a page: this machine's have %ld bytes, this backend knows %zu", page,
			o->buffer_size);
	error = probe(rx, ring_fd, flags);
	if (error)
		return error;
	error = do_register(ring_fd, SZC_IORING_REGISTER_ZCRX_IFQ, &reg, 1);
	if (error)
		return refused(rx, error);
	*ifq = (struct szc_ifq){
		.ring_fd = ring_fd,
		.id = reg.zcrx_id,
		.token = area.rq_area_token,
		.khead = (uint32_t *)(ring + reg.offsets.head),
		.ktail = (uint32_t *)(ring + reg.offsets.tail),
		.rqes = (struct szc_zcrx_rqe *)(ring + reg.offsets.rqes),
		.entries = reg.rq_entries,
		.waiting_end = &ifq->waiting,
	};
	return 0;
}

/* ---- the refill ring */

static bool full(const struct szc_ifq *ifq)
{
	return ifq->tail - __atomic_load_n(ifq->khead, __ATOMIC_ACQUIRE) == ifq->entries;
}

static void put(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag)
{
	ifq->rqes[ifq->tail & (ifq->entries - 1)] = (struct szc_zcrx_rqe){
		.off = (uint64_t)(frag->base - rx->buffers) | ifq->token,
		.len = frag->len,
	};
	/* From here on the kernel may hand the buffer out again: it must see the entry, and we be done with it. */
	__atomic_store_n(ifq->ktail, ++ifq->tail, __ATOMIC_RELEASE);
	ifq->unread = true;
	szc_refill_put(&rx->refill, frag);
}

void szc_ifq_return(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_frag *frag)
{
	if (!ifq->waiting && !full(ifq)) {
		put(rx, ifq, frag);
		return;
	}
	if (!ifq->waiting)
		rx->stats.refill_full++;
	frag->next_free = NULL;
	*ifq->waiting_end = frag;
	ifq->waiting_end = &frag->next_free;
}

static void put_waiting(struct szc_rx *rx, struct szc_ifq *ifq)
{
	while (ifq->waiting && !full(ifq)) {
		struct szc_frag *frag = ifq->waiting;

		ifq->waiting = frag->next_free;
		if (!ifq->waiting)
			ifq->waiting_end = &ifq->waiting;
		put(rx, ifq, frag);
	}
}

void szc_ifq_flush(struct szc_rx *rx, struct szc_ifq *ifq)
{
	put_waiting(rx, ifq);
	/* A flush that fails is tried again before the next sleep; the buffers stay where they are. */
	while (ifq->unread && !flush(ifq)) {
		ifq->unread = false;
		put_waiting(rx, ifq);
	}
}
