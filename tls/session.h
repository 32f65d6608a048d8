/* SPDX-License-Identifier: MIT */
/*
 * TLS on one connection. The files of this room share it: handshake.c until the hand-over, receive.c and
 * posthandshake.c for what comes in after it, sending.c and ktls.c for what goes out, session.c for its life and the
 * public calls.
 *
 * After the hand-over nothing that OpenSSL writes is ever sent: it would go out under a key and sequence number that
 * are ours by then. The SSL object of a client lives on only to be shown tickets, through memory.
 */
#ifndef SZC_TLS_SESSION_H
#define SZC_TLS_SESSION_H

#include <stdbool.h>
#include <openssl/ssl.h>
#include <szc/layer.h>
#include <szc/tls.h>
#include <szc/upgrade.h>
#include "ctx.h"
#include "record.h"

enum { SZC_ALPN_MAX = 255 };

struct szc_tls {
	struct szc_tls_ctx *ctx; /* a reference */
	SSL *ssl;                /* a server frees it at the hand-over, a client at the first KeyUpdate or the end */
	bool handed_over;
	bool insecure;

	/* Traffic secrets as the key log told them, until the hand-over. */
	uint8_t client_secret[SZC_SECRET_MAX];
	uint8_t server_secret[SZC_SECRET_MAX];
	size_t client_secret_len;
	size_t server_secret_len;

	const struct szc_suite *suite;
	struct szc_protect rx;
	struct szc_protect tx; /* with kTLS: the secret only, the kernel counts */
	struct szc_protect
		replay;        /* a client's generation-0 receive key, to seal tickets for OpenSSL; never on the wire */
	size_t record_max;     /* payload of a record we send; below 2^14 if that was agreed on (RFC 6066 4) */
	uint64_t key_records;  /* records after which we change our key, or ask the peer to */
	uint64_t ktls_records; /* records the kernel sealed under this key, counted from above */
	bool ktls;
	bool update_asked; /* our request for new receive keys is out */
	bool answer_due;   /* the peer asked for new keys of ours */
	bool closed;       /* our close_notify is out, and nothing follows it */

	unsigned empty_records; /* in a row */
	unsigned key_updates;   /* since payload last came */
	size_t post_handshake;  /* bytes, in the connection's life */
	uint8_t *message;       /* a post-handshake message that is not whole yet */
	size_t message_len;
	size_t message_cap;
	uint8_t *bounce; /* copy_first: where records are opened */

	void *upgrade;                                /* its state; NULL: none is configured */
	uint8_t extension[SZC_UPGRADE_EXTENSION_MAX]; /* what we say about it in the handshake */
	size_t extension_len;
	bool upgrading; /* handed over, and not yet agreed who carries the payload */
	bool taken;     /* the upgrade does */

	X509 *peer;
	SSL_SESSION *session;
	char *server_name;
	uint8_t alpn[SZC_ALPN_MAX];
	size_t alpn_len;
	bool resumed;
};

extern const struct szc_layer_ops szc_tls_layer;

/* What may take over from TLS, or did. There must be something. */
static inline const struct szc_layer_ops *szc_tls_heir(const struct szc_tls *tls)
{
	return tls->ctx->options.upgrade->layer;
}

static inline bool szc_tls_is_client(const struct szc_tls *tls)
{
	return tls->ctx->options.role == SZC_TLS_CLIENT;
}

/* handshake.c */
/* TLS carries the payload: who seals is chosen, and the connection is ready. */
int szc_tls_carry(struct szc_conn *conn, struct szc_tls *tls);
int szc_tls_handshake_start(struct szc_conn *conn, struct szc_tls *tls);
/* One record of the handshake. An enum szc_layer_input or an error. */
int szc_tls_handshake_input(struct szc_conn *conn, struct szc_tls *tls);

/* receive.c: one protected record. */
int szc_tls_receive(struct szc_conn *conn, struct szc_tls *tls);

/* upgrade.c */
/* The handshake with that SSL_CTX speaks of it. 0 or SZC_E_TLS_CONFIG. */
int szc_tls_upgrade_install(SSL_CTX *ssl_ctx, const struct szc_tls_upgrade *upgrade);
int szc_tls_upgrade_begin(struct szc_conn *conn, struct szc_tls *tls, const uint8_t *secret);
/* The content of a record before it was agreed who carries the payload; consumes nothing. 0 or an error. */
int szc_tls_upgrade_message(struct szc_conn *conn, struct szc_tls *tls, const struct szc_span *content, size_t behind);

/* posthandshake.c: content of one handshake record, decrypted; consumes nothing of the connection's input. */
int szc_tls_post_handshake(struct szc_conn *conn, struct szc_tls *tls, const struct szc_span *content);

/* sending.c */
ssize_t szc_tls_send(struct szc_conn *conn, void *state, const struct iovec *iov, int iovcnt, size_t room);
int szc_tls_shutdown(struct szc_conn *conn, void *state);
int szc_tls_sent(struct szc_conn *conn, void *state);
int szc_tls_send_key_update(struct szc_conn *conn, struct szc_tls *tls, bool request);
/* Content of application data that is no payload. */
int szc_tls_send_content(struct szc_conn *conn, struct szc_tls *tls, const uint8_t *data, size_t len);
/* A fatal one. That it cannot be queued is no matter: the connection ends for a reason of its own. */
void szc_tls_alert(struct szc_conn *conn, struct szc_tls *tls, uint8_t alert);
/* Tells the peer, and returns `error` with its sentence. The connection is dead after it. */
int szc_tls_fatal(struct szc_conn *conn, struct szc_tls *tls, uint8_t alert, int error, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* ktls.c: hands the sending direction to the kernel; tls->tx holds its secret and sequence. 0 or a negative errno. */
int szc_ktls_start(struct szc_conn *conn, struct szc_tls *tls);
/* Whether this kernel can change keys on a socket it seals for. */
bool szc_ktls_can_rekey(void);
/* Gives the kernel the keys of tls->tx's present generation. */
int szc_ktls_rekey(struct szc_conn *conn, struct szc_tls *tls);

/* session.c: no SSL object any more; what is asked for later was copied out of it. */
void szc_tls_drop_ssl(struct szc_tls *tls);

#endif
