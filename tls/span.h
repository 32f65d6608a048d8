/* SPDX-License-Identifier: MIT */
/* A run of bytes scattered over iovecs: `len` bytes that begin `skip` bytes into them. The caller guarantees that the
 * iovecs hold skip + len bytes; nothing outside those is read or written. */
#ifndef SZC_TLS_SPAN_H
#define SZC_TLS_SPAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct szc_span {
	const struct iovec *iov;
	int iovcnt;
	size_t skip;
	size_t len;
};

/* The part of `span` that begins `off` bytes in and has `len` bytes; off + len <= span->len. Leading iovecs that the
 * part does not touch are left out. */
struct szc_span szc_span_part(const struct szc_span *span, size_t off, size_t len);

/* The first contiguous piece of a non-empty span, and the span moved behind it. */
struct iovec szc_span_next(struct szc_span *span);

void szc_span_copy_out(const struct szc_span *span, void *to);
void szc_span_copy_in(const struct szc_span *span, const void *from);

/* Overwrites with zeros in a way that the compiler keeps. */
void szc_span_wipe(const struct szc_span *span);

/* How many bytes of the span are left when trailing zero bytes are cut off; 0 if all are zero. */
size_t szc_span_trim(const struct szc_span *span);

#endif
