/* SPDX-License-Identifier: MIT */
#include "refill.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "view.h"

enum { GROWTH = 256 };

struct szc_frag_block {
	struct szc_frag_block *next;
	struct szc_frag frags[];
};

static struct szc_frag_block *make_block(struct szc_refill *refill, unsigned count)
{
	struct szc_frag_block *block = calloc(1, sizeof(*block) + count * sizeof(struct szc_frag));

	if (!block)
		return NULL;
	block->next = refill->blocks;
	refill->blocks = block;
	refill->count += count;
	return block;
}

int szc_refill_open(struct szc_refill *refill, unsigned count, uint8_t *base, size_t buffer_size)
{
	struct szc_frag_block *block;
	unsigned i;

	refill->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (refill->wake_fd < 0)
		return -errno;
	block = make_block(refill, count);
	if (!block) {
		close(refill->wake_fd);
		return -ENOMEM;
	}
	refill->frags = block->frags;
	for (i = count; i-- > 0;) {
		struct szc_frag *frag = &block->frags[i];

		frag->buffer = i;
		frag->cap = (uint32_t)buffer_size;
		if (buffer_size)
			frag->base = base + i * buffer_size;
		szc_refill_put(refill, frag);
	}
	return 0;
}

int szc_refill_grow(struct szc_refill *refill)
{
	struct szc_frag_block *block = make_block(refill, GROWTH);
	unsigned i;

	if (!block)
		return -ENOMEM;
	for (i = 0; i < GROWTH; i++)
		szc_refill_put(refill, &block->frags[i]);
	return 0;
}

void szc_refill_close(struct szc_refill *refill)
{
	if (!refill->blocks)
		return;
	while (atomic_load_explicit(&refill->releasing, memory_order_acquire))
		sched_yield();
	while (refill->blocks) {
		struct szc_frag_block *block = refill->blocks;

		refill->blocks = block->next;
		free(block);
	}
	refill->free = NULL;
	refill->free_count = 0;
	refill->count = 0;
	close(refill->wake_fd);
}

struct szc_frag *szc_refill_take(struct szc_refill *refill, struct szc_conn *conn)
{
	struct szc_frag *frag = refill->free;

	if (!frag)
		return NULL;
	refill->free = frag->next_free;
	refill->free_count--;
	frag->conn = conn;
	frag->len = 0;
	return frag;
}

void szc_refill_put(struct szc_refill *refill, struct szc_frag *frag)
{
	frag->next_free = refill->free;
	refill->free = frag;
	refill->free_count++;
}

void szc_refill_return(struct szc_refill *refill, struct szc_view *view)
{
	uint64_t one = 1;
	ssize_t done;

	atomic_fetch_add_explicit(&refill->releasing, 1, memory_order_relaxed);
	view->next = atomic_load_explicit(&refill->returned, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&refill->returned, &view->next, view))
		;
	if (atomic_load(&refill->wake_wanted) && atomic_exchange(&refill->wake_wanted, false)) {
		/* Only a counter at its ceiling refuses a write: then the engine is being woken already. */
		done = write(refill->wake_fd, &one, sizeof(one));
		(void)done;
	}
	atomic_fetch_sub_explicit(&refill->releasing, 1, memory_order_release);
}

struct szc_view *szc_refill_returned(struct szc_refill *refill)
{
	if (!atomic_load_explicit(&refill->returned, memory_order_relaxed))
		return NULL;
	return atomic_exchange(&refill->returned, NULL);
}

bool szc_refill_sleep(struct szc_refill *refill)
{
	/* Sequentially consistent on both sides: we see the view, or its releaser sees that we want to be woken. */
	atomic_store(&refill->wake_wanted, true);
	return !atomic_load(&refill->returned);
}

void szc_refill_awake(struct szc_refill *refill)
{
	if (atomic_load_explicit(&refill->wake_wanted, memory_order_relaxed))
		atomic_store(&refill->wake_wanted, false);
}
