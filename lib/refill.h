/* SPDX-License-Identifier: MIT */
/*
 * Fragments and their way back. Every completion becomes one fragment with its own count of references; when the count
 * falls to zero the buffer behind it may be filled again, never earlier.
 *
 * Threads: fragments belong to the engine's thread alone. Other threads only push whole views onto `returned`, a
 * lock-free stack that the engine takes over with one exchange; that pair (release, acquire) orders the reader's last
 * access before the buffer's reuse.
 */
#ifndef SZC_LIB_REFILL_H
#define SZC_LIB_REFILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <szc/rx.h>

struct szc_frag {
	uint8_t *base;
	uint32_t len;          /* bytes that the completion reported, and those packed behind them */
	uint32_t cap;          /* bytes from base that are ours alone to write: the whole buffer, or no more than len */
	uint32_t refs;         /* input entries and view entries that point here */
	uint32_t buffer;       /* its number where it has one of its own */
	uint64_t off;          /* zero-copy receive: what the kernel calls the place; see ifq.h */
	struct szc_conn *conn; /* whose quota it counts against */
	struct szc_frag *next_free;
};

/* Fragments that were made at once. */
struct szc_frag_block;

struct szc_refill {
	struct szc_frag_block *blocks;
	struct szc_frag *frags; /* the first of them; by number where fragment i is buffer i */
	unsigned count;
	unsigned free_count;
	unsigned reserved;     /* of the others: those whose buffer only waits to be given to the kernel */
	struct szc_frag *free; /* last returned, first reused: it is the one most likely still in the cache */
	_Atomic(struct szc_view *) returned;
	atomic_uint releasing;   /* threads inside szc_refill_return(): memory and descriptor must outlive them */
	atomic_bool wake_wanted; /* the engine sleeps, and a returned view could let it go on */
	int wake_fd;
};

/* `count` fragments; where `buffer_size` is not 0, fragment i is for good the buffer at base + i * buffer_size. 0,
 * -ENOMEM or the errno of eventfd. */
int szc_refill_open(struct szc_refill *refill, unsigned count, uint8_t *base, size_t buffer_size);
/* Waits for releases that are under way: their views may count as back before their threads are through. */
void szc_refill_close(struct szc_refill *refill);

/* Some more fragments that are nobody's buffer: several of them can lie in one where a NIC packs. 0 or -ENOMEM. */
int szc_refill_grow(struct szc_refill *refill);

/* A free fragment, charged to `conn`, with no reference yet; NULL if there is none. */
struct szc_frag *szc_refill_take(struct szc_refill *refill, struct szc_conn *conn);
/* Back to the free ones. */
void szc_refill_put(struct szc_refill *refill, struct szc_frag *frag);

/* Any thread: a view without references. Wakes the engine if it waits for that. */
void szc_refill_return(struct szc_refill *refill, struct szc_view *view);
/* All that were returned, linked by their `next`. */
struct szc_view *szc_refill_returned(struct szc_refill *refill);

/*
 * Around a sleep of the engine. szc_refill_sleep() returns false if something was returned meanwhile: do not sleep.
 * szc_refill_awake() ends the state; what arrives later costs no system call.
 */
bool szc_refill_sleep(struct szc_refill *refill);
void szc_refill_awake(struct szc_refill *refill);

#endif
