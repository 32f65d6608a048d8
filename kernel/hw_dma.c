// SPDX-License-Identifier: GPL-2.0
/* The device's way into host memory. */
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "hw.h"
#include "szcnic_trips.h"

/*
 * What an IOMMU would do for a real device. The platform device that buffers are mapped for has none, and a 64-bit
 * mask, so that swiotlb never stands between: a DMA address is a physical one. NULL if there is no memory that the
 * CPU can write, as behind a dmabuf of another device's registers.
 */
static void *host_memory(u64 addr, u32 len)
{
	BUILD_BUG_ON_MSG(IS_ENABLED(CONFIG_HIGHMEM), "szcnic writes through the kernel's own mapping of memory");

	if (!pfn_valid(PHYS_PFN(addr)) || !pfn_valid(PHYS_PFN(addr + len - 1)))
		return NULL;
	return phys_to_virt(addr);
}

bool hw_dma_write(u64 addr, const void *from, u32 len, bool payload)
{
	void *to = host_memory(addr, len);
	unsigned long flags;

	if (!to) {
		pr_err_ratelimited("szcnic: DMA to %#llx, %u bytes: no memory there, nothing was written\n", addr, len);
		return false;
	}
	local_irq_save(flags);
	if (payload)
		szc_mark(SZC_MARK_DMA_PAYLOAD);
	else
		szc_mark(SZC_MARK_DMA_HEADERS);
	memcpy(to, from, len);
	szc_mark(SZC_MARK_DMA_END);
	local_irq_restore(flags);
	return true;
}
