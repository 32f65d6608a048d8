/* SPDX-License-Identifier: MIT */
/*
 * PSP for connections of the engine: the NIC decrypts, and what it writes into the area is plaintext already (PSP
 * Architecture Specification; Linux 6.18).
 *
 * It begins as TLS 1.3. In the handshake both ends say that they can; then each makes a key for its NIC and tells it to the
 * other inside TLS, and the connection goes on under PSP, on the same engine, with the same views and ledger. Where one end
 * cannot, TLS carries the payload as if nothing had been asked: never is anything sent in clear. docs: szc_psp(7).
 *
 * Sockets have TCP timestamps (the kernel's default), or there is no PSP: it has no protection from replay of its own but
 * TCP's. A key is good until its NIC's key was rotated twice; a connection that lives longer than that falls silent, unless
 * its stream moves to another connection in time (below).
 *
 * Conventions, errors, ownership and threads: see szc.h.
 */
#ifndef SZC_PSP_H
#define SZC_PSP_H

#include <szc/rx.h>

#ifdef __cplusplus
extern "C" {
#endif

struct szc_psp_ctx;
struct szc_tls_upgrade;

/* The specification's numbers, and the kernel's (enum psp_version). GMAC authenticates, and encrypts nothing. */
enum szc_psp_version {
	SZC_PSP_AES_GCM_128,
	SZC_PSP_AES_GCM_256,
	SZC_PSP_AES_GMAC_128,
	SZC_PSP_AES_GMAC_256,
	SZC_PSP_VERSIONS,
};

enum szc_psp_policy {
	SZC_PSP_AUTO,    /* PSP where both ends can, else TLS; szc_psp_why_not() tells why */
	SZC_PSP_REQUIRE, /* PSP, or the connection ends with SZC_E_PSP_... */
};

struct szc_psp_options {
	size_t size;
	enum szc_psp_policy policy; /* default AUTO */
	bool gcm_256_only; /* not AES-GCM-128, where the peer would have it; else the stronger one that both have */
	/* Versions that a NIC could do and that nobody enabled are enabled, at the first connection that needs them, and stay
	 * so: others may have begun to use them. Needs CAP_NET_ADMIN; without it, it is as if not asked. */
	bool enable;
	bool moves;  /* the application lets streams move (see szc_psp_should_move()) */
	char *error; /* where a failed szc_psp_ctx_open() writes its sentence; may be NULL */
	size_t error_size;
};

/*
 * A configuration for many connections, from any number of engines and threads, of the network namespace it is opened in.
 * NULL options: all defaults. Errors: SZC_E_OPTION, -ENOMEM; with SZC_PSP_REQUIRE also SZC_E_PSP_DEVICE if the kernel has no
 * PSP.
 */
SZC_API int szc_psp_ctx_open(struct szc_psp_ctx **ctx, const struct szc_psp_options *options);
/* After the last connection and TLS configuration that use it were closed. NULL is ignored. */
SZC_API void szc_psp_ctx_close(struct szc_psp_ctx *ctx);

/* For szc_tls_options.upgrade. Lives as long as the configuration. */
SZC_API const struct szc_tls_upgrade *szc_psp_upgrade(const struct szc_psp_ctx *ctx);

/* ---- after SZC_EV_READY */

/* "AES-GCM-128" or "AES-GCM-256" if PSP carries this connection, else NULL. Static memory. */
SZC_API const char *szc_psp_cipher(const struct szc_conn *conn);
/* Why PSP does not, as a sentence; NULL if it does, or if it was not configured. Lives as long as the connection. */
SZC_API const char *szc_psp_why_not(const struct szc_conn *conn);

/*
 * ---- streams that move, where both ends have options->moves
 *
 * A socket keeps its keys for good. So when the NIC's key was rotated, a stream goes on on a new connection, without a lost
 * or a doubled byte; the client dials it.
 *
 *   client: szc_psp_should_move() says 1: connect, szc_tls_attach() with the session of the old one, szc_psp_continue()
 *           SZC_EV_READY of the new one: szc_conn_shutdown() of the old one, and nothing more is sent on it
 *           SZC_EV_EOF of the old one, and szc_psp_moved(): it is closed, and the stream goes on on the new one
 *   server: SZC_EV_EOF of the old one, and szc_psp_moved(): szc_conn_shutdown() of it, and closed after SZC_EV_SENT
 *           SZC_EV_READY of the new one: the stream goes on there, and may be sent on again
 *
 * What came on the old connection is handed out before what comes on the new one. An end that SZC_EV_EOF tells is the stream's
 * only if szc_psp_moved() says 0. The new connection must be accepted by the engine that has the old one. A stream moves only
 * while neither end has ended its direction.
 */

/* To be asked a few times a second. 0: no; 1: a client is to move it now. A server is told 0, and its client asked.
 * SZC_E_PSP_EXPIRED: the key was rotated twice since this connection began, and nothing more will come. */
SZC_API int szc_psp_should_move(struct szc_conn *conn);
/* A client's, after szc_tls_attach(): the stream of `before` goes on here. SZC_E_STATE if either is not, or not yet, of
 * this kind, or is over, or if they are not of one engine and one configuration. If the new one fails before it is ready it
 * is closed, and the old one goes on. */
SZC_API int szc_psp_continue(struct szc_conn *conn, struct szc_conn *before);
/* After SZC_EV_EOF. 0: the stream is over. 1: it goes on on *next, which a server knows from its SZC_EV_ACCEPTED. SZC_E_CLOSED:
 * it should, but that connection has died, and what was to come is missing. */
SZC_API int szc_psp_moved(const struct szc_conn *conn, struct szc_conn **next);

#ifdef __cplusplus
}
#endif
#endif
