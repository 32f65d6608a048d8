/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver: a port as the kernel sees it. It is modelled on bnxt (drivers/net/ethernet/broadcom/bnxt): receive queues
 * are a ring of rx buffers (a whole frame, or the headers of a split one), a ring of agg buffers (payload, from a page
 * pool that a memory provider may stand behind), and a completion ring.
 *
 * Locks: the netdev's instance lock (dev->lock, "ops lock") covers everything here that is not marked otherwise: open
 * state, channels, rings, VNICs, rules, RSS. NAPI owns a queue's consumer side and its refilling; stopping a queue
 * follows the order in queue.c, after which nobody but the stopper touches it. The transmit side is the stack's tx lock
 * for `prod` and NAPI for `clean`.
 * RTNL → instance lock of a port → carrier_lock of port.c. The driver never takes the locks of both ports of a
 * pair. hw.h has the device's locks.
 */
#ifndef SZCNIC_H
#define SZCNIC_H

#include <linux/completion.h>
#include <linux/ethtool.h>
#include <linux/netdevice.h>
#include <linux/platform_device.h>
#include <linux/smp.h>
#include <linux/u64_stats_sync.h>
#include <net/netdev_queues.h>
#include <net/page_pool/types.h>

#include "compat.h"
#include "fault.h"
#include "fw.h"
#include "hw.h"
#include "szcnic_uapi.h"

#define SZCNIC_NAME		"szcnic"
#define SZCNIC_MTU_MAX		9000
#define SZCNIC_RING_MIN		64	/* what iou-zcrx.py sets */
#define SZCNIC_RING_MAX		4096
#define SZCNIC_RING_DEFAULT	256
#define SZCNIC_AGG_RING_MAX	8192
#define SZCNIC_BUF_MAX		SZ_64K	/* rx_buf_len */
#define SZCNIC_HDS_THRESH_MAX	4096
#define SZCNIC_COALESCE_USECS_MAX	100000
#define SZCNIC_CONTEXTS		32
#define SZCNIC_RULES		256	/* ntuple slots */

struct szcnic_port;

/* Buffers of one ring: a slot is what `opaque` of a descriptor names. */
struct szcnic_bufs {
	struct szcnic_port *port;
	struct hw_bd *bds;
	netmem_ref *slots;	/* 0: free */
	u16 *free;		/* stack of free slots */
	u32 nr_free;
	u32 size;
	u32 fill;		/* of them, how many are posted at most */
	u32 buf_len;
	u32 prod;
	struct page_pool *pool;
};

/* What a restart exchanges: the per-queue memory of netdev_queue_mgmt_ops. */
struct szcnic_rxmem {
	struct szcnic_bufs rx;	/* its pool is always readable */
	struct szcnic_bufs agg;	/* its pool may belong to a memory provider */
	u16 queue;
	u16 rx_ring;		/* firmware ids, also of rings that were freed; HW_RING_NONE: never allocated */
	u16 agg_ring;
	bool rx_live;
	bool agg_live;
};

/*
 * Written by NAPI, read under the sync point. Queues keep their counters for the life of the port, whether in use or
 * not: the sum over all of them never goes back.
 */
struct szcnic_rx_stats {
	u64 packets;		/* as on the wire, aggregates counted by their parts */
	u64 bytes;
	u64 alloc_fail;		/* no skb, or no buffer for refilling */
	u64 dropped;		/* packets that got no skb */
	u64 csum_unnecessary;
	u64 csum_none;
	u64 payload_netmem;	/* TCP/UDP payload bytes handed up in net_iovs: the figure to trust about zero copy */
	u64 payload_page;	/* ... in pages */
	u64 payload_linear;	/* ... in the linear head of an skb, where every receiver copies */
	u64 missed_irqs;	/* completions found by the watchdog, not by an interrupt */
};

/* The interrupt of a queue, for both directions. */
struct szcnic_irq {
	unsigned int number;	/* 0: not made yet */
	unsigned int cpu;	/* where it arrives */
	unsigned long raised;	/* bit 0: `call` is under way */
	call_single_data_t call;
	char name[IFNAMSIZ + 8];
};

struct szcnic_rxq {
	struct szcnic_port *port;
	u16 index;
	struct szcnic_irq irq;
	struct napi_struct napi;
	struct szcnic_rxmem mem;
	u32 rx_size;			/* of the rings, while the port is open */
	u32 agg_size;
	struct hw_cmp *cmps;
	u32 nr_cmps;
	u32 cons;
	bool napi_on;
	bool draining;			/* NAPI refills nothing and rings no bell: the rings are going */
	struct completion rx_freed;	/* HW_CMP_RING_FREED was seen by NAPI */
	struct completion agg_freed;
	bool watched;			/* the watchdog saw completions wait, received or sent, from here on: */
	u32 watched_cons;
	u32 watched_clean;
	bool missed;			/* it scheduled NAPI */
	struct timer_list starved;	/* kicks NAPI while a ring could not be filled */
	struct u64_stats_sync sync;
	struct szcnic_rx_stats stats;
};

struct szcnic_tx_stats {
	u64 packets;
	u64 bytes;
	u64 stop;
	u64 wake;
};

struct szcnic_txq {
	struct szcnic_port *port;
	u16 index;
	struct hw_tx_slot *slots;
	u32 size;
	u32 prod;
	u32 clean;
	bool closing;		/* nothing may be queued: the device has not got the ring, or soon will not */
	struct u64_stats_sync sync;
	struct szcnic_tx_stats stats;
};

/* A VNIC of ours: where steering ends. */
struct szcnic_vnic {
	bool live;		/* laid down in the firmware */
	u16 id;
};

struct szcnic_rss {
	u32 indir[HW_INDIR_SIZE];	/* queues */
	u8 key[HW_KEY_SIZE];
	u32 hash_types;
	u8 input_xfrm;
	struct szcnic_vnic vnic;
};

struct szcnic_rule {
	bool used;
	struct ethtool_rx_flow_spec spec;
	struct hw_filter match;	/* spec as the device takes it, but for the VNIC, which rule_up() fills in */
	u32 context;		/* if spec.flow_type has FLOW_RSS: which, 0 being the default one */
	u16 filter;		/* the firmware's, while the port is open */
	bool live;
};

struct szcnic_port {
	struct net_device *dev;
	struct szcnic_port __rcu *peer;	/* written under RTNL */
	struct hw_port hw;

	bool open;
	bool stuck;		/* the firmware holds what we do not know of any more: closing the port resets it */
	bool lit;		/* under carrier_lock of port.c: this end of the wire is up */
	struct work_struct fail;	/* lets the kernel know of a port that had to close by itself */
	bool failing;			/* it is queued, and holds the net_device: */
	netdevice_tracker fail_tracker;
	u32 max_channels;
	u32 channels;
	u32 rx_pending;
	u32 agg_pending;	/* 0: szcnic_agg_ring_usual() */
	u32 tx_pending;
	u8 split;		/* enum ethtool_tcp_data_split that the rings run with; UNKNOWN: the default, off */
	u32 split_threshold;
	bool gro_hw;
	struct szcnic_rxq *rxqs;	/* max_channels of each */
	struct szcnic_txq *txqs;
	struct irq_domain *irqs;

	struct szcnic_rss rss;			/* the default context */
	struct szcnic_rss *contexts[SZCNIC_CONTEXTS + 1];	/* by ethtool's number; [0] unused */
	struct szcnic_vnic direct[SZCNIC_QUEUES_MAX];	/* what rules to a queue point to */
	struct szcnic_rule rules[SZCNIC_RULES];

	struct timer_list watchdog;		/* lost interrupts */
	struct szcnic_faults faults;
	struct psp_dev *psd;			/* under RTNL; NULL: no PSP */
	u16 psp_dev_id;				/* the stack's number of it; 0: none */
	int number;				/* unique among living ports: the folder in debugfs, bus-info */
	struct dentry *debugfs;
};

/* ---- main.c */
struct device *szcnic_parent(void);	/* the platform device, with its DMA mask */
void szcnic_parent_stays(void);	/* somebody may need it when the module is gone */
extern struct workqueue_struct *szcnic_wq;

/* ---- link.c: rtnl */
extern struct rtnl_link_ops szcnic_link_ops;

/* ---- psp.c: the stack's PSP. Under RTNL, once the port is registered, and before it is unregistered. */
#ifdef SZCNIC_PSP
void szcnic_psp_add(struct szcnic_port *port);
void szcnic_psp_remove(struct szcnic_port *port);
/* What the skb is to be sealed with, a reference; NULL: nothing; an error: it must not leave. */
struct hw_psp_tx_key *szcnic_psp_tx_key(struct szcnic_port *port, struct sk_buff *skb);
/* Tells the stack under which key it came. False: it cannot be told, and must not have the packet. */
bool szcnic_psp_mark(struct szcnic_port *port, struct sk_buff *skb, const struct hw_psp_mark *mark);
#else
static inline void szcnic_psp_add(struct szcnic_port *port) { }
static inline void szcnic_psp_remove(struct szcnic_port *port) { }

static inline struct hw_psp_tx_key *szcnic_psp_tx_key(struct szcnic_port *port, struct sk_buff *skb)
{
	return NULL;
}

static inline bool szcnic_psp_mark(struct szcnic_port *port, struct sk_buff *skb, const struct hw_psp_mark *mark)
{
	return true;
}
#endif

/* ---- port.c: net_device_ops */
void szcnic_setup(struct net_device *dev);
/*
 * When the firmware refuses a step that cannot be undone: the port closes, says why, and the kernel learns of it a
 * little later, since that needs RTNL. halt() alone makes the device let go of all memory, and NAPI stop.
 */
void szcnic_port_halt(struct szcnic_port *port);
void szcnic_port_fail(struct szcnic_port *port, const char *what, u16 queue, int err);
/*
 * For settings that want the rings made anew: closes an open port, calls change(), opens it. If it does not open with
 * the new settings, change() back and open again; if that fails too the port stays closed and says so.
 */
int szcnic_reconfigure(struct szcnic_port *port, void (*change)(struct szcnic_port *port, const void *arg),
		       const void *to, const void *from);

/* ---- tx.c */
netdev_tx_t szcnic_start_xmit(struct sk_buff *skb, struct net_device *dev);
void szcnic_tx_clean(struct szcnic_txq *txq, int budget);
int szcnic_txq_alloc(struct szcnic_txq *txq, u32 size);
void szcnic_txq_free(struct szcnic_txq *txq);
/* Of a queue that shares its completion ring with an rx queue that is being restarted. */
void szcnic_txq_stop(struct szcnic_txq *txq);
void szcnic_txq_halt(struct szcnic_txq *txq);		/* the latter half of it, after a grace period */
void szcnic_txq_start(struct szcnic_txq *txq);

/* ---- rx.c */
int szcnic_poll(struct napi_struct *napi, int budget);
void szcnic_watchdog(struct timer_list *timer);
void szcnic_starved(struct timer_list *timer);

/* ---- irq.c */
int szcnic_irqs_init(struct szcnic_port *port);
void szcnic_irqs_destroy(struct szcnic_port *port);	/* nothing raises them any more */
/* None is on its way to another processor, once it returns. */
void szcnic_irqs_sync(void);
int szcnic_irq_use(struct szcnic_rxq *rxq);		/* makes it, the first time */
void szcnic_irq(struct hw_port *hw, u16 queue);		/* the device raises it; any context */

/* ---- bufs.c: the buffers of a ring */
/* The pool is taken over unless this fails. */
int szcnic_bufs_alloc(struct szcnic_bufs *bufs, struct szcnic_port *port, u32 size, u32 fill, struct page_pool *pool,
		      u32 buf_len);
void szcnic_bufs_free(struct szcnic_bufs *bufs);	/* also what is posted; destroys the pool */
/* Posts as many as there are; true if none is missing afterwards. The doorbell is the caller's. */
bool szcnic_bufs_fill(struct szcnic_bufs *bufs, gfp_t gfp);
netmem_ref szcnic_bufs_take(struct szcnic_bufs *bufs, u32 slot);	/* the slot becomes free */
void szcnic_bufs_repost(struct szcnic_bufs *bufs, u32 slot);		/* the same buffer again */

/* ---- queue.c: receive queues, and netdev_queue_mgmt_ops after bnxt's order */
extern const struct netdev_queue_mgmt_ops szcnic_queue_mgmt_ops;
u32 szcnic_agg_ring_size(const struct szcnic_port *port);
u32 szcnic_agg_ring_usual(const struct szcnic_port *port, u32 rx_pending);	/* where none was asked for */
int szcnic_rxmem_alloc(struct szcnic_port *port, struct szcnic_rxmem *mem, u16 queue, u32 page_size);
void szcnic_rxmem_free(struct szcnic_rxmem *mem);	/* of a queue that is stopped, or never started */
void szcnic_doorbells(struct szcnic_rxq *rxq);
void szcnic_kick(struct szcnic_rxq *rxq);		/* schedules NAPI, from process context */
int szcnic_rxq_start(struct szcnic_rxq *rxq);		/* rings, doorbells, NAPI; not steering */
/* The rings are freed and the device's word for it is seen. After rxq->draining and a grace period. */
int szcnic_rxq_drain(struct szcnic_rxq *rxq);
void szcnic_rxq_stop(struct szcnic_rxq *rxq);		/* NAPI, after the rings are gone */

/* ---- vnic.c: what the firmware is told about steering */
int szcnic_vnics_up(struct szcnic_port *port);		/* default, contexts, direct ones that rules use, then rules */
int szcnic_vnics_down(struct szcnic_port *port);
/*
 * Down: MRU 0 for every VNIC that reaches the queue. Up: their tables name its new ring, then their MRU is what it was.
 */
int szcnic_vnics_turn(struct szcnic_port *port, u16 queue, bool up);
u32 szcnic_mru(const struct szcnic_port *port);
int szcnic_vnic_rss_apply(struct szcnic_port *port, struct szcnic_rss *rss); /* table, key or types changed */
int szcnic_vnic_place_apply(struct szcnic_port *port);				/* split, threshold or GRO_HW changed */
int szcnic_context_up(struct szcnic_port *port, struct szcnic_rss *rss);
int szcnic_context_down(struct szcnic_port *port, struct szcnic_rss *rss);
int szcnic_rule_up(struct szcnic_port *port, struct szcnic_rule *rule);
int szcnic_rule_down(struct szcnic_port *port, struct szcnic_rule *rule);

/* ---- ethtool.c, rss.c, rules.c */
extern const struct ethtool_ops szcnic_ethtool_ops;
void szcnic_rss_defaults(struct szcnic_port *port);	/* a key once; a table unless a user set one */
u32 szcnic_get_rxfh_key_size(struct net_device *dev);
u32 szcnic_get_rxfh_indir_size(struct net_device *dev);
int szcnic_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh);
int szcnic_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack);
int szcnic_get_rxfh_fields(struct net_device *dev, struct ethtool_rxfh_fields *fields);
int szcnic_set_rxfh_fields(struct net_device *dev, const struct ethtool_rxfh_fields *fields,
			   struct netlink_ext_ack *extack);
int szcnic_create_context(struct net_device *dev, struct ethtool_rxfh_context *ctx,
			  const struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack);
int szcnic_modify_context(struct net_device *dev, struct ethtool_rxfh_context *ctx,
			  const struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack);
int szcnic_remove_context(struct net_device *dev, struct ethtool_rxfh_context *ctx, u32 context,
			  struct netlink_ext_ack *extack);
int szcnic_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *cmd, u32 *locations);
int szcnic_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *cmd);
int szcnic_rules_flush(struct szcnic_port *port);	/* when NETIF_F_NTUPLE is switched off */

/* ---- stats.c */
extern const struct netdev_stat_ops szcnic_stat_ops;
void szcnic_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *stats);
int szcnic_stats_count(struct net_device *dev, int set);
void szcnic_stats_strings(struct net_device *dev, u32 set, u8 *data);
void szcnic_stats_values(struct net_device *dev, struct ethtool_stats *stats, u64 *data);

#endif
