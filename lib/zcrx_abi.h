/* SPDX-License-Identifier: MIT */
/*
 * The kernel's interface for zero-copy receive, as far as it is used here: the headers of a distribution lag behind the
 * kernels it runs. The names are our own, so that newer headers of linux/ or liburing cannot clash with them.
 *
 * From include/uapi/linux/io_uring.h, include/uapi/linux/io_uring/zcrx.h and .../query.h of Linux 7.3; zero-copy
 * receive is there since 6.15, and doing without a NIC since 7.1.
 */
#ifndef SZC_LIB_ZCRX_ABI_H
#define SZC_LIB_ZCRX_ABI_H

#include <stdint.h>

enum {
	SZC_IORING_OP_RECV_ZC = 58,          /* IORING_OP_RECV_ZC */
	SZC_IORING_REGISTER_ZCRX_IFQ = 32,   /* IORING_REGISTER_ZCRX_IFQ */
	SZC_IORING_REGISTER_QUERY = 35,      /* IORING_REGISTER_QUERY */
	SZC_IORING_REGISTER_ZCRX_CTRL = 36,  /* IORING_REGISTER_ZCRX_CTRL */
	SZC_IORING_MEM_REGION_TYPE_USER = 1, /* IORING_MEM_REGION_TYPE_USER */
};

/* An entry of the refill ring: any offset within the buffer that goes back. `len` is not looked at, `pad` must be 0. */
struct szc_zcrx_rqe {
	uint64_t off;
	uint32_t len;
	uint32_t pad;
};

/* The second half of a receive completion. */
struct szc_zcrx_cqe {
	uint64_t off;
	uint64_t pad;
};

/* Offsets carry the number of their area from this bit on. */
#define SZC_ZCRX_AREA_SHIFT 48
#define SZC_ZCRX_AREA_MASK  (~(((uint64_t)1 << SZC_ZCRX_AREA_SHIFT) - 1))

/* struct io_uring_zcrx_offsets: where in the refill ring's memory its parts lie. */
struct szc_zcrx_offsets {
	uint32_t head;
	uint32_t tail;
	uint32_t rqes;
	uint32_t resv2;
	uint64_t resv[2];
};

/* struct io_uring_zcrx_area_reg */
struct szc_zcrx_area_reg {
	uint64_t addr;
	uint64_t len;
	uint64_t rq_area_token;
	uint32_t flags;
	uint32_t dmabuf_fd;
	uint64_t resv2[2];
};

/* struct io_uring_region_desc */
struct szc_region_desc {
	uint64_t user_addr;
	uint64_t size;
	uint32_t flags;
	uint32_t id;
	uint64_t mmap_offset;
	uint64_t resv[4];
};

enum szc_zcrx_reg_flags {
	SZC_ZCRX_REG_NODEV = 2, /* no NIC: everything is copied, and the refill ring is read only when flushed */
};

/* struct io_uring_zcrx_ifq_reg */
struct szc_zcrx_ifq_reg {
	uint32_t if_idx;
	uint32_t if_rxq;
	uint32_t rq_entries;
	uint32_t flags;
	uint64_t area_ptr;
	uint64_t region_ptr;
	struct szc_zcrx_offsets offsets;
	uint32_t zcrx_id;
	uint32_t rx_buf_len;
	uint64_t event_desc;
	uint64_t resv[2];
};

enum szc_zcrx_ctrl_op {
	SZC_ZCRX_CTRL_FLUSH_RQ,
};

/* struct zcrx_ctrl, its union with struct zcrx_ctrl_flush_rq, which is all zero */
struct szc_zcrx_ctrl {
	uint32_t zcrx_id;
	uint32_t op;
	uint64_t resv[2];
	uint64_t flush[6];
};

enum szc_query_op {
	SZC_QUERY_ZCRX = 1, /* IO_URING_QUERY_ZCRX */
};

/* struct io_uring_query_hdr */
struct szc_query_hdr {
	uint64_t next_entry;
	uint64_t query_data;
	uint32_t query_op;
	uint32_t size;
	int32_t result;
	uint32_t resv[3];
};

/* struct io_uring_query_zcrx; older kernels fill less of it, the rest stays zero */
struct szc_query_zcrx {
	uint64_t register_flags;
	uint64_t area_flags;
	uint32_t nr_ctrl_opcodes;
	uint32_t features;
	uint32_t rq_hdr_size;
	uint32_t rq_hdr_alignment;
	uint64_t resv2;
};

_Static_assert(sizeof(struct szc_zcrx_rqe) == 16, "struct io_uring_zcrx_rqe");
_Static_assert(sizeof(struct szc_zcrx_area_reg) == 48, "struct io_uring_zcrx_area_reg");
_Static_assert(sizeof(struct szc_region_desc) == 64, "struct io_uring_region_desc");
_Static_assert(sizeof(struct szc_zcrx_ifq_reg) == 96, "struct io_uring_zcrx_ifq_reg");
_Static_assert(sizeof(struct szc_zcrx_ctrl) == 72, "struct zcrx_ctrl");
_Static_assert(sizeof(struct szc_query_hdr) == 40, "struct io_uring_query_hdr");
_Static_assert(sizeof(struct szc_query_zcrx) == 40, "struct io_uring_query_zcrx");

#endif
