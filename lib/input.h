/* SPDX-License-Identifier: MIT */
/* A connection's undelivered bytes: fragments in order, cut from the front by the layer. Each entry holds one
 * reference. */
#ifndef SZC_LIB_INPUT_H
#define SZC_LIB_INPUT_H

#include <sys/uio.h>
#include "refill.h"
#include "view.h"

struct szc_input {
	struct iovec *iov;
	struct szc_frag **frags;
	int head;
	int count;
	int cap; /* grows where several entries can lie in one buffer */
	size_t bytes;
};

int szc_input_open(struct szc_input *input, int cap);
void szc_input_close(struct szc_input *input);

/* The fragment's first reference becomes the entry's. 0, or -ENOMEM if there is no room for one more entry: not up to
 * the `cap` that it was opened with. */
int szc_input_push(struct szc_input *input, struct szc_frag *frag);

/* What became of the references that the calls below gave up: fragments without any, linked by next_free. */
struct szc_frag_list {
	struct szc_frag *first;
};

/* Gives up the next `len` bytes. */
void szc_input_drop(struct szc_input *input, size_t len, struct szc_frag_list *unused);

/* Moves the next `len` bytes into the view. 0 or -ENOMEM, and then some of them are there and the rest still here. */
int szc_input_deliver(struct szc_input *input, size_t len, struct szc_view *view, struct szc_frag_list *unused);

/*
 * Packs what is here into as few buffers as it fits: bytes move into the room behind the entry before them, where that
 * room is ours, and what is left of an entry to its buffer's beginning, so that the room behind it is as large as it
 * can be. For a connection at its quota with an incomplete record in many small pieces: nothing else could free a
 * buffer. Returns how many bytes were copied.
 */
size_t szc_input_compact(struct szc_input *input, struct szc_frag_list *unused);

/* The same where there is no room behind fragments: copies all that is here into the empty fragment `into`, which has
 * room for it, gets its first reference, and becomes the only entry. Returns how many bytes were copied. */
size_t szc_input_gather(struct szc_input *input, struct szc_frag *into, struct szc_frag_list *unused);

static inline void szc_frag_unref(struct szc_frag *frag, struct szc_frag_list *unused)
{
	if (--frag->refs)
		return;
	frag->next_free = unused->first;
	unused->first = frag;
}

#endif
