// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware GRO: consecutive segments of a TCP connection become one packet, by the rules of the stack's own GRO
 * (net/ipv4/tcp_offload.c), so that it could be cut again into what was on the wire: all headers are the same but for
 * lengths, checksums, the IPv4 id, the sequence number, and PSH and FIN of the last; all payloads are of one length
 * but the last, which may be shorter.
 *
 * What is open waits HW_GRO_NS for more, or as long as the interrupt may wait (rx-usecs) if that is longer. It closes
 * earlier at anything that does not continue it. While HW_GRO_FLOWS are open, packets of other connections pass by:
 * closing one for each newcomer would leave every connection without, once there are a few too many.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/tcp.h>

#include "hw.h"

#define HW_GRO_NS	NSEC_PER_MSEC
#define HW_GRO_SEGS	255

static const struct tcphdr *tcp_of(const struct hw_frame *frame, const struct hw_packet *packet)
{
	return (const void *)(frame->data + packet->l4_off);
}

static u32 payload_of(const struct hw_packet *packet)
{
	return packet->end - packet->hdr_len;
}

static struct hw_frame *first_frame(const struct hw_gro *gro)
{
	return list_first_entry(&gro->frames, struct hw_frame, entry);
}

/* ---- closing */

static void reset(struct hw_gro *gro)
{
	struct hw_frame *frame, *next;

	list_for_each_entry_safe(frame, next, &gro->frames, entry) {
		list_del(&frame->entry);
		hw_frame_free(frame);
	}
	list_del(&gro->entry);
	gro->open = false;
}

/* The first frame's headers as those of the whole. TCP's checksum stays: whoever wants to send it on calculates one. */
static void amend(const struct hw_gro *gro, u8 *headers)
{
	const struct hw_packet *first = &gro->first;
	struct ipv6hdr *ip6 = (struct ipv6hdr *)(headers + first->l3_off);
	struct iphdr *ip = (struct iphdr *)(headers + first->l3_off);
	u32 len = first->hdr_len - first->l3_off + gro->payload;

	memcpy(headers, first_frame(gro)->data, first->hdr_len);
	tcp_flag_byte(headers + first->l4_off) |= gro->closing_flags;
	if (first->tuple.l3 == 6) {
		ip6->payload_len = htons(len - sizeof(*ip6));
		return;
	}
	ip->tot_len = htons(len);
	ip->check = 0;
	ip->check = ip_fast_csum(ip, ip->ihl);
}

/* One by one, as far as buffers go. */
static void place_each(struct hw_rxq *rxq, const struct hw_gro *gro)
{
	struct hw_packet packet;
	struct hw_frame *frame;

	list_for_each_entry(frame, &gro->frames, entry) {
		hw_parse(frame, &packet);
		hw_rx_place(rxq, frame, &packet, gro->rss_hash, gro->flags);
	}
}

static void close_one(struct hw_rxq *rxq, struct hw_gro *gro)
{
	u8 headers[HW_HDR_MAX];

	if (gro->segs == 1) {
		hw_rx_place(rxq, first_frame(gro), &gro->first, gro->rss_hash, gro->flags);
	} else {
		amend(gro, headers);
		if (!hw_rx_place_gro(rxq, gro, headers))
			place_each(rxq, gro);
	}
	reset(gro);
}

void hw_gro_close_all(struct hw_rxq *rxq)
{
	struct hw_gro *gro, *next;

	list_for_each_entry_safe(gro, next, &rxq->gro_open, entry)
		close_one(rxq, gro);
}

void hw_gro_abort(struct hw_rxq *rxq)
{
	struct hw_gro *gro, *next;

	list_for_each_entry_safe(gro, next, &rxq->gro_open, entry)
		reset(gro);
}

enum hrtimer_restart hw_gro_timeout(struct hrtimer *timer)
{
	struct hw_rxq *rxq = container_of(timer, struct hw_rxq, gro_timer);
	unsigned long flags;

	spin_lock_irqsave(&rxq->lock, flags);
	hw_gro_close_all(rxq);
	spin_unlock_irqrestore(&rxq->lock, flags);
	return HRTIMER_NORESTART;
}

/* ---- what may be aggregated, and with what */

static bool mergeable(const struct hw_frame *frame, const struct hw_packet *packet, u32 flags)
{
	const struct tcphdr *tcp = tcp_of(frame, packet);

	if (!(flags & HW_CMP_TCP) || !(flags & HW_CMP_CSUM_OK) || packet->hdr_len > HW_HDR_MAX || !payload_of(packet))
		return false;
	/* Tagged: a driver that gets the tag with the frame could not tell the stack where IP begins. */
	if (packet->l3_off != ETH_HLEN)
		return false;
	/* IPv4 options: not in the stack's GRO either. */
	if (packet->tuple.l3 == 4 && packet->l4_off - packet->l3_off != sizeof(struct iphdr))
		return false;
	return tcp->ack && !tcp->syn && !tcp->rst && !tcp->urg;
}

static bool startable(const struct hw_frame *frame, const struct hw_packet *packet, u32 flags)
{
	return mergeable(frame, packet, flags) && !tcp_of(frame, packet)->psh && !tcp_of(frame, packet)->fin;
}

/* The second packet decides whether the connection's ids stand still or count. */
static bool ipv4_continues(const struct hw_gro *gro, const struct iphdr *a, const struct iphdr *b)
{
	u16 step = ntohs(b->id) - ntohs(a->id);

	if (a->tos != b->tos || a->frag_off != b->frag_off || a->ttl != b->ttl)
		return false;
	return gro->segs == 1 ? step <= 1 : step == (gro->fixed_id ? 0 : gro->segs);
}

static bool ipv6_continues(const struct hw_packet *first, const struct ipv6hdr *a, const struct ipv6hdr *b)
{
	u32 ext = first->l4_off - first->l3_off - sizeof(*a);

	/* Version, class and flow label; then what follows the length: addresses again, and extension headers. */
	return !memcmp(a, b, offsetof(struct ipv6hdr, payload_len)) && a->nexthdr == b->nexthdr &&
	       a->hop_limit == b->hop_limit && !memcmp(a + 1, b + 1, ext);
}

static bool tcp_continues(const struct hw_gro *gro, const struct tcphdr *a, const struct tcphdr *b)
{
	__be32 but = TCP_FLAG_FIN | TCP_FLAG_PSH;

	/* That word also has the header's length and the window. */
	return ntohl(b->seq) == ntohl(a->seq) + gro->payload && a->ack_seq == b->ack_seq &&
	       (tcp_flag_word(a) & ~but) == (tcp_flag_word(b) & ~but) &&
	       !memcmp(a + 1, b + 1, a->doff * 4 - sizeof(*a));
}

static bool continues(const struct hw_gro *gro, const struct hw_frame *frame, const struct hw_packet *packet)
{
	const struct hw_packet *first = &gro->first;
	const u8 *a = first_frame(gro)->data;
	const u8 *b = frame->data;

	if (packet->l3_off != first->l3_off || packet->l4_off != first->l4_off || packet->hdr_len != first->hdr_len ||
	    payload_of(packet) > gro->mss || memcmp(a, b, first->l3_off) || frame->psp.spi != gro->psp.spi ||
	    frame->psp.version != gro->psp.version || frame->psp.generation != gro->psp.generation)
		return false;
	a += first->l3_off;
	b += first->l3_off;
	if (first->tuple.l3 == 4 ? !ipv4_continues(gro, (const void *)a, (const void *)b) :
				   !ipv6_continues(first, (const void *)a, (const void *)b))
		return false;
	return tcp_continues(gro, tcp_of(first_frame(gro), first), tcp_of(frame, packet));
}

static bool fits(const struct hw_rxq *rxq, const struct hw_gro *gro, const struct hw_packet *packet)
{
	u32 payload = gro->payload + payload_of(packet);

	return gro->segs < HW_GRO_SEGS && packet->hdr_len - packet->l3_off + payload <= U16_MAX &&
	       payload <= hw_rx_payload_room(rxq);
}

/* ---- opening */

static struct hw_gro *find(struct hw_rxq *rxq, const struct hw_packet *packet)
{
	struct hw_gro *gro;

	list_for_each_entry(gro, &rxq->gro_open, entry)
		if (!memcmp(&gro->first.tuple, &packet->tuple, sizeof(packet->tuple)))
			return gro;
	return NULL;
}

static struct hw_gro *vacant(struct hw_rxq *rxq)
{
	int i;

	for (i = 0; i < HW_GRO_FLOWS; i++)
		if (!rxq->gro[i].open)
			return &rxq->gro[i];
	return NULL;
}

static void append(struct hw_gro *gro, struct hw_frame *frame, const struct hw_packet *packet)
{
	const struct tcphdr *tcp = tcp_of(frame, packet);

	list_add_tail(&frame->entry, &gro->frames);
	gro->segs++;
	gro->payload += payload_of(packet);
	gro->wire_bytes += frame->len;
	if (tcp->psh)
		gro->closing_flags |= TCPHDR_PSH;
	if (tcp->fin)
		gro->closing_flags |= TCPHDR_FIN;
}

static void open_one(struct hw_rxq *rxq, struct hw_gro *gro, struct hw_frame *frame, const struct hw_packet *packet,
		     u32 rss_hash, u32 flags)
{
	u64 patience = max_t(u64, HW_GRO_NS, (u64)rxq->coalesce_usecs * NSEC_PER_USEC);

	gro->open = true;
	gro->fixed_id = false;
	gro->closing_flags = 0;
	gro->mss = payload_of(packet);
	gro->segs = 0;
	gro->payload = 0;
	gro->wire_bytes = 0;
	gro->flags = flags;
	gro->rss_hash = rss_hash;
	gro->psp = frame->psp;
	gro->first = *packet;
	append(gro, frame, packet);
	list_add_tail(&gro->entry, &rxq->gro_open);
	if (!hrtimer_is_queued(&rxq->gro_timer))
		hrtimer_start(&rxq->gro_timer, ns_to_ktime(patience), HRTIMER_MODE_REL_SOFT);
}

static bool same_id(const struct hw_gro *gro, const struct hw_frame *frame)
{
	const struct iphdr *a = (const void *)(first_frame(gro)->data + gro->first.l3_off);
	const struct iphdr *b = (const void *)(frame->data + gro->first.l3_off);

	return gro->first.tuple.l3 == 4 && a->id == b->id;
}

bool hw_gro_receive(struct hw_rxq *rxq, struct hw_frame *frame, const struct hw_packet *packet, u32 rss_hash, u32 flags,
		    bool may)
{
	struct hw_gro *gro = find(rxq, packet);

	if (gro) {
		if (may && mergeable(frame, packet, flags) && flags == gro->flags && rss_hash == gro->rss_hash &&
		    continues(gro, frame, packet) && fits(rxq, gro, packet)) {
			if (gro->segs == 1)
				gro->fixed_id = same_id(gro, frame);
			append(gro, frame, packet);
			if (payload_of(packet) < gro->mss || gro->closing_flags)
				close_one(rxq, gro);
			return true;
		}
		close_one(rxq, gro);
	}
	if (!may || !startable(frame, packet, flags))
		return false;
	gro = vacant(rxq);
	if (!gro)
		return false;
	open_one(rxq, gro, frame, packet, rss_hash, flags);
	return true;
}
