/* SPDX-License-Identifier: MIT */
/* The state of the zero-copy backends, between their opening and what they do with completions. */
#ifndef SZC_LIB_ZCRX_H
#define SZC_LIB_ZCRX_H

#include <sys/queue.h>
#include "registration.h"
#include "starvation.h"
#include "uring.h"

struct zcrx_conn;

struct zcrx_state {
	struct szc_uring uring; /* first: see uring.h */
	struct szc_ifq ifq;
	struct szc_features features;
	struct szc_registration registration;
	struct szc_starvation starvation;
	unsigned napi_id; /* the queue's, when it was looked at; 0: unknown */
	uint64_t look_again_ms;
	/* Connections that may receive. Armed before the next sleep, so that all that is released by then counts. */
	TAILQ_HEAD(, zcrx_conn) to_arm;
};

/* What both backends have in common: parts of struct szc_backend_ops. */
int szc_zcrx_attach(struct szc_conn *conn);
void szc_zcrx_receive(struct szc_conn *conn);
void szc_zcrx_recycle(struct szc_rx *rx, struct szc_frag *frag);
int szc_zcrx_wait(struct szc_rx *rx, int timeout_ms);
void szc_zcrx_submit(struct szc_rx *rx);
void szc_zcrx_close(struct szc_rx *rx);

/* A state with its io_uring open, in rx->backend_state; the registration is the caller's. 0 or an error with the engine's
 * sentence set. */
int szc_zcrx_make(struct szc_rx *rx, size_t completions);

#endif
