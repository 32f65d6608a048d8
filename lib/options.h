/* SPDX-License-Identifier: MIT */
#ifndef SZC_LIB_OPTIONS_H
#define SZC_LIB_OPTIONS_H

#include "engine.h"

/* Takes over what the caller gave, derives the rest, and checks that quotas fit into the area. */
int szc_options_fill(struct szc_rx *rx, const struct szc_rx_options *given);

/* Writes rx->describe; `why` is what speaks against better backends, lines of text. */
void szc_options_describe(struct szc_rx *rx, const char *why);

#endif
