// SPDX-License-Identifier: GPL-2.0
/*
 * PSP on the wire, by the PSP Architecture Specification (google/psp, doc/PSP_Arch_Spec.pdf): what leaves is sealed
 * frame by frame, what arrives is opened and verified before anything of it goes to the driver's memory.
 *
 *	Ethernet | IP | UDP, port 1000 | PSP header | TCP header, payload | ICV
 *	                               '-- authenticated --'-- encrypted --'
 *
 * Whoever receives chooses the key: it is derived from a secret of the device and the SPI, so the device remembers
 * none. The SPI's highest bit tells which of two secrets, of which one is replaced at each rotation. Nonce: SPI and a
 * counter of the device's that never repeats, whatever keys it is used with.
 */
#include <crypto/aes-cbc-macs.h>
#include <crypto/aes-gcm.h>
#include <linux/bitfield.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/udp.h>
#include <linux/unaligned.h>
#include <net/psp.h>

#include "hw.h"

#define DEVICE_KEY	AES_KEYSIZE_256
#define NONCE		12
#define BLOCK		AES_BLOCK_SIZE	/* of the derivation */
#define CACHE		64		/* derived keys that are kept prepared; a power of two */
#define PORTS_FROM	0xc000		/* source ports: the dynamic ones */

struct hw_psp_tx_key {
	refcount_t users;
	struct rcu_head rcu;
	__be32 spi;
	u8 version;
	struct aes_gcm_key gcm;
};

struct rx_key {
	__be32 spi;		/* 0: none */
	u8 version;
	struct aes_gcm_key gcm;
};

struct device_key {
	bool live;
	u8 generation;
	u8 key[DEVICE_KEY];
};

struct hw_psp {
	spinlock_t lock;	/* all but the counters; no other lock is taken inside */
	u32 versions;		/* enabled: bit by bit */
	bool phase;		/* of the SPIs that are given out */
	u32 last_spi;		/* ... the last of them, without the phase */
	struct device_key keys[2];	/* by phase */
	struct rx_key cache[CACHE];
	atomic64_t iv;
	struct hw_psp_stats stats;
	u32 corrupt;		/* so many ICVs are still to be spoilt: a fault on demand */
};

static bool encrypts(u8 version)
{
	return version == PSP_VERSION_HDR0_AES_GCM_128 || version == PSP_VERSION_HDR0_AES_GCM_256;
}

/* ---- keys, of those who receive */

/* Section "Key derivation": AES-256-CMAC in counter mode (NIST SP 800-108) over counter, label, SPI and length. */
static void derive(const u8 *device_key, u8 version, __be32 spi, u8 *out)
{
	u8 block[BLOCK] = { 0, 0, 0, 0, 'P', 'v', '0' + version, 0 };
	u32 size = psp_key_size(version);
	struct aes_cmac_key cmac;
	u32 i;

	memcpy(block + 8, &spi, sizeof(spi));
	put_unaligned_be32(size * BITS_PER_BYTE, block + 12);
	/* Any length but a wrong one is accepted. */
	if (aes_cmac_preparekey(&cmac, device_key, DEVICE_KEY))
		return;
	for (i = 0; i < size / BLOCK; i++) {
		block[3] = i + 1;
		aes_cmac(&cmac, block, sizeof(block), out + i * BLOCK);
	}
	aes_cmac_zeroize_key(&cmac);
}

/* Under psp->lock. NULL: there is no such device key. */
static const struct aes_gcm_key *rx_key(struct hw_psp *psp, u8 version, __be32 spi, u8 *generation)
{
	const struct device_key *device = &psp->keys[!!(be32_to_cpu(spi) & PSP_SPI_KEY_PHASE)];
	struct rx_key *cached = &psp->cache[be32_to_cpu(spi) & (CACHE - 1)];
	u8 key[PSP_MAX_KEY];

	if (!device->live || !spi)
		return NULL;
	*generation = device->generation;
	if (cached->spi == spi && cached->version == version)
		return &cached->gcm;
	derive(device->key, version, spi, key);
	cached->spi = 0;
	if (!aes_gcm_preparekey(&cached->gcm, key, psp_key_size(version), PSP_TRL_SIZE)) {
		cached->spi = spi;
		cached->version = version;
	}
	memzero_explicit(key, sizeof(key));
	return cached->spi ? &cached->gcm : NULL;
}

int hw_psp_spi_alloc(struct hw_port *port, u8 version, __be32 *spi, u8 *key)
{
	struct hw_psp *psp = port->psp;
	unsigned long flags;
	int err = -ENOSPC;

	spin_lock_irqsave(&psp->lock, flags);
	if (psp->last_spi < PSP_SPI_KEY_ID) {
		psp->last_spi++;
		*spi = cpu_to_be32(psp->last_spi | (psp->phase ? PSP_SPI_KEY_PHASE : 0));
		derive(psp->keys[psp->phase].key, version, *spi, key);
		err = 0;
	}
	spin_unlock_irqrestore(&psp->lock, flags);
	return err;
}

/* Under psp->lock: what was derived from that key is forgotten. */
static void new_device_key(struct hw_psp *psp, bool phase, u8 generation)
{
	struct device_key *device = &psp->keys[phase];

	get_random_bytes(device->key, sizeof(device->key));
	device->generation = generation;
	device->live = true;
	psp->phase = phase;
	psp->last_spi = 0;
	memzero_explicit(psp->cache, sizeof(psp->cache));
}

void hw_psp_rotate(struct hw_port *port, u8 generation)
{
	struct hw_psp *psp = port->psp;
	unsigned long flags;

	spin_lock_irqsave(&psp->lock, flags);
	new_device_key(psp, !psp->phase, generation);
	spin_unlock_irqrestore(&psp->lock, flags);
}

/* ---- keys, for those who send */

struct hw_psp_tx_key *hw_psp_tx_key_make(u8 version, __be32 spi, const u8 *key)
{
	struct hw_psp_tx_key *tx = kzalloc(sizeof(*tx), GFP_KERNEL_ACCOUNT);

	if (!tx)
		return NULL;
	refcount_set(&tx->users, 1);
	tx->spi = spi;
	tx->version = version;
	if (!aes_gcm_preparekey(&tx->gcm, key, psp_key_size(version), PSP_TRL_SIZE))
		return tx;
	kfree(tx);
	return NULL;
}

bool hw_psp_tx_key_get(struct hw_psp_tx_key *key)
{
	return refcount_inc_not_zero(&key->users);
}

void hw_psp_tx_key_put(struct hw_psp_tx_key *key)
{
	if (!key || !refcount_dec_and_test(&key->users))
		return;
	memzero_explicit(&key->gcm, sizeof(key->gcm));
	kfree_rcu(key, rcu);
}

/* ---- headers */

static void make_nonce(u8 *nonce, const struct psphdr *hdr)
{
	memcpy(nonce, &hdr->spi, sizeof(hdr->spi));
	memcpy(nonce + sizeof(hdr->spi), &hdr->iv, sizeof(hdr->iv));
}

/* The IP header before another protocol and length. */
static void amend_ip(u8 *data, const struct hw_packet *packet, u8 proto, u32 len)
{
	struct ipv6hdr *ip6 = (struct ipv6hdr *)(data + packet->l3_off);
	struct iphdr *ip = (struct iphdr *)(data + packet->l3_off);

	if (packet->tuple.l3 == 6) {
		ip6->nexthdr = proto;
		ip6->payload_len = htons(packet->l4_off - packet->l3_off - sizeof(*ip6) + len);
		return;
	}
	ip->protocol = proto;
	ip->tot_len = htons(packet->l4_off - packet->l3_off + len);
	ip->check = 0;
	ip->check = ip_fast_csum(ip, ip->ihl);
}

/* TCP right behind the IP header: with IPv6 extension headers between them, what to amend would be elsewhere. */
static bool plain_tcp(const struct hw_frame *frame, const struct hw_packet *packet)
{
	const struct ipv6hdr *ip6 = (const void *)(frame->data + packet->l3_off);

	if (!packet->l4_off || packet->tuple.l4 != IPPROTO_TCP)
		return false;
	return packet->tuple.l3 == 4 || ip6->nexthdr == IPPROTO_TCP;
}

static __be16 source_port(const struct hw_tuple *tuple)
{
	u32 ports = (__force u32)tuple->sport << 16 | (__force u32)tuple->dport;

	return htons(PORTS_FROM | (jhash_1word(ports, 0) & ~PORTS_FROM));
}

static struct psphdr *write_headers(struct hw_psp *psp, u8 *at, const struct hw_packet *packet,
				    const struct hw_psp_tx_key *key, u32 inner)
{
	struct udphdr *udp = (struct udphdr *)at;
	struct psphdr *hdr = (struct psphdr *)(udp + 1);

	udp->source = source_port(&packet->tuple);
	udp->dest = htons(PSP_DEFAULT_UDP_PORT);
	udp->len = htons(PSP_ENCAP_HLEN + inner + PSP_TRL_SIZE);
	udp->check = 0;
	hdr->nexthdr = IPPROTO_TCP;
	hdr->hdrlen = PSP_HDRLEN_NOOPT;
	hdr->crypt_offset = 0;
	hdr->verfl = FIELD_PREP(PSPHDR_VERFL_VERSION, key->version) | FIELD_PREP(PSPHDR_VERFL_ONE, 1);
	hdr->spi = key->spi;
	hdr->iv = cpu_to_be64(atomic64_inc_return(&psp->iv));
	return hdr;
}

/* ---- out */

static void spoil(struct hw_psp *psp, u8 *icv)
{
	unsigned long flags;

	if (!READ_ONCE(psp->corrupt))
		return;
	spin_lock_irqsave(&psp->lock, flags);
	if (psp->corrupt) {
		psp->corrupt--;
		icv[0] ^= 1;
	}
	spin_unlock_irqrestore(&psp->lock, flags);
}

struct hw_frame *hw_psp_seal(struct hw_port *port, struct hw_frame *frame, const struct hw_psp_tx_key *key)
{
	struct hw_psp *psp = port->psp;
	struct hw_frame *sealed = NULL;
	struct hw_packet packet;
	struct aes_gcm_ctx ctx;
	struct psphdr *hdr;
	u8 nonce[NONCE];
	u8 *to, *from;
	u32 inner;

	if (!psp || !hw_parse(frame, &packet) || !plain_tcp(frame, &packet))
		goto out;
	inner = packet.end - packet.l4_off;
	sealed = hw_frame_alloc(packet.end + PSP_ENCAP_HLEN + PSP_TRL_SIZE);
	if (!sealed)
		goto out;
	memcpy(sealed->data, frame->data, packet.l4_off);
	amend_ip(sealed->data, &packet, IPPROTO_UDP, PSP_ENCAP_HLEN + inner + PSP_TRL_SIZE);
	hdr = write_headers(psp, sealed->data + packet.l4_off, &packet, key, inner);
	make_nonce(nonce, hdr);
	from = frame->data + packet.l4_off;
	to = (u8 *)(hdr + 1);
	if (encrypts(key->version)) {
		aes_gcm_encrypt(to, from, inner, to + inner, (u8 *)hdr, sizeof(*hdr), nonce, &key->gcm);
	} else {
		memcpy(to, from, inner);
		aes_gcm_init(&ctx, nonce, &key->gcm);
		aes_gcm_auth_update(&ctx, (u8 *)hdr, sizeof(*hdr) + inner);
		aes_gcm_encrypt_final(&ctx, to + inner);
	}
	spoil(psp, to + inner);
	hw_count(&psp->stats.tx_packets);
	hw_add(&psp->stats.tx_bytes, inner);
out:
	if (psp && !sealed)
		hw_count(&psp->stats.tx_error);
	hw_frame_free(frame);
	return sealed;
}

/* ---- in */

/* What a PSP packet consists of: offsets into the frame, and lengths. */
struct layout {
	u32 hdr;		/* the PSP header, with what is optional in it */
	u32 hdr_len;
	u32 clear;		/* authenticated behind it, and not encrypted */
	u32 inner_len;		/* of TCP: clear and encrypted */
	u8 version;
	__be32 spi;
};

/* False if lengths contradict each other, or it carries something else than TCP. */
static bool lay_out(const struct hw_frame *frame, const struct hw_packet *packet, struct layout *layout)
{
	const struct udphdr *udp = (const void *)(frame->data + packet->l4_off);
	const struct iphdr *ip = (const void *)(frame->data + packet->l3_off);
	const struct psphdr *hdr = (const void *)(udp + 1);
	u32 len = ntohs(udp->len);
	u32 offset, options;

	if (packet->tuple.l3 == 4 && ip_fast_csum(ip, ip->ihl))
		return false;
	if (packet->tuple.l3 == 6 && ((const struct ipv6hdr *)ip)->nexthdr != IPPROTO_UDP)
		return false;
	if (len < PSP_ENCAP_HLEN + PSP_TRL_SIZE)
		return false;
	layout->hdr = packet->l4_off + sizeof(*udp);
	layout->hdr_len = (hdr->hdrlen + 1) * 8;
	if (layout->hdr_len < sizeof(*hdr) || len < sizeof(*udp) + layout->hdr_len + PSP_TRL_SIZE)
		return false;
	layout->inner_len = len - sizeof(*udp) - layout->hdr_len - PSP_TRL_SIZE;
	/* The crypt offset counts from the end of the IV, and what is optional in the header is not encrypted. */
	offset = FIELD_GET(PSPHDR_CRYPT_OFFSET, hdr->crypt_offset) * 4;
	options = layout->hdr_len - sizeof(*hdr);
	layout->clear = offset - options;
	layout->version = FIELD_GET(PSPHDR_VERFL_VERSION, hdr->verfl);
	layout->spi = hdr->spi;
	if (!encrypts(layout->version))
		layout->clear = layout->inner_len;
	else if (offset < options)
		return false;
	return layout->clear <= layout->inner_len && FIELD_GET(PSPHDR_VERFL_ONE, hdr->verfl) &&
	       hdr->nexthdr == IPPROTO_TCP;
}

/* Decrypts into `to`; nothing of that counts unless this is true. */
static bool verify(const struct aes_gcm_key *key, const struct hw_frame *frame, const struct layout *layout, u8 *to)
{
	const struct psphdr *hdr = (const void *)(frame->data + layout->hdr);
	const u8 *inner = frame->data + layout->hdr + layout->hdr_len;
	u32 encrypted = layout->inner_len - layout->clear;
	struct aes_gcm_ctx ctx;
	u8 nonce[NONCE];

	make_nonce(nonce, hdr);
	memcpy(to, inner, layout->clear);
	aes_gcm_init(&ctx, nonce, key);
	aes_gcm_auth_update(&ctx, (const u8 *)hdr, layout->hdr_len + layout->clear);
	aes_gcm_decrypt_update(&ctx, to + layout->clear, inner + layout->clear, encrypted);
	return !aes_gcm_decrypt_final(&ctx, inner + layout->inner_len);
}

/* Under psp->lock. Counts what is wrong. */
static bool open_into(struct hw_psp *psp, struct hw_frame *opened, const struct hw_frame *frame, u32 at,
		      const struct layout *layout)
{
	const struct aes_gcm_key *key = NULL;
	u8 generation = 0;

	if (layout->version < BITS_PER_TYPE(psp->versions) && psp->versions & BIT(layout->version))
		key = rx_key(psp, layout->version, layout->spi, &generation);
	if (!key) {
		hw_count(&psp->stats.rx_error);
		return false;
	}
	if (!verify(key, frame, layout, opened->data + at)) {
		hw_count(&psp->stats.rx_auth_fail);
		return false;
	}
	opened->psp = (struct hw_psp_mark){
		.spi = layout->spi,
		.version = layout->version,
		.generation = generation,
	};
	return true;
}

static struct hw_frame *open_one(struct hw_psp *psp, const struct hw_frame *frame, struct hw_packet *packet)
{
	struct hw_frame *opened;
	struct layout layout;
	unsigned long flags;
	bool ok;

	if (!lay_out(frame, packet, &layout)) {
		hw_count(&psp->stats.rx_bad);
		return NULL;
	}
	opened = hw_frame_alloc(packet->l4_off + layout.inner_len);
	if (!opened) {
		hw_count(&psp->stats.rx_error);
		return NULL;
	}
	spin_lock_irqsave(&psp->lock, flags);
	ok = open_into(psp, opened, frame, packet->l4_off, &layout);
	spin_unlock_irqrestore(&psp->lock, flags);
	if (!ok)
		goto drop;
	memcpy(opened->data, frame->data, packet->l4_off);
	amend_ip(opened->data, packet, IPPROTO_TCP, layout.inner_len);
	if (!hw_parse(opened, packet) || packet->tuple.l4 != IPPROTO_TCP) {
		hw_count(&psp->stats.rx_bad);
		goto drop;
	}
	hw_count(&psp->stats.rx_packets);
	hw_add(&psp->stats.rx_bytes, layout.inner_len);
	return opened;
drop:
	/* What could not be verified is nobody's to read. */
	memzero_explicit(opened->data, opened->len);
	hw_frame_free(opened);
	return NULL;
}

bool hw_psp_open(struct hw_port *port, struct hw_frame **frame, struct hw_packet *packet)
{
	struct hw_psp *psp = port->psp;
	struct hw_frame *opened;

	if (!psp || !READ_ONCE(psp->versions) || packet->tuple.l4 != IPPROTO_UDP || !packet->l4_off ||
	    packet->tuple.dport != htons(PSP_DEFAULT_UDP_PORT))
		return true;
	opened = open_one(psp, *frame, packet);
	if (!opened)
		return false;
	hw_frame_free(*frame);
	*frame = opened;
	return true;
}

/* ---- life */

void hw_psp_enable(struct hw_port *port, u32 versions)
{
	WRITE_ONCE(port->psp->versions, versions);
}

void hw_psp_spoil(struct hw_port *port, u32 count)
{
	WRITE_ONCE(port->psp->corrupt, count);
}

void hw_psp_exhaust(struct hw_port *port, u32 left)
{
	struct hw_psp *psp = port->psp;
	unsigned long flags;

	spin_lock_irqsave(&psp->lock, flags);
	/* Never back: what was given out stays so. */
	psp->last_spi = max_t(u32, psp->last_spi, PSP_SPI_KEY_ID - min_t(u32, left, PSP_SPI_KEY_ID));
	spin_unlock_irqrestore(&psp->lock, flags);
}

const struct hw_psp_stats *hw_psp_stats(const struct hw_port *port)
{
	return &port->psp->stats;
}

int hw_psp_create(struct hw_port *port)
{
	struct hw_psp *psp = kvzalloc(sizeof(*psp), GFP_KERNEL);

	if (!psp)
		return -ENOMEM;
	spin_lock_init(&psp->lock);
	/* Keys outlive this device, at the other end: no later one may count from the same place. */
	atomic64_set(&psp->iv, ktime_get_real_ns());
	new_device_key(psp, false, 0);
	port->psp = psp;
	return 0;
}

void hw_psp_destroy(struct hw_port *port)
{
	if (!port->psp)
		return;
	memzero_explicit(port->psp, sizeof(*port->psp));
	kvfree(port->psp);
	port->psp = NULL;
}
