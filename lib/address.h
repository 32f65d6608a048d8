/* SPDX-License-Identifier: MIT */
#ifndef SZC_LIB_ADDRESS_H
#define SZC_LIB_ADDRESS_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Resolves "HOST:PORT", "[ADDR6]:PORT" or, to listen, ":PORT". On success *found is the caller's (freeaddrinfo).
 * SZC_E_ADDRESS otherwise, with the reason in `why`.
 */
int szc_address_resolve(const char *text, bool to_listen, struct addrinfo **found, char *why, size_t why_size);

#endif
