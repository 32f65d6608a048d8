// SPDX-License-Identifier: GPL-2.0
/*
 * Receive queues: their memory, their rings in the firmware, and netdev_queue_mgmt_ops, by which the kernel exchanges a
 * running queue's memory for that of a memory provider. The order of steps is bnxt's; fw_rules.c knows why.
 *
 * Under the instance lock; may sleep.
 */
#include <linux/slab.h>
#include <net/netdev_rx_queue.h>
#include <net/page_pool/helpers.h>

#include "szcnic.h"

#define ACK_WAIT_MS	10	/* then NAPI is kicked: the interrupt may be lost */
#define ACK_WAITS	100

/* ---- memory */

/* Payload of a full ring of packets, whatever the size of the buffers: at a restart the size must be the same. */
u32 szcnic_agg_ring_usual(const struct szcnic_port *port, u32 rx_pending)
{
	u32 packets = roundup_pow_of_two(rx_pending);

	return min_t(u32, roundup_pow_of_two(packets * DIV_ROUND_UP(port->dev->mtu, PAGE_SIZE)), SZCNIC_AGG_RING_MAX);
}

u32 szcnic_agg_ring_size(const struct szcnic_port *port)
{
	return port->agg_pending ?: szcnic_agg_ring_usual(port, port->rx_pending);
}

static struct page_pool *pool_create(struct szcnic_port *port, u16 queue, u32 size, u32 order, u32 flags)
{
	struct page_pool_params params = {
		.order = order,
		.pool_size = size,
		.nid = NUMA_NO_NODE,
		.dev = szcnic_parent(),
		.dma_dir = DMA_FROM_DEVICE,
		.max_len = PAGE_SIZE << order,
		.netdev = port->dev,
		.queue_idx = queue,
		.flags = PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV | flags,
	};

	if (szcnic_fault_alloc(port))
		return ERR_PTR(-ENOMEM);
	return page_pool_create(&params);
}

static int ring_memory(struct szcnic_port *port, struct szcnic_bufs *bufs, u16 queue, u32 size, u32 fill, u32 order,
		       u32 flags)
{
	struct page_pool *pool;
	int err;

	pool = pool_create(port, queue, fill, order, flags);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	err = szcnic_bufs_alloc(bufs, port, size, fill, pool, PAGE_SIZE << order);
	if (err)
		page_pool_destroy(pool);
	return err;
}

/*
 * Rings stay as long as they are where buffers are larger than a page, and take as many bytes: it is these that would
 * push each other out of caches. As bnxt_rx_agg_ring_fill_level(), but never fewer than there may be packets.
 */
static u32 agg_fill(u32 agg_size, u32 rx_size, u32 order)
{
	return min(max(agg_size >> order, rx_size), agg_size);
}

/* A binding of device memory outlives its queues, and unmaps for the bus device when its owner ends: be it after us. */
static void look_for_device_memory(const struct szcnic_bufs *bufs)
{
	netmem_ref first = bufs->slots[0];

	if (first && netmem_is_net_iov(first) && net_is_devmem_iov(netmem_to_net_iov(first)))
		szcnic_parent_stays();
}

static bool halves_agg(const struct szcnic_port *port)
{
	return szcnic_mutated(port, MUTATE_GEOMETRY) || szcnic_mutated(port, MUTATE_GEOMETRY_AGG);
}

/* A provider may have fewer buffers than the ring has places, or none yet: the ring is then filled as they come. */
int szcnic_rxmem_alloc(struct szcnic_port *port, struct szcnic_rxmem *mem, u16 queue, u32 page_size)
{
	u32 rx_size = roundup_pow_of_two(port->rx_pending);
	u32 agg_size = szcnic_agg_ring_size(port);
	u32 order = get_order(page_size);
	int err;

	if (port->open && szcnic_mutated(port, MUTATE_GEOMETRY))
		rx_size /= 2;
	if (port->open && halves_agg(port))
		agg_size /= 2;
	*mem = (struct szcnic_rxmem){ .queue = queue };
	err = ring_memory(port, &mem->rx, queue, rx_size, rx_size, get_order(szcnic_mru(port)), 0);
	if (err)
		return err;
	err = ring_memory(port, &mem->agg, queue, agg_size, agg_fill(agg_size, rx_size, order), order,
			  PP_FLAG_ALLOW_UNREADABLE_NETMEM);
	if (err) {
		szcnic_bufs_free(&mem->rx);
		return err;
	}
	/* As far as memory goes, but nobody is killed for it. */
	szcnic_bufs_fill(&mem->rx, GFP_KERNEL | __GFP_RETRY_MAYFAIL);
	szcnic_bufs_fill(&mem->agg, GFP_KERNEL | __GFP_RETRY_MAYFAIL);
	look_for_device_memory(&mem->agg);
	return 0;
}

void szcnic_rxmem_free(struct szcnic_rxmem *mem)
{
	struct szcnic_port *port = mem->rx.port;

	if (!port)
		return;
	fw_note_buffers_freed(&port->hw, mem->queue, mem->agg_ring);
	fw_note_buffers_freed(&port->hw, mem->queue, mem->rx_ring);
	szcnic_bufs_free(&mem->agg);
	szcnic_bufs_free(&mem->rx);
	*mem = (struct szcnic_rxmem){ 0 };
}

/* ---- rings in the firmware */

static struct hw_rxq *device_queue(const struct szcnic_rxq *rxq)
{
	return &rxq->port->hw.rxqs[rxq->index];
}

static int rx_ring_alloc(struct szcnic_rxq *rxq)
{
	struct szcnic_bufs *bufs = &rxq->mem.rx;
	struct fw_cmd cmd = {
		.op = FW_RX_ALLOC,
		.queue = rxq->index,
		.mem = { .entries = bufs->bds, .size = bufs->size, .buf_len = bufs->buf_len },
	};
	int err;

	err = fw_command(&rxq->port->hw, &cmd);
	if (err)
		return err;
	rxq->mem.rx_ring = cmd.ring;
	rxq->mem.rx_live = true;
	return 0;
}

static int agg_ring_alloc(struct szcnic_rxq *rxq)
{
	struct szcnic_bufs *bufs = &rxq->mem.agg;
	struct fw_cmd cmd = {
		.op = FW_AGG_ALLOC,
		.queue = rxq->index,
		.rx_ring = rxq->mem.rx_ring,
		.mem = { .entries = bufs->bds, .size = bufs->size, .buf_len = bufs->buf_len },
	};
	int err;

	err = fw_command(&rxq->port->hw, &cmd);
	if (err)
		return err;
	rxq->mem.agg_ring = cmd.ring;
	rxq->mem.agg_live = true;
	return 0;
}

void szcnic_doorbells(struct szcnic_rxq *rxq)
{
	struct hw_rxq *hw = device_queue(rxq);

	hw_doorbell(hw, &hw->rx, rxq->mem.rx_ring, rxq->mem.rx.prod);
	hw_doorbell(hw, &hw->agg, rxq->mem.agg_ring, rxq->mem.agg.prod);
}

static int rings_alloc(struct szcnic_rxq *rxq)
{
	int err;

	if (szcnic_mutated(rxq->port, MUTATE_DOORBELL_DEAD))
		szcnic_doorbells(rxq);
	if (szcnic_mutated(rxq->port, MUTATE_AGG_FIRST)) {
		err = agg_ring_alloc(rxq);
		if (err)
			return err;
	}
	err = rx_ring_alloc(rxq);
	if (!err)
		err = agg_ring_alloc(rxq);
	if (err)
		return err;
	WRITE_ONCE(rxq->draining, false);
	szcnic_doorbells(rxq);
	return 0;
}

void szcnic_kick(struct szcnic_rxq *rxq)
{
	local_bh_disable();
	napi_schedule(&rxq->napi);
	local_bh_enable();
}

/* NAPI sees the acknowledgment: then, and not before, the device writes to no buffer of the ring any more. */
static int await_freed(struct szcnic_rxq *rxq, struct completion *freed)
{
	int i;

	for (i = 0; i < ACK_WAITS; i++) {
		if (wait_for_completion_timeout(freed, msecs_to_jiffies(ACK_WAIT_MS)))
			return 0;
		szcnic_kick(rxq);
	}
	return -ETIMEDOUT;
}

static int ring_free(struct szcnic_rxq *rxq, u16 ring, struct completion *freed)
{
	struct fw_cmd cmd = { .op = FW_RING_FREE, .queue = rxq->index, .ring = ring };

	reinit_completion(freed);
	return fw_command(&rxq->port->hw, &cmd);
}

/* As if a command that succeeded were all that there is to wait for. */
static void mutate_unacknowledged(struct szcnic_rxq *rxq, u16 ring)
{
	struct szcnic_port *port = rxq->port;

	if (szcnic_mutated(port, MUTATE_NAPI_UNACKED))
		fw_note_napi(&port->hw, rxq->index, false);
	if (szcnic_mutated(port, MUTATE_FREE_UNACKED))
		fw_note_buffers_freed(&port->hw, rxq->index, ring);
}

static int ring_gone(struct szcnic_rxq *rxq, u16 ring, struct completion *freed)
{
	int err;

	err = ring_free(rxq, ring, freed);
	if (err)
		return err;
	mutate_unacknowledged(rxq, ring);
	return await_freed(rxq, freed);
}

/* rxq->draining is set, and NAPI has seen it: it rings no bell of a ring that is going. */
static int rings_free(struct szcnic_rxq *rxq)
{
	struct szcnic_rxmem *mem = &rxq->mem;
	int err;

	if (mem->rx_live) {
		err = ring_gone(rxq, mem->rx_ring, &rxq->rx_freed);
		if (err)
			return err;
		mem->rx_live = false;
	}
	if (mem->agg_live) {
		err = ring_gone(rxq, mem->agg_ring, &rxq->agg_freed);
		if (err)
			return err;
		mem->agg_live = false;
	}
	return 0;
}

/* ---- starting and stopping the driver's half */

static void napi_begin(struct szcnic_rxq *rxq)
{
	page_pool_enable_direct_recycling(rxq->mem.rx.pool, &rxq->napi);
	page_pool_enable_direct_recycling(rxq->mem.agg.pool, &rxq->napi);
	napi_enable_locked(&rxq->napi);
	rxq->napi_on = true;
	fw_note_napi(&rxq->port->hw, rxq->index, true);
	/* What was scheduled while NAPI was off is lost. And NAPI arms the interrupt when it is done. */
	if (!szcnic_mutated(rxq->port, MUTATE_NO_KICK))
		szcnic_kick(rxq);
}

static void napi_end(struct szcnic_rxq *rxq)
{
	if (!rxq->napi_on)
		return;
	napi_disable_locked(&rxq->napi);
	rxq->napi_on = false;
	fw_note_napi(&rxq->port->hw, rxq->index, false);
	timer_delete_sync(&rxq->starved);
	/* bnxt does this before it disables NAPI; the page pool insists that NAPI is off. */
	page_pool_disable_direct_recycling(rxq->mem.rx.pool);
	page_pool_disable_direct_recycling(rxq->mem.agg.pool);
	hw_cp_ack(device_queue(rxq), rxq->cons, false);
}

int szcnic_rxq_start(struct szcnic_rxq *rxq)
{
	int err;

	err = rings_alloc(rxq);
	if (err)
		return err;
	szcnic_txq_start(&rxq->port->txqs[rxq->index]);
	napi_begin(rxq);
	return 0;
}

int szcnic_rxq_drain(struct szcnic_rxq *rxq)
{
	if (!rxq->mem.rx_live && !rxq->mem.agg_live)
		return 0;
	/* A start that was broken off: nobody would see the acknowledgment. */
	return rxq->napi_on ? rings_free(rxq) : -EIO;
}

void szcnic_rxq_stop(struct szcnic_rxq *rxq)
{
	napi_end(rxq);
}

/* ---- netdev_queue_mgmt_ops */

static void default_qcfg(struct net_device *dev, struct netdev_queue_config *qcfg)
{
	qcfg->rx_page_size = PAGE_SIZE;
}

static int validate_qcfg(struct net_device *dev, struct netdev_queue_config *qcfg, struct netlink_ext_ack *extack)
{
	if (is_power_of_2(qcfg->rx_page_size) && qcfg->rx_page_size >= PAGE_SIZE &&
	    qcfg->rx_page_size <= SZCNIC_BUF_MAX)
		return 0;
	NL_SET_ERR_MSG_FMT_MOD(extack, "rx_page_size is a power of two from %lu to %u", PAGE_SIZE, SZCNIC_BUF_MAX);
	return -ERANGE;
}

/*
 * The kernel can take no refusal when a provider leaves a queue: its memory must not stay posted. The port then closes,
 * which frees it.
 */
static bool provider_leaves(struct szcnic_port *port, int queue)
{
	struct page_pool *pool = port->rxqs[queue].mem.agg.pool;

	return pool && page_pool_is_unreadable(pool) && !netif_rxq_has_unreadable_mp(port->dev, queue);
}

static int queue_mem_alloc(struct net_device *dev, struct netdev_queue_config *qcfg, void *per_queue_mem, int queue)
{
	struct szcnic_port *port = netdev_priv(dev);
	int err;

	err = szcnic_rxmem_alloc(port, per_queue_mem, queue, qcfg->rx_page_size);
	/* Of a port that is closed there is no memory to exchange, and who leaves is told what it takes for that. */
	if (err && !port->open && !netif_rxq_has_unreadable_mp(dev, queue))
		return -ENETDOWN;
	if (!err || !provider_leaves(port, queue))
		return err;
	szcnic_port_fail(port, "memory for a queue that loses its provider", queue, err);
	return -ENETDOWN;
}

static void queue_mem_free(struct net_device *dev, void *per_queue_mem)
{
	szcnic_rxmem_free(per_queue_mem);
}

/* Closes the port; the queue's memory is the caller's. */
static int restart_failed(struct szcnic_rxq *rxq, struct szcnic_rxmem *mem, const char *what, int err)
{
	szcnic_port_halt(rxq->port);
	if (mem) {
		*mem = rxq->mem;
		rxq->mem = (struct szcnic_rxmem){ 0 };
	}
	szcnic_port_fail(rxq->port, what, rxq->index, err);
	return -ENETDOWN;
}

static bool same_geometry(const struct szcnic_rxq *rxq, const struct szcnic_rxmem *mem)
{
	return mem->rx.size == rxq->rx_size && mem->agg.size == rxq->agg_size;
}

static int queue_start(struct net_device *dev, struct netdev_queue_config *qcfg, void *per_queue_mem, int queue)
{
	struct szcnic_port *port = netdev_priv(dev);
	struct szcnic_rxq *rxq = &port->rxqs[queue];
	struct szcnic_rxmem *mem = per_queue_mem;
	int err;

	/* A first attempt has closed the port, and this is the old memory, which nobody needs. */
	if (!port->open) {
		szcnic_rxmem_free(mem);
		return 0;
	}
	rxq->mem = *mem;
	if (!same_geometry(rxq, mem) && !halves_agg(port))
		return restart_failed(rxq, mem, "a start with other ring sizes", -EINVAL);
	err = szcnic_rxq_start(rxq);
	if (err)
		return restart_failed(rxq, mem, "the start", err);
	err = szcnic_vnics_turn(port, queue, true);
	if (err)
		return restart_failed(rxq, mem, "steering to the started queue", err);
	*mem = (struct szcnic_rxmem){ 0 };
	return 0;
}

static int queue_stop(struct net_device *dev, void *per_queue_mem, int queue)
{
	struct szcnic_port *port = netdev_priv(dev);
	struct szcnic_rxq *rxq = &port->rxqs[queue];
	struct szcnic_rxmem *mem = per_queue_mem;
	int err = 0;

	if (!port->open)
		return -ENETDOWN;
	if (!szcnic_mutated(port, MUTATE_FREE_REACHABLE))
		err = szcnic_vnics_turn(port, queue, false);
	if (err)
		return restart_failed(rxq, NULL, "steering away from the queue", err);
	WRITE_ONCE(rxq->draining, true);
	synchronize_net();
	if (szcnic_mutated(port, MUTATE_NAPI_DEAD))
		napi_end(rxq);
	if (szcnic_mutated(port, MUTATE_EARLY_FREE)) {
		fw_note_buffers_freed(&port->hw, queue, rxq->mem.rx_ring);
		fw_note_buffers_freed(&port->hw, queue, rxq->mem.agg_ring);
	}
	err = szcnic_rxq_drain(rxq);
	if (!err && szcnic_mutated(port, MUTATE_DOUBLE_STOP))
		err = ring_free(rxq, rxq->mem.rx_ring, &rxq->rx_freed);
	if (err)
		return restart_failed(rxq, NULL, "the stop", err);
	szcnic_txq_stop(&port->txqs[queue]);
	szcnic_rxq_stop(rxq);
	*mem = rxq->mem;
	rxq->mem = (struct szcnic_rxmem){ 0 };
	return 0;
}

const struct netdev_queue_mgmt_ops szcnic_queue_mgmt_ops = {
	.ndo_queue_mem_size	= sizeof(struct szcnic_rxmem),
	.ndo_queue_mem_alloc	= queue_mem_alloc,
	.ndo_queue_mem_free	= queue_mem_free,
	.ndo_queue_start	= queue_start,
	.ndo_queue_stop		= queue_stop,
	.ndo_default_qcfg	= default_qcfg,
	.ndo_validate_qcfg	= validate_qcfg,
	.supported_params	= QCFG_RX_PAGE_SIZE,
};
