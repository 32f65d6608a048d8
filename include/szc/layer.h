/* SPDX-License-Identifier: MIT */
/*
 * The seam between the engine and what stands on a connection (TLS; what may take over from it: upgrade.h). For those
 * who write a layer; applications need rx.h and tls.h only.
 *
 * A layer never sees a buffer. It sees the connection's undelivered bytes, in order, as iovecs, and says of the bytes
 * at the front: drop these (framing), deliver these (payload, verified). References, quotas and views are the engine's.
 * Everything here is called on the engine's thread.
 */
#ifndef SZC_LAYER_H
#define SZC_LAYER_H

#include <szc/rx.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What szc_layer_ops.input() found at the front of the input. */
enum szc_layer_input {
	SZC_LAYER_NEED_MORE = 0, /* nothing whole yet: call again when more arrived */
	SZC_LAYER_PROGRESS = 1,  /* something was consumed: call again */
	SZC_LAYER_EOF = 2,       /* the peer's proper end; input is not called again, and what follows is discarded */
};

struct szc_layer_ops {
	const char *name;
	/* The connection is established and owned by this layer: a client speaks first here. 0 or an error. */
	int (*start)(struct szc_conn *conn, void *state);
	/* Consumes at most one record. An enum szc_layer_input or an error, which kills the connection after what was
	 * delivered before it has been handed out. */
	int (*input)(struct szc_conn *conn, void *state);
	/* TCP ended. 0 if that is a proper end for this layer, else an error (SZC_E_TRUNCATED). */
	int (*fin)(struct szc_conn *conn, void *state);
	/* Payload of the application. Bytes taken, or an error. `room` is what the send queue's bound leaves. */
	ssize_t (*send)(struct szc_conn *conn, void *state, const struct iovec *iov, int iovcnt, size_t room);
	/* The application ends its direction: queue the farewell. FIN follows by itself. */
	int (*shutdown)(struct szc_conn *conn, void *state);
	/* A hook queued by szc_layer_queue_hook() was reached: all before it is with the kernel. 0 or an error. */
	int (*sent)(struct szc_conn *conn, void *state);
	/* The connection goes away. Views may outlive it; the state may not. */
	void (*free)(void *state);
};

/* Puts a layer on a connection that has delivered nothing yet; `state` is freed by ops->free with the connection, also
 * if this fails. SZC_E_STATE if one is there already or data flowed. */
SZC_API int szc_layer_attach(struct szc_conn *conn, const struct szc_layer_ops *ops, void *state);

/* The state if that very layer stands on the connection, else NULL. */
SZC_API void *szc_layer_state(const struct szc_conn *conn, const struct szc_layer_ops *ops);

/* The undelivered bytes; valid until the next drop, deliver or return to the engine. Returns their sum. */
SZC_API size_t szc_layer_peek(const struct szc_conn *conn, const struct iovec **iov, int *iovcnt);

/* The next `len` undelivered bytes are framing: their references are dropped. */
SZC_API void szc_layer_drop(struct szc_conn *conn, size_t len);

/* The next `len` undelivered bytes are payload: they join the view that is being built. 0 or -ENOMEM. */
SZC_API int szc_layer_deliver(struct szc_conn *conn, size_t len);

/* `len` contiguous bytes at the end of the send queue, to be filled and committed before anything else is queued; the
 * bound is not applied, handshakes and alerts must go out. NULL without memory. What is queued, here and below, leaves
 * with the next look for events at the latest. */
SZC_API uint8_t *szc_layer_reserve(struct szc_conn *conn, size_t len);
SZC_API void szc_layer_commit(struct szc_conn *conn, size_t len);

/* Queues bytes as they are, sending at once from the caller's memory what the kernel takes. 0 or -ENOMEM. */
SZC_API int szc_layer_queue(struct szc_conn *conn, const struct iovec *iov, int iovcnt);

/* Queues bytes to be sent in one sendmsg with a TLS record type as control message (kTLS). 0 or -ENOMEM. */
SZC_API int szc_layer_queue_typed(struct szc_conn *conn, uint8_t record_type, const void *data, size_t len);

/* Queues a call of ops->sent at this point of the stream. 0 or -ENOMEM. */
SZC_API int szc_layer_queue_hook(struct szc_conn *conn);

/* The handshake is over: SZC_EV_READY is due before any data that follows. */
SZC_API void szc_layer_ready(struct szc_conn *conn);

/* The handshake takes as long as it takes: its time limit ends here. */
SZC_API void szc_layer_patience(struct szc_conn *conn);

/* The connection dies of `error`, as if input had returned it; from outside the layer's calls for this connection. */
SZC_API void szc_layer_abort(struct szc_conn *conn, int error);

/* The detail of an error about to be returned, printf-like. Returns `error`. */
SZC_API int szc_layer_fail(struct szc_conn *conn, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The connection's ledger, to be counted into. */
SZC_API struct szc_trips *szc_layer_trips(struct szc_conn *conn);

#ifdef __cplusplus
}
#endif
#endif
