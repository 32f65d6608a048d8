/* SPDX-License-Identifier: MIT */
/*
 * The engine: one area of receive memory, one completion source, and the connections placed on it.
 *
 * A byte's way: the backend fills a buffer of the area, its completion becomes a fragment, the connection's layer (TLS,
 * or none) turns fragments into payload, and the payload is handed out as a view: iovecs that point into the area. A
 * buffer is used again when the last view that touches it is released.
 *
 * Conventions, errors, ownership and threads: see szc.h.
 */
#ifndef SZC_RX_H
#define SZC_RX_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <szc/szc.h>
#include <szc/trips.h>

#ifdef __cplusplus
extern "C" {
#endif

struct szc_rx;
struct szc_conn;
struct szc_listener;
struct szc_view;

/* ------------------------------------------------------------------------------------------------ engine */

enum szc_backend {
	SZC_BACKEND_AUTO,  /* the best that runs here; szc_rx_describe() says which, and why not a better one */
	SZC_BACKEND_COPY,  /* io_uring multishot receive into the area (Linux 6.1 or later): the kernel copies once */
	SZC_BACKEND_EPOLL, /* recv() into the area, where io_uring is forbidden: the kernel copies once */
	SZC_BACKEND_NODEV, /* the zero-copy ABI without a NIC (Linux 7.1, CAP_NET_ADMIN); for tests, never AUTO's */
	SZC_BACKEND_ZCRX,  /* a NIC's queue writes into the area (Linux 6.15, CAP_NET_ADMIN); AUTO's first choice where
			    * options name a queue */
};

enum szc_pages {
	SZC_PAGES_AUTO,  /* huge pages if reserved, else transparent ones, else plain */
	SZC_PAGES_HUGE,  /* reserved huge pages or an error */
	SZC_PAGES_PLAIN, /* plain pages */
};

enum szc_recycle {
	SZC_RECYCLE_NEWEST, /* last returned, first reused: few buffers go round, and stay in the cache. As OLDEST where
			     * engines share a queue, where the kernel cannot tell of a shortage, and once it did */
	SZC_RECYCLE_OLDEST, /* all that was ever used goes round */
};

struct szc_rx_options {
	size_t size;              /* sizeof(struct szc_rx_options) */
	enum szc_backend backend; /* default AUTO */
	enum szc_pages pages;     /* default AUTO */

	/*
	 * The three that share out the area; every default is derived from those that are given:
	 *   max_connections * quota_buffers * buffer_size <= area_size, always.
	 * A connection's quota covers all it occupies: buffers posted for receive, undelivered, and out in views, of
	 * which there can be as many as buffers. At it the connection's receive is parked, and wakes when views are
	 * released. An application that holds views until a whole message is there needs a quota above its longest
	 * message.
	 */
	unsigned max_connections; /* default 64; slots, counted until the last buffer of a closed connection is back */
	size_t area_size;         /* default: 8 buffers a connection */
	size_t buffer_size;       /* a power of two, 4 KiB to 1 MiB; default 64 KiB, 16 KiB above 64 connections;
				   * nodev: always 4 KiB, and 128 of them a connection by default; zcrx: 4 KiB by default,
				   * and where the NIC refuses more */
	unsigned quota_buffers;   /* default: the area's buffers / max_connections; see szc_rx_min_quota() */

	size_t send_limit;     /* bound of a connection's send queue, bytes; default 1 MiB */
	int handshake_timeout; /* from adoption to SZC_EV_READY; default 10,000 ms; negative: none */
	int idle_timeout;      /* without payload either way while the application holds nothing up; default none */

	/* Where a failed szc_rx_open() writes its sentence: there is no engine yet that could be asked. May be NULL. */
	char *error;
	size_t error_size;

	/*
	 * A NIC's queue, for SZC_BACKEND_ZCRX and AUTO. It must be prepared (szc/nic.h): headers split from payload, the
	 * threshold 0, and better kept out of RSS. szc_rx_open() binds it to the area; steer traffic to it then, and
	 * listen or connect last. It is free again a moment after szc_rx_close().
	 *
	 * On a NIC queue a packet takes a whole buffer, however short it is, unless NIC or driver merge packets. And
	 * what TCP keeps unread occupies the area too. So there the rule for the three above is
	 *   2 * ring + 128 + max_connections * quota_buffers + (max_connections + unaccepted) * queued
	 *   <= area_size (area_max if larger) / buffer_size
	 * where `ring` is the queue's ring, `queued` bounds a socket's receive buffer, and `unaccepted` is how many
	 * connections may wait in the backlogs of all listeners together: max_connections, but 4 at least and 16 at most.
	 * Defaults: buffers of 4 KiB; quota and `queued` alike, of a given area what there is, else 64 buffers each.
	 */
	const char *ifname; /* NULL: none */
	unsigned queue;     /* 0 is a queue, too */
	size_t area_max; /* the area grows up to this when it runs dry; default: it does not. Where the kernel cannot let it
			  * grow this is as if not given; where memory is wanting sockets get less, and it is tried again */

	/*
	 * Engines of several threads on one queue. The first one is opened with `shareable`, which costs a
	 * descriptor that a child of a fork() inherits; and as long as that child has it, the queue stays bound. The
	 * others name the first by `share`, from their own threads; queue and area stay its. It must be open while they
	 * are, and be turned: only it learns that the area ran dry. Its area must be given large enough for all. What is
	 * steered to the queue nothing else can read: where the first runs on one SZC_BACKEND_AUTO is no other backend
	 * for those that share it.
	 */
	bool shareable;
	struct szc_rx *share;

	/*
	 * The area is this dma-buf, all of it (it stays the caller's). Views can be read, not written; TLS needs to
	 * write, and cannot be attached. Where the exporter is not coherent with the processor's caches, who reads brackets
	 * that by DMA_BUF_IOCTL_SYNC. The kernel cannot copy into it: a packet whose payload was not split off, or came
	 * through another queue, ends its connection. Where SZC_BACKEND_AUTO falls back, the area is ordinary memory.
	 */
	int dmabuf_fd; /* 0: none */

	/* On a NIC's queue: the order in which returned buffers are filled again. */
	enum szc_recycle recycle; /* default NEWEST */

	/*
	 * On a NIC's queue: most that a socket's SO_RCVBUF may be, bytes, of which packets take what their buffers have.
	 * What a peer sends faster than it is read waits in there, and the longer the queue, the more buffers go round
	 * and the less of them is still in the cache when it is read. Where the way is short a few hundred KiB suffice
	 * for any speed; a long way needs speed times round trip. Default: what the area has room for. Never less than
	 * three quarters of 16 buffers.
	 */
	size_t receive_buffer_max;
};

/* The smallest quota that never stalls on one TLS record of the largest size: buffers. Any thread. */
SZC_API unsigned szc_rx_min_quota(size_t buffer_size);

/*
 * Opens an engine. The calling thread owns it. CAP_NET_ADMIN is needed for SZC_BACKEND_ZCRX and SZC_BACKEND_NODEV; it
 * may be dropped afterwards. No other privilege is.
 * Errors: SZC_E_OPTION, SZC_E_BACKEND (asked for and not to be had), -ENOMEM, -EMFILE. options->error has the
 * sentence.
 */
SZC_API int szc_rx_open(struct szc_rx **rx, const struct szc_rx_options *options);

/*
 * Closes the engine with every connection and listener on it. With views out it does nothing and returns
 * SZC_E_VIEWS_OUT, with engines that share its queue SZC_E_STATE; szc_rx_last_error() says how many. 0 otherwise; but
 * -ENOMEM or another errno where the kernel cannot end what is under way: connections and listeners are closed then, the
 * engine is not, and may be closed again.
 */
SZC_API int szc_rx_close(struct szc_rx *rx);

/* Which backend runs, why not a better one, and how the area is laid out: lines of text, kept by the engine. */
SZC_API const char *szc_rx_describe(const struct szc_rx *rx);

/* The backend's name as in the options ("zcrx", "copy", "epoll", "nodev"). Static memory. */
SZC_API const char *szc_rx_backend(const struct szc_rx *rx);

/* The last failure of a call on this engine, as a sentence; "" if there was none. */
SZC_API const char *szc_rx_last_error(const struct szc_rx *rx);

/* The engine's ledger: all its connections, the closed ones included. */
SZC_API void szc_rx_trips(const struct szc_rx *rx, struct szc_trips *trips);

/* The area's whole mapping, rings in front of the buffers included: for tests, and to register it elsewhere. Of an area
 * that grew (area_max) it is the first part; and on a NIC's queue views can lie outside where pieces were packed. */
SZC_API void szc_rx_area(const struct szc_rx *rx, void **base, size_t *size);

/* How often what ran out, for monitoring; counters only grow. */
struct szc_rx_stats {
	uint64_t parked;       /* receives stopped because a connection was at its quota, or the area empty */
	uint64_t resumed;      /* ... and started again */
	uint64_t compactions;  /* times that fragments of an incomplete record were packed to free buffers */
	uint64_t accepts_held; /* times that accepting waited for a connection slot */
	uint64_t area_empty;   /* receives that ended because the area had no free buffer; they go on by themselves */
	uint64_t cq_full;      /* receives that ended because the completion ring was full; they go on by themselves */
	uint64_t refill_full;  /* times that a returned buffer had to wait for room in the refill ring */
	uint64_t queue_empty;  /* times that the NIC's queue was told to have found no free buffer; see area_max */
	uint64_t areas_added;  /* times that the area grew */
	uint64_t elsewhere;    /* connections whose packets came through another queue than the engine's: copied */
	unsigned connections;  /* slots in use now, closed connections with views out included */
	unsigned views_out;    /* views with the application now */
	unsigned buffers_out;  /* buffers that are not free now: posted, undelivered or in views */
};
SZC_API void szc_rx_stats(const struct szc_rx *rx, struct szc_rx_stats *stats);

/* ------------------------------------------------------------------------------------------------ events */

enum szc_event_type {
	SZC_EV_ACCEPTED =
		1,       /* conn is new; attach a layer (szc_tls_attach) now or it stays plain. Then: close or keep */
	SZC_EV_READY,    /* conn can carry payload: the handshake is done (plain: at once) */
	SZC_EV_DATA,     /* view holds payload; it is the application's until szc_view_release() */
	SZC_EV_WRITABLE, /* a send that took less than all can go on */
	SZC_EV_SENT,     /* after szc_conn_shutdown(): everything is with the kernel */
	SZC_EV_EOF,      /* the peer ended its direction properly; sending may go on */
	SZC_EV_ERROR,    /* conn is dead, `error` says why; nothing more comes of it. Close it */
};

struct szc_event {
	enum szc_event_type type;
	int error;                     /* SZC_EV_ERROR: negative, as returned by functions */
	struct szc_conn *conn;         /* never NULL */
	struct szc_view *view;         /* SZC_EV_DATA */
	struct szc_listener *listener; /* SZC_EV_ACCEPTED: where it came in */
};

/*
 * Waits until something happened, at most timeout_ms (0: look only; -1: for ever), and fills up to max events.
 * Returns how many, 0 on time-out. A connection's events come in order, at most one a connection and call, so that one
 * fast connection cannot starve the others. Closing a connection voids its event that the array may still hold: skip
 * that, but release the view if it has one. Errors: -EINTR, -ENOMEM, SZC_E_OPTION for
 * a max below 1; a connection's own trouble is an event, not an error.
 */
SZC_API int szc_rx_wait(struct szc_rx *rx, struct szc_event *events, int max, int timeout_ms);

/*
 * A descriptor for somebody else's poll, epoll or libevent: readable when szc_rx_wait() has something to do. Owned by
 * the engine. Before sleeping on it call szc_rx_wait(rx, ..., 0) until it returns 0: what is already inside the engine
 * does not make the descriptor readable again. Made at the first call; -EMFILE, -ENFILE or -ENOMEM if it cannot be.
 */
SZC_API int szc_rx_fd(const struct szc_rx *rx);

/* ------------------------------------------------------------------------------------------------ connections */

struct szc_listen_options {
	size_t size;
	int backlog;     /* default 511; on a NIC's queue there are few places for all listeners together, see above */
	bool reuse_port; /* SO_REUSEPORT: one engine a thread on one port */
};

/*
 * Listens on "ADDR:PORT", "[ADDR6]:PORT" or ":PORT" (both families); port 0 takes a free one, szc_listener_port()
 * tells. `listener` may be NULL: it is closed with the engine.
 * Accepting waits while the engine has no connection slot free; the peers queue in the kernel's backlog.
 * Errors: SZC_E_ADDRESS, -EADDRINUSE, -EACCES (port below 1024), -EADDRNOTAVAIL; SZC_E_LIMIT on a NIC's queue if there
 * are as many listeners as places in the backlog.
 */
SZC_API int szc_rx_listen(struct szc_rx *rx, const char *address, const struct szc_listen_options *options,
			  struct szc_listener **listener);
SZC_API unsigned szc_listener_port(const struct szc_listener *listener);
SZC_API void szc_listener_close(struct szc_listener *listener);

/*
 * Connects to "HOST:PORT", trying every address the resolver knows, each for at most timeout_ms (-1: the kernel's own
 * limit). Blocks. Errors: SZC_E_ADDRESS, SZC_E_LIMIT, -ECONNREFUSED, -ETIMEDOUT and the like of the last address tried.
 */
SZC_API int szc_rx_connect(struct szc_rx *rx, const char *address, int timeout_ms, struct szc_conn **conn);

/*
 * Takes a connected TCP socket (accepted elsewhere, handed over by another process; on a NIC's queue nobody bounds what
 * occupies the area until then, nor how many of them wait). On success the descriptor is the
 * engine's and is closed with the connection; on failure it stays the caller's. Bytes already read from it are lost to
 * us. Receiving begins with the next szc_rx_wait(), so that a layer can be attached first. Errors: SZC_E_LIMIT,
 * -ENOTSOCK, -ENOTCONN.
 */
SZC_API int szc_rx_adopt(struct szc_rx *rx, int fd, struct szc_conn **conn);

/* The user's pointer, NULL until set. */
SZC_API void szc_conn_set_user(struct szc_conn *conn, void *user);
SZC_API void *szc_conn_user(const struct szc_conn *conn);

/* The descriptor, for getsockopt and getpeername; it stays the engine's. */
SZC_API int szc_conn_fd(const struct szc_conn *conn);
SZC_API struct szc_rx *szc_conn_rx(const struct szc_conn *conn);

/*
 * Queues payload. Returns how many bytes were taken, from 0 to all; less than all means that the queue is at its limit
 * and an SZC_EV_WRITABLE will follow. The memory is the caller's again at once.
 * Errors: SZC_E_STATE before SZC_EV_READY and after szc_conn_shutdown(); on a connection that died its error; -ENOMEM.
 */
SZC_API ssize_t szc_conn_send(struct szc_conn *conn, const struct iovec *iov, int iovcnt);

/* Bytes in the send queue that the kernel did not take yet. */
SZC_API size_t szc_conn_unsent(const struct szc_conn *conn);

/* Ends our direction after what is queued (TLS: close_notify, then FIN). SZC_EV_SENT follows. Receiving goes on.
 * Errors: SZC_E_STATE before SZC_EV_READY; on a connection that died its error. */
SZC_API int szc_conn_shutdown(struct szc_conn *conn);

/*
 * Ends the connection now: what is queued is lost, what was not delivered is dropped. Views out stay valid. The handle
 * is dead after the call; no later call for events names it, and none before the next names a connection that took its
 * place.
 */
SZC_API void szc_conn_close(struct szc_conn *conn);

/* What the connection died of, negative; 0 while it lives. */
SZC_API int szc_conn_error(const struct szc_conn *conn);

/* Why the connection died, or why the last call on it failed, as a sentence; "" if neither. */
SZC_API const char *szc_conn_last_error(const struct szc_conn *conn);
SZC_API void szc_conn_trips(const struct szc_conn *conn, struct szc_trips *trips);

/*
 * Blocking helpers for one connection. Events of other connections are kept for szc_rx_wait().
 *
 * szc_conn_wait_ready(): 0 when payload can flow, or the connection's error.
 * szc_conn_recv(): 1 and a view, 0 at the proper end, SZC_E_TIMEOUT, or the connection's error.
 */
SZC_API int szc_conn_wait_ready(struct szc_conn *conn, int timeout_ms);
SZC_API int szc_conn_recv(struct szc_conn *conn, struct szc_view **view, int timeout_ms);

/* szc_conn_send_all(): 0 when all of it is queued (not yet sent), SZC_E_TIMEOUT, or the connection's error. */
SZC_API int szc_conn_send_all(struct szc_conn *conn, const void *data, size_t len, int timeout_ms);

/* ------------------------------------------------------------------------------------------------ views */

/*
 * Payload in the area, in order. The bytes may be read and written by the holder until the release; nobody else touches
 * them. Views are released in any order, from any thread, also after their connection is gone; a release takes no lock.
 * An engine that sleeps starved is woken by it. Releasing more often than held ends the process with a message, as long
 * as the view was not handed out again meanwhile.
 */
SZC_API const struct iovec *szc_view_iov(const struct szc_view *view, int *iovcnt);
SZC_API size_t szc_view_size(const struct szc_view *view);
SZC_API void szc_view_retain(struct szc_view *view);
SZC_API void szc_view_release(struct szc_view *view);

#ifdef __cplusplus
}
#endif
#endif
