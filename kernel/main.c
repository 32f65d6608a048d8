// SPDX-License-Identifier: GPL-2.0
/*
 * szcnic, a virtual NIC that the kernel takes for a real one: the module, and the bus device that its ports hang on.
 */
#include <linux/dma-mapping.h>
#include <linux/kmemleak.h>
#include <linux/module.h>
#include <linux/workqueue.h>
#include <net/rtnetlink.h>

#include "szcnic.h"

static unsigned int dma_bits = 64;
module_param(dma_bits, uint, 0444);
MODULE_PARM_DESC(dma_bits, "for tests: address bits that the device claims to have (default 64)");

static struct platform_device *platform;
static bool platform_stays;

struct workqueue_struct *szcnic_wq;

struct device *szcnic_parent(void)
{
	return &platform->dev;
}

void szcnic_parent_stays(void)
{
	WRITE_ONCE(platform_stays, true);
}

/*
 * Neither net_devmem_bind_dmabuf() nor dma_buf_attach() holds the device that a dma-buf is mapped for, and no callback
 * tells when it was unmapped. So where there was one the device's memory, a kilobyte or two, is given up for good.
 */
static void platform_end(void)
{
	if (platform_stays) {
		get_device(&platform->dev);
		kmemleak_not_leak(platform);
	}
	platform_device_unregister(platform);
}

/* With 64 bits nothing is ever bounced, which would be a copy, or refused by a memory provider, which needs a mask. */
static int platform_begin(void)
{
	int err;

	platform = platform_device_register_simple(SZCNIC_NAME, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(platform))
		return PTR_ERR(platform);
	err = dma_coerce_mask_and_coherent(&platform->dev, DMA_BIT_MASK(clamp(dma_bits, 1u, 64u)));
	if (err) {
		platform_device_unregister(platform);
		return err;
	}
	dma_set_max_seg_size(&platform->dev, UINT_MAX);
	return 0;
}

static int __init szcnic_module_init(void)
{
	int err;

	szcnic_wq = alloc_workqueue(SZCNIC_NAME, WQ_UNBOUND, 0);
	if (!szcnic_wq)
		return -ENOMEM;
	err = platform_begin();
	if (err)
		goto no_platform;
	szcnic_faults_init();
	err = rtnl_link_register(&szcnic_link_ops);
	if (err)
		goto no_link;
	return 0;

no_link:
	szcnic_faults_exit();
	platform_device_unregister(platform);
no_platform:
	destroy_workqueue(szcnic_wq);
	return err;
}

static void __exit szcnic_module_exit(void)
{
	rtnl_link_unregister(&szcnic_link_ops);
	destroy_workqueue(szcnic_wq);
	szcnic_faults_exit();
	platform_end();
}

module_init(szcnic_module_init);
module_exit(szcnic_module_exit);

MODULE_DESCRIPTION("Virtual NIC with memory providers, header/data split, RSS and a firmware that checks its driver");
MODULE_LICENSE("GPL");
MODULE_ALIAS_RTNL_LINK(SZCNIC_NAME);
