// SPDX-License-Identifier: GPL-2.0
/* From an skb to frames: segmentation (TCP, and UDP's kind of it) and checksums. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>

#include "hw.h"

#define HW_GSO_KINDS	(SKB_GSO_TCPV4 | SKB_GSO_TCPV6 | SKB_GSO_UDP_L4)
#define HW_GSO_MANNERS	(SKB_GSO_DODGY | SKB_GSO_TCP_ECN | SKB_GSO_TCP_FIXEDID | SKB_GSO_TCP_ACCECN)

/* What segmentation needs to know of the skb. */
struct cut {
	struct sk_buff *skb;
	u32 l3;
	u32 l4;
	u32 hdr_len;
	u32 mss;
	bool udp;
};

struct hw_frame *hw_frame_alloc(u32 len)
{
	struct hw_frame *frame = kmalloc(sizeof(*frame) + len, GFP_ATOMIC | __GFP_NOWARN);

	if (!frame)
		return NULL;
	frame->len = len;
	frame->psp = (struct hw_psp_mark){ 0 };
	return frame;
}

void hw_frame_free(struct hw_frame *frame)
{
	kfree(frame);
}

/* Ethernet has no shorter frames: the device fills up. */
static struct hw_frame *padded_alloc(u32 len)
{
	struct hw_frame *frame = hw_frame_alloc(max_t(u32, len, ETH_ZLEN));

	if (frame && len < ETH_ZLEN)
		memset(frame->data + len, 0, ETH_ZLEN - len);
	return frame;
}

/* Where frames go. */
struct out {
	struct hw_txq *txq;
	const struct hw_tx_slot *slot;
	struct list_head *frames;
	struct hw_txq_stats *stats;
};

/* What has a key does not leave in clear. */
static int emit(const struct out *out, struct hw_frame *frame)
{
	if (out->slot->psp)
		frame = hw_psp_seal(out->txq->port, frame, out->slot->psp);
	if (!frame)
		return -EINVAL;
	list_add_tail(&frame->entry, out->frames);
	out->stats->packets++;
	out->stats->bytes += frame->len;
	return 0;
}

static int fill_partial(struct hw_frame *frame, const struct sk_buff *skb, struct hw_txq_stats *stats)
{
	u32 start = skb_checksum_start_offset(skb);
	u32 at = start + skb->csum_offset;
	__sum16 sum;

	if (start >= skb->len || at + sizeof(sum) > skb->len)
		return -EINVAL;
	sum = csum_fold(csum_partial(frame->data + start, skb->len - start, 0)) ?: CSUM_MANGLED_0;
	memcpy(frame->data + at, &sum, sizeof(sum));
	stats->csum++;
	return 0;
}

static int whole(const struct out *out)
{
	struct sk_buff *skb = out->slot->skb;
	struct hw_frame *frame;
	int err;

	if (skb->len < ETH_HLEN)
		return -EINVAL;
	frame = padded_alloc(skb->len);
	if (!frame)
		return -ENOMEM;
	err = skb_copy_bits(skb, 0, frame->data, skb->len);
	if (!err && skb->ip_summed == CHECKSUM_PARTIAL)
		err = fill_partial(frame, skb, out->stats);
	if (err) {
		hw_frame_free(frame);
		return -EINVAL;
	}
	return emit(out, frame);
}

static bool cut_plan(struct cut *cut, struct sk_buff *skb)
{
	u32 kinds = skb_shinfo(skb)->gso_type;
	u32 fixed;

	if (skb->encapsulation || !(kinds & HW_GSO_KINDS) || (kinds & ~(HW_GSO_KINDS | HW_GSO_MANNERS)))
		return false;
	cut->skb = skb;
	cut->udp = kinds & SKB_GSO_UDP_L4;
	cut->mss = skb_shinfo(skb)->gso_size;
	cut->l3 = skb_network_offset(skb);
	cut->l4 = skb_transport_offset(skb);
	fixed = cut->udp ? sizeof(struct udphdr) : sizeof(struct tcphdr);
	if (cut->l3 < ETH_HLEN || cut->l4 <= cut->l3 || cut->l4 + fixed > skb_headlen(skb))
		return false;
	cut->hdr_len = cut->l4 + (cut->udp ? fixed : tcp_hdrlen(skb));
	return cut->mss && cut->hdr_len >= cut->l4 + fixed && cut->hdr_len < skb->len;
}

static void amend_ip(const struct cut *cut, u8 *data, u32 len, u32 nr)
{
	struct ipv6hdr *ip6 = (struct ipv6hdr *)(data + cut->l3);
	struct iphdr *ip = (struct iphdr *)(data + cut->l3);

	if (ip->version == 4) {
		ip->tot_len = htons(len - cut->l3);
		if (!(skb_shinfo(cut->skb)->gso_type & SKB_GSO_TCP_FIXEDID))
			ip->id = htons(ntohs(ip->id) + nr);
	} else {
		ip6->payload_len = htons(len - cut->l3 - sizeof(*ip6));
	}
}

static void amend_tcp(const struct cut *cut, u8 *data, u32 done, bool last)
{
	struct tcphdr *tcp = (struct tcphdr *)(data + cut->l4);

	tcp->seq = htonl(ntohl(tcp->seq) + done);
	if (!last) {
		tcp->fin = 0;
		tcp->psh = 0;
	}
	/* With accurate ECN the bit is part of a counter and belongs to every segment. */
	if (done && !(skb_shinfo(cut->skb)->gso_type & SKB_GSO_TCP_ACCECN))
		tcp->cwr = 0;
}

/* One segment: `part` bytes of payload, of which `done` went before, in segment number `nr`. */
static struct hw_frame *segment(const struct cut *cut, u32 done, u32 part, u32 nr)
{
	u32 len = cut->hdr_len + part;
	struct hw_frame *frame = padded_alloc(len);
	struct hw_packet packet;

	if (!frame)
		return ERR_PTR(-ENOMEM);
	if (skb_copy_bits(cut->skb, 0, frame->data, cut->hdr_len) ||
	    skb_copy_bits(cut->skb, cut->hdr_len + done, frame->data + cut->hdr_len, part))
		goto bad;
	amend_ip(cut, frame->data, len, nr);
	if (cut->udp)
		((struct udphdr *)(frame->data + cut->l4))->len = htons(len - cut->l4);
	else
		amend_tcp(cut, frame->data, done, cut->hdr_len + done + part == cut->skb->len);
	if (!hw_parse(frame, &packet) || packet.l4_off != cut->l4 || packet.end != len)
		goto bad;
	hw_fill_csum(frame, &packet);
	return frame;
bad:
	hw_frame_free(frame);
	return ERR_PTR(-EINVAL);
}

static int segments(const struct out *out)
{
	struct hw_txq_stats *stats = out->stats;
	struct sk_buff *skb = out->slot->skb;
	struct hw_frame *frame;
	u32 done, nr, part, payload;
	struct cut cut;
	int err;

	if (!cut_plan(&cut, skb))
		return -EINVAL;
	payload = skb->len - cut.hdr_len;
	stats->gso_packets++;
	stats->gso_bytes += skb->len;
	for (done = 0, nr = 0; done < payload; done += part, nr++) {
		part = min(cut.mss, payload - done);
		frame = segment(&cut, done, part, nr);
		if (IS_ERR(frame))
			return PTR_ERR(frame);
		stats->csum++;
		stats->gso_wire_packets++;
		stats->gso_wire_bytes += frame->len;
		err = emit(out, frame);
		if (err)
			return err;
	}
	return 0;
}

int hw_segment(struct hw_txq *txq, const struct hw_tx_slot *slot, struct list_head *out)
{
	struct out to = { .txq = txq, .slot = slot, .frames = out, .stats = &txq->stats };

	return skb_is_gso(slot->skb) ? segments(&to) : whole(&to);
}
