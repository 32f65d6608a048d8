/* SPDX-License-Identifier: MIT */
/*
 * A connection's way from TLS to PSP. What must hold at each step:
 *
 *     client                                            server
 *     makes a key, says it                        ───▶
 *                                                       makes a key, sends with the client's,
 *                                                 ◀───  says its own
 *     sends with the server's, says start         ───▶
 *     and payload, if it likes                          finds it good: says start, and payload
 *
 * Each end takes the other's key, after which its kernel takes nothing in clear any more, before the other says anything
 * behind its last message in clear. So the first thing that comes behind it came under PSP, or is not a good start: TCP's
 * numbers were in nobody's care until then, and who moved them, or put something in, is found out here. An end that is
 * ready has found the other's start good.
 *
 * Whoever cannot make a key, or use the other's, says so instead of its own, and TLS goes on. Only a client that cannot use
 * the server's has nobody left to tell.
 */
#ifndef SZC_PSP_UPGRADE_H
#define SZC_PSP_UPGRADE_H

#include "psp/ctx.h"
#include "psp/message.h"

struct szc_psp_conn {
	struct szc_psp_ctx *ctx;
	struct szc_conn *conn;
	bool client;
	int fd;
	struct szc_psp_place place;
	bool agreed;   /* in the handshake */
	bool may_move; /* ... that streams do */
	enum szc_psp_version version;
	int missing;        /* why there is no PSP, unless `taken` */
	const char *reason; /* ... in words; NULL: szc_strerror() has them */

	/* Until both starts are known. */
	uint8_t secret[SZC_UPGRADE_SECRET];
	uint8_t said[2][SZC_PSP_KEY_MESSAGE_MAX]; /* the client's message, and the server's */
	size_t said_len[2];
	uint8_t expected[SZC_PSP_PROOF];

	/* Under PSP. */
	bool taken;
	bool started;      /* the peer's start was good */
	uint32_t left;     /* bytes of a frame's payload that are still to come */
	uint64_t received; /* payload */
	uint64_t sent;

	/* move.c */
	struct szc_psp_conn *next, **link;   /* those of the configuration that can be gone on with */
	struct szc_psp_conn *before, *after; /* the connections of one stream, while they live */
	uint8_t id[SZC_PSP_STREAM_ID];       /* the stream's name, to go on with it */
	uint8_t key[SZC_PSP_PROOF];          /* ... and what proves the right to */
	unsigned rotations;                  /* of the device, when our key was made */
	bool asked;                          /* the peer asks to move, or we asked it */
	bool moved;                          /* the peer ended this connection, and not the stream */
	bool waits;                          /* for the peer to have read the connection before */
	bool may_go;                         /* ... which has */
	bool left_here;                      /* we said that it goes on elsewhere */
	bool ended_here, ended_there;        /* a direction is over: END was said, or came */
};

extern const struct szc_tls_upgrade szc_psp_upgrade_ops;
/* stream.c: the frames under PSP. */
extern const struct szc_layer_ops szc_psp_layer;

/* The state of a connection; NULL: PSP is not configured on it. */
struct szc_psp_conn *szc_psp_conn_of(const struct szc_conn *conn);

/* What an end must say to start, from all that was said before. 0 or -ENOMEM. */
int szc_psp_prove(const struct szc_psp_conn *psp, bool client, uint8_t proof[SZC_PSP_PROOF]);
/* HMAC-SHA256 by that key over a label and, if `said`, what was said inside TLS. 0 or -ENOMEM. */
int szc_psp_mac(const struct szc_psp_conn *psp, const uint8_t *key, const char *label, bool said,
		uint8_t mac[SZC_PSP_PROOF]);

/* move.c; each 0 or an error. Our start is good and the peer's: the stream has a name from now on. */
int szc_psp_move_begin(struct szc_psp_conn *psp);
/* What a client says behind its proof to go on with another connection's stream. */
int szc_psp_move_claim(const struct szc_psp_conn *psp, uint8_t claim[SZC_PSP_STREAM_ID + SZC_PSP_PROOF]);
/* A server's: that came. */
int szc_psp_move_claimed(struct szc_conn *conn, struct szc_psp_conn *psp, const uint8_t *claim);
/* Frames MOVE, GO and ASK came; an enum szc_layer_input or an error. */
int szc_psp_move_came(struct szc_conn *conn, struct szc_psp_conn *psp, enum szc_psp_message_type type);
void szc_psp_move_forget(struct szc_psp_conn *psp);

/* stream.c: queues a frame. 0 or an error. */
int szc_psp_say(struct szc_conn *conn, enum szc_psp_message_type type, const uint8_t *body, uint32_t len);
/* stream.c: queues our start. 0 or an error. */
int szc_psp_start(struct szc_conn *conn, const struct szc_psp_conn *psp);

#endif
