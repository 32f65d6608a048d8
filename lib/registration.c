/* SPDX-License-Identifier: MIT */
#include "registration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "refusal.h"
#include "uring.h"
#include "zcrx_abi.h"

enum {
	ENTRIES_MIN = 64,
	ENTRIES_MAX = 32768,    /* the kernel's own limit */
	ENTRIES_FLUSHED = 4096, /* at most, where it is flushed before each sleep: more would only be memory */
	HEADER_BYTES = 4096,    /* head and tail, with room for any machine's cache lines */
	STATS_BYTES = 64,
	PATIENCE_MS = 500, /* how long a queue is waited for whose last owner just closed: the kernel takes its time */
	NAP_MS = 10,
};

static uint32_t ring_entries(size_t buffers, uint32_t most)
{
	uint32_t entries = ENTRIES_MIN;

	while (entries < buffers && entries < most)
		entries *= 2;
	return entries;
}

/* Of that many buffers, those that neither the NIC nor sockets were promised. */
static uint32_t connections_share(const struct szc_rx *rx, size_t buffers)
{
	const struct szc_budget *b = &rx->budget;
	size_t others = b->standing + szc_budget_promise(b) - (size_t)b->connections * b->quota;

	return buffers > others ? (uint32_t)(buffers - others) : 0;
}

/* ---- one attempt */

struct attempt {
	struct szc_zcrx_ifq_reg reg;
	struct szc_zcrx_area_reg area;
	struct szc_region_desc region;
	struct szc_zcrx_event_desc event;
};

static void describe_area(struct szc_rx *rx, struct szc_zcrx_area_reg *area, uint32_t buffer_size)
{
	size_t size = rx->area.size < rx->options.area_size ? rx->area.size : rx->options.area_size;

	area->len = size / buffer_size * buffer_size;
	if (rx->options.dmabuf_fd) {
		area->len = rx->area.size; /* all of it, or it is refused */
		area->flags = SZC_ZCRX_AREA_DMABUF;
		area->dmabuf_fd = (uint32_t)rx->options.dmabuf_fd;
	} else {
		area->addr = (uint64_t)(uintptr_t)rx->buffers;
	}
}

static int describe_ring(struct szc_rq *rq, const struct szc_registration *r, struct attempt *a)
{
	size_t size = HEADER_BYTES + (size_t)a->reg.rq_entries * sizeof(struct szc_zcrx_rqe);
	int error;

	if (r->event && r->features->events) {
		/* Not SZC_ZCRX_EVENT_COPY: it says once that something was copied, the statistics always how much. */
		a->event.user_data = r->event;
		a->event.type_mask = 1U << SZC_ZCRX_EVENT_ALLOC_FAIL;
		a->event.flags = SZC_ZCRX_EVENT_STATS;
		a->event.stats_offset = size;
		a->reg.event_desc = (uint64_t)(uintptr_t)&a->event;
		size += STATS_BYTES;
	}
	a->region.size = (size + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;
	if (r->kernel_ring)
		return 0;
	error = szc_area_map(&rq->memory, a->region.size, SZC_PAGES_PLAIN);
	if (error)
		return error;
	a->region.size = rq->memory.size;
	a->region.user_addr = (uint64_t)(uintptr_t)rq->memory.base;
	a->region.flags = SZC_IORING_MEM_REGION_TYPE_USER;
	return 0;
}

static int map_kernel_ring(struct szc_rq *rq, const struct szc_uring *uring, const struct szc_region_desc *region)
{
	void *base = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring->ring.ring_fd,
			  (off_t)region->mmap_offset);

	if (base == MAP_FAILED)
		return -errno;
	rq->memory = (struct szc_area){.base = base, .size = region->size};
	return madvise(base, region->size, MADV_DONTFORK) ? -errno : 0;
}

static int attempt(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_registration *r)
{
	struct szc_rq *rq = ifq->rq;
	struct attempt a = {
		.reg.if_idx = r->ifindex,
		.reg.if_rxq = r->queue,
		.reg.flags = r->ifindex ? 0 : SZC_ZCRX_REG_NODEV,
		.reg.area_ptr = (uint64_t)(uintptr_t)&a.area,
		.reg.region_ptr = (uint64_t)(uintptr_t)&a.region,
	};
	size_t size;
	int error;

	describe_area(rx, &a.area, r->buffer_size);
	size = rx->options.area_max > a.area.len ? rx->options.area_max : a.area.len;
	a.reg.rq_entries = ring_entries(size / r->buffer_size, r->ifindex ? ENTRIES_MAX : ENTRIES_FLUSHED);
	if (r->buffer_size != (uint32_t)sysconf(_SC_PAGESIZE))
		a.reg.rx_buf_len = r->buffer_size;
	error = describe_ring(rq, r, &a);
	if (error)
		return error;
	error = szc_uring_register(ifq->uring, SZC_IORING_REGISTER_ZCRX_IFQ, &a.reg, 1);
	if (error >= 0 && r->kernel_ring)
		error = map_kernel_ring(rq, ifq->uring, &a.region);
	if (error < 0) {
		szc_area_unmap(&rq->memory);
		return error;
	}
	ifq->id = a.reg.zcrx_id;
	rq->khead = (uint32_t *)(rq->memory.base + a.reg.offsets.head);
	rq->ktail = (uint32_t *)(rq->memory.base + a.reg.offsets.tail);
	rq->rqes = (struct szc_zcrx_rqe *)(rq->memory.base + a.reg.offsets.rqes);
	rq->entries = a.reg.rq_entries;
	r->events = a.reg.event_desc;
	ifq->level = rq->entries;
	if (r->ifindex && r->events && rx->options.recycle == SZC_RECYCLE_NEWEST && SZC_POOL_TAKES < rq->entries)
		ifq->level = SZC_POOL_TAKES;
	ifq->share = connections_share(rx, a.area.len / r->buffer_size);
	if (r->events)
		rq->stats = (const struct szc_zcrx_stats *)(rq->memory.base + a.event.stats_offset);
	/* Its number is in rq_area_token, and is 0: it is the registration's first. */
	rq->areas[0] = (struct szc_area){.base = rx->buffers, .size = a.area.len, .borrowed = true};
	atomic_store(&rq->area_count, 1);
	return 0;
}

/* ---- attempts, until one is taken */

static int make_rq(struct szc_rx *rx, struct szc_ifq *ifq)
{
	ifq->rq = calloc(1, sizeof(*ifq->rq));
	if (!ifq->rq)
		return szc_rx_fail(rx, -ENOMEM, "no memory for a refill ring");
	ifq->rq->export_fd = -1;
	return 0;
}

int szc_registration_nodev(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_registration *r)
{
	long page = sysconf(_SC_PAGESIZE);
	int error;

	if (page != (long)rx->options.buffer_size)
		return szc_rx_fail(
			rx, SZC_E_BACKEND,
			"without a NIC a buffer is a page: this machine's have %ld bytes, this backend knows %zu", page,
			rx->options.buffer_size);
	error = szc_refusal_nodev(rx, r->features);
	if (error)
		return error;
	error = make_rq(rx, ifq);
	if (error)
		return error;
	r->buffer_size = (uint32_t)page;
	error = attempt(rx, ifq, r);
	if (!error)
		return 0;
	szc_ifq_close(ifq);
	return szc_refusal_registration(rx, error, 0);
}

/* What the driver says to a length of buffers that it does not like (QCFG_RX_PAGE_SIZE, its own limits), and the area if
 * its memory does not lie in pieces that long. */
static bool length_refused(int error)
{
	return error == -EOPNOTSUPP || error == -EINVAL || error == -ERANGE;
}

static bool ring_refused(int error)
{
	return error == -EFAULT || error == -ENOMEM;
}

/* Page-sized buffers instead; what was counted in buffers holds as many bytes as before. */
static void use_pages(struct szc_rx *rx, struct szc_registration *r, uint32_t page)
{
	unsigned ratio = (unsigned)(rx->options.buffer_size / page);

	rx->options.buffer_size = page;
	rx->options.quota_buffers *= ratio;
	rx->budget.buffer_size = page;
	rx->budget.quota *= ratio;
	rx->budget.queued *= ratio;
	r->buffer_size = page;
}

int szc_registration_queue(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_registration *r)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	int naps = PATIENCE_MS / NAP_MS;
	int error = make_rq(rx, ifq);

	if (error)
		return error;
	r->buffer_size = (uint32_t)rx->options.buffer_size;
	if (r->buffer_size != page && !r->features->rx_buf_len) {
		r->buffer_size_error = -ENOSYS;
		use_pages(rx, r, page);
	}
	for (;;) {
		error = attempt(rx, ifq, r);
		if (error == -EEXIST && naps--) {
			usleep(NAP_MS * 1000);
		} else if (length_refused(error) && r->buffer_size != page) {
			r->buffer_size_error = error;
			use_pages(rx, r, page);
		} else if (ring_refused(error) && !r->kernel_ring) {
			r->kernel_ring = true;
		} else {
			break;
		}
	}
	if (!error)
		return 0;
	szc_ifq_close(ifq);
	return szc_refusal_registration(rx, error, r->ifindex);
}

/* ---- sharing */

int szc_registration_import(struct szc_rx *rx, struct szc_ifq *ifq, struct szc_rq *rq)
{
	struct szc_zcrx_ifq_reg reg = {.if_idx = (uint32_t)rq->export_fd, .flags = SZC_ZCRX_REG_IMPORT};
	int error = szc_uring_register(ifq->uring, SZC_IORING_REGISTER_ZCRX_IFQ, &reg, 1);

	if (error < 0)
		return szc_refusal_registration(rx, error, 0);
	ifq->id = reg.zcrx_id;
	ifq->rq = rq;
	ifq->imported = true;
	ifq->level = rq->entries;
	return 0;
}

int szc_registration_export(struct szc_rx *rx, struct szc_ifq *ifq)
{
	struct szc_zcrx_ctrl ctrl = {.op = SZC_ZCRX_CTRL_EXPORT};
	int error = szc_ifq_ctrl(ifq, &ctrl);

	if (error)
		return szc_rx_fail(rx, SZC_E_BACKEND, "this kernel cannot share a queue among engines: %s",
				   strerror(-error));
	ifq->rq->export_fd = (int)ctrl.export_to.zcrx_fd;
	error = pthread_mutex_init(&ifq->rq->lock, NULL);
	if (error)
		return szc_rx_fail(rx, -error, "no lock for a shared queue: %s", strerror(error));
	ifq->rq->shared = true;
	return 0;
}
