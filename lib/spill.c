/* SPDX-License-Identifier: MIT */
#include "spill.h"

#include <errno.h>
#include <stdlib.h>

enum {
	SPILLED = UINT32_MAX, /* as the number of a buffer: it is none */
	SPILL_BYTES = 20480,  /* the largest TLS record, with some room */
};

static struct szc_frag *make(struct szc_conn *conn, size_t bytes)
{
	size_t cap = bytes > SPILL_BYTES ? bytes : SPILL_BYTES;
	struct szc_frag *frag = malloc(sizeof(*frag) + cap);

	if (frag)
		*frag = (struct szc_frag){
			.base = (uint8_t *)(frag + 1),
			.cap = (uint32_t)cap,
			.buffer = SPILLED,
			.conn = conn,
		};
	return frag;
}

/* Whether the rest of the input fits behind its first entry. */
static bool fits(const struct szc_input *input)
{
	const struct szc_frag *first = input->frags[input->head];
	const struct iovec *iov = &input->iov[input->head];

	return first->buffer == SPILLED && first->cap - first->len >= input->bytes - iov->iov_len &&
	       (uint8_t *)iov->iov_base + iov->iov_len == first->base + first->len;
}

size_t szc_spill_pack(struct szc_conn *conn, struct szc_frag_list *unused)
{
	struct szc_frag *frag;

	if (fits(&conn->input))
		return szc_input_compact(&conn->input, unused);
	frag = make(conn, conn->input.bytes);
	if (!frag) {
		szc_conn_kill(conn, -ENOMEM);
		return 0;
	}
	conn->held++;
	return szc_input_gather(&conn->input, frag, unused);
}

bool szc_spill_recycle(struct szc_frag *frag)
{
	if (frag->buffer != SPILLED)
		return false;
	free(frag);
	return true;
}
