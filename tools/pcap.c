/* SPDX-License-Identifier: MIT */
#include "pcap.h"

#include <arpa/inet.h>
#include <string.h>

enum {
	FILE_HEADER = 24,
	PACKET_HEADER = 16,
	LINK_ETHERNET = 1,
	LINK_RAW = 101,
	LINK_COOKED = 113,
	ETHERNET = 14,
	COOKED = 16,
	VLAN = 4,
	IPV4 = 20,
	IPV6 = 40,
	UDP = 8,
};

static uint32_t swap(uint32_t value)
{
	return value >> 24 | (value >> 8 & 0xff00) | (value << 8 & 0xff0000) | value << 24;
}

static uint32_t number(const struct pcap_file *pcap, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return pcap->swapped ? swap(value) : value;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static int fail(struct pcap_file *pcap, const char *why)
{
	snprintf(pcap->why, sizeof(pcap->why), "%s", why);
	return -1;
}

int pcap_begin(struct pcap_file *pcap, FILE *file)
{
	uint8_t header[FILE_HEADER];
	uint32_t magic;

	*pcap = (struct pcap_file){.file = file};
	if (fread(header, sizeof(header), 1, file) != 1)
		return fail(pcap, "it is no capture: it is too short");
	memcpy(&magic, header, sizeof(magic));
	pcap->swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	magic = number(pcap, header);
	pcap->nanosecond = magic == 0xa1b23c4d;
	if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d)
		return fail(pcap, "it is no capture in pcap's format (editcap -F pcap makes it of others)");
	pcap->link = number(pcap, header + 20) & 0xffff;
	if (pcap->link != LINK_ETHERNET && pcap->link != LINK_RAW && pcap->link != LINK_COOKED)
		return fail(pcap, "it was captured on neither Ethernet nor IP");
	return 0;
}

int pcap_next(struct pcap_file *pcap, struct pcap_packet *packet)
{
	uint8_t header[PACKET_HEADER];
	size_t n = fread(header, 1, sizeof(header), pcap->file);
	uint32_t original;

	if (!n && !ferror(pcap->file))
		return 0;
	if (n != sizeof(header))
		return fail(pcap, "it ends amid a packet");
	packet->ns = (uint64_t)number(pcap, header) * 1000000000 +
		     (uint64_t)number(pcap, header + 4) * (pcap->nanosecond ? 1 : 1000);
	packet->len = number(pcap, header + 8);
	original = number(pcap, header + 12);
	if (packet->len > sizeof(packet->data) || packet->len > original)
		return fail(pcap, "a packet's length makes no sense");
	packet->lost = original - packet->len;
	if (packet->len && fread(packet->data, packet->len, 1, pcap->file) != 1)
		return fail(pcap, "it ends amid a packet");
	return 1;
}

/* ---- from the link to UDP; each returns where the next one begins, or 0: it is something else */

static size_t link_part(const struct pcap_file *pcap, const struct pcap_packet *packet, bool *six)
{
	size_t at = pcap->link == LINK_COOKED ? COOKED : ETHERNET;
	uint16_t type;

	if (pcap->link == LINK_RAW) {
		*six = packet->len && packet->data[0] >> 4 == 6;
		return 0;
	}
	if (packet->len < at)
		return packet->len;
	type = get16(packet->data + at - 2);
	while ((type == 0x8100 || type == 0x88a8) && packet->len >= at + VLAN) {
		at += VLAN;
		type = get16(packet->data + at - 2);
	}
	*six = type == 0x86dd;
	return type == 0x0800 || *six ? at : packet->len;
}

static size_t ipv4_part(const uint8_t *ip, size_t len, struct pcap_udp *udp)
{
	size_t header;

	if (len < IPV4 || ip[0] >> 4 != 4)
		return 0;
	header = (size_t)(ip[0] & 15) * 4;
	if (header < IPV4 || len < header || ip[9] != IPPROTO_UDP || get16(ip + 6) & 0x3fff)
		return 0;
	inet_ntop(AF_INET, ip + 12, udp->source, sizeof(udp->source));
	inet_ntop(AF_INET, ip + 16, udp->target, sizeof(udp->target));
	return header;
}

static size_t ipv6_part(const uint8_t *ip, size_t len, struct pcap_udp *udp)
{
	if (len < IPV6 || ip[0] >> 4 != 6 || ip[6] != IPPROTO_UDP)
		return 0;
	inet_ntop(AF_INET6, ip + 8, udp->source, sizeof(udp->source));
	inet_ntop(AF_INET6, ip + 24, udp->target, sizeof(udp->target));
	return IPV6;
}

bool pcap_udp(const struct pcap_file *pcap, struct pcap_packet *packet, struct pcap_udp *udp)
{
	bool six = false;
	size_t at = link_part(pcap, packet, &six), header, len;
	uint8_t *ip = packet->data + at;

	header = six ? ipv6_part(ip, packet->len - at, udp) : ipv4_part(ip, packet->len - at, udp);
	at += header;
	if (!header || packet->len - at < UDP)
		return false;
	len = get16(ip + header + 4);
	if (len < UDP || len > packet->len - at)
		return false;
	udp->source_port = get16(ip + header);
	udp->target_port = get16(ip + header + 2);
	udp->payload = ip + header + UDP;
	udp->len = len - UDP;
	return true;
}
