// SPDX-License-Identifier: GPL-2.0
/* PSP as the stack knows it (net/psp): a device for each port, SPIs and keys for sockets. The device does the work. */
#include <linux/debugfs.h>
#include <linux/ip.h>
#include <net/ip.h>
#include <net/psp.h>

#include "szcnic.h"

/* In the association: what the device sends with. NULL once it was taken away. */
static struct hw_psp_tx_key **slot_of(struct psp_assoc *pas)
{
	return psp_assoc_drv_data(pas);
}

static int set_config(struct psp_dev *psd, struct psp_dev_config *conf, struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = psd->drv_priv;

	hw_psp_enable(&port->hw, conf->versions);
	return 0;
}

static int key_rotate(struct psp_dev *psd, struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = psd->drv_priv;

	hw_psp_rotate(&port->hw, psd->generation);
	return 0;
}

static int rx_spi_alloc(struct psp_dev *psd, u32 version, struct psp_key_parsed *assoc, struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = psd->drv_priv;
	int err;

	err = hw_psp_spi_alloc(&port->hw, version, &assoc->spi, assoc->key);
	if (err)
		NL_SET_ERR_MSG(extack, "every SPI of this device key was given out: rotate it");
	return err;
}

static int tx_key_add(struct psp_dev *psd, struct psp_assoc *pas, struct netlink_ext_ack *extack)
{
	struct szcnic_port *port = psd->drv_priv;
	struct hw_psp_tx_key *key;

	if (szcnic_fault_alloc(port))
		return -ENOMEM;
	key = hw_psp_tx_key_make(pas->version, pas->tx.spi, pas->tx.key);
	if (!key)
		return -ENOMEM;
	WRITE_ONCE(*slot_of(pas), key);
	return 0;
}

static void tx_key_del(struct psp_dev *psd, struct psp_assoc *pas)
{
	struct hw_psp_tx_key *key = *slot_of(pas);

	WRITE_ONCE(*slot_of(pas), NULL);
	hw_psp_tx_key_put(key);
}

static void get_stats(struct psp_dev *psd, struct psp_dev_stats *stats)
{
	struct szcnic_port *port = psd->drv_priv;
	const struct hw_psp_stats *device = hw_psp_stats(&port->hw);

	stats->rx_packets = READ_ONCE(device->rx_packets);
	stats->rx_bytes = READ_ONCE(device->rx_bytes);
	stats->rx_auth_fail = READ_ONCE(device->rx_auth_fail);
	stats->rx_error = READ_ONCE(device->rx_error);
	stats->rx_bad = READ_ONCE(device->rx_bad);
	stats->tx_packets = READ_ONCE(device->tx_packets);
	stats->tx_bytes = READ_ONCE(device->tx_bytes);
	stats->tx_error = READ_ONCE(device->tx_error);
}

static struct psp_dev_ops szcnic_psp_ops = {
	.set_config	= set_config,
	.key_rotate	= key_rotate,
	.rx_spi_alloc	= rx_spi_alloc,
	.tx_key_add	= tx_key_add,
	.tx_key_del	= tx_key_del,
	.get_stats	= get_stats,
};

static struct psp_dev_caps szcnic_psp_caps = {
	.versions = BIT(PSP_VERSION_HDR0_AES_GCM_128) | BIT(PSP_VERSION_HDR0_AES_GCM_256) |
		    BIT(PSP_VERSION_HDR0_AES_GMAC_128) | BIT(PSP_VERSION_HDR0_AES_GMAC_256),
	.assoc_drv_spc = sizeof(struct hw_psp_tx_key *),
};

/* The stack's IPv4 fragments belong to the socket, and have forgotten that its packets are to be sealed. */
static bool lost_its_mark(const struct sk_buff *skb)
{
	struct psp_assoc *pas;
	bool sealed;

	if (!skb->sk || skb->protocol != htons(ETH_P_IP) || !ip_is_fragment(ip_hdr(skb)))
		return false;
	rcu_read_lock();
	pas = psp_sk_get_assoc_rcu(skb->sk);
	sealed = pas && pas->tx.spi;
	rcu_read_unlock();
	return sealed;
}

struct hw_psp_tx_key *szcnic_psp_tx_key(struct szcnic_port *port, struct sk_buff *skb)
{
	struct hw_psp_tx_key *key = NULL;
	struct psp_assoc *pas;

	if (likely(!skb->decrypted))
		return lost_its_mark(skb) ? ERR_PTR(-ENOKEY) : NULL;
	rcu_read_lock();
	pas = psp_skb_get_assoc_rcu(skb);
	/* What lies in another device's association is nothing of ours. */
	if (pas && pas->dev_id == READ_ONCE(port->psp_dev_id))
		key = READ_ONCE(*slot_of(pas));
	if (!key || !hw_psp_tx_key_get(key))
		key = ERR_PTR(-ENOKEY);
	rcu_read_unlock();
	return key;
}

bool szcnic_psp_mark(struct szcnic_port *port, struct sk_buff *skb, const struct hw_psp_mark *mark)
{
	struct psp_skb_ext *ext;

	if (likely(!mark->spi))
		return true;
	ext = skb_ext_add(skb, SKB_EXT_PSP);
	if (!ext)
		return false;
	ext->spi = mark->spi;
	ext->version = mark->version;
	ext->generation = mark->generation;
	ext->dev_id = READ_ONCE(port->psp_dev_id);
	skb->decrypted = 1;
	return true;
}

/* ---- faults on demand, as in fault.h */

static int spoil_set(void *port, u64 count)
{
	if (count > U32_MAX)
		return -ERANGE;
	hw_psp_spoil(&((struct szcnic_port *)port)->hw, count);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(spoil_fops, NULL, spoil_set, "%llu\n");

static int spis_set(void *port, u64 left)
{
	if (left > U32_MAX)
		return -ERANGE;
	hw_psp_exhaust(&((struct szcnic_port *)port)->hw, left);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(spis_fops, NULL, spis_set, "%llu\n");

/* ---- coming and going */

void szcnic_psp_add(struct szcnic_port *port)
{
	struct psp_dev *psd = psp_dev_create(port->dev, &szcnic_psp_ops, &szcnic_psp_caps, port);

	if (IS_ERR(psd)) {
		netdev_warn(port->dev, "no PSP on this port: error %ld\n", PTR_ERR(psd));
		return;
	}
	port->psd = psd;
	WRITE_ONCE(port->psp_dev_id, psd->id);
	if (IS_ERR_OR_NULL(port->debugfs))
		return;
	debugfs_create_file_unsafe("psp_spoil", 0200, port->debugfs, port, &spoil_fops);
	debugfs_create_file_unsafe("psp_spis", 0200, port->debugfs, port, &spis_fops);
}

void szcnic_psp_remove(struct szcnic_port *port)
{
	if (!port->psd)
		return;
	hw_psp_enable(&port->hw, 0);
	WRITE_ONCE(port->psp_dev_id, 0);	/* nobody's */
	psp_dev_unregister(port->psd);
	port->psd = NULL;
}
