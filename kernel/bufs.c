// SPDX-License-Identifier: GPL-2.0
/*
 * The buffers of a ring. A buffer lies in a slot from the time it was taken out of the pool until it is handed up or
 * put back; the slot's number travels through the device as the descriptor's `opaque`. There are no more slots than
 * descriptors, so posted buffers never overrun the ring.
 *
 * Owned by NAPI; by whoever makes or ends the queue before and after. No locks.
 */
#include <linux/slab.h>
#include <net/page_pool/helpers.h>

#include "szcnic.h"

static int arrays_alloc(struct szcnic_bufs *bufs)
{
	bufs->bds = kvcalloc(bufs->size, sizeof(*bufs->bds), GFP_KERNEL);
	bufs->slots = kvcalloc(bufs->size, sizeof(*bufs->slots), GFP_KERNEL);
	bufs->free = kvcalloc(bufs->size, sizeof(*bufs->free), GFP_KERNEL);
	return bufs->bds && bufs->slots && bufs->free ? 0 : -ENOMEM;
}

static void arrays_free(struct szcnic_bufs *bufs)
{
	kvfree(bufs->bds);
	kvfree(bufs->slots);
	kvfree(bufs->free);
}

int szcnic_bufs_alloc(struct szcnic_bufs *bufs, struct szcnic_port *port, u32 size, u32 fill, struct page_pool *pool,
		      u32 buf_len)
{
	*bufs = (struct szcnic_bufs){ .port = port, .size = size, .fill = fill, .buf_len = buf_len };
	if (szcnic_fault_alloc(port) || arrays_alloc(bufs)) {
		arrays_free(bufs);
		*bufs = (struct szcnic_bufs){ 0 };
		return -ENOMEM;
	}
	bufs->pool = pool;
	while (bufs->nr_free < fill) {
		bufs->free[bufs->nr_free] = fill - 1 - bufs->nr_free;
		bufs->nr_free++;
	}
	return 0;
}

void szcnic_bufs_free(struct szcnic_bufs *bufs)
{
	u32 slot;

	for (slot = 0; slot < bufs->size; slot++)
		if (bufs->slots[slot])
			page_pool_put_full_netmem(bufs->pool, bufs->slots[slot], false);
	page_pool_destroy(bufs->pool);
	arrays_free(bufs);
	*bufs = (struct szcnic_bufs){ 0 };
}

void szcnic_bufs_repost(struct szcnic_bufs *bufs, u32 slot)
{
	struct hw_bd *bd = &bufs->bds[bufs->prod++ & (bufs->size - 1)];

	bd->addr = page_pool_get_dma_addr_netmem(bufs->slots[slot]);
	bd->len = bufs->buf_len;
	bd->opaque = slot;
}

bool szcnic_bufs_fill(struct szcnic_bufs *bufs, gfp_t gfp)
{
	while (bufs->nr_free) {
		netmem_ref netmem = 0;
		u32 slot;

		if (!szcnic_fault_alloc(bufs->port))
			netmem = page_pool_alloc_netmems(bufs->pool, gfp | __GFP_NOWARN);
		if (!netmem)
			return false;
		slot = bufs->free[--bufs->nr_free];
		bufs->slots[slot] = netmem;
		szcnic_bufs_repost(bufs, slot);
	}
	return true;
}

netmem_ref szcnic_bufs_take(struct szcnic_bufs *bufs, u32 slot)
{
	netmem_ref netmem = bufs->slots[slot];

	bufs->slots[slot] = 0;
	bufs->free[bufs->nr_free++] = slot;
	return netmem;
}
