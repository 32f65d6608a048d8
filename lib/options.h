/* SPDX-License-Identifier: MIT */
#ifndef SZC_LIB_OPTIONS_H
#define SZC_LIB_OPTIONS_H

#include "engine.h"

/* Takes over into rx->given what the caller gave, and what has one default for all backends. 0 or SZC_E_OPTION. */
int szc_options_take(struct szc_rx *rx, const struct szc_rx_options *given);

/* As szc_backend_ops.derive, where buffers are filled by copying: checks that quotas fit into the area. */
int szc_options_derive(struct szc_rx *rx);

/* Writes rx->describe; `why` is what speaks against better backends, lines of text. */
void szc_options_describe(struct szc_rx *rx, const char *why);

#endif
