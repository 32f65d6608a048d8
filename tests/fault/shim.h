/* SPDX-License-Identifier: MIT */
/* For the program that loads the shim: one call of one function fails. Weak: without the shim they are NULL. */
#ifndef SZC_TESTS_SHIM_H
#define SZC_TESTS_SHIM_H

/* The at-th call (from 1) of that name fails with the errno from now on counted; NULL disarms. */
__attribute__((weak)) void shim_arm(const char *name, int error, long at);
/* Calls of that name since it was armed. */
__attribute__((weak)) long shim_calls(void);
/* The file of the program or library that made the refused allocation; "" if none was refused. */
__attribute__((weak)) const char *shim_refused(void);
/* Pieces of memory that were allocated and not freed. */
__attribute__((weak)) long shim_live(void);

#endif
