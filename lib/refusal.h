/* SPDX-License-Identifier: MIT */
/* Why the kernel refuses zero-copy receive, as sentences that a person can act on. Each returns SZC_E_BACKEND with the
 * engine's sentence set. */
#ifndef SZC_LIB_REFUSAL_H
#define SZC_LIB_REFUSAL_H

#include "engine.h"
#include "features.h"

/* 0 if the kernel can do it without a NIC. Asked before anything is tried, so that who lacks both the kernel and the
 * capability is told of the kernel first. */
int szc_refusal_nodev(struct szc_rx *rx, const struct szc_features *features);

/* A registration failed with this errno, negative; `ifindex` is the NIC's, 0 without one. */
int szc_refusal_registration(struct szc_rx *rx, int error, unsigned ifindex);

/* A receive ended with this errno, negative: a sentence, or NULL if it is TCP's own business. Static memory. */
const char *szc_refusal_receive(int error, bool dmabuf);

/* Why buffers are pages and not longer. Static memory. */
const char *szc_refusal_length(int error);

#endif
