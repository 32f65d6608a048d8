/* SPDX-License-Identifier: MIT */
/*
 * The io_uring of an engine, as `copy` and the zero-copy backends share it: setting it up, waiting, watches, a
 * connection's way out, and cancelling. What a receive completion means is the backend's.
 *
 * The ring is DEFER_TASKRUN and SINGLE_ISSUER: completions are made only while the engine's thread waits, and only that
 * thread may submit.
 */
#ifndef SZC_LIB_URING_H
#define SZC_LIB_URING_H

#include <liburing.h>
#include <stdbool.h>
#include "engine.h"

/* Whose completion it is: the low bits of user_data, above which lies a pointer. */
enum szc_uring_tag {
	SZC_URING_RECV,  /* struct szc_conn */
	SZC_URING_WRITE, /* struct szc_conn */
	SZC_URING_WATCH, /* struct szc_watch */
	SZC_URING_NONE,  /* nobody's: a cancellation */
	SZC_URING_EVENT, /* struct szc_rx: an event of its zero-copy registration */
	SZC_URING_TAGS = 7,
};

/* The part of a connection's backend_state that belongs to this file; it comes first in the backend's own struct. */
struct szc_uring_conn {
	bool recv_armed;
	bool write_armed;
	bool detaching;
};

struct szc_uring {
	struct io_uring ring;
	int event_fd;  /* what others poll for us; -1 until somebody asks for it */
	bool detached; /* the ring has no descriptor any more, only the place that this thread registered for it */
	/* A receive completion of a connection, with its second half if the ring is CQE32; recv_armed is up to date
	 * already. */
	void (*received)(struct szc_conn *conn, const struct io_uring_cqe *cqe);
	/* Nothing of the connection is in flight any more. */
	void (*idle)(struct szc_conn *conn);
	/* The two below may be NULL. Before each completion: 0, or an error for which it is left in the ring. */
	int (*ready)(struct szc_rx *rx);
	void (*event)(struct szc_rx *rx, int type);
};

/* The ring, with at least `completions` entries and extra setup flags. 0, or SZC_E_BACKEND with a sentence. */
int szc_uring_open(struct szc_rx *rx, struct szc_uring *uring, unsigned completions, unsigned flags);
void szc_uring_close(struct szc_uring *uring);

/* io_uring_register(2): 0 or a positive result, or a negative errno. */
int szc_uring_register(struct szc_uring *uring, unsigned opcode, void *arg, unsigned count);

/*
 * Gives the ring's descriptor up, so that a child of a fork() does not inherit it: a ring lives as long as anybody has
 * it open, and on a NIC its queue stays bound as long. What remains is this thread's alone. Where that cannot be, the
 * descriptor stays. Nothing may be mapped from the ring afterwards.
 */
void szc_uring_forget_fd(struct szc_uring *uring);

/* A submission entry; the queue is flushed to the kernel first if it is full. Never NULL. */
struct io_uring_sqe *szc_uring_sqe(struct szc_uring *uring);
void szc_uring_tag(struct io_uring_sqe *sqe, void *owner, enum szc_uring_tag tag);
void szc_uring_cancel(struct szc_uring *uring, void *owner, enum szc_uring_tag tag);

/* Parts of struct szc_backend_ops, for backends whose backend_state begins with a struct szc_uring. */
int szc_uring_want_write(struct szc_conn *conn);
void szc_uring_stop(struct szc_conn *conn);
void szc_uring_detach(struct szc_conn *conn);
int szc_uring_watch(struct szc_rx *rx, struct szc_watch *watch);
void szc_uring_unwatch(struct szc_rx *rx, struct szc_watch *watch);
int szc_uring_wait(struct szc_rx *rx, int timeout_ms);
void szc_uring_submit(struct szc_rx *rx);
int szc_uring_fd(const struct szc_rx *rx);

#endif
