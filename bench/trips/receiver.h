/* SPDX-License-Identifier: MIT */
/*
 * The receiving end of bench/trip-count: one connection, one mode, one payload. What all modes share is here, so that
 * nothing but the mode differs.
 *
 * The payload comes in parts (parts.h), and the last one is counted; those before it warm everything up. Nothing is under
 * way when counting begins, and nothing when it ends. Which one is the last is known when it is over: each is counted that
 * might be.
 */
#ifndef BENCH_TRIPS_RECEIVER_H
#define BENCH_TRIPS_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bench/common.h"
#include "kernel/szcnic_trips.h"

enum {
	RECV_SIZE = 64 * 1024,   /* of a read where records do not matter */
	RECORD_SIZE = 16 * 1024, /* of a read from OpenSSL */
};

struct arguments {
	const char *mode;
	const char *address; /* to listen at */
	const char *port_file;
	const char *ifname;
	const char *cert, *key;
	uint64_t queue, warm, bytes, area_size, buffer_size;
	uint64_t hold;       /* of what warms up, at once, once */
	bool unwatched;      /* no emulator looks on, and no NIC is counted */
	const char *recycle; /* "newest" or "oldest" */
};

/* What was counted without an emulator, of the last part. */
struct ledger {
	uint64_t device;    /* payload the NIC wrote, by its own count */
	uint64_t zero_copy; /* ... of it into the area */
	uint64_t kernel_copied, user_copied, opened_in_place, opened;
	uint64_t
		opened_again; /* records, by the kernel's TLS (/proc/net/tls_stat), which may not hold for padded ones */
	uint64_t elapsed_ns, cpu_ns;
	uint64_t warm; /* bytes before it */
	bool steady;   /* no buffer was used for the first time in it and the parts just before it */
	bool model;    /* the copies are what the code is known to do, not what was counted */
};

struct receiver {
	struct arguments arguments;
	struct consumed consumed;
	uint64_t asked; /* the payload that was asked for */
	unsigned fresh; /* buffers of the area that were used for the first time in this part */
	unsigned quiet; /* parts in a row without any */
	unsigned parts; /* that are over */
	bool counting;  /* this part */
	bool complete;  /* the last one is over */
	struct ledger ledger;
	uint64_t device_before, zero_copy_before, again_before, elapsed_before, cpu_before;
	char cipher[48];
};

/* A mode receives the whole payload: 0, or -1 after a message. */
typedef int receive_mode(struct receiver *receiver);
receive_mode receive_recv, receive_openssl, receive_ktls, receive_ktls_nopad, receive_zc, receive_zc_copy,
	receive_zc_inplace, receive_psp_recv, receive_psp_zc;

/*
 * Tells who watches memory what this is, by a load from each page between two marks. One piece of assembler, so that
 * nothing else is touched between them, and a macro, since marks are constants.
 */
#if defined(__x86_64__)
#define announce(mark, memory, size)                                                                                   \
	do {                                                                                                           \
		const char *announced_ = (const char *)(memory), *end_ = announced_ + (size);                          \
		asm volatile("nopl %c2(%%rax)\n"                                                                       \
			     "1:\ttestb $0, (%0)\n\t"                                                                  \
			     "add $4096, %0\n\t"                                                                       \
			     "cmp %1, %0\n\t"                                                                          \
			     "jb 1b\n\t"                                                                               \
			     "nopl %c3(%%rax)"                                                                         \
			     : "+r"(announced_)                                                                        \
			     : "r"(end_), "i"(SZC_MARK_MAGIC | (mark)), "i"(SZC_MARK_MAGIC | SZC_MARK_TOUCHED)         \
			     : "memory", "cc");                                                                        \
	} while (0)
#else
#define announce(mark, memory, size) ((void)(memory), (void)(size))
#endif
/* All of libcrypto's code. */
void announce_cipher(void);

/* All that was asked for was delivered. */
bool part_over(const struct receiver *receiver);
/* 0, or -1 after a message. Afterwards it is `complete`, or the mode calls part_begins() and asks for one more. It was the
 * last one if `warm` bytes came before it, and if as many buffers are in use as will be or a limit is reached. */
int part_ends(struct receiver *receiver);
int part_begins(struct receiver *receiver);

/* ---- inside.c: OpenSSL's large buffers lie in memory that can be announced. Before any other call of OpenSSL's. */
int inside_set_up(void);
void inside_memory(const void **memory, size_t *size);

/* ---- secret.c: how a TLS 1.3 client's first records are protected */
struct ssl_ctx_st;
/* A server's configuration; -1 after a message. The secret of its one connection is kept. */
struct ssl_ctx_st *secret_context(const struct arguments *arguments);
/* AES-128-GCM's, as the record layer wants them. */
int secret_keys(unsigned char key[16], unsigned char iv[12]);

#endif
