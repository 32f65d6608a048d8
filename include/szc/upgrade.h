/* SPDX-License-Identifier: MIT */
/*
 * What TLS gives a connection over to when the handshake is done, if both ends agreed to that inside the handshake (PSP).
 * For those who write such an upgrade; applications only name one in szc_tls_options.upgrade.
 *
 * The way: a client's hello carries offer(), a server's encrypted extensions carry answer(), and accept() sees it. TLS
 * authenticates both with the handshake, and a peer that knows nothing of it answers nothing. Then, at both ends, begin(),
 * and message() for the content of each record of application data, until one of them says who carries the payload: TLS as
 * ever, or the upgrade's own layer. That begins behind the last record that was consumed; nothing of TLS is sent or opened
 * after it, its keys are wiped, and what szc_tls_*() tell of the peer stays.
 *
 * Everything here is called on the engine's thread.
 */
#ifndef SZC_UPGRADE_H
#define SZC_UPGRADE_H

#include <szc/layer.h>
#include <szc/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

enum szc_upgrade_next {
	SZC_UPGRADE_WAIT = 0, /* for the next message */
	SZC_UPGRADE_STAY = 1, /* TLS carries the payload; SZC_EV_READY follows */
	SZC_UPGRADE_TAKE = 2, /* the layer does, and calls szc_layer_ready() when it can */
};

enum {
	SZC_UPGRADE_SECRET = 32,        /* bytes of the exporter's output (RFC 8446 7.5) */
	SZC_UPGRADE_EXTENSION_MAX = 16, /* bytes that offer() and answer() may write */
	SZC_UPGRADE_MESSAGE_MAX = 256,  /* a record with more content than this is no message, but an error */
};

struct szc_tls_upgrade {
	size_t size;
	uint16_t extension;   /* its number among TLS's extensions (RFC 8446 4.2) */
	const char *exporter; /* the label of its secret */
	void *config;         /* handed to open() */

	/* For one connection; NULL without memory. layer->free() ends it, after begin(), or without. */
	void *(*open)(struct szc_conn *conn, void *config, bool client);
	/* A client's. Bytes written to `data`; 0: nothing is offered. */
	size_t (*offer)(void *state, uint8_t *data);
	/* A server's, to what a client offers. Bytes written to `data`; 0: no. May be called again for the same hello. */
	size_t (*answer)(void *state, const uint8_t *offer, size_t len, uint8_t *data);
	/* A client's. Whether that is an answer to what it offered; if not the handshake fails. */
	bool (*accept)(void *state, const uint8_t *answer, size_t len);
	/* After the handshake, whatever was agreed. An enum szc_upgrade_next or an error, after szc_layer_fail(). */
	int (*begin)(struct szc_conn *conn, void *state, const uint8_t secret[SZC_UPGRADE_SECRET]);
	/* The content of one record, in memory that is wiped after the call. `behind` bytes have come after it. As begin(). */
	int (*message)(struct szc_conn *conn, void *state, const uint8_t *data, size_t len, size_t behind);
	/* start() and sent() are not called. */
	const struct szc_layer_ops *layer;
};

/* Queues a message for the other end's message(), sealed by TLS: from begin() or message() only, before they return TAKE.
 * 0 or an error. */
SZC_API int szc_tls_upgrade_send(struct szc_conn *conn, const uint8_t *data, size_t len);

/* The state of the upgrade with that layer on this connection, whoever carries the payload; else NULL. */
SZC_API void *szc_tls_upgrade_state(const struct szc_conn *conn, const struct szc_layer_ops *layer);

#ifdef __cplusplus
}
#endif
#endif
