// SPDX-License-Identifier: GPL-2.0
/*
 * What a frame is, and whether it is whole. Formats: IEEE 802.1Q, RFC 791, RFC 8200, RFC 9293, RFC 768. Of a
 * fragment, and of a packet on its way through a routing header (whose checksum is over another destination), L4 is
 * not looked at.
 */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>

#include "hw.h"

#define HW_VLAN_TAGS	2
#define HW_EXT_HEADERS	8	/* more of them are not walked: the packet then has no L4 */

static bool parse_tcp(const struct hw_frame *frame, struct hw_packet *packet, u32 off)
{
	const struct tcphdr *tcp = (const void *)(frame->data + off);

	if (off + sizeof(*tcp) > packet->end || tcp->doff * 4 < sizeof(*tcp) || off + tcp->doff * 4 > packet->end)
		return false;
	packet->l4_off = off;
	packet->hdr_len = off + tcp->doff * 4;
	packet->tuple.sport = tcp->source;
	packet->tuple.dport = tcp->dest;
	return true;
}

static bool parse_udp(const struct hw_frame *frame, struct hw_packet *packet, u32 off)
{
	const struct udphdr *udp = (const void *)(frame->data + off);

	if (off + sizeof(*udp) > packet->end || ntohs(udp->len) < sizeof(*udp) || off + ntohs(udp->len) > packet->end)
		return false;
	packet->l4_off = off;
	packet->hdr_len = off + sizeof(*udp);
	packet->tuple.sport = udp->source;
	packet->tuple.dport = udp->dest;
	return true;
}

static bool parse_l4(const struct hw_frame *frame, struct hw_packet *packet, u8 proto, u32 off)
{
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return true;
	packet->tuple.l4 = proto;
	if (packet->fragment)
		return true;
	return proto == IPPROTO_TCP ? parse_tcp(frame, packet, off) : parse_udp(frame, packet, off);
}

static bool parse_ipv4(const struct hw_frame *frame, struct hw_packet *packet)
{
	const struct iphdr *ip = (const void *)(frame->data + packet->l3_off);
	u32 room = frame->len - packet->l3_off;

	if (room < sizeof(*ip) || ip->version != 4 || ip->ihl * 4 < sizeof(*ip) || ntohs(ip->tot_len) < ip->ihl * 4 ||
	    ntohs(ip->tot_len) > room)
		return false;
	packet->end = packet->l3_off + ntohs(ip->tot_len);
	packet->tuple.l3 = 4;
	packet->tuple.src.s6_addr32[0] = ip->saddr;
	packet->tuple.dst.s6_addr32[0] = ip->daddr;
	packet->fragment = ip_is_fragment(ip);
	return parse_l4(frame, packet, ip->protocol, packet->l3_off + ip->ihl * 4);
}

/*
 * Steps over one extension header; false if it does not fit. *proto is NEXTHDR_NONE
 * if nothing behind it is to be read.
 */
static bool step_ext(const struct hw_frame *frame, struct hw_packet *packet, u8 *proto, u32 *off)
{
	const struct ipv6_opt_hdr *ext = (const void *)(frame->data + *off);
	u32 len;

	if (*off + 8 > packet->end)
		return false;
	if (*proto == NEXTHDR_FRAGMENT) {
		packet->fragment = true;
		len = 8;
	} else {
		len = ipv6_optlen(ext);
	}
	if (*off + len > packet->end)
		return false;
	if (*proto == NEXTHDR_ROUTING && ((const struct ipv6_rt_hdr *)ext)->segments_left)
		*proto = NEXTHDR_NONE;
	else
		*proto = ext->nexthdr;
	*off += len;
	return true;
}

static bool parse_ipv6(const struct hw_frame *frame, struct hw_packet *packet)
{
	const struct ipv6hdr *ip = (const void *)(frame->data + packet->l3_off);
	u32 off = packet->l3_off + sizeof(*ip);
	u8 proto;
	int i;

	if (off > frame->len || ip->version != 6 || off + ntohs(ip->payload_len) > frame->len)
		return false;
	packet->end = off + ntohs(ip->payload_len);
	packet->tuple.l3 = 6;
	packet->tuple.src = ip->saddr;
	packet->tuple.dst = ip->daddr;
	proto = ip->nexthdr;
	for (i = 0; i < HW_EXT_HEADERS; i++) {
		if (proto != NEXTHDR_HOP && proto != NEXTHDR_ROUTING && proto != NEXTHDR_DEST &&
		    proto != NEXTHDR_FRAGMENT)
			break;
		if (packet->fragment)
			return true;
		if (!step_ext(frame, packet, &proto, &off))
			return false;
	}
	return parse_l4(frame, packet, proto, off);
}

bool hw_parse(const struct hw_frame *frame, struct hw_packet *packet)
{
	u32 off = offsetof(struct ethhdr, h_proto);
	__be16 proto;
	int tags;

	memset(packet, 0, sizeof(*packet));
	packet->end = frame->len;
	if (frame->len < ETH_HLEN)
		return false;
	memcpy(&proto, frame->data + off, sizeof(proto));
	for (tags = 0; tags < HW_VLAN_TAGS && eth_type_vlan(proto); tags++) {
		off += VLAN_HLEN;
		if (off + sizeof(proto) > frame->len)
			return false;
		memcpy(&proto, frame->data + off, sizeof(proto));
	}
	packet->l3_off = off + sizeof(proto);
	if (proto == htons(ETH_P_IP))
		return parse_ipv4(frame, packet);
	if (proto == htons(ETH_P_IPV6))
		return parse_ipv6(frame, packet);
	return true;
}

/* TCP's or UDP's over header, payload and pseudo-header, the field itself included: 0 if it is right. */
static __sum16 l4_sum(const struct hw_frame *frame, const struct hw_packet *packet)
{
	const u8 *l4 = frame->data + packet->l4_off;
	const struct hw_tuple *t = &packet->tuple;
	u32 len = packet->end - packet->l4_off;
	__wsum sum;

	if (t->l4 == IPPROTO_UDP)
		len = ntohs(((const struct udphdr *)l4)->len);
	sum = csum_partial(l4, len, 0);
	if (t->l3 == 4)
		return csum_tcpudp_magic(t->src.s6_addr32[0], t->dst.s6_addr32[0], len, t->l4, sum);
	return csum_ipv6_magic(&t->src, &t->dst, len, t->l4, sum);
}

bool hw_verify(const struct hw_frame *frame, const struct hw_packet *packet, bool *known)
{
	const struct iphdr *ip = (const void *)(frame->data + packet->l3_off);

	*known = false;
	if (packet->tuple.l3 == 4 && ip_fast_csum(ip, ip->ihl))
		return false;
	if (!packet->l4_off)
		return true;
	/* Over IPv6 tunnels only may do without; which those are, the stack knows. */
	if (packet->tuple.l4 == IPPROTO_UDP && !((const struct udphdr *)(frame->data + packet->l4_off))->check)
		return true;
	*known = true;
	return !l4_sum(frame, packet);
}

void hw_fill_csum(struct hw_frame *frame, const struct hw_packet *packet)
{
	struct iphdr *ip = (struct iphdr *)(frame->data + packet->l3_off);
	struct tcphdr *tcp = (struct tcphdr *)(frame->data + packet->l4_off);
	struct udphdr *udp = (struct udphdr *)(frame->data + packet->l4_off);

	if (packet->tuple.l3 == 4) {
		ip->check = 0;
		ip->check = ip_fast_csum(ip, ip->ihl);
	}
	if (!packet->l4_off)
		return;
	if (packet->tuple.l4 == IPPROTO_TCP) {
		tcp->check = 0;
		tcp->check = l4_sum(frame, packet);
	} else {
		udp->check = 0;
		udp->check = l4_sum(frame, packet) ?: CSUM_MANGLED_0;
	}
}
