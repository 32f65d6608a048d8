/* SPDX-License-Identifier: MIT */
/*
 * Packets out of a capture file in pcap's classic format (draft-ietf-opsawg-pcap; what tcpdump -w writes; editcap -F pcap
 * makes it of others), and what in them goes to a UDP port. Not libpcap: that would load ten more libraries into every
 * process that moves data. All bytes of a file are parsed here.
 */
#ifndef TOOLS_PCAP_H
#define TOOLS_PCAP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PCAP_PACKET_MAX = 256 * 1024 };

struct pcap_file {
	FILE *file;
	bool swapped;    /* numbers are of the other byte order than ours */
	bool nanosecond; /* fractions of a second are */
	uint32_t link;   /* LINKTYPE_... */
	char why[80];    /* the last failure */
};

struct pcap_packet {
	uint64_t ns; /* of the day it was captured, since 1970 */
	uint32_t len;
	uint32_t lost; /* bytes that were not captured */
	uint8_t data[PCAP_PACKET_MAX];
};

/* Reads the file's header. 0, or -1 with pcap->why; the file stays the caller's. */
int pcap_begin(struct pcap_file *pcap, FILE *file);
/* 1 and a packet, 0 at the end, -1 with pcap->why. */
int pcap_next(struct pcap_file *pcap, struct pcap_packet *packet);

struct pcap_udp {
	char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];
	uint16_t source_port, target_port;
	uint8_t *payload; /* in the packet */
	size_t len;
};

/* Whether it is a whole UDP packet, no fragment. */
bool pcap_udp(const struct pcap_file *pcap, struct pcap_packet *packet, struct pcap_udp *udp);

#endif
