/* SPDX-License-Identifier: MIT */
/*
 * The other end of a connection, friendly at first: OpenSSL, client or server, over memory BIOs and a non-blocking socket.
 * It learns its traffic secrets through the key log and feeds its OpenSSL one record at a time; after the handshake it
 * can send any record at all, cut anywhere, and opens what comes with keys and a count of its own: a record that is not the
 * very next under the szc side's keys fails the test.
 *
 * Or it stays friendly (peer_ssl_*): then its OpenSSL goes on with the connection, and the two must not be mixed.
 */
#ifndef SZC_TESTS_PEER_H
#define SZC_TESTS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/ssl.h>
#include "tls/record.h"

/* The level byte that each alert goes out with (RFC 8446 6). */
enum { PEER_WARNING = 1, PEER_FATAL = 2 };

enum { PEER_WIRE_MAX = 70000 }; /* a record as long as its header can say */

struct peer {
	int fd;
	SSL *ssl;
	bool server;
	bool done;   /* the handshake is over, secrets are known */
	bool failed; /* our OpenSSL refused; `reason` says why, as in openssl/sslerr.h */
	int reason;
	bool fin; /* TCP ended */
	bool reset;
	size_t drip; /* how many bytes go out in one peer_step(); 0: all that the socket takes */

	uint8_t *in; /* came, and was not looked at */
	size_t in_len;
	uint8_t *out; /* the socket did not take it yet */
	size_t out_len;
	uint64_t bytes_in; /* all that ever came */

	uint16_t suite;
	uint64_t tickets; /* records that our OpenSSL sent as a server behind the handshake */
	uint8_t client_secret[SZC_SECRET_MAX];
	uint8_t server_secret[SZC_SECRET_MAX];
	size_t client_secret_len;
	size_t server_secret_len;

	uint8_t tx_secret[SZC_SECRET_MAX]; /* the generation we seal under */
	uint64_t tx_seq;
	struct szc_protect rx; /* opens what the szc side seals */
};

/* An SSL_CTX as peers have it: TLS 1.2 and 1.3, key log, a server with PKI_SERVER, a client that trusts all. */
SSL_CTX *peer_ssl_ctx(bool server);

/* Takes the descriptor; a reference to the SSL_CTX. `session` may be NULL. */
void peer_open(struct peer *peer, SSL_CTX *ctx, int fd, bool server, SSL_SESSION *session);
void peer_close(struct peer *peer);

/* Ends the connection with a reset. */
void peer_reset(struct peer *peer);
/* Ends our direction of TCP, whatever TLS thinks of that. */
void peer_fin(struct peer *peer);

/* Sends and receives what it can without waiting, and moves the handshake on. */
void peer_step(struct peer *peer);

/* ---- after the handshake, hostile */

/* A record with this inner plaintext under our next sequence number; its size. `wire` has room for PEER_WIRE_MAX. */
size_t peer_seal_inner(struct peer *peer, const uint8_t *inner, size_t len, uint8_t *wire);
size_t peer_seal(struct peer *peer, uint8_t type, const void *content, size_t len, size_t padding, uint8_t *wire);
void peer_send(struct peer *peer, const void *bytes, size_t len);
/* Both in one. */
void peer_say(struct peer *peer, uint8_t type, const void *content, size_t len);
void peer_alert(struct peer *peer, uint8_t level, uint8_t alert);
/* A KeyUpdate, and new keys for what follows it. */
void peer_key_update(struct peer *peer, uint8_t request);
/* New sending keys without a word. */
void peer_next_keys(struct peer *peer);

struct peer_record {
	uint8_t type;
	size_t len;
	uint8_t content[SZC_RECORD_CIPHER_MAX];
};

/* Opens the next record that came. False if none is whole yet. A KeyUpdate moves our receiving keys on. */
bool peer_next(struct peer *peer, struct peer_record *record);

/* ---- after the handshake, friendly */

void peer_ssl_write(struct peer *peer, const void *data, size_t len);
/* All that came goes to our OpenSSL; returns payload of at most `room` bytes, 0 if there is none now. */
size_t peer_ssl_read(struct peer *peer, void *data, size_t room);
void peer_ssl_key_update(struct peer *peer, bool request);
void peer_ssl_shutdown(struct peer *peer);

#endif
