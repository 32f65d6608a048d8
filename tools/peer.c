/* SPDX-License-Identifier: MIT */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "peer.h"

void peer_name(int fd, char name[PEER_NAME_SIZE])
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char host[48], port[8];

	if (getpeername(fd, (struct sockaddr *)&address, &len) ||
	    getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV)) {
		snprintf(name, PEER_NAME_SIZE, "peer");
		return;
	}
	snprintf(name, PEER_NAME_SIZE, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
