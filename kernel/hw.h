/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device: what would be silicon. The driver half (szcnic.h) reaches it as a driver reaches a chip: by commands to
 * the firmware (fw.h), by rings of descriptors in memory, by doorbells, and by an interrupt.
 *
 *	         port A                                               port B
 *	 driver                device                      device                driver
 *	 start_xmit ─▶ tx ring ─▶ hw_tx ─▶ wire of A ─▶ hw_rx ─▶ hw_dma ─▶ rx/agg buffers
 *	                            segments,  rate, delay,   parses, verifies,   completion ring ─▶ irq ─▶ NAPI
 *	                            checksums  loss, …        steers, splits, GRO
 *
 * A frame lives in device-private memory from the moment hw_tx has read it out of the skb until hw_dma_write() has
 * put it into host memory: that function is the only one that writes to a DMA address.
 *
 * Context: the device runs in whatever context rings its bell (the sender's, or a timer of the wire), never sleeps, and
 * may be entered with interrupts off. It therefore takes its locks with irqsave.
 * Lock order: hw_txq.lock (of the sender) → hw_wire.lock; never held while a frame is delivered:
 * hw_port.tables (read) → hw_rxq.lock. Firmware commands come from process context under the netdev's instance lock
 * and take hw_port.tables (write), then hw_rxq.lock.
 */
#ifndef SZCNIC_HW_H
#define SZCNIC_HW_H

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/hrtimer.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/list.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "szcnic_uapi.h"

#define HW_INDIR_SIZE	1024	/* eight entries a queue; as with large NICs, more than 4 KiB of netlink */
#define HW_KEY_SIZE	40
#define HW_VNICS	(1 + 32 + SZCNIC_QUEUES_MAX)	/* the default one, RSS contexts, one for rules to each queue */
#define HW_FILTERS	512
#define HW_AGG_BUFS	MAX_SKB_FRAGS	/* most agg buffers in one packet: what an skb takes */
#define HW_CP_RESERVE	4	/* completions that packets leave free, so that HW_CMP_RING_FREED always has room */
#define HW_GRO_FLOWS	64	/* aggregations open at once on a queue */
#define HW_HDR_MAX	256	/* most header bytes that are split off */

struct hw_port;
struct hw_psp;
struct hw_psp_tx_key;

/* ---- frames, as they are on the wire and in the device's memory */

/* Under which key a frame came. */
struct hw_psp_mark {
	__be32 spi;		/* 0: it came in clear */
	u8 version;
	u8 generation;		/* of the device key */
};

struct hw_frame {
	struct list_head entry;
	u64 due_ns;
	struct hw_psp_mark psp;	/* of one that was opened */
	u32 len;
	u8 data[];		/* from the Ethernet header on; two bytes off, so that the IP header is aligned */
};

/* What of a packet steers it. Addresses of IPv4 are in the first word. Network order. */
struct hw_tuple {
	u8 l3;			/* 4, 6, or 0: neither */
	u8 l4;			/* IPPROTO_TCP, IPPROTO_UDP (of fragments, too), or 0 */
	__be16 sport;
	__be16 dport;
	struct in6_addr src;
	struct in6_addr dst;
};

/* What the parser found; offsets into the frame. */
struct hw_packet {
	struct hw_tuple tuple;
	u16 l3_off;
	u16 l4_off;		/* 0: no TCP or UDP that could be read */
	u16 hdr_len;		/* end of the TCP or UDP header; 0: neither */
	u32 end;		/* of the IP packet: behind it lies Ethernet padding */
	bool fragment;		/* of IP: no ports */
};

/*
 * An aggregation in the making (hardware GRO); hw_gro.c only. It keeps the frames: what becomes of them is decided when
 * it closes, by which time it is known whether there are buffers for them.
 */
struct hw_gro {
	struct list_head entry;	/* in hw_rxq.gro_open */
	bool open;
	bool fixed_id;
	u8 closing_flags;	/* PSH and FIN of any of them */
	u16 mss;
	u16 segs;
	u32 payload;
	u32 wire_bytes;
	u32 flags;		/* of the completion */
	u32 rss_hash;
	struct hw_psp_mark psp;	/* of all of them */
	struct hw_packet first;
	struct list_head frames;
};

/* ---- the rings in host memory */

/* A buffer that the driver posts. `opaque` comes back in the completion. */
struct hw_bd {
	u64 addr;
	u32 len;
	u32 opaque;
};

enum hw_cmp_type {
	HW_CMP_PACKET,		/* followed by nr_agg entries of HW_CMP_AGG */
	HW_CMP_AGG,
	HW_CMP_RING_FREED,	/* the firmware's promise: no DMA to ring `ring` any more */
};

enum hw_cmp_flags {
	HW_CMP_SPLIT	= BIT(0),	/* headers in the rx buffer, payload in agg buffers */
	HW_CMP_CSUM_OK	= BIT(1),	/* TCP or UDP over IPv4 or IPv6, and every checksum verified */
	HW_CMP_HASH	= BIT(2),	/* rss_hash is valid */
	HW_CMP_HASH_L4	= BIT(3),	/* ... and covers ports */
	HW_CMP_GRO	= BIT(4),	/* several packets in one: gro_* are valid */
	HW_CMP_UDP	= BIT(5),
	HW_CMP_TCP	= BIT(6),
	HW_CMP_IPV6	= BIT(7),
	HW_CMP_FIXED_ID	= BIT(8),	/* GRO: all had the same IPv4 id (SKB_GSO_TCP_FIXEDID), else each one more */
	HW_CMP_CSUM_BAD	= BIT(9),	/* a checksum is wrong; only of frames that are whole */
};

struct hw_cmp {
	u8 type;
	u8 nr_agg;
	u16 ring;		/* RING_FREED: the ring's id */
	u32 opaque;		/* of the buffer */
	u32 len;		/* bytes in this buffer */
	u32 flags;
	u32 rss_hash;
	u32 payload;		/* PACKET: bytes in all its agg buffers together */
	u16 hdr_len;		/* PACKET: Ethernet to the end of TCP's or UDP's header; 0 if it is neither */
	u16 gro_mss;		/* GRO: payload of a packet on the wire */
	u16 gro_segs;		/* GRO: packets on the wire */
	u16 l4_off;		/* PACKET: where TCP's or UDP's header begins; 0 if it is neither */
	struct hw_psp_mark psp;	/* PACKET */
	u16 l4_payload;		/* PACKET that is whole: TCP's or UDP's bytes; padding may be behind them */
};

/* Firmware ids of rings, so that a stale one is told from a living one: see hw_ring_id_next(). */
#define HW_RING_NONE	0

/*
 * Posted buffers, rx (a whole frame, or the headers of one that is split) or agg (payload). Under hw_rxq.lock but for
 * `prod`, the doorbell.
 */
struct hw_ring {
	u16 id;			/* HW_RING_NONE: not allocated */
	struct hw_bd *bds;
	u32 size;		/* a power of two */
	u32 prod;		/* the driver's, free running; smp_store_release by hw_doorbell() */
	u32 cons;		/* the device's */
};

/* Completions. The device writes, the driver reads. */
struct hw_cp_ring {
	struct hw_cmp *cmps;
	u32 size;		/* a power of two */
	u32 prod;		/* the device's, free running; published with smp_store_release */
	u32 cons;		/* the driver's; told to the device by hw_cp_ack() */
	bool armed;		/* the next completion raises the interrupt */
};

/* The device's counters of a queue; written under hw_rxq.lock, read without. The NIC's truth about zero copy. */
struct hw_rxq_stats {
	u64 packets;		/* on the wire */
	u64 bytes;
	u64 no_buffer;		/* dropped: no rx or agg buffer posted */
	u64 no_completion;	/* dropped: completion ring full */
	u64 mru;		/* dropped: longer than the VNIC's MRU, which is 0 while a queue restarts */
	u64 stalled;		/* dropped: the ring was told to stall (a fault on demand) */
	u64 dma;		/* dropped: a posted buffer is not memory that can be written */
	u64 payload_split;	/* TCP/UDP payload bytes written to agg buffers */
	u64 payload_whole;	/* ... to rx buffers, with the headers before them */
	u64 gro_packets;	/* aggregates */
	u64 gro_bytes;
	u64 gro_wire_packets;
	u64 gro_wire_bytes;
};

struct hw_rxq {
	spinlock_t lock;	/* the device and the firmware: rings, completions, aggregations */
	struct hw_port *port;
	u16 index;
	struct hw_ring rx;
	struct hw_ring agg;
	struct hw_cp_ring cp;
	u32 coalesce_usecs;	/* 0: at once */
	u32 coalesce_frames;
	u32 uncoalesced;	/* packets since the last interrupt, or since all was seen */
	struct hrtimer coalesce;
	unsigned long stalled_until;	/* jiffies; a fault on demand */
	atomic_t lose_irqs;	/* how many interrupts are still to be lost; a fault on demand */
	u16 ring_gen;		/* see hw_ring_id_next() */
	struct hw_gro gro[HW_GRO_FLOWS];
	struct list_head gro_open;	/* oldest first */
	struct hrtimer gro_timer;	/* closes aggregations that nothing continued */
	struct hw_rxq_stats stats;
};

struct hw_txq_stats {
	u64 packets;		/* frames on the wire */
	u64 bytes;
	u64 dropped;		/* no device memory for a frame, or headers that the device cannot read */
	u64 csum;		/* checksums filled in */
	u64 gso_packets;	/* skbs that were segmented */
	u64 gso_bytes;
	u64 gso_wire_packets;
	u64 gso_wire_bytes;
};

/* What the transmit ring holds: the device reads the skb, the driver frees it when it learns that it was read. */
struct hw_tx_slot {
	struct sk_buff *skb;
	struct hw_psp_tx_key *psp;	/* sealed with it; NULL: sent in clear */
	bool dropped;		/* the device's word: it could not be sent */
};

struct hw_txq {
	spinlock_t lock;	/* the device's side: who runs the queue now */
	struct hw_port *port;
	u16 index;
	bool live;		/* fw: TX ring allocated */
	struct hw_tx_slot *slots;
	u32 size;		/* a power of two */
	u32 prod;		/* the driver's; smp_store_release by hw_tx_doorbell() */
	u32 cons;		/* the device's: read and on the wire; published with smp_store_release */
	bool running;		/* somebody runs the queue: frames leave in order though the lock is not held */
	bool again;		/* ... and has more to do */
	struct hw_txq_stats stats;
};

/* ---- steering, as the firmware laid it down; under hw_port.tables */

struct hw_vnic {
	bool live;
	u32 mru;		/* 0: drops everything */
	u16 default_ring;	/* rx ring id for what is not hashed */
	bool rss;		/* indir is used */
	u16 indir[HW_INDIR_SIZE];	/* rx ring ids */
	u8 key[HW_KEY_SIZE];
	u32 hash_types;		/* see hw_hash_fields() */
	bool symmetric;		/* RXH_XFRM_SYM_OR_XOR is not supported: SYM_XOR of both halves */
	bool split;		/* header/data split */
	u32 split_threshold;	/* frames up to this many bytes stay whole */
	bool gro;
};

/* What of a packet the hash covers: HW_HASH_WIDTH bits for each kind of flow, side by side in hw_vnic.hash_types. */
enum hw_hash_flow {
	HW_FLOW_IPV4,		/* what is hashed by nothing finer: addresses only */
	HW_FLOW_TCP_IPV4,
	HW_FLOW_UDP_IPV4,
	HW_FLOW_IPV6,
	HW_FLOW_TCP_IPV6,
	HW_FLOW_UDP_IPV6,
	HW_FLOWS,
};

enum hw_hash_field {		/* in the order in which they enter the hash; what is not covered is left out */
	HW_HASH_SRC	= BIT(0),
	HW_HASH_DST	= BIT(1),
	HW_HASH_SPORT	= BIT(2),
	HW_HASH_DPORT	= BIT(3),
};

#define HW_HASH_WIDTH	4

static inline u32 hw_hash_fields(u32 hash_types, enum hw_hash_flow flow)
{
	return hash_types >> (flow * HW_HASH_WIDTH) & (BIT(HW_HASH_WIDTH) - 1);
}

struct hw_filter {
	bool live;
	u16 vnic;
	bool drop;
	u16 order;		/* of several filters that match the one with the lowest wins */
	struct hw_tuple match;	/* l3 0: either family; l4 0: any */
	struct hw_tuple mask;	/* a bit that is set must match; l3 and l4 unused */
};

/* ---- the wire */

struct hw_wire_params {
	u64 rate;
	u64 delay_ns;
	u32 loss;
	u32 reorder;
	u32 duplicate;
	u32 corrupt;
};

struct hw_wire_stats {
	u64 lost;
	u64 reordered;
	u64 duplicated;
	u64 corrupted;
};

/* One direction; belongs to the port that sends. */
struct hw_wire {
	spinlock_t lock;	/* everything below */
	struct hw_wire_params params;
	struct list_head fifo;		/* sorted by due_ns */
	u32 queued_bytes;
	u64 free_at_ns;			/* when the last bit of what was sent leaves (rate) */
	bool blocked;			/* a tx queue waits for room */
	u64 resume_at_ns;		/* ... which there will be then */
	bool impaired;			/* read without the lock: frames cannot go straight to the peer */
	struct hrtimer timer;		/* soft */
	struct hw_wire_stats stats;
};

struct hw_port_stats {
	u64 csum_bad;		/* a checksum was wrong */
	u64 csum_dropped;	/* ... and dropped, for the VNIC splits: nobody could sum what cannot be read */
	u64 malformed;		/* dropped: lengths that contradict each other */
	u64 not_for_us;		/* dropped: another's address, and not promiscuous */
	u64 link_down;		/* dropped: the port is closed */
	u64 no_vnic;		/* dropped: steered to a VNIC or ring that is not there */
	u64 filtered;		/* dropped by a rule that says so */
};

struct hw_port {
	struct hw_port __rcu *peer;	/* NULL once it is gone */
	bool up;			/* fw: FW_PORT_UP */
	u8 mac[ETH_ALEN];
	bool promiscuous;		/* or more multicast than the device filters: all multicast passes always */
	u32 nr_queues;			/* of rxqs and txqs, fixed when the port is made */
	struct hw_rxq *rxqs;
	struct hw_txq *txqs;
	struct hw_wire wire;
	struct hw_psp *psp;		/* NULL: built without */

	rwlock_t tables;
	struct hw_vnic vnics[HW_VNICS];
	struct hw_filter filters[HW_FILTERS];
	u16 nr_filters;			/* highest live + 1 */

	struct hw_port_stats stats;	/* rare events, counted by hw_count() under no lock */
	void (*irq)(struct hw_port *port, u16 queue);	/* the driver's handler */
	struct fw *fw;
	struct net_device *dev;		/* for messages only */
};

/* ---- hw_port.c: making and ending the device side of a port */

int hw_port_init(struct hw_port *port, u32 nr_queues);
void hw_port_destroy(struct hw_port *port);
/* Nothing is on the wire from `port` any more, and nothing will come out of it if its tx rings are freed. May sleep. */
void hw_port_quiesce(struct hw_port *port);

static inline void hw_count(u64 *counter)
{
	BUILD_BUG_ON(sizeof(*counter) != sizeof(atomic64_t));
	atomic64_inc((atomic64_t *)counter);
}

static inline void hw_add(u64 *counter, u64 value)
{
	atomic64_add(value, (atomic64_t *)counter);
}

/* ---- hw_dma.c: the device's write into host memory, and nothing else */

/*
 * Writes `len` bytes of device memory to the DMA address `addr`, interrupts off. The one function that does; it says of
 * what (szcnic_trips.h) to those who count what crosses the memory bus. False, and nothing was written, if there is no
 * memory.
 */
bool hw_dma_write(u64 addr, const void *from, u32 len, bool payload);

/* ---- hw_tx.c */

/* The driver put skbs up to `prod`. Runs the queue. */
void hw_tx_doorbell(struct hw_txq *txq, u32 prod);
/* The wire has room again: runs every queue that waits. */
void hw_tx_resume(struct hw_port *port);

/*
 * ---- hw_segment.c: an skb becomes frames: TSO, checksums, PSP where there is a key. Frames are appended to `out`.
 * 0 or -ENOMEM, -EINVAL.
 */
int hw_segment(struct hw_txq *txq, const struct hw_tx_slot *slot, struct list_head *out);
struct hw_frame *hw_frame_alloc(u32 len);
void hw_frame_free(struct hw_frame *frame);

/* ---- hw_wire.c */

void hw_wire_init(struct hw_port *port);
/* False if the wire has no room now; the sender is resumed later. Asked before frames are made. */
bool hw_wire_room(struct hw_port *port);
/* Takes the frames over. A burst: what arrives together may be aggregated together. */
void hw_wire_send(struct hw_port *port, struct list_head *frames);
void hw_wire_set(struct hw_port *port, const struct hw_wire_params *params);
/* Everything in flight is dropped; a sender that waited for room is not resumed. May sleep. */
void hw_wire_drain(struct hw_port *port);

/* ---- hw_parse.c */

/* False if lengths contradict each other. */
bool hw_parse(const struct hw_frame *frame, struct hw_packet *packet);
/* IPv4 header and TCP or UDP checksum; `known` tells whether there was an L4 checksum to verify. */
bool hw_verify(const struct hw_frame *frame, const struct hw_packet *packet, bool *known);
/* Fills the checksums of a frame in: used by hw_segment(). */
void hw_fill_csum(struct hw_frame *frame, const struct hw_packet *packet);

/* ---- hw_steer.c: under port->tables (read) */

/*
 * The VNIC that the matching filter of lowest order names, else vnics[0], the
 * default one; or NULL to drop (counted).
 */
const struct hw_vnic *hw_classify(struct hw_port *port, const struct hw_packet *packet);
/* The rx ring's id; *hash and *hash_flags (HW_CMP_HASH, HW_CMP_HASH_L4) as the completion wants them. */
u16 hw_spread(const struct hw_vnic *vnic, const struct hw_packet *packet, u32 *hash, u32 *hash_flags);
u32 hw_toeplitz(const u8 *key, const u8 *data, size_t len);
/*
 * An id for a ring of `queue`, rx or agg: the queue is in its low bits, so that it is found without searching; the rest
 * tells one ring from another, repeating after 511 of the same queue. Under port->tables (write).
 */
u16 hw_ring_id_next(struct hw_port *port, u16 queue);
/* The queue that a ring id belongs to, NULL if the ring is dead. */
struct hw_rxq *hw_ring_queue(struct hw_port *port, u16 ring_id);

/* ---- hw_rx.c */

/* A burst of frames arrives at `port`; they are taken over. Under rcu_read_lock_bh or the like. */
void hw_rx_burst(struct hw_port *port, struct list_head *frames);

/*
 * Puts a frame into posted buffers and completes it: split if `flags` has HW_CMP_SPLIT, else whole. If there is no room
 * it is dropped and counted. The frame stays the caller's. Under rxq->lock.
 */
void hw_rx_place(struct hw_rxq *rxq, const struct hw_frame *frame, const struct hw_packet *packet, u32 rss_hash,
		 u32 flags);
/*
 * Places what was aggregated behind `headers`, which hw_gro.c has amended. False if there is no room, and nothing was
 * done. Under rxq->lock.
 */
bool hw_rx_place_gro(struct hw_rxq *rxq, const struct hw_gro *gro, const u8 *headers);
/* How much payload a single packet could have now. Under rxq->lock. */
u32 hw_rx_payload_room(const struct hw_rxq *rxq);

/* ---- hw_gro.c: under rxq->lock */

/*
 * True if the frame was taken over into an aggregation; else the caller places it, after what was open of its flow,
 * which this has closed. `may`: the VNIC wants aggregation; else the frame only closes.
 */
bool hw_gro_receive(struct hw_rxq *rxq, struct hw_frame *frame, const struct hw_packet *packet, u32 rss_hash, u32 flags,
		    bool may);
void hw_gro_close_all(struct hw_rxq *rxq);
/* Drops what is open without a completion: the ring is being freed. */
void hw_gro_abort(struct hw_rxq *rxq);
enum hrtimer_restart hw_gro_timeout(struct hrtimer *timer);

/* ---- hw_psp.c: PSP. Keys are secrets of the device and of those who were told. */

/* As the stack wants them (struct psp_dev_stats). Bytes are those of TCP, its header included. */
struct hw_psp_stats {
	u64 rx_packets;
	u64 rx_bytes;
	u64 rx_auth_fail;	/* dropped: the ICV is wrong, or the key is */
	u64 rx_error;		/* dropped: a version that is not enabled, an SPI of no device key, no memory */
	u64 rx_bad;		/* dropped: lengths or fields that cannot be */
	u64 tx_packets;
	u64 tx_bytes;
	u64 tx_error;
};

#ifdef SZCNIC_PSP
int hw_psp_create(struct hw_port *port);
void hw_psp_destroy(struct hw_port *port);
/* Versions that are opened, bit by bit; of others every packet is dropped, with none enabled nothing is looked at. */
void hw_psp_enable(struct hw_port *port, u32 versions);
/* Another device key, of that generation. What the one before last protected cannot be opened any more. */
void hw_psp_rotate(struct hw_port *port, u8 generation);
/* An SPI and the key that goes with it, psp_key_size(version) bytes. -ENOSPC: there are no more until a rotation. */
int hw_psp_spi_alloc(struct hw_port *port, u8 version, __be32 *spi, u8 *key);
const struct hw_psp_stats *hw_psp_stats(const struct hw_port *port);

/* A key to send with, one reference; NULL: no memory, or an unknown version. get() under RCU: false, it goes away. */
struct hw_psp_tx_key *hw_psp_tx_key_make(u8 version, __be32 spi, const u8 *key);
bool hw_psp_tx_key_get(struct hw_psp_tx_key *key);
void hw_psp_tx_key_put(struct hw_psp_tx_key *key);

/* The frame, which is TCP's and complete, sealed; the old one is gone. NULL: it cannot be, and counted. */
struct hw_frame *hw_psp_seal(struct hw_port *port, struct hw_frame *frame, const struct hw_psp_tx_key *key);
/*
 * A PSP frame becomes what was in it, and `packet` with it; others stay. False: it cannot be opened, and is counted;
 * the frame stays the caller's.
 */
bool hw_psp_open(struct hw_port *port, struct hw_frame **frame, struct hw_packet *packet);

/* Faults on demand: the next `count` ICVs are wrong; so many SPIs are left. */
void hw_psp_spoil(struct hw_port *port, u32 count);
void hw_psp_exhaust(struct hw_port *port, u32 left);
#else
static inline int hw_psp_create(struct hw_port *port)
{
	return 0;
}

static inline void hw_psp_destroy(struct hw_port *port) { }
static inline void hw_psp_tx_key_put(struct hw_psp_tx_key *key) { }

static inline struct hw_frame *hw_psp_seal(struct hw_port *port, struct hw_frame *frame,
					   const struct hw_psp_tx_key *key)
{
	return frame;
}

static inline bool hw_psp_open(struct hw_port *port, struct hw_frame **frame, struct hw_packet *packet)
{
	return true;
}
#endif

/* ---- hw_cp.c: completions, interrupts, doorbells */

/* Free entries; under rxq->lock. */
u32 hw_cp_room(const struct hw_rxq *rxq);
/* Under rxq->lock. Written entries are published together by hw_cp_publish(), which may raise the interrupt. */
struct hw_cmp *hw_cp_next(struct hw_rxq *rxq, u32 ahead);
void hw_cp_publish(struct hw_rxq *rxq, u32 count);
/*
 * For the firmware: writes HW_CMP_RING_FREED and raises the interrupt whatever coalescing says. Under rxq->lock. False
 * if there is no room, because the driver has stopped reading.
 */
bool hw_cp_ring_freed(struct hw_rxq *rxq, u16 ring);
enum hrtimer_restart hw_cp_timeout(struct hrtimer *timer);

/* Raises a queue's interrupt, for either direction. Any context. */
void hw_irq(struct hw_port *port, u16 queue);

/*
 * The driver's: buffers up to prod are posted to the ring that the firmware called `id`. Refused, and reported by the
 * firmware model, if that is not the one that lives there. It is also what keeps DMA within a ring's life: the device
 * knows buffers by their ring only, and forgets it when it is freed.
 */
void hw_doorbell(struct hw_rxq *rxq, struct hw_ring *ring, u16 id, u32 prod);
/* The driver's: entries up to cons were read; `arm`: raise the interrupt at the next one, or now if there are more. */
void hw_cp_ack(struct hw_rxq *rxq, u32 cons, bool arm);
void hw_coalesce_set(struct hw_rxq *rxq, u32 usecs, u32 frames);

#endif
