/* SPDX-License-Identifier: MIT */
/* The engine's own structures, shared by the files of this room only. */
#ifndef SZC_LIB_ENGINE_H
#define SZC_LIB_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <szc/layer.h>
#include "area.h"
#include "backend.h"
#include "budget.h"
#include "input.h"
#include "refill.h"
#include "sendq.h"
#include "view.h"

enum szc_conn_state {
	SZC_CONN_FREE,
	SZC_CONN_OPEN,
	SZC_CONN_CLOSING, /* the application let go; the backend still holds operations, or views are out */
};

struct szc_conn {
	struct szc_rx *rx;
	unsigned slot;
	enum szc_conn_state state;
	int fd;
	int error;      /* why it is dead; 0 while it lives */
	int recv_error; /* what the socket said at its end, acted on after the input was consumed */
	int send_error;
	int broken; /* what a send learned of the connection's end: a receive, told nothing, would call it proper */

	/* Events that are due, in the order in which they are given. */
	bool accepted_due;
	bool start_due;
	bool ready_due;
	bool writable_due;
	bool sent_due;

	bool ready; /* payload may flow */
	bool fin;   /* TCP ended */
	bool ended; /* the layer saw the proper end */
	bool eof_told;
	bool error_told;
	bool shut; /* the application ended our direction */
	bool fin_sent;
	bool send_refused; /* a send took less than all */
	bool write_armed;  /* the backend will say when the socket takes more */
	bool stopped;      /* the backend receives no more */
	bool parked;       /* at its quota: the backend has no buffer to fill */
	bool view_starved; /* as many views out as its quota: nothing is delivered */
	bool elsewhere;    /* its packets come through another queue than the engine's */
	bool gone;         /* the backend let go */

	bool listed; /* on rx->ready */
	struct szc_conn *next_ready;
	struct szc_conn *next_free;

	unsigned quota;
	unsigned held;   /* buffers in input and views */
	unsigned posted; /* buffers the backend may fill */
	unsigned views_out;

	struct szc_input input;
	struct szc_view *building;
	struct szc_sendq sendq;
	size_t farewell; /* bytes of the send queue that carry no payload, once shut */

	const struct szc_layer_ops *layer;
	void *layer_state;
	struct szc_listener *listener;
	void *user;

	uint64_t deadline_ms; /* handshake's; 0: none */
	uint64_t active_ms;   /* payload moved last */
	struct szc_trips trips;
	void *backend_state;
	char error_text[320];
};

struct szc_listener {
	struct szc_rx *rx;
	int fd;
	unsigned port;
	int backlog; /* as asked for */
	bool held;   /* waits for a free connection slot */
	struct szc_watch incoming;
	struct szc_listener *next;
};

struct szc_rx {
	struct szc_rx_options given;   /* as the caller gave them */
	struct szc_rx_options options; /* with every default filled in, for the backend that runs */
	char ifname[64];               /* options.ifname: the caller's string need not last */
	const struct szc_backend_ops *ops;
	void *backend_state;
	struct szc_area area;
	uint8_t *buffers; /* where in the area they begin */
	struct szc_refill refill;
	struct szc_budget budget; /* how a NIC queue's area is shared out */
	int receive_buffer;       /* what each socket's SO_RCVBUF is bounded by; 0: as the kernel thinks */
	unsigned unaccepted; /* connections that all listeners' backlogs together may hold; 0: as many as asked for */
	struct szc_view *free_views;

	struct szc_conn **conns; /* by slot; made when first used, kept until close */
	unsigned slots_made;
	unsigned slots_used;
	unsigned starved; /* connections and listeners that a returned view could let go on */
	struct szc_conn *free_conns;
	struct szc_conn *settled; /* free again, but not before the events that may name them were looked at */
	struct szc_conn *ready_head;
	struct szc_conn *ready_tail;
	struct szc_listener *listeners;
	unsigned listeners_alive; /* those included that were closed and that the backend still refers to */

	struct szc_watch wake;
	struct szc_watch timer;
	uint64_t timer_ms; /* when it goes off; 0: not set */
	bool timer_due;    /* it went off: time limits are looked at when what came meanwhile was looked at */
	uint64_t now_ms;

	struct szc_trips closed_trips;
	struct szc_rx_stats stats;
	char error_text[320];
	char describe[2048];
};

/* rx.c */
int szc_rx_fail(struct szc_rx *rx, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
void szc_rx_recycle(struct szc_rx *rx, struct szc_frag_list *unused);
void szc_rx_drain(struct szc_rx *rx);
void szc_rx_expire(struct szc_rx *rx);
int szc_rx_step(struct szc_rx *rx, int timeout_ms);
void szc_rx_timer_set(struct szc_rx *rx, uint64_t at_ms);
uint64_t szc_clock_ms(void);

/* Bounds what a socket can keep of the area, where somebody counts on that. Before listen() or connect(), so that the
 * window that is told to the peer follows it. */
void szc_rx_bound_socket(const struct szc_rx *rx, int fd);

/* conn.c */
int szc_conn_open(struct szc_rx *rx, int fd, struct szc_conn **out);
void szc_conn_list(struct szc_conn *conn);
void szc_conn_kill(struct szc_conn *conn, int error);
void szc_conn_flush(struct szc_conn *conn);
void szc_conn_broken(struct szc_conn *conn, int error);
/* Payload moved: the idle time begins anew. */
void szc_conn_moved(struct szc_conn *conn);
void szc_conn_expire(struct szc_conn *conn, uint64_t now_ms, uint64_t *next_ms);
/* All that the application and the backend had of a closing connection is back: the slot is free again. */
void szc_conn_settle(struct szc_conn *conn);
/* Slots that settled since the last call for events may be used again. */
void szc_conn_reuse(struct szc_rx *rx);

/* deliver.c. An incomplete record in many small pieces can hold the whole quota: only packing it frees buffers. */
void szc_conn_compact(struct szc_conn *conn);
/* 1 with *event filled, 0 if nothing is due. */
int szc_conn_next_event(struct szc_conn *conn, struct szc_event *event);

/* What backends report. szc_conn_received(): a fragment with base and len set, charged to the connection by `held`. */
void szc_conn_received(struct szc_conn *conn, struct szc_frag *frag);
void szc_conn_fin(struct szc_conn *conn, int recv_error);
void szc_conn_writable(struct szc_conn *conn);
void szc_conn_gone(struct szc_conn *conn);
/* The backend has no buffer left to fill, or has one again. */
void szc_conn_park(struct szc_conn *conn, bool parked);

/* listener.c */
void szc_listener_resume(struct szc_rx *rx);
void szc_listener_free_all(struct szc_rx *rx);

/* A handle that was closed is a caller's mistake: debug builds end there, others refuse the call. */
bool szc_conn_usable(const struct szc_conn *conn, const char *function);

#endif
