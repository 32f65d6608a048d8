/* SPDX-License-Identifier: MIT */
/* A layer for tests of the engine: records of one size, delivered only when they are whole, as TLS does it; no secrets. */
#ifndef SZC_TESTS_RECORDS_H
#define SZC_TESTS_RECORDS_H

#include <stdbool.h>
#include <szc/layer.h>

struct records {
	size_t header; /* dropped before the payload */
	size_t payload;
	size_t trailer;  /* dropped after it */
	bool mute;       /* never ready: a handshake that does not come to its end */
	size_t farewell; /* bytes queued by shutdown */
	/* What happened. */
	int started;
	int ended;
	int freed;
	int sent;
};

static inline size_t records_size(const struct records *records)
{
	return records->header + records->payload + records->trailer;
}

/* The struct stays the test's. */
int records_attach(struct szc_conn *conn, struct records *records);

#endif
