/* SPDX-License-Identifier: MIT */
/* Bytes on their way out: a list of chunks, sent from the front by whoever finds the socket writable. */
#ifndef SZC_LIB_SENDQ_H
#define SZC_LIB_SENDQ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum szc_chunk_kind {
	SZC_CHUNK_BYTES,
	SZC_CHUNK_TYPED, /* one sendmsg with a TLS record type (kTLS) */
	SZC_CHUNK_HOOK,  /* nothing to send: tell the layer that all before it is out */
};

struct szc_chunk {
	struct szc_chunk *next;
	enum szc_chunk_kind kind;
	uint8_t record_type;
	size_t off;
	size_t len;
	size_t cap;
	uint8_t data[];
};

struct szc_sendq {
	struct szc_chunk *head;
	struct szc_chunk *tail;
	struct szc_chunk *spare; /* one emptied chunk, so that a steady stream allocates nothing */
	size_t bytes;
};

/* Room for `len` contiguous bytes at the end; NULL without memory. */
uint8_t *szc_sendq_reserve(struct szc_sendq *sendq, size_t len);
void szc_sendq_commit(struct szc_sendq *sendq, size_t len);
int szc_sendq_typed(struct szc_sendq *sendq, uint8_t record_type, const void *data, size_t len);
int szc_sendq_hook(struct szc_sendq *sendq);

/* What szc_sendq_flush() stopped at. */
enum szc_sendq_result {
	SZC_SENDQ_EMPTY = 0,
	SZC_SENDQ_BLOCKED = 1, /* the socket takes no more now */
	SZC_SENDQ_AT_HOOK = 2, /* a hook is at the front; szc_sendq_pass() it and go on */
};

/* Sends what the socket takes; *sent grows by that. A result or a negative errno. */
int szc_sendq_flush(struct szc_sendq *sendq, int fd, uint64_t *sent);
void szc_sendq_pass(struct szc_sendq *sendq);
void szc_sendq_clear(struct szc_sendq *sendq);

/* Sends straight from the caller's memory if nothing is queued before it. Bytes taken, 0 if the socket takes none now,
 * or a negative errno. */
ssize_t szc_sendq_direct(struct szc_sendq *sendq, int fd, const struct iovec *iov, int iovcnt);

#endif
