/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* EAI_ADDRFAMILY */
#include "address.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <szc/szc.h>

enum { HOST_MAX = 256 };

/* getaddrinfo() takes 65537 for 1. */
static bool is_port(const char *text)
{
	unsigned long port = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 6; i++)
		port = port * 10 + (unsigned long)(text[i] - '0');
	return i && !text[i] && port <= UINT16_MAX;
}

/* Cuts "HOST:PORT" in two; *port points into text. Returns why it cannot, or NULL. */
static const char *split(const char *text, char host[HOST_MAX], const char **port)
{
	const char *colon = strrchr(text, ':'), *begin = text;
	size_t len;

	if (!colon || !colon[1])
		return "there is no port: write HOST:PORT or [ADDR6]:PORT";
	len = (size_t)(colon - text);
	if (text[0] == '[') {
		if (len < 3 || text[len - 1] != ']')
			return "an IPv6 address is written [ADDR6]:PORT";
		begin++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return "an IPv6 address needs brackets: [ADDR6]:PORT";
	}
	if (!is_port(colon + 1))
		return "the port is not a number from 0 to 65535";
	if (len >= HOST_MAX)
		return "the host name is too long";
	memcpy(host, begin, len);
	host[len] = '\0';
	*port = colon + 1;
	return NULL;
}

int szc_address_resolve(const char *text, bool to_listen, struct addrinfo **found, char *why, size_t why_size)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	char host[HOST_MAX];
	const char *port, *wrong = split(text, host, &port);
	int error;

	if (!wrong && !host[0] && !to_listen)
		wrong = "there is no host to connect to";
	if (wrong) {
		snprintf(why, why_size, "\"%s\": %s", text, wrong);
		return SZC_E_ADDRESS;
	}
	hints.ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : AI_ADDRCONFIG);
	if (!host[0])
		hints.ai_family = AF_INET6; /* dual-stack: both families on one socket */
	error = getaddrinfo(host[0] ? host : NULL, port, &hints, found);
	if (error == EAI_BADFLAGS || error == EAI_NONAME || error == EAI_ADDRFAMILY) {
		/* A loopback address counts as no address for AI_ADDRCONFIG. */
		hints.ai_flags &= ~AI_ADDRCONFIG;
		error = getaddrinfo(host[0] ? host : NULL, port, &hints, found);
	}
	if (!error)
		return 0;
	snprintf(why, why_size, "\"%s\": %s", text, gai_strerror(error));
	return SZC_E_ADDRESS;
}
