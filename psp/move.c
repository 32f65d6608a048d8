/* SPDX-License-Identifier: MIT */
/*
 * A stream that moves to another connection:
 *
 *     client, old              new                         new                    old, server
 *                               start, and whose stream ──▶ knows it; start
 *                               is ready               ◀──
 *     "end of this one"  ──────────────────────────────────────────────────────▶ all of it was handed out
 *     all was handed out ◀────────────────────────────────────────── "end of this one"
 *                               "go"                   ──▶ is ready
 *
 * Each end begins on the new connection only when the other one has read the old one to its end, so no byte can overtake
 * another. Who dials the new connection proves that it has the secret of the old one's TLS session.
 */
#include "psp/upgrade.h"

#include <errno.h>
#include <string.h>
#include <openssl/crypto.h>

int szc_psp_move_begin(struct szc_psp_conn *psp)
{
	uint8_t name[SZC_PSP_PROOF];
	int error;

	if (!psp->may_move)
		return 0;
	error = szc_psp_mac(psp, psp->secret, "szc psp 1, stream", false, name);
	error = error ? error : szc_psp_mac(psp, psp->secret, "szc psp 1, move", false, psp->key);
	memcpy(psp->id, name, sizeof(psp->id));
	if (!error)
		szc_psp_ctx_list(psp->ctx, psp);
	return error;
}

int szc_psp_move_claim(const struct szc_psp_conn *psp, uint8_t claim[SZC_PSP_STREAM_ID + SZC_PSP_PROOF])
{
	memcpy(claim, psp->before->id, SZC_PSP_STREAM_ID);
	return szc_psp_mac(psp, psp->before->key, "szc psp 1, claim", true, claim + SZC_PSP_STREAM_ID);
}

static void join(struct szc_psp_conn *psp, struct szc_psp_conn *before)
{
	psp->before = before;
	before->after = psp;
}

int szc_psp_move_claimed(struct szc_conn *conn, struct szc_psp_conn *psp, const uint8_t *claim)
{
	struct szc_psp_conn *before = szc_psp_ctx_listed(psp->ctx, szc_conn_rx(conn), claim);
	uint8_t proof[SZC_PSP_PROOF];
	int error;

	if (!psp->may_move || !before || before == psp || before->after || before->client || before->waits ||
	    before->ended_there || szc_conn_error(before->conn))
		return szc_layer_fail(conn, SZC_E_PSP_MESSAGE, "the peer goes on with a stream that is not here");
	error = szc_psp_mac(psp, before->key, "szc psp 1, claim", true, proof);
	if (error)
		return error;
	if (CRYPTO_memcmp(proof, claim + SZC_PSP_STREAM_ID, sizeof(proof)))
		return szc_layer_fail(conn, SZC_E_PSP_MESSAGE, "the peer goes on with a stream that is not its own");
	join(psp, before);
	psp->waits = true;
	/* As long as the old one takes to be read; when that dies, this one does. */
	szc_layer_patience(conn);
	return 0;
}

static int move_came(struct szc_conn *conn, struct szc_psp_conn *psp)
{
	int error = 0;

	/* A server answers a client's. */
	if (!psp->after || !psp->after->started || (psp->client && !psp->left_here))
		return szc_layer_fail(conn, SZC_E_PSP_MESSAGE, "the peer moves the stream, and there is nowhere to");
	psp->moved = true;
	if (psp->client)
		error = szc_psp_say(psp->after->conn, SZC_PSP_FRAME_GO, NULL, 0);
	return error ? error : SZC_LAYER_EOF;
}

int szc_psp_move_came(struct szc_conn *conn, struct szc_psp_conn *psp, enum szc_psp_message_type type)
{
	if (type == SZC_PSP_FRAME_MOVE && psp->may_move)
		return move_came(conn, psp);
	if (type == SZC_PSP_FRAME_ASK && psp->may_move && psp->client) {
		psp->asked = true;
		return SZC_LAYER_PROGRESS;
	}
	if (type == SZC_PSP_FRAME_GO && psp->waits && psp->may_go) {
		psp->waits = false;
		szc_layer_ready(conn);
		return SZC_LAYER_PROGRESS;
	}
	return szc_layer_fail(conn, SZC_E_PSP_MESSAGE, "the peer speaks of moving the stream where it cannot");
}

void szc_psp_move_forget(struct szc_psp_conn *psp)
{
	szc_psp_ctx_unlist(psp->ctx, psp);
	if (psp->before)
		psp->before->after = NULL;
	if (psp->after) {
		psp->after->before = NULL;
		/* Not moved: what it had left is missing. */
		if (!psp->moved && psp->after->waits)
			szc_layer_abort(psp->after->conn,
					szc_layer_fail(psp->after->conn, SZC_E_CLOSED,
						       "the connection died that this one goes on with"));
	}
}

/* ---- asked by the application */

int szc_psp_should_move(struct szc_conn *conn)
{
	struct szc_psp_conn *psp = szc_psp_conn_of(conn);
	unsigned rotations;

	if (!psp || !psp->started || !psp->may_move || psp->moved || psp->ended_here || psp->ended_there ||
	    szc_conn_error(conn))
		return 0;
	rotations = szc_psp_ctx_rotations(psp->ctx, psp->place.device, false) - psp->rotations;
	if (rotations >= 2)
		return SZC_E_PSP_EXPIRED;
	if (psp->client)
		return !psp->after && (psp->asked || rotations);
	if (!rotations || psp->asked)
		return 0;
	psp->asked = true;
	return szc_psp_say(conn, SZC_PSP_FRAME_ASK, NULL, 0);
}

int szc_psp_continue(struct szc_conn *conn, struct szc_conn *before)
{
	struct szc_psp_conn *psp = szc_psp_conn_of(conn), *old = szc_psp_conn_of(before);

	if (!psp || !old || psp == old || psp->ctx != old->ctx || szc_conn_rx(conn) != szc_conn_rx(before) ||
	    !psp->client || psp->taken || psp->before || !old->started || !old->may_move || !old->client ||
	    old->after || old->before || old->moved || old->ended_here || old->ended_there || szc_conn_error(before))
		return SZC_E_STATE;
	join(psp, old);
	return 0;
}

int szc_psp_moved(const struct szc_conn *conn, struct szc_conn **next)
{
	const struct szc_psp_conn *psp = szc_psp_conn_of(conn);

	*next = NULL;
	if (!psp || !psp->moved)
		return 0;
	if (!psp->after || szc_conn_error(psp->after->conn))
		return SZC_E_CLOSED;
	*next = psp->after->conn;
	return 1;
}
