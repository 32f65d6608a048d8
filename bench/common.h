/* SPDX-License-Identifier: MIT */
/* What the programs of this folder share. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>

/* Prints what errno, or OpenSSL's queue, says of it. -1. */
int complain(const char *what);
int complain_ssl(const char *what);

struct consumed {
	uint64_t bytes;
	uint64_t sum; /* of the payload's little-endian 64-bit words, however it was cut into pieces */
};

/* The consumer: reads every byte once. */
void consume(struct consumed *consumed, const void *data, size_t len);

/* Written aside and renamed; NULL is nothing to do. 0 or -1 after a message. */
int write_port(const char *path, unsigned port);

#endif
