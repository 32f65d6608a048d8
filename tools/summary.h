/* SPDX-License-Identifier: MIT */
/* What a run did, for people and for programs. */
#ifndef TOOLS_SUMMARY_H
#define TOOLS_SUMMARY_H

#include <stdio.h>
#include <szc/rx.h>
#include "failure.h"

struct stopwatch {
	double start; /* seconds; 0: not started */
	double cpu_start;
	double seconds; /* set by stopwatch_stop() */
	double cpu_seconds;
};

/* The first start counts, and the last stop. Processor time is the whole process's. */
void stopwatch_start(struct stopwatch *watch);
void stopwatch_stop(struct stopwatch *watch);

struct summary {
	const char *command; /* "recv", "send", "echo" */
	const char *what;    /* for people: what happened to `bytes` ("received") */
	const char *path;    /* for people: where to or where from; may be NULL */
	uint64_t bytes;      /* payload that the command was about: received, sent, echoed */
	uint64_t bytes_back; /* send: payload that came back from the receiver */
	uint64_t bytes_psp;  /* of `bytes`: carried by PSP, the rest by TLS */
	uint64_t connections;
	uint64_t failed;     /* ... of which did not end properly */
	uint64_t moves;      /* of streams to new connections, because a NIC's key was rotated */
	double move_seconds; /* the longest of them, as far as it was measured */
	struct stopwatch watch;
	struct szc_trips trips;
	char backend[16];
	char cipher[48];
	char sending[8];
	char psp[16];      /* PSP's cipher; empty: none of the connections that were noted had it */
	char psp_why[160]; /* why the last one had not; empty: it was not asked for */
};

/* What is known of a connection while it lives, of which so much payload counts: the ledger, who sealed and with what. */
void summary_note(struct summary *summary, const struct szc_conn *conn, uint64_t bytes);

/* One JSON object on a line. 0 or an exit code. */
int summary_print_json(const struct summary *summary, const struct failure *failure, FILE *file);

/* A few lines for people. */
void summary_print(const struct summary *summary, FILE *file);

/* "268.4 MB in 0.31 s, 0.87 GB/s" into `text`; returns it. */
char *summary_rate(char *text, size_t size, uint64_t bytes, double seconds);

#endif
