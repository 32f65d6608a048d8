/* SPDX-License-Identifier: MIT */
/*
 * Zero-copy receive by the bare interface of the kernel, as a program would use it that knows the ABI and none of its
 * traps: for tests that fall into them. Only what the kernel refuses is an error here; nothing is cared for.
 */
#ifndef SZC_TESTS_LAB_RAW_H
#define SZC_TESTS_LAB_RAW_H

#include <stdint.h>
#include <liburing.h>
#include "lib/zcrx_abi.h"

struct raw_options {
	const char *ifname;
	unsigned queue;
	unsigned buffers;
	unsigned completions; /* the ring's size */
	int dmabuf;           /* the area, or 0: anonymous memory */
};

struct raw {
	struct io_uring ring;
	uint8_t *area;
	size_t area_size;
	uint8_t *memory; /* of the refill ring */
	size_t memory_size;
	uint32_t *ktail;
	struct szc_zcrx_rqe *rqes;
	uint32_t tail, entries;
	uint32_t id;
	const struct szc_zcrx_stats *stats;
};

struct raw_completion {
	int res;
	bool more;
	uint64_t off; /* where the bytes are, if res is positive */
};

/* 0, or what the kernel answered to the registration, negative. */
int raw_open(struct raw *raw, const struct raw_options *options);
/* Closes the ring and gives up all memory; what a child of a fork() has of it stays its own. */
void raw_close(struct raw *raw);

/* Multishot, without a limit. */
void raw_arm(struct raw *raw, int fd);
/* Whether a completion came in that time. */
bool raw_next(struct raw *raw, struct raw_completion *completion, int timeout_ms);
const uint8_t *raw_bytes(const struct raw *raw, const struct raw_completion *completion);
void raw_give_back(struct raw *raw, const struct raw_completion *completion);

#endif
