/* SPDX-License-Identifier: MIT */
/* A configuration, and what connections ask the kernel through it. */
#ifndef SZC_PSP_CTX_H
#define SZC_PSP_CTX_H

#include <pthread.h>
#include <stdbool.h>
#include <szc/psp.h>
#include <szc/upgrade.h>
#include "psp/family.h"

#define SZC_PSP_NO_KERNEL "this kernel has no PSP: that takes Linux 6.18 or later, with CONFIG_INET_PSP"

struct szc_psp_conn;

struct szc_psp_ctx {
	struct szc_psp_options options;
	struct szc_tls_upgrade upgrade;
	pthread_mutex_t lock; /* of the session with the kernel, which is one for all threads */
	struct szc_psp psp;
	bool has_family; /* the kernel has PSP */

	/* Of the kernel's notices, as far as they were read. */
	struct szc_psp notices;
	uint64_t looked_ms;
	struct szc_psp_rotations {
		uint32_t device;
		unsigned count;
	} rotations[SZC_PSP_DEVICES_MAX]; /* of those that had any */

	struct szc_psp_conn *streams; /* that can be gone on with */
};

/* What can be had for a connection, and where. */
struct szc_psp_place {
	uint32_t device;
	uint32_t versions; /* that encrypt, are enabled, and wanted: bit by bit */
};

/* 0, SZC_E_PSP_DEVICE, SZC_E_PSP_VERSION, SZC_E_PSP_SOCKET, or another error of the kernel's. Any thread, as below. */
int szc_psp_ctx_place(struct szc_psp_ctx *ctx, int fd, struct szc_psp_place *place);
/* 0; SZC_E_PSP_LIMIT, SZC_E_PSP_SOCKET, SZC_E_PSP_VERSION; or another error. */
int szc_psp_ctx_receive_key(struct szc_psp_ctx *ctx, int fd, const struct szc_psp_place *place,
			    enum szc_psp_version version, struct szc_psp_key *key);
/* 0; SZC_E_PSP_MESSAGE: something in clear came behind the last message; or as above. */
int szc_psp_ctx_send_key(struct szc_psp_ctx *ctx, int fd, const struct szc_psp_place *place,
			 enum szc_psp_version version, const struct szc_psp_key *key);

/* How often the device's key was rotated since the configuration was opened: until now if `fresh`, else as was known a moment
 * ago. */
unsigned szc_psp_ctx_rotations(struct szc_psp_ctx *ctx, uint32_t device, bool fresh);

/* Connections of engines of several threads are in one list. */
void szc_psp_ctx_list(struct szc_psp_ctx *ctx, struct szc_psp_conn *psp);
void szc_psp_ctx_unlist(struct szc_psp_ctx *ctx, struct szc_psp_conn *psp);
/* One of that engine, by its id; NULL: none. */
struct szc_psp_conn *szc_psp_ctx_listed(struct szc_psp_ctx *ctx, const struct szc_rx *rx, const uint8_t *id);

#endif
