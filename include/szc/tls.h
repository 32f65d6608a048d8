/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.3 on a connection of the engine. OpenSSL does the handshake; then the record layer is ours both ways, and every
 * record is opened in place, in the buffers it arrived in (RFC 8446).
 *
 * Suites: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256. 0-RTT and renegotiation are
 * off. No byte is handed out before its record's tag was verified; a record that fails is wiped and the connection is
 * dead.
 *
 * Conventions, errors, ownership and threads: see szc.h.
 */
#ifndef SZC_TLS_H
#define SZC_TLS_H

#include <openssl/ssl.h>
#include <szc/rx.h>

#ifdef __cplusplus
extern "C" {
#endif

struct szc_tls_ctx;
struct szc_tls_upgrade;

enum szc_tls_role { SZC_TLS_SERVER = 1, SZC_TLS_CLIENT };

enum szc_tls_sending {
	SZC_TLS_SEND_AUTO, /* kTLS where the kernel has it and can change keys (Linux 6.14), else user space */
	SZC_TLS_SEND_USER, /* sealed by this library */
	SZC_TLS_SEND_KTLS, /* sealed by the kernel, or the handshake fails with a sentence */
};

enum szc_tls_client_auth {
	SZC_TLS_CLIENT_AUTH_NONE,
	SZC_TLS_CLIENT_AUTH_REQUEST, /* a certificate is asked for and, if it comes, must verify */
	SZC_TLS_CLIENT_AUTH_REQUIRE,
};

struct szc_tls_options {
	size_t size;
	enum szc_tls_role role;

	/*
	 * Your own SSL_CTX (a reference is taken), or NULL to have one made from the members below it. Of your own one
	 * we set the key log callback, chained before yours, and use nothing else that lasts: what we need beyond it is
	 * set on each SSL.
	 */
	SSL_CTX *ssl_ctx;
	const char *cert_file;    /* PEM, leaf first */
	const char *key_file;     /* PEM */
	const char *ca_file;      /* PEM; a client's default is the system's trust store */
	const char *alpn;         /* "h2,http/1.1", preferred first; a server picks its first that the client has too */
	const char *ciphersuites; /* OpenSSL's TLS 1.3 names, joined by ':'; applies to your own SSL_CTX too */
	bool insecure;            /* a client that accepts any certificate */
	enum szc_tls_client_auth client_auth;

	enum szc_tls_sending sending;
	/*
	 * Copy each record out of the area before it is opened, and back after: for those who do not trust what else
	 * can write to the area (a NIC, a peer on shared memory). Costs two copies, and the ledger says so.
	 */
	bool copy_first;

	uint64_t key_records;       /* records a key may protect before we update; default and ceiling 2^24 for GCM */
	unsigned max_empty_records; /* in a row; default 32 */
	unsigned max_key_updates;   /* without payload between them; default 32 */
	size_t max_post_handshake;  /* bytes of tickets and the like in a connection's life; default 256 KiB */

	char *error; /* where a failed szc_tls_ctx_open() writes its sentence; may be NULL */
	size_t error_size;

	/*
	 * What may take over after the handshake where both ends can (szc/psp.h); it must outlive connections and
	 * configuration. Of your own SSL_CTX it takes one extension. NULL: TLS carries everything.
	 */
	const struct szc_tls_upgrade *upgrade;
};

/*
 * A configuration for many connections, from any number of engines and threads. Options are needed: there is no default
 * for the role. Errors: SZC_E_TLS_CONFIG,
 * SZC_E_TLS_CIPHER, SZC_E_OPTION, -ENOMEM.
 */
SZC_API int szc_tls_ctx_open(struct szc_tls_ctx **ctx, const struct szc_tls_options *options);
/* Drops the caller's reference; connections keep theirs. NULL is ignored. */
SZC_API void szc_tls_ctx_close(struct szc_tls_ctx *ctx);

struct szc_tls_peer {
	size_t size;
	const char *host;     /* a client: name for SNI and verification, or an IP address (verification only) */
	SSL_SESSION *session; /* a client: a session to resume (a reference is taken); NULL for a fresh one */
};

/*
 * Puts TLS on a connection, right after szc_rx_connect(), szc_rx_adopt() or SZC_EV_ACCEPTED. A verifying client without
 * peer->host is refused: SZC_E_OPTION. SZC_EV_READY follows when the handshake is done. Errors: SZC_E_STATE if a
 * layer is there already or data flowed, SZC_E_TLS_CIPHER and SZC_E_TLS_CONFIG if the SSL_CTX allows neither TLS 1.3
 * nor one of our suites, -ENOMEM; szc_conn_last_error() has the sentence.
 */
SZC_API int szc_tls_attach(struct szc_conn *conn, struct szc_tls_ctx *ctx, const struct szc_tls_peer *peer);

/* ---- after SZC_EV_READY; each returns NULL or 0 before it, and on connections without TLS */

/* The cipher suite's OpenSSL name. Static memory. */
SZC_API const char *szc_tls_cipher(const struct szc_conn *conn);
/* The peer's certificate with a reference for the caller (X509_free), or NULL. */
SZC_API X509 *szc_tls_peer_certificate(const struct szc_conn *conn);
/* The protocol agreed by ALPN, not terminated; its length is the return value, 0 if none. Lives as long as the
 * connection. */
SZC_API size_t szc_tls_alpn(const struct szc_conn *conn, const unsigned char **protocol);
/* The name a client asked for by SNI, or NULL. Lives as long as the connection. */
SZC_API const char *szc_tls_server_name(const struct szc_conn *conn);
/* A client's newest session, resumable once a ticket came, with a reference for the caller (SSL_SESSION_free); or NULL. */
SZC_API SSL_SESSION *szc_tls_session(const struct szc_conn *conn);
/* Whether this handshake resumed an earlier session. */
SZC_API bool szc_tls_resumed(const struct szc_conn *conn);
/* "user" or "ktls": who seals what we send; or the layer's name that took over ("psp"). Static memory. */
SZC_API const char *szc_tls_sending(const struct szc_conn *conn);

/*
 * New keys for our direction (RFC 8446 4.6.3); with `request` the peer is asked to follow. Errors: SZC_E_STATE,
 * -ENOMEM, and -EOPNOTSUPP where the kernel seals and cannot change keys (before Linux 6.14).
 */
SZC_API int szc_tls_key_update(struct szc_conn *conn, bool request);

#ifdef __cplusplus
}
#endif
#endif
