/* SPDX-License-Identifier: MIT */
/*
 * What fills the area. One interface for all: `zcrx` (a NIC queue writes into it), `copy` (io_uring, the kernel copies),
 * `epoll` (recv(), the kernel copies), `nodev` (the zero-copy ABI without a NIC).
 *
 * A backend reports through szc_conn_received(), _fin(), _writable() and _gone() (engine.h), from within wait() or
 * detach().
 */
#ifndef SZC_LIB_BACKEND_H
#define SZC_LIB_BACKEND_H

#include <stdbool.h>
#include <szc/rx.h>

struct szc_frag;
struct szc_frag_list;

/* Interest in a descriptor that is not a connection's (listener, timer, wake-up): readable, one shot. */
struct szc_watch {
	int fd;
	bool armed;
	bool doomed; /* its owner is gone: fired() comes a last time, to say that nothing refers to it any more */
	void (*fired)(struct szc_watch *watch);
	void *owner;
};

struct szc_backend_ops {
	const char *name;
	bool kernel_copies;
	bool exclusive_buffers; /* fragment i is buffer i of the area, filled by one completion only */

	/* Fills in what rx->options leaves open, for this backend. 0, or SZC_E_OPTION (SZC_E_BACKEND) with the engine's
	 * sentence set. */
	int (*derive)(struct szc_rx *rx);
	/* What it costs of the area's front, in bytes, before the buffers begin. NULL: nothing. */
	size_t (*overhead)(unsigned max_connections, unsigned quota);
	/* Sets rx->area; NULL: it is mapped anonymously. A negative errno if that fails. */
	int (*map)(struct szc_rx *rx);
	/* rx->backend_state is its own. 0 or an error with the engine's sentence set. */
	int (*open)(struct szc_rx *rx);
	/* Every connection was detached before. Ignores a NULL backend_state. */
	void (*close)(struct szc_rx *rx);
	/* What stands against closing the engine: 0 or an error with the engine's sentence set. May be NULL. */
	int (*may_close)(struct szc_rx *rx);
	/* Lines for szc_rx_describe(), behind those that every backend has. May be NULL. */
	void (*describe)(struct szc_rx *rx, char *text, size_t size);
	/* Bytes that the kernel says it copied for all connections, of those that receive() counted as not copied. May be
	 * NULL: it says nothing. */
	uint64_t (*copied)(const struct szc_rx *rx);

	int (*attach)(struct szc_conn *conn);
	/* Receives on, as far as the quota allows; called again whenever buffers came back. Parks by itself. */
	void (*receive)(struct szc_conn *conn);
	/* No more fragments from now on. */
	void (*stop)(struct szc_conn *conn);
	/* One shot: szc_conn_writable() when the socket takes bytes again. */
	int (*want_write)(struct szc_conn *conn);
	/* Takes its hands off the connection's descriptor, then calls szc_conn_gone(), perhaps later. */
	void (*detach)(struct szc_conn *conn);
	/* A fragment without references may be filled again. */
	void (*recycle)(struct szc_rx *rx, struct szc_frag *frag);
	/* Packs a connection's input, which has at least two entries, as szc_input_compact(); NULL: that one. */
	size_t (*pack)(struct szc_conn *conn, struct szc_frag_list *unused);

	int (*watch)(struct szc_rx *rx, struct szc_watch *watch);
	/* The owner goes away: fired() comes with `doomed` set, at once or later. */
	void (*unwatch)(struct szc_rx *rx, struct szc_watch *watch);

	/* Handles what is due, waiting for it if timeout_ms is not 0. 0 or a negative errno (-EINTR among them). */
	int (*wait)(struct szc_rx *rx, int timeout_ms);
	/* All that was begun since the last wait() goes to the kernel: the caller may sleep on fd() next. */
	void (*submit)(struct szc_rx *rx);
	/* Readable when wait() has something to do. Or a negative errno. */
	int (*fd)(const struct szc_rx *rx);
};

extern const struct szc_backend_ops szc_backend_copy;
extern const struct szc_backend_ops szc_backend_epoll;
extern const struct szc_backend_ops szc_backend_nodev;
extern const struct szc_backend_ops szc_backend_zcrx;

#endif
