/* SPDX-License-Identifier: MIT */
/* What the two ways of receiving share, so that nothing but the way differs. */
#ifndef BENCH_RECEIVE_H
#define BENCH_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common.h"

struct arguments {
	const char *mode;
	const char *listen;
	const char *port_file;
	const char *cert;
	const char *key;
	const char *ciphersuites;
	const char *backend;
	size_t area_size;
	size_t buffer_size;
	bool json;
};

struct result {
	struct consumed consumed;
	double wall_start, cpu_start;
	double seconds, cpu_seconds;
	double trips_measured, trips_assumed;
	double passes;
	bool model; /* the trips are what the code is known to do, not what was counted */
	char cipher[48];
	char backend[16];
};

/* When the connection was accepted, and when it ended. */
void result_start(struct result *result);
void result_stop(struct result *result);

/* The consumer: reads every byte once. */
void result_consume(struct result *result, const void *data, size_t len);

/* Each receives one connection to its proper end. 0 or -1 after a message. */
int receive_openssl(const struct arguments *arguments, struct result *result);
int receive_inplace(const struct arguments *arguments, struct result *result);

#endif
