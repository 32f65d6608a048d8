/* SPDX-License-Identifier: MIT */
/*
 * What a program does that has zero-copy receive and TLS, but not this library's record layer: OpenSSL shakes hands, and
 * each record is then decrypted from where it arrived into the program's own buffer. For counting only: it knows neither
 * KeyUpdates nor padding, trusts its peer to send data, and stops at anything else.
 */
#ifndef BENCH_TRIPS_OPENER_H
#define BENCH_TRIPS_OPENER_H

#include "receiver.h"

struct opener;
struct szc_conn;

/* One for the connection, which lives as long as the process. NULL after a message. */
struct opener *opener_new(struct receiver *receiver, struct szc_conn *conn);
/* The next bytes of the connection. */
int opener_take(struct opener *opener, struct receiver *receiver, const unsigned char *data, size_t len);
/* A byte to the peer. */
int opener_say(struct opener *opener, char word);

#endif
