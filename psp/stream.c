/* SPDX-License-Identifier: MIT */
/* The connection under PSP: the NIC has decrypted and verified all that comes; frames say what is payload. */
#include "psp/upgrade.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "psp/bytes.h"

enum {
	PIECES = 64,
	STEP = 64 * 1024, /* delivered at once, so that a view gets no longer than others do */
};

int szc_psp_say(struct szc_conn *conn, enum szc_psp_message_type type, const uint8_t *body, uint32_t len)
{
	uint8_t *to = szc_layer_reserve(conn, SZC_PSP_FRAME_HEADER + len);

	if (!to)
		return szc_layer_fail(conn, -ENOMEM, "no memory for a frame to send");
	szc_psp_frame_pack(to, type, len);
	if (len)
		memcpy(to + SZC_PSP_FRAME_HEADER, body, len);
	szc_layer_commit(conn, SZC_PSP_FRAME_HEADER + len);
	return 0;
}

int szc_psp_start(struct szc_conn *conn, const struct szc_psp_conn *psp)
{
	uint8_t body[SZC_PSP_FRAME_BODY_MAX];
	int error = szc_psp_prove(psp, psp->client, body);

	if (!error && psp->client && psp->before) {
		error = szc_psp_move_claim(psp, body + SZC_PSP_PROOF);
		return error ? error : szc_psp_say(conn, SZC_PSP_FRAME_CONTINUE, body, sizeof(body));
	}
	return error ? error : szc_psp_say(conn, SZC_PSP_FRAME_START, body, SZC_PSP_PROOF);
}

/* ---- what comes */

/* Before the peer's start there is one thing that can be wrong, whatever it looks like. */
static int no_frame(struct szc_conn *conn, const struct szc_psp_conn *psp, const char *why)
{
	return szc_layer_fail(conn, SZC_E_PSP_MESSAGE, "%s",
			      psp->started ? why
					   : "what came first under PSP is no start: bytes were put in, or taken out");
}

static int start_came(struct szc_conn *conn, struct szc_psp_conn *psp, const struct szc_psp_frame *frame)
{
	int error = 0;

	if (CRYPTO_memcmp(frame->body, psp->expected, sizeof(psp->expected)))
		return szc_layer_fail(conn, SZC_E_PSP_MESSAGE,
				      "the peer's start under PSP is not that of this TLS session");
	psp->started = true;
	if (frame->type == SZC_PSP_FRAME_CONTINUE)
		error = szc_psp_move_claimed(conn, psp, frame->body + SZC_PSP_PROOF);
	if (!error)
		error = szc_psp_move_begin(psp);
	if (!error && !psp->client)
		error = szc_psp_start(conn, psp);
	OPENSSL_cleanse(psp->secret, sizeof(psp->secret));
	OPENSSL_cleanse(psp->said, sizeof(psp->said));
	if (error)
		return error;
	if (!psp->waits)
		szc_layer_ready(conn);
	return SZC_LAYER_PROGRESS;
}

static bool is_start(const struct szc_psp_conn *psp, const struct szc_psp_frame *frame)
{
	return frame->type == SZC_PSP_FRAME_START || (frame->type == SZC_PSP_FRAME_CONTINUE && !psp->client);
}

static int end_came(struct szc_conn *conn, struct szc_psp_conn *psp, const struct szc_psp_frame *frame)
{
	uint64_t total = szc_psp_get(frame->body, sizeof(total));

	if (total == psp->received && frame->type == SZC_PSP_FRAME_MOVE)
		return szc_psp_move_came(conn, psp, frame->type);
	if (total == psp->received && psp->left_here)
		return szc_layer_fail(conn, SZC_E_CLOSED, "the peer ended its direction while the stream moved");
	psp->ended_there = true;
	if (total == psp->received)
		return SZC_LAYER_EOF;
	return szc_layer_fail(conn, SZC_E_PSP_MESSAGE, "the peer ended after %llu bytes, and %llu came",
			      (unsigned long long)total, (unsigned long long)psp->received);
}

static int frame_came(struct szc_conn *conn, struct szc_psp_conn *psp, const struct szc_psp_frame *frame)
{
	if (psp->started == is_start(psp, frame))
		return no_frame(conn, psp, "the peer starts again under PSP");
	if (is_start(psp, frame))
		return start_came(conn, psp, frame);
	if (psp->waits && frame->type != SZC_PSP_FRAME_GO)
		return szc_layer_fail(conn, SZC_E_PSP_MESSAGE,
				      "the peer goes on with the stream before it read the rest");
	if (frame->type == SZC_PSP_FRAME_END || frame->type == SZC_PSP_FRAME_MOVE)
		return end_came(conn, psp, frame);
	if (frame->type != SZC_PSP_FRAME_PAYLOAD)
		return szc_psp_move_came(conn, psp, frame->type);
	psp->left = frame->length;
	return SZC_LAYER_PROGRESS;
}

static int deliver(struct szc_conn *conn, struct szc_psp_conn *psp, size_t avail)
{
	size_t most = psp->left < STEP ? psp->left : STEP, part = avail < most ? avail : most;
	int error = szc_layer_deliver(conn, part);

	if (error)
		return error;
	psp->left -= (uint32_t)part;
	psp->received += part;
	return part ? SZC_LAYER_PROGRESS : SZC_LAYER_NEED_MORE;
}

static int psp_input(struct szc_conn *conn, void *state)
{
	struct szc_psp_conn *psp = state;
	struct szc_psp_frame frame;
	const struct iovec *iov;
	int iovcnt, result;
	size_t avail = szc_layer_peek(conn, &iov, &iovcnt), len = SZC_PSP_FRAME_HEADER;

	if (psp->left)
		return deliver(conn, psp, avail);
	result = szc_psp_frame_parse(&frame, iov, avail);
	if (result < 0)
		return no_frame(conn, psp, "what the peer said under PSP is no frame");
	if (!result)
		return SZC_LAYER_NEED_MORE;
	if (frame.type != SZC_PSP_FRAME_PAYLOAD)
		len += frame.length;
	result = frame_came(conn, psp, &frame);
	szc_layer_drop(conn, len);
	return result;
}

static int psp_fin(struct szc_conn *conn, void *state)
{
	const struct szc_psp_conn *psp = state;

	if (!psp->started)
		return szc_layer_fail(conn, SZC_E_CLOSED, "the peer closed the connection on the way to PSP");
	return szc_layer_fail(conn, SZC_E_TRUNCATED,
			      "TCP ended without the peer's end: what came so far may not be all");
}

/* ---- what goes */

/* A frame with the next of these bytes, `len` at most, which begin *skip bytes into *iov; both move on. Bytes or an error. */
static ssize_t send_frame(struct szc_conn *conn, const struct iovec **iov, const struct iovec *end, size_t *skip,
			  size_t len)
{
	uint8_t header[SZC_PSP_FRAME_HEADER];
	struct iovec pieces[1 + PIECES] = {{header, sizeof(header)}};
	size_t sum = 0;
	int count = 1, error;

	while (*iov < end && count <= PIECES && sum < len) {
		size_t part = (*iov)->iov_len - *skip < len - sum ? (*iov)->iov_len - *skip : len - sum;

		if (part)
			pieces[count++] = (struct iovec){(uint8_t *)(*iov)->iov_base + *skip, part};
		sum += part;
		*skip += part;
		if (*skip == (*iov)->iov_len) {
			*skip = 0;
			++*iov;
		}
	}
	if (!sum)
		return 0;
	szc_psp_frame_pack(header, SZC_PSP_FRAME_PAYLOAD, (uint32_t)sum);
	error = szc_layer_queue(conn, pieces, count);
	return error ? error : (ssize_t)sum;
}

static ssize_t psp_send(struct szc_conn *conn, void *state, const struct iovec *iov, int iovcnt, size_t room)
{
	struct szc_psp_conn *psp = state;
	const struct iovec *end = iov + iovcnt;
	size_t skip = 0, taken = 0;

	while (iov < end && taken < room) {
		size_t most = room - taken < SZC_PSP_PAYLOAD_MAX ? room - taken : SZC_PSP_PAYLOAD_MAX;
		ssize_t n = send_frame(conn, &iov, end, &skip, most);

		if (n < 0)
			return n;
		taken += (size_t)n;
		psp->sent += (size_t)n;
	}
	return (ssize_t)taken;
}

/* Whether the end of this connection is not that of the stream: a client says so once the server knows of the new one (before,
 * that was dialled in vain), a server when its client did. */
static bool goes_on(const struct szc_psp_conn *psp)
{
	return psp->client ? psp->after && psp->after->started : psp->moved;
}

static int psp_shutdown(struct szc_conn *conn, void *state)
{
	struct szc_psp_conn *psp = state;
	uint8_t total[sizeof(uint64_t)];

	szc_psp_put(total, sizeof(total), psp->sent);
	psp->left_here = goes_on(psp);
	psp->ended_here = !psp->left_here;
	if (psp->left_here && !psp->client && psp->after)
		psp->after->may_go = true;
	return szc_psp_say(conn, psp->left_here ? SZC_PSP_FRAME_MOVE : SZC_PSP_FRAME_END, total, sizeof(total));
}

static void psp_free(void *state)
{
	szc_psp_move_forget(state);
	OPENSSL_cleanse(state, sizeof(struct szc_psp_conn));
	free(state);
}

const struct szc_layer_ops szc_psp_layer = {
	.name = "psp",
	.input = psp_input,
	.fin = psp_fin,
	.send = psp_send,
	.shutdown = psp_shutdown,
	.free = psp_free,
};
