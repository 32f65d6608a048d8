/* SPDX-License-Identifier: MIT */
#include "features.h"

#include <errno.h>
#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "zcrx_abi.h"

/* Needs no ring: -1 stands for none. `data` is filled as far as the kernel knows it, the rest stays zero. */
static int query(enum szc_query_op op, void *data, uint32_t size)
{
	struct szc_query_hdr hdr = {.query_data = (uint64_t)(uintptr_t)data, .query_op = op, .size = size};

	if (syscall(__NR_io_uring_register, -1, SZC_IORING_REGISTER_QUERY, &hdr, 0) < 0)
		return -errno;
	return hdr.result < 0 ? hdr.result : 0;
}

void szc_features_query(struct szc_features *features)
{
	struct szc_query_opcodes opcodes = {0};
	struct szc_query_zcrx zcrx = {0};

	*features = (struct szc_features){0};
	features->error = query(SZC_QUERY_OPCODES, &opcodes, sizeof(opcodes));
	if (features->error)
		return;
	features->cqe_mixed = opcodes.ring_setup_flags & SZC_IORING_SETUP_CQE_MIXED;
	features->error = query(SZC_QUERY_ZCRX, &zcrx, sizeof(zcrx));
	if (features->error)
		return;
	features->nodev = zcrx.register_flags & SZC_ZCRX_REG_NODEV;
	features->import = zcrx.register_flags & SZC_ZCRX_REG_IMPORT;
	features->rx_buf_len = zcrx.features & SZC_ZCRX_FEATURE_RX_PAGE_SIZE;
	features->events = zcrx.features & SZC_ZCRX_FEATURE_EVENT;
	features->ctrls = zcrx.nr_ctrl_opcodes;
}

bool szc_features_recv_zc(void)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool known = probe && io_uring_opcode_supported(probe, SZC_IORING_OP_RECV_ZC);

	io_uring_free_probe(probe);
	return known;
}
