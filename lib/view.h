/* SPDX-License-Identifier: MIT */
/* Views: payload as iovecs, with one reference on each fragment they point into. Built on the engine's thread, read
 * anywhere, returned through the refill's lock-free stack; the engine's thread gives up the fragments' references. */
#ifndef SZC_LIB_VIEW_H
#define SZC_LIB_VIEW_H

#include <stdatomic.h>
#include <szc/rx.h>

struct szc_frag;
struct szc_refill;

enum {
	SZC_VIEW_INLINE = 48,       /* entries without an allocation: a 16 KiB record at an MTU of 576 has 31 */
	SZC_VIEW_BYTES = 32 * 1024, /* a full view: its bytes are still in the first-level cache for the reader */
};

struct szc_view {
	_Atomic uint32_t refs;
	int count;
	int cap;
	size_t size;
	struct iovec *iov;
	struct szc_frag **frags;
	struct szc_conn *conn;
	struct szc_refill *refill;
	struct szc_view *next; /* in the returned stack, then in the engine's free list */
	struct iovec inline_iov[SZC_VIEW_INLINE];
	struct szc_frag *inline_frags[SZC_VIEW_INLINE];
};

/* An empty view with one reference, from *free_list or the heap; NULL without memory. */
struct szc_view *szc_view_make(struct szc_view **free_list, struct szc_conn *conn, struct szc_refill *refill);

/* Adds bytes of a fragment, taking over one reference on it. Returns 1 if the entry was merged with the one before,
 * which holds a reference already (the caller keeps his), 0 if it was taken over, -ENOMEM. */
int szc_view_add(struct szc_view *view, struct szc_frag *frag, void *base, size_t len);

/* To the free list; its fragments were dealt with. */
void szc_view_recycle(struct szc_view *view, struct szc_view **free_list);
void szc_view_free_all(struct szc_view *free_list);

#endif
