/* SPDX-License-Identifier: MIT */
#include "tests/lab/raw.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	HEADER = PAGE, /* head and tail */
};

static uint8_t *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int open_ring(struct raw *raw, const struct raw_options *options)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
						  IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE,
					 .cq_entries = options->completions};

	return io_uring_queue_init_params(8, &raw->ring, &params);
}

static int enroll(struct raw *raw, const struct raw_options *options)
{
	struct szc_zcrx_area_reg area = {.len = raw->area_size};
	struct szc_zcrx_event_desc events = {.flags = SZC_ZCRX_EVENT_STATS,
					     .stats_offset = raw->memory_size - sizeof(struct szc_zcrx_stats)};
	struct szc_region_desc region = {.user_addr = (uintptr_t)raw->memory,
					 .size = raw->memory_size,
					 .flags = SZC_IORING_MEM_REGION_TYPE_USER};
	struct szc_zcrx_ifq_reg reg = {.if_idx = if_nametoindex(options->ifname),
				       .if_rxq = options->queue,
				       .rq_entries = raw->entries,
				       .area_ptr = (uintptr_t)&area,
				       .region_ptr = (uintptr_t)&region,
				       .event_desc = (uintptr_t)&events};

	if (options->dmabuf) {
		area.flags = SZC_ZCRX_AREA_DMABUF;
		area.dmabuf_fd = (uint32_t)options->dmabuf;
	} else {
		area.addr = (uintptr_t)raw->area;
	}
	if (syscall(SYS_io_uring_register, raw->ring.ring_fd, SZC_IORING_REGISTER_ZCRX_IFQ, &reg, 1) < 0)
		return -errno;
	raw->id = reg.zcrx_id;
	raw->ktail = (uint32_t *)(raw->memory + reg.offsets.tail);
	raw->rqes = (struct szc_zcrx_rqe *)(raw->memory + reg.offsets.rqes);
	raw->stats = (const struct szc_zcrx_stats *)(raw->memory + events.stats_offset);
	return 0;
}

static void unmap(struct raw *raw)
{
	munmap(raw->area, raw->area_size);
	munmap(raw->memory, raw->memory_size);
}

int raw_open(struct raw *raw, const struct raw_options *options)
{
	int error;

	*raw = (struct raw){.area_size = (size_t)options->buffers * PAGE, .entries = 64};
	while (raw->entries < options->buffers)
		raw->entries *= 2;
	raw->memory_size = (HEADER + raw->entries * sizeof(struct szc_zcrx_rqe) + PAGE - 1) / PAGE * PAGE + PAGE;
	raw->area = map(raw->area_size);
	raw->memory = map(raw->memory_size);
	error = open_ring(raw, options);
	if (!error) {
		error = enroll(raw, options);
		if (!error)
			return 0;
		io_uring_queue_exit(&raw->ring);
	}
	unmap(raw);
	return error;
}

void raw_close(struct raw *raw)
{
	io_uring_queue_exit(&raw->ring);
	unmap(raw);
}

void raw_arm(struct raw *raw, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&raw->ring);

	io_uring_prep_rw(SZC_IORING_OP_RECV_ZC, sqe, fd, NULL, 0, 0);
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->file_index = raw->id; /* the place of zcrx_ifq_idx */
	io_uring_submit(&raw->ring);
}

bool raw_next(struct raw *raw, struct raw_completion *completion, int timeout_ms)
{
	struct __kernel_timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe_timeout(&raw->ring, &cqe, &timeout))
		return false;
	*completion = (struct raw_completion){.res = cqe->res, .more = cqe->flags & IORING_CQE_F_MORE};
	if (cqe->res > 0)
		completion->off = ((const struct szc_zcrx_cqe *)(cqe + 1))->off;
	io_uring_cqe_seen(&raw->ring, cqe);
	return true;
}

const uint8_t *raw_bytes(const struct raw *raw, const struct raw_completion *completion)
{
	return raw->area + (completion->off & ~SZC_ZCRX_AREA_MASK);
}

void raw_give_back(struct raw *raw, const struct raw_completion *completion)
{
	raw->rqes[raw->tail & (raw->entries - 1)] =
		(struct szc_zcrx_rqe){.off = completion->off, .len = (uint32_t)completion->res};
	__atomic_store_n(raw->ktail, ++raw->tail, __ATOMIC_RELEASE);
}
