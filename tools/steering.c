/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netdb.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <szc/nic.h>
#include <time.h>
#include "steering.h"
#include "stop.h"

/* The kernel gives a closed engine's queue back a moment later. */
enum { PATIENCE_SECONDS = 10, NAP_NS = 20000000 };

/* What the NIC or the kernel refuses is the system's fault, not the network's. */
static int failed(struct failure *failure, int error, const char *sentence)
{
	return failure_set(failure, error == SZC_E_OPTION ? EXIT_USAGE : EXIT_SYSTEM, "%s", sentence);
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int steering_prepare(struct steering *steering, const struct options *options, struct failure *failure)
{
	char sentence[512] = "";
	struct szc_nic_options nic_options = {
		.size = sizeof(nic_options),
		.ifname = options->ifname,
		.state_file = options->state_file,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	struct szc_nic_prepare_options prepare = {.size = sizeof(prepare), .queue = options->queue};
	time_t late;
	int error;

	*steering = (struct steering){.queue = options->queue};
	if (!options->ifname)
		return 0;
	error = szc_nic_open(&steering->nic, &nic_options);
	if (error) {
		steering->nic = NULL;
		return failed(failure, error, sentence);
	}
	late = seconds() + PATIENCE_SECONDS;
	while ((error = szc_nic_prepare(steering->nic, &prepare)) == -EBUSY && seconds() < late && !stop_signal())
		nanosleep(&(struct timespec){0, NAP_NS}, NULL);
	if (!error)
		return 0;
	failed(failure, error, szc_nic_last_error(steering->nic));
	szc_nic_close(steering->nic);
	steering->nic = NULL;
	return failure->exit_code;
}

/* As an IPv6 socket has it, ::ffff:10.0.0.1; on the wire it is IPv4. */
static void unmap(struct sockaddr_storage *address)
{
	struct sockaddr_in6 mapped;
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;

	memcpy(&mapped, address, sizeof(mapped));
	if (mapped.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&mapped.sin6_addr))
		return;
	*v4 = (struct sockaddr_in){.sin_family = AF_INET};
	memcpy(&v4->sin_addr, &mapped.sin6_addr.s6_addr[12], sizeof(v4->sin_addr));
}

/* The address in "ADDR:PORT"; of no family where there is none, or the name of a host, which can have many. */
static void parse_address(const char *listen, struct sockaddr_storage *address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
	const char *colon = strrchr(listen, ':');
	size_t length = colon ? (size_t)(colon - listen) : 0;
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];

	*address = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	if (*listen == '[' && length > 1) {
		listen++;
		length -= 2;
	}
	if (!length || length >= sizeof(host))
		return;
	memcpy(host, listen, length);
	host[length] = 0;
	if (getaddrinfo(host, NULL, &hints, &found))
		return;
	memcpy(address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	unmap(address);
}

/* Sockets of [::] take IPv4, too. How many flows. */
static unsigned flows_of(const struct sockaddr_storage *address, unsigned port, struct szc_nic_flow *flows)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	struct szc_nic_flow flow = {.size = sizeof(flow), .family = address->ss_family, .port = (uint16_t)port};

	if (flow.family == AF_UNSPEC || (flow.family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))) {
		flow.family = AF_INET;
		flows[0] = flow;
		flow.family = AF_INET6;
		flows[1] = flow;
		return 2;
	}
	if (flow.family == AF_INET6 || v4->sin_addr.s_addr != htonl(INADDR_ANY))
		flow.local = (const struct sockaddr *)address;
	flows[0] = flow;
	return 1;
}

int steering_begin(struct steering *steering, const char *listen, unsigned port, struct failure *failure)
{
	struct szc_nic_flow flows[STEERING_RULES];
	struct sockaddr_storage address;
	unsigned count;

	if (!steering->nic)
		return 0;
	parse_address(listen, &address);
	count = flows_of(&address, port, flows);
	for (unsigned i = 0; i < count; i++) {
		int slot = szc_nic_steer(steering->nic, &flows[i], steering->queue);

		if (slot < 0)
			return failed(failure, slot, szc_nic_last_error(steering->nic));
		steering->rules[steering->rule_count++] = slot;
	}
	return 0;
}

void steering_end(struct steering *steering)
{
	/* One that stays is told by steering_restore(). */
	while (steering->rule_count)
		szc_nic_unsteer(steering->nic, steering->rules[--steering->rule_count]);
}

void steering_restore(struct steering *steering)
{
	if (!steering->nic)
		return;
	if (szc_nic_restore(steering->nic))
		fprintf(stderr, "zcrx-tls: the NIC is not all as it was: %s\n", szc_nic_last_error(steering->nic));
	szc_nic_close(steering->nic);
	steering->nic = NULL;
}
