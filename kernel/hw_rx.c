// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving: a frame from the wire is judged, steered to a ring, and placed in buffers that the driver posted. A
 * packet is placed entirely or dropped entirely: whether there are buffers and completions for it is known before
 * anything is written.
 */
#include <linux/etherdevice.h>
#include <linux/jiffies.h>

#include "hw.h"

/* ---- posted buffers, under rxq->lock */

static u32 posted(const struct hw_ring *ring)
{
	if (ring->id == HW_RING_NONE)
		return 0;
	/* Pairs with hw_doorbell(): the descriptors come before their number. */
	return smp_load_acquire(&ring->prod) - ring->cons;
}

static const struct hw_bd *bd_at(const struct hw_ring *ring, u32 ahead)
{
	return &ring->bds[(ring->cons + ahead) & (ring->size - 1)];
}

/* How many agg buffers the payload takes; 0 if there are not enough. */
static u32 agg_needed(const struct hw_ring *agg, u32 payload)
{
	u32 most = min_t(u32, posted(agg), HW_AGG_BUFS);
	u32 nr = 0;

	while (payload && nr < most)
		payload -= min(payload, bd_at(agg, nr++)->len);
	return payload ? 0 : nr;
}

u32 hw_rx_payload_room(const struct hw_rxq *rxq)
{
	u32 most = min_t(u32, posted(&rxq->agg), HW_AGG_BUFS);
	u32 room = 0;
	u32 i;

	for (i = 0; i < most; i++)
		room += bd_at(&rxq->agg, i)->len;
	return room;
}

/* Room for a packet with `first` bytes in its rx buffer and `nr_agg` agg buffers; counts what is missing. */
static bool room_for(struct hw_rxq *rxq, u32 first, u32 nr_agg)
{
	if (!posted(&rxq->rx) || bd_at(&rxq->rx, 0)->len < first) {
		rxq->stats.no_buffer++;
		return false;
	}
	if (hw_cp_room(rxq) < 1 + nr_agg + HW_CP_RESERVE) {
		rxq->stats.no_completion++;
		return false;
	}
	return true;
}

/* ---- placing, under rxq->lock */

/* Where payload goes on: buffer `nr` from the ring's cons, `fill` bytes of which are written. */
struct agg_place {
	u32 nr;
	u32 fill;
};

static void agg_complete(struct hw_rxq *rxq, struct agg_place *place)
{
	*hw_cp_next(rxq, 1 + place->nr) = (struct hw_cmp){
		.type = HW_CMP_AGG,
		.opaque = bd_at(&rxq->agg, place->nr)->opaque,
		.len = place->fill,
	};
	place->nr++;
	place->fill = 0;
}

static bool agg_write(struct hw_rxq *rxq, struct agg_place *place, const u8 *from, u32 len)
{
	while (len) {
		const struct hw_bd *bd = bd_at(&rxq->agg, place->nr);
		u32 part = min(len, bd->len - place->fill);

		if (!hw_dma_write(bd->addr + place->fill, from, part, true))
			return false;
		place->fill += part;
		from += part;
		len -= part;
		if (place->fill == bd->len)
			agg_complete(rxq, place);
	}
	return true;
}

/*
 * What belongs into the rx buffer, the first `hdr_len` bytes of which are headers, and the packet's completion; then
 * all of it is the driver's. False, and the rings are as they were.
 */
static bool finish(struct hw_rxq *rxq, const u8 *first, struct hw_cmp *cmp)
{
	const struct hw_bd *bd = bd_at(&rxq->rx, 0);
	u32 headers = cmp->hdr_len ?: cmp->len;

	if (!hw_dma_write(bd->addr, first, headers, false))
		return false;
	if (cmp->len > headers && !hw_dma_write(bd->addr + headers, first + headers, cmp->len - headers, true))
		return false;
	cmp->type = HW_CMP_PACKET;
	cmp->opaque = bd->opaque;
	*hw_cp_next(rxq, 0) = *cmp;
	rxq->rx.cons++;
	rxq->agg.cons += cmp->nr_agg;
	hw_cp_publish(rxq, 1 + cmp->nr_agg);
	return true;
}

static void place_whole(struct hw_rxq *rxq, const struct hw_frame *frame, struct hw_cmp *cmp, u32 payload)
{
	if (!room_for(rxq, frame->len, 0))
		return;
	cmp->len = frame->len;
	cmp->l4_payload = payload;
	if (!finish(rxq, frame->data, cmp)) {
		rxq->stats.dma++;
		return;
	}
	rxq->stats.payload_whole += payload;
	rxq->stats.packets++;
	rxq->stats.bytes += frame->len;
}

static void place_split(struct hw_rxq *rxq, const struct hw_frame *frame, struct hw_cmp *cmp, u32 payload)
{
	u32 nr_agg = agg_needed(&rxq->agg, payload);
	struct agg_place place = { 0 };
	bool written;

	if (!nr_agg) {
		rxq->stats.no_buffer++;
		return;
	}
	if (!room_for(rxq, cmp->hdr_len, nr_agg))
		return;
	cmp->len = cmp->hdr_len;
	cmp->payload = payload;
	cmp->nr_agg = nr_agg;
	written = agg_write(rxq, &place, frame->data + cmp->hdr_len, payload);
	if (place.fill)
		agg_complete(rxq, &place);
	if (!written || !finish(rxq, frame->data, cmp)) {
		rxq->stats.dma++;
		return;
	}
	rxq->stats.payload_split += payload;
	rxq->stats.packets++;
	rxq->stats.bytes += frame->len;
}

void hw_rx_place(struct hw_rxq *rxq, const struct hw_frame *frame, const struct hw_packet *packet, u32 rss_hash,
		 u32 flags)
{
	u32 payload = packet->hdr_len ? packet->end - packet->hdr_len : 0;
	struct hw_cmp cmp = {
		.flags = flags,
		.rss_hash = rss_hash,
		.hdr_len = packet->hdr_len,
		.l4_off = packet->l4_off,
		.psp = frame->psp,
	};

	if (flags & HW_CMP_SPLIT)
		place_split(rxq, frame, &cmp, payload);
	else
		place_whole(rxq, frame, &cmp, payload);
}

bool hw_rx_place_gro(struct hw_rxq *rxq, const struct hw_gro *gro, const u8 *headers)
{
	u32 nr_agg = agg_needed(&rxq->agg, gro->payload);
	u32 hdr_len = gro->first.hdr_len;
	struct agg_place place = { 0 };
	u32 left = gro->payload;
	struct hw_frame *frame;
	struct hw_cmp cmp = {
		.nr_agg = nr_agg,
		.len = hdr_len,
		.flags = gro->flags | HW_CMP_SPLIT | HW_CMP_GRO | (gro->fixed_id ? HW_CMP_FIXED_ID : 0),
		.rss_hash = gro->rss_hash,
		.payload = gro->payload,
		.hdr_len = hdr_len,
		.l4_off = gro->first.l4_off,
		.gro_mss = gro->mss,
		.gro_segs = gro->segs,
		.psp = gro->psp,
	};

	if (!nr_agg || !posted(&rxq->rx) || bd_at(&rxq->rx, 0)->len < hdr_len ||
	    hw_cp_room(rxq) < 1 + nr_agg + HW_CP_RESERVE)
		return false;
	list_for_each_entry(frame, &gro->frames, entry) {
		if (!agg_write(rxq, &place, frame->data + hdr_len, min_t(u32, left, gro->mss)))
			return false;
		left -= min_t(u32, left, gro->mss);
	}
	if (place.fill)
		agg_complete(rxq, &place);
	if (!finish(rxq, headers, &cmp))
		return false;
	rxq->stats.payload_split += gro->payload;
	rxq->stats.packets += gro->segs;
	rxq->stats.bytes += gro->wire_bytes;
	rxq->stats.gro_packets++;
	rxq->stats.gro_bytes += hdr_len + gro->payload;
	rxq->stats.gro_wire_packets += gro->segs;
	rxq->stats.gro_wire_bytes += gro->wire_bytes;
	return true;
}

/* ---- from the wire to a ring */

static bool for_us(const struct hw_port *port, const struct hw_frame *frame)
{
	return port->promiscuous || is_multicast_ether_addr(frame->data) || ether_addr_equal(frame->data, port->mac);
}

static u32 csum_flags(struct hw_port *port, const struct hw_frame *frame, const struct hw_packet *packet)
{
	bool known;

	if (hw_verify(frame, packet, &known))
		return known ? HW_CMP_CSUM_OK : 0;
	hw_count(&port->stats.csum_bad);
	return HW_CMP_CSUM_BAD;
}

/* What was sealed is opened first: all that follows is about what was in it. */
static bool acceptable(struct hw_port *port, struct hw_frame **frame, struct hw_packet *packet, u32 *flags)
{
	if (!READ_ONCE(port->up))
		hw_count(&port->stats.link_down);
	else if (!hw_parse(*frame, packet))
		hw_count(&port->stats.malformed);
	else if (!for_us(port, *frame))
		hw_count(&port->stats.not_for_us);
	else if (hw_psp_open(port, frame, packet))
		goto yes;
	return false;
yes:
	*flags = csum_flags(port, *frame, packet);
	if (packet->l4_off)
		*flags |= packet->tuple.l4 == IPPROTO_TCP ? HW_CMP_TCP : HW_CMP_UDP;
	if (packet->tuple.l3 == 6)
		*flags |= HW_CMP_IPV6;
	return true;
}

static bool stalled(const struct hw_rxq *rxq)
{
	return rxq->stalled_until && time_before(jiffies, rxq->stalled_until);
}

static bool wants_split(const struct hw_vnic *vnic, const struct hw_frame *frame, const struct hw_packet *packet)
{
	return vnic->split && packet->l4_off && packet->tuple.l4 == IPPROTO_TCP && frame->len > vnic->split_threshold &&
	       packet->end > packet->hdr_len && packet->hdr_len <= HW_HDR_MAX;
}

/* Under rxq->lock. Returns whether the frame was taken over. */
static bool to_ring(struct hw_rxq *rxq, const struct hw_vnic *vnic, struct hw_frame *frame,
		    const struct hw_packet *packet, u32 rss_hash, u32 flags)
{
	bool gro = vnic->gro;

	if (stalled(rxq)) {
		rxq->stats.stalled++;
		return false;
	}
	if (frame->len > vnic->mru) {
		rxq->stats.mru++;
		return false;
	}
	if (flags & HW_CMP_CSUM_BAD && vnic->split) {
		hw_count(&rxq->port->stats.csum_dropped);
		return false;
	}
	if (wants_split(vnic, frame, packet))
		flags |= HW_CMP_SPLIT;
	else
		gro = gro && !vnic->split;
	if (hw_gro_receive(rxq, frame, packet, rss_hash, flags, gro))
		return true;
	hw_rx_place(rxq, frame, packet, rss_hash, flags);
	return false;
}

/* Under port->tables (read). Returns whether the frame was taken over. */
static bool steer(struct hw_port *port, struct hw_frame *frame, const struct hw_packet *packet, u32 flags)
{
	const struct hw_vnic *vnic = hw_classify(port, packet);
	u32 rss_hash, hash_flags;
	struct hw_rxq *rxq;
	bool taken;
	u16 ring;

	if (!vnic)
		return false;
	ring = hw_spread(vnic, packet, &rss_hash, &hash_flags);
	rxq = hw_ring_queue(port, ring);
	if (!rxq || rxq->rx.id != ring) {
		hw_count(&port->stats.no_vnic);
		return false;
	}
	spin_lock(&rxq->lock);
	taken = to_ring(rxq, vnic, frame, packet, rss_hash, flags | hash_flags);
	spin_unlock(&rxq->lock);
	return taken;
}

void hw_rx_burst(struct hw_port *port, struct list_head *frames)
{
	struct hw_frame *frame, *next;
	struct hw_packet packet;
	unsigned long irq;
	bool taken;
	u32 flags;

	list_for_each_entry_safe(frame, next, frames, entry) {
		list_del(&frame->entry);
		taken = false;
		if (acceptable(port, &frame, &packet, &flags)) {
			read_lock_irqsave(&port->tables, irq);
			taken = steer(port, frame, &packet, flags);
			read_unlock_irqrestore(&port->tables, irq);
		}
		if (!taken)
			hw_frame_free(frame);
	}
}
