/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int szc_input_open(struct szc_input *input, int cap)
{
	if (input->cap >= cap)
		return 0;
	input->iov = calloc((size_t)cap, sizeof(*input->iov));
	input->frags = calloc((size_t)cap, sizeof(struct szc_frag *));
	if (!input->iov || !input->frags) {
		szc_input_close(input);
		return -ENOMEM;
	}
	input->cap = cap;
	return 0;
}

void szc_input_close(struct szc_input *input)
{
	free(input->iov);
	free(input->frags);
	memset(input, 0, sizeof(*input));
}

static int make_room(struct szc_input *input)
{
	int cap = input->cap * 2;
	struct iovec *iov;
	struct szc_frag **frags;

	if (input->head) {
		memmove(input->iov, input->iov + input->head, (size_t)input->count * sizeof(*input->iov));
		memmove(input->frags, input->frags + input->head, (size_t)input->count * sizeof(struct szc_frag *));
		input->head = 0;
		return 0;
	}
	iov = realloc(input->iov, (size_t)cap * sizeof(*iov));
	if (!iov)
		return -ENOMEM;
	input->iov = iov;
	frags = realloc(input->frags, (size_t)cap * sizeof(struct szc_frag *));
	if (!frags)
		return -ENOMEM;
	input->frags = frags;
	input->cap = cap;
	return 0;
}

int szc_input_push(struct szc_input *input, struct szc_frag *frag)
{
	int at = input->head + input->count;

	if (at == input->cap) {
		int error = make_room(input);

		if (error)
			return error;
		at = input->head + input->count;
	}
	frag->refs = 1;
	input->iov[at] = (struct iovec){frag->base, frag->len};
	input->frags[at] = frag;
	input->count++;
	input->bytes += frag->len;
	return 0;
}

static void advance(struct szc_input *input, size_t len)
{
	struct iovec *iov = &input->iov[input->head];

	iov->iov_base = (uint8_t *)iov->iov_base + len;
	iov->iov_len -= len;
	input->bytes -= len;
	if (iov->iov_len)
		return;
	input->head = --input->count ? input->head + 1 : 0;
}

void szc_input_drop(struct szc_input *input, size_t len, struct szc_frag_list *unused)
{
	assert(len <= input->bytes);
	while (len) {
		struct szc_frag *frag = input->frags[input->head];
		size_t here = input->iov[input->head].iov_len;
		size_t part = len < here ? len : here;

		advance(input, part);
		if (part == here)
			szc_frag_unref(frag, unused);
		len -= part;
	}
}

int szc_input_deliver(struct szc_input *input, size_t len, struct szc_view *view, struct szc_frag_list *unused)
{
	assert(len <= input->bytes);
	while (len) {
		struct szc_frag *frag = input->frags[input->head];
		struct iovec here = input->iov[input->head];
		size_t part = len < here.iov_len ? len : here.iov_len;
		int merged = szc_view_add(view, frag, here.iov_base, part);

		if (merged < 0)
			return merged;
		if (!merged)
			frag->refs++;
		advance(input, part);
		if (part == here.iov_len)
			szc_frag_unref(frag, unused);
		len -= part;
	}
	return 0;
}

/* How many bytes may be written right behind an entry: only where it ends its fragment, and as far as that is ours. */
static size_t room_behind(const struct iovec *iov, const struct szc_frag *frag)
{
	if ((uint8_t *)iov->iov_base + iov->iov_len != frag->base + frag->len)
		return 0;
	return frag->cap > frag->len ? frag->cap - frag->len : 0;
}

/* To its buffer's beginning, unless a view holds bytes of that buffer. Returns how many bytes were copied. */
static size_t move_down(struct iovec *iov, struct szc_frag *frag)
{
	if (frag->refs > 1 || iov->iov_base == frag->base)
		return 0;
	memmove(frag->base, iov->iov_base, iov->iov_len);
	iov->iov_base = frag->base;
	frag->len = (uint32_t)iov->iov_len;
	return iov->iov_len;
}

size_t szc_input_compact(struct szc_input *input, struct szc_frag_list *unused)
{
	struct iovec *iov = input->iov + input->head;
	struct szc_frag **frags = input->frags + input->head;
	size_t copied = input->count ? move_down(&iov[0], frags[0]) : 0;
	int to = 0, from;

	for (from = 1; from < input->count; from++) {
		size_t room = room_behind(&iov[to], frags[to]);
		size_t part = room < iov[from].iov_len ? room : iov[from].iov_len;

		if (part) {
			memcpy((uint8_t *)iov[to].iov_base + iov[to].iov_len, iov[from].iov_base, part);
			iov[to].iov_len += part;
			frags[to]->len += (uint32_t)part;
			iov[from].iov_base = (uint8_t *)iov[from].iov_base + part;
			iov[from].iov_len -= part;
			copied += part;
		}
		if (!iov[from].iov_len) {
			szc_frag_unref(frags[from], unused);
			continue;
		}
		to++;
		iov[to] = iov[from];
		frags[to] = frags[from];
		copied += move_down(&iov[to], frags[to]);
	}
	if (input->count)
		input->count = to + 1;
	return copied;
}

size_t szc_input_gather(struct szc_input *input, struct szc_frag *into, struct szc_frag_list *unused)
{
	int i;

	assert(input->bytes <= into->cap);
	for (i = input->head; i < input->head + input->count; i++) {
		memcpy(into->base + into->len, input->iov[i].iov_base, input->iov[i].iov_len);
		into->len += (uint32_t)input->iov[i].iov_len;
		szc_frag_unref(input->frags[i], unused);
	}
	into->refs = 1;
	input->head = 0;
	input->count = 1;
	input->iov[0] = (struct iovec){into->base, into->len};
	input->frags[0] = into;
	return into->len;
}
