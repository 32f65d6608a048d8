/* SPDX-License-Identifier: MIT */
#ifndef SZC_BENCH_INSN_H
#define SZC_BENCH_INSN_H
/* What has to be known of an x86-64 instruction, from its bytes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "llc.h"

/* The marker it is (kernel/szcnic_trips.h), or -1. */
int insn_marker(const uint8_t *code, size_t size);

/* Whether it pushes: a call, or a push proper. What it stores then is no data. */
bool insn_pushes(const uint8_t *code, size_t size);

/* How it stores, if it does (Intel's manual, volume 2, 2.1 and 2.3, and the instructions' own pages). */
enum llc_store insn_store(const uint8_t *code, size_t size);
#endif
