/* SPDX-License-Identifier: MIT */
/*
 * Two ends of this library over loopback TCP with a man in the middle, in one thread: a server, a client, and what passes
 * the bytes on between them and may cut, alter, add and end as the test likes. Everything ends within seconds or fails the
 * test.
 */
#ifndef SZC_TESTS_BETWEEN_H
#define SZC_TESTS_BETWEEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <szc/tls.h>
#include <szc/upgrade.h>

struct between_end {
	struct szc_rx *rx;
	struct szc_tls_ctx *ctx;
	struct szc_conn *conn; /* NULL once closed */
	bool ready, eof, sent;
	int error;
	char sentence[320];
	uint8_t *got;
	size_t got_len;
};

struct between;

/*
 * Bytes on the way, `len` at *data, of which `before` went by in that direction already. May be changed where they are, or
 * *data be pointed elsewhere. Returns how many are passed on.
 */
typedef size_t between_meddle(struct between *between, bool to_server, uint64_t before, uint8_t **data, size_t len);

struct between {
	struct between_end client, server;
	between_meddle *meddle;   /* NULL: all is passed on as it is */
	void *arg;                /* the test's */
	int at_client, at_server; /* the man in the middle's sockets; -1: closed */
	uint64_t passed[2];       /* bytes that came to him, to the client and to the server */
	bool ended[2];            /* he ended what goes to the client, to the server */
};

/* Connected, with TLS on both ends and that upgrade; nothing was exchanged. */
void between_open(struct between *between, const struct szc_tls_upgrade *client, const struct szc_tls_upgrade *server);
void between_close(struct between *between);

/* One look at everything, without waiting. */
void between_turn(struct between *between);
/* Until both ends are ready, or one of them has died. Returns whether both are. */
bool between_handshake(struct between *between);
/* Until that end has so much payload, its end, or an error. */
void between_receive(struct between *between, struct between_end *end, size_t len);
/* Until that end has an end or an error. */
void between_until_over(struct between *between, struct between_end *end);
void between_send(struct between *between, struct between_end *end, const void *data, size_t len);

#endif
