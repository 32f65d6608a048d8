/* SPDX-License-Identifier: MIT */
/*
 * PSP for a connection whose two ends are programs of this benchmark: each tells the other its key in clear, as nobody
 * must who has something to hide. What is sent after that is sealed.
 */
#ifndef BENCH_TRIPS_SEAL_H
#define BENCH_TRIPS_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "psp/family.h"

enum { SEAL_MESSAGE = 4 + 16 }; /* SPI and key, of AES-GCM-128 */

struct seal {
	struct szc_psp psp;
	uint32_t device;
	uint8_t theirs[SEAL_MESSAGE];
	size_t got;
};

/* The device of that interface, or of NULL: the only one there is; the socket's own key is the message. -1 after a message. */
int seal_begin(struct seal *seal, const char *ifname, int fd, uint8_t *message);
/* The other end's message, in whatever pieces it comes. Returns how many bytes were its; -1 after a message. */
int seal_take(struct seal *seal, int fd, const uint8_t *bytes, size_t len);
bool seal_complete(const struct seal *seal);
void seal_close(struct seal *seal);

/* All of it on a plain socket, which may be non-blocking. 0, or -1 after a message. */
int seal_socket(const char *ifname, int fd);

#endif
