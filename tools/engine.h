/* SPDX-License-Identifier: MIT */
/* What each command starts from: an engine, a TLS configuration, and for servers a listener. */
#ifndef TOOLS_ENGINE_H
#define TOOLS_ENGINE_H

#include <szc/psp.h>
#include <szc/tls.h>
#include "failure.h"
#include "options.h"
#include "steering.h"
#include "summary.h"

struct engine {
	struct szc_rx *rx;
	struct szc_tls_ctx *tls;
	struct szc_psp_ctx *psp;       /* NULL: not asked for */
	struct szc_listener *listener; /* NULL: not listening (any more) */
	struct steering steering;
};

/* Each: 0 or an exit code. engine_close() follows in every case. */
int engine_open(struct engine *engine, enum szc_tls_role role, const struct options *options, struct failure *failure);

/*
 * Says on standard error where, and writes options->port_file. Where the NIC does not steer to us it is another engine
 * afterwards, without the NIC.
 */
int engine_listen(struct engine *engine, const struct options *options, struct failure *failure);

/* Waits for events as szc_rx_wait(); a signal and a time-out are 0 events. Negative: failed. */
int engine_wait(struct engine *engine, struct szc_event *events, int max, int timeout_ms, struct failure *failure);

void engine_close(struct engine *engine);

/* Prints the failure's sentence, if any, and the summary as the options want it. Returns the exit code of the run. */
int engine_report(const struct options *options, const struct summary *summary, struct failure *failure);

#endif
