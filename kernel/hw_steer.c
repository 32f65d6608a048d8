// SPDX-License-Identifier: GPL-2.0
/*
 * Which receive ring a packet goes to. The filters are asked first; of those that match, the one with the lowest order
 * wins, be it more or less specific than another (what ethtool promises of a rule's location), and it names a VNIC. The
 * VNIC spreads by Toeplitz hash, as Microsoft's receive-side scaling defines it, or has one ring.
 */
#include <linux/unaligned.h>

#include "hw.h"

#define HW_HASH_INPUT	(2 * sizeof(struct in6_addr) + 2 * sizeof(__be16))
#define HW_RING_QUEUE	(SZCNIC_QUEUES_MAX - 1)	/* bits of a ring's id */

u16 hw_ring_id_next(struct hw_port *port, u16 queue)
{
	u16 gens = (U16_MAX + 1) / SZCNIC_QUEUES_MAX;
	struct hw_rxq *rxq = &port->rxqs[queue];

	BUILD_BUG_ON(SZCNIC_QUEUES_MAX & (SZCNIC_QUEUES_MAX - 1));
	rxq->ring_gen = rxq->ring_gen % (gens - 1) + 1;
	return rxq->ring_gen * SZCNIC_QUEUES_MAX | queue;
}

struct hw_rxq *hw_ring_queue(struct hw_port *port, u16 ring_id)
{
	u16 queue = ring_id & HW_RING_QUEUE;
	struct hw_rxq *rxq;

	if (ring_id == HW_RING_NONE || queue >= port->nr_queues)
		return NULL;
	rxq = &port->rxqs[queue];
	return rxq->rx.id == ring_id || rxq->agg.id == ring_id ? rxq : NULL;
}

static bool address_matches(const struct in6_addr *a, const struct in6_addr *match, const struct in6_addr *mask)
{
	int i;

	for (i = 0; i < 4; i++)
		if ((a->s6_addr32[i] ^ match->s6_addr32[i]) & mask->s6_addr32[i])
			return false;
	return true;
}

static bool filter_matches(const struct hw_filter *filter, const struct hw_packet *packet)
{
	const struct hw_tuple *match = &filter->match;
	const struct hw_tuple *mask = &filter->mask;
	const struct hw_tuple *t = &packet->tuple;

	if (!filter->live || (match->l3 && match->l3 != t->l3) || (match->l4 && match->l4 != t->l4))
		return false;
	/* A packet whose ports cannot be read meets no condition on ports, not even that they are 0. */
	if ((mask->sport || mask->dport) && !packet->l4_off)
		return false;
	return !((t->sport ^ match->sport) & mask->sport) && !((t->dport ^ match->dport) & mask->dport) &&
	       address_matches(&t->src, &match->src, &mask->src) && address_matches(&t->dst, &match->dst, &mask->dst);
}

const struct hw_vnic *hw_classify(struct hw_port *port, const struct hw_packet *packet)
{
	const struct hw_filter *best = NULL;
	const struct hw_vnic *vnic;
	u16 i;

	for (i = 0; i < port->nr_filters; i++) {
		const struct hw_filter *filter = &port->filters[i];

		if ((!best || filter->order < best->order) && filter_matches(filter, packet))
			best = filter;
	}
	if (best && best->drop) {
		hw_count(&port->stats.filtered);
		return NULL;
	}
	vnic = &port->vnics[best ? best->vnic : 0];
	if (!vnic->live) {
		hw_count(&port->stats.no_vnic);
		return NULL;
	}
	return vnic;
}

u32 hw_toeplitz(const u8 *key, const u8 *data, size_t len)
{
	u32 hash = 0;
	size_t i;
	int bit;

	for (i = 0; i < len; i++) {
		/* The 32 bits of the key under each bit of this byte, as a window that slides. */
		u64 window = (u64)get_unaligned_be32(key + i) << 8 | key[i + 4];

		for (bit = 7; bit >= 0; bit--)
			if (data[i] & BIT(bit))
				hash ^= (u32)(window >> (bit + 1));
	}
	return hash;
}

static u32 hashed_fields(const struct hw_vnic *vnic, const struct hw_packet *packet)
{
	bool v4 = packet->tuple.l3 == 4;
	u32 fields = 0;

	if (packet->l4_off && packet->tuple.l4 == IPPROTO_TCP)
		fields = hw_hash_fields(vnic->hash_types, v4 ? HW_FLOW_TCP_IPV4 : HW_FLOW_TCP_IPV6);
	else if (packet->l4_off)
		fields = hw_hash_fields(vnic->hash_types, v4 ? HW_FLOW_UDP_IPV4 : HW_FLOW_UDP_IPV6);
	if (fields || !packet->tuple.l3)
		return fields;
	return hw_hash_fields(vnic->hash_types, v4 ? HW_FLOW_IPV4 : HW_FLOW_IPV6) & (HW_HASH_SRC | HW_HASH_DST);
}

/* What both directions of a flow have in common, in place of each of the two. */
static void make_symmetric(struct hw_tuple *t)
{
	int i;

	for (i = 0; i < 4; i++) {
		t->src.s6_addr32[i] ^= t->dst.s6_addr32[i];
		t->dst.s6_addr32[i] = t->src.s6_addr32[i];
	}
	t->sport ^= t->dport;
	t->dport = t->sport;
}

static size_t hash_input(u8 *input, const struct hw_tuple *t, u32 fields)
{
	size_t address = t->l3 == 4 ? sizeof(__be32) : sizeof(struct in6_addr);
	size_t len = 0;

	if (fields & HW_HASH_SRC) {
		memcpy(input, &t->src, address);
		len += address;
	}
	if (fields & HW_HASH_DST) {
		memcpy(input + len, &t->dst, address);
		len += address;
	}
	if (fields & HW_HASH_SPORT) {
		memcpy(input + len, &t->sport, sizeof(t->sport));
		len += sizeof(t->sport);
	}
	if (fields & HW_HASH_DPORT) {
		memcpy(input + len, &t->dport, sizeof(t->dport));
		len += sizeof(t->dport);
	}
	return len;
}

u16 hw_spread(const struct hw_vnic *vnic, const struct hw_packet *packet, u32 *hash, u32 *hash_flags)
{
	struct hw_tuple tuple = packet->tuple;
	u8 input[HW_HASH_INPUT];
	u32 fields;

	BUILD_BUG_ON(HW_HASH_INPUT + sizeof(u32) > HW_KEY_SIZE);
	*hash = 0;
	*hash_flags = 0;
	fields = vnic->rss ? hashed_fields(vnic, packet) : 0;
	if (!fields)
		return vnic->default_ring;
	if (vnic->symmetric)
		make_symmetric(&tuple);
	*hash = hw_toeplitz(vnic->key, input, hash_input(input, &tuple, fields));
	*hash_flags = HW_CMP_HASH;
	if (fields & (HW_HASH_SPORT | HW_HASH_DPORT))
		*hash_flags |= HW_CMP_HASH_L4;
	return vnic->indir[*hash % HW_INDIR_SIZE];
}
