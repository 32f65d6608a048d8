/* SPDX-License-Identifier: MIT */
/*
 * A TLS connection over loopback TCP, in one thread: the library on one end, a peer (peer.h) on the other, each turned
 * without waiting. What the library reports is collected; everything ends within seconds or fails the test.
 */
#ifndef SZC_TESTS_PAIR_H
#define SZC_TESTS_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <szc/tls.h>
#include "tests/unit/peer.h"
#include "tests/unit/pki.h"

/* A test for each backend; the state it gets is the backend's number. */
#define ON(backend, test)                                                                                              \
	{                                                                                                              \
#test ", " #backend, test, NULL, NULL, (void *)&pair_##backend                                         \
	}
#define ON_BOTH(test) ON(copy, test), ON(epoll, test)
extern enum szc_backend pair_copy, pair_epoll;

/* Two ends of a connection over loopback. */
void pair_tcp(int fds[2]);

struct pair {
	struct szc_rx *rx;
	struct szc_tls_ctx *ctx;
	struct szc_conn *conn; /* NULL once closed */
	struct peer peer;
	bool szc_server;

	/* What the library reported. */
	bool ready;
	bool writable;
	bool sent;
	bool eof;
	int error;
	char sentence[320];
	uint8_t *got; /* payload, in the order of its views */
	size_t got_len;
	unsigned views;
	unsigned pieces; /* iovecs in them */
	bool discard;    /* payload is not kept, only counted in got_len */
	bool keep;       /* views are held, the first hundred of them, until pair_release() */
	struct szc_view *kept[100];
	unsigned kept_count;
};

/* Prints why, then skips the test. */
void pair_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* An engine; `options` may be NULL. Skips the test where the backend cannot run. `state` is the test's. */
void pair_open(struct pair *pair, void **state, const struct szc_rx_options *options);
/* Everything, views still held included. */
void pair_close(struct pair *pair);

/* Options with certificate and key (server) or trust (client), to be changed by the test. */
struct szc_tls_options pair_options(enum szc_tls_role role);
struct szc_tls_ctx *pair_tls(const struct szc_tls_options *options);

/* A fresh connection with TLS on it; the former one is closed. References to both contexts are taken. */
void pair_connect(struct pair *pair, struct szc_tls_ctx *ctx, const struct szc_tls_peer *to, SSL_CTX *peer_ctx,
		  SSL_SESSION *peer_session);
void pair_disconnect(struct pair *pair);

/* One turn of both ends. */
void pair_turn(struct pair *pair);
/* Turns until nothing moved for a moment. */
void pair_settle(struct pair *pair);
/* Turns until the handshake ended, well or not, for both. */
void pair_handshake(struct pair *pair);
/* Handshake, and both are content. */
void pair_must_handshake(struct pair *pair);

/*
 * The common start: engine, contexts, handshake. Whatever is zero in `setup` is the default: both ends with PKI_SERVER or
 * trusting PKI_CA, host "localhost".
 */
struct pair_setup {
	enum szc_tls_role role; /* of the library; default server */
	struct szc_rx_options rx;
	struct szc_tls_options tls;
	const char *peer_suites;
	int peer_tickets; /* a server's; -1: none, 0: OpenSSL's default */
};
void pair_start(struct pair *pair, void **state, const struct pair_setup *setup);

/* Bytes that differ from one place to the next; the same for the same offset. */
void pair_fill(uint8_t *bytes, size_t len, uint64_t offset);

/* Turns until so much payload came, in all. */
void pair_until_got(struct pair *pair, size_t len);
/* Turns until exactly these bytes came since the last call, and forgets them. */
void pair_expect(struct pair *pair, const void *bytes, size_t len);
void pair_until_eof(struct pair *pair);
/* Turns until the connection is dead of exactly this, with `words` in its sentence. */
void pair_expect_error(struct pair *pair, int error, const char *words);
/* Turns until the peer opened a record. */
void pair_next(struct pair *pair, struct peer_record *record);
/* All that the peer still gets is this fatal alert, then TCP's end. */
void pair_expect_alert(struct pair *pair, uint8_t alert);
/* Nothing more than TCP's end. */
void pair_expect_silence(struct pair *pair);
/* Sends payload from the library's end, to the last byte. */
void pair_send(struct pair *pair, const void *bytes, size_t len);
/* Sends payload both ways and opens it. */
void pair_prove_alive(struct pair *pair);
void pair_release(struct pair *pair);

#endif
