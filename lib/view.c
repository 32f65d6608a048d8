/* SPDX-License-Identifier: MIT */
#include "view.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "refill.h"

struct szc_view *szc_view_make(struct szc_view **free_list, struct szc_conn *conn, struct szc_refill *refill)
{
	struct szc_view *view = *free_list;

	if (view) {
		*free_list = view->next;
	} else {
		view = malloc(sizeof(*view));
		if (!view)
			return NULL;
		view->iov = view->inline_iov;
		view->frags = view->inline_frags;
		view->cap = SZC_VIEW_INLINE;
	}
	view->count = 0;
	view->size = 0;
	view->conn = conn;
	view->refill = refill;
	view->next = NULL;
	atomic_store_explicit(&view->refs, 1, memory_order_relaxed);
	return view;
}

/* Only a record in more pieces than SZC_VIEW_INLINE comes here; the room stays with the view when it is used again. */
static int grow(struct szc_view *view)
{
	int cap = view->cap * 2;
	struct iovec *iov = malloc((size_t)cap * sizeof(*iov));
	struct szc_frag **frags = malloc((size_t)cap * sizeof(*frags));

	if (!iov || !frags) {
		free(iov);
		free(frags);
		return -ENOMEM;
	}
	memcpy(iov, view->iov, (size_t)view->count * sizeof(*iov));
	memcpy(frags, view->frags, (size_t)view->count * sizeof(struct szc_frag *));
	if (view->iov != view->inline_iov) {
		free(view->iov);
		free(view->frags);
	}
	view->iov = iov;
	view->frags = frags;
	view->cap = cap;
	return 0;
}

int szc_view_add(struct szc_view *view, struct szc_frag *frag, void *base, size_t len)
{
	struct iovec *last = view->count ? &view->iov[view->count - 1] : NULL;

	assert(view->iov && view->cap > 0);
	if (last && view->frags[view->count - 1] == frag && (uint8_t *)last->iov_base + last->iov_len == base) {
		last->iov_len += len;
		view->size += len;
		return 1;
	}
	if (view->count == view->cap && grow(view))
		return -ENOMEM;
	view->iov[view->count] = (struct iovec){base, len};
	view->frags[view->count++] = frag;
	view->size += len;
	return 0;
}

void szc_view_recycle(struct szc_view *view, struct szc_view **free_list)
{
	view->next = *free_list;
	*free_list = view;
}

void szc_view_free_all(struct szc_view *free_list)
{
	while (free_list) {
		struct szc_view *view = free_list;

		free_list = view->next;
		if (view->iov != view->inline_iov) {
			free(view->iov);
			free(view->frags);
		}
		free(view);
	}
}

const struct iovec *szc_view_iov(const struct szc_view *view, int *iovcnt)
{
	*iovcnt = view->count;
	return view->iov;
}

size_t szc_view_size(const struct szc_view *view)
{
	return view->size;
}

/* Going on would hand one buffer to two owners: somebody's plaintext to somebody else. */
static _Noreturn void misused(const char *what)
{
	fprintf(stderr, "szc: a view was %s after its last reference was released; that is a bug in the program\n",
		what);
	abort();
}

void szc_view_retain(struct szc_view *view)
{
	if (atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed) == 0)
		misused("retained");
}

void szc_view_release(struct szc_view *view)
{
	uint32_t before;

	if (!view)
		return;
	before = atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel);
	if (before == 0)
		misused("released");
	if (before == 1)
		szc_refill_return(view->refill, view);
}
