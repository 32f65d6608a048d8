/* SPDX-License-Identifier: MIT */
/* What this kernel's io_uring knows of zero-copy receive, as it says itself (IORING_REGISTER_QUERY, since Linux 6.18).
 * Older kernels say nothing: then all is false, and zero-copy receive on a NIC queue (6.15) can only be tried. */
#ifndef SZC_LIB_FEATURES_H
#define SZC_LIB_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

struct szc_features {
	int error; /* why the query failed, a negative errno; 0: the rest is what the kernel said */
	bool cqe_mixed;
	bool nodev;
	bool import;
	bool rx_buf_len; /* buffers other than pages */
	bool events;     /* and statistics */
	unsigned ctrls;  /* how many of enum szc_zcrx_ctrl_op there are */
};

void szc_features_query(struct szc_features *features);

/* Whether there is zero-copy receive at all: this can be asked of every kernel with an io_uring. */
bool szc_features_recv_zc(void);

#endif
