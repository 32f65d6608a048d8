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

#define SZC_IORING_SETUP_CQE_MIXED              (1U << 18) /* IORING_SETUP_CQE_MIXED */
#define SZC_IORING_CQE_F_SKIP                   (1U << 5) /* IORING_CQE_F_SKIP: an entry that only fills the ring's end */
#define SZC_IORING_CQE_F_32                     (1U << 15) /* IORING_CQE_F_32: takes two entries of a mixed ring */
#define SZC_IORING_REGISTER_USE_REGISTERED_RING (1U << 31) /* IORING_REGISTER_USE_REGISTERED_RING */

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

enum szc_zcrx_area_flags {
	SZC_ZCRX_AREA_DMABUF = 1, /* `dmabuf_fd` is the memory, all of it, and addr is 0 */
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
	SZC_ZCRX_REG_IMPORT = 1, /* if_idx is the descriptor of an exported registration, all else is zero */
	SZC_ZCRX_REG_NODEV = 2,  /* no NIC: everything is copied, and the refill ring is read only when flushed */
};

enum szc_zcrx_features {
	SZC_ZCRX_FEATURE_RX_PAGE_SIZE = 1 << 0, /* rx_buf_len may be other than a page */
	SZC_ZCRX_FEATURE_EVENT = 1 << 1,        /* event_desc */
};

enum szc_zcrx_event_type {
	SZC_ZCRX_EVENT_ALLOC_FAIL, /* the queue found no free buffer; told once, until it is armed again */
	SZC_ZCRX_EVENT_COPY,       /* a fragment was copied; the same */
};

enum szc_zcrx_event_flags {
	SZC_ZCRX_EVENT_STATS = 1 << 0, /* stats_offset is where in the refill ring's memory the statistics go */
};

/* struct zcrx_stats: what the kernel copied out of fragments of ordinary memory. Bytes of a packet's linear part, which
 * are copied too, are not in it (io_zcrx_recv_skb). */
struct szc_zcrx_stats {
	uint64_t copy_count;
	uint64_t copy_bytes;
};

/* struct zcrx_event_desc; an event is a completion with this user_data and the event's type as its result */
struct szc_zcrx_event_desc {
	uint64_t user_data;
	uint32_t type_mask;
	uint32_t flags;
	uint64_t stats_offset;
	uint64_t resv2[9];
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
	SZC_ZCRX_CTRL_FLUSH_RQ,  /* the kernel takes over what is in the refill ring */
	SZC_ZCRX_CTRL_EXPORT,    /* a descriptor of the registration, for IMPORT */
	SZC_ZCRX_CTRL_ARM_EVENT, /* an event that was told may be told again */
	SZC_ZCRX_CTRL_ADD_AREA,
};

/* struct zcrx_ctrl */
struct szc_zcrx_ctrl {
	uint32_t zcrx_id;
	uint32_t op;
	uint64_t resv[2];
	union {
		uint64_t flush[6]; /* struct zcrx_ctrl_flush_rq: all zero */
		struct {
			uint32_t zcrx_fd;
			uint32_t resv[11];
		} export_to; /* struct zcrx_ctrl_export */
		struct {
			uint32_t event_type;
			uint32_t resv[11];
		} arm_event; /* struct zcrx_ctrl_arm_event */
		struct {
			uint64_t area_ptr;
			uint64_t resv[5];
		} add_area; /* struct zcrx_ctrl_add_area */
	};
};

enum szc_query_op {
	SZC_QUERY_OPCODES = 0, /* IO_URING_QUERY_OPCODES */
	SZC_QUERY_ZCRX = 1,    /* IO_URING_QUERY_ZCRX */
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

/* struct io_uring_query_opcode */
struct szc_query_opcodes {
	uint32_t nr_request_opcodes;
	uint32_t nr_register_opcodes;
	uint64_t feature_flags;
	uint64_t ring_setup_flags;
	uint64_t enter_flags;
	uint64_t sqe_flags;
	uint32_t nr_query_opcodes;
	uint32_t pad;
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
_Static_assert(sizeof(struct szc_zcrx_stats) == 16, "struct zcrx_stats");
_Static_assert(sizeof(struct szc_zcrx_event_desc) == 96, "struct zcrx_event_desc");
_Static_assert(sizeof(struct szc_query_opcodes) == 48, "struct io_uring_query_opcode");
_Static_assert(sizeof(struct szc_query_hdr) == 40, "struct io_uring_query_hdr");
_Static_assert(sizeof(struct szc_query_zcrx) == 40, "struct io_uring_query_zcrx");

#endif
