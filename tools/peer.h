/* SPDX-License-Identifier: MIT */
/* How a connection's other end is named in messages. */
#ifndef TOOLS_PEER_H
#define TOOLS_PEER_H

#define PEER_NAME_SIZE 64

/* "192.0.2.1:4433" or "[2001:db8::1]:4433" into `name`. */
void peer_name(int fd, char name[PEER_NAME_SIZE]);

#endif
