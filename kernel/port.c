// SPDX-License-Identifier: GPL-2.0
/*
 * The port as a net_device: open, close, and what its settings change.
 *
 * Opening: memory, rings, NAPI, queue by queue; then steering; then the port. Closing is the reverse, in two halves:
 * the device is halted, after which it touches nothing of ours, and then memory is released. A firmware that refuses
 * while the port closes is reset, which it cannot refuse.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/netdev_lock.h>

#include "szcnic.h"

#define CHANNELS_DEFAULT	8u

#define FEATURES (NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_GSO_UDP_L4 | NETIF_F_RXCSUM | \
		  NETIF_F_RXHASH | NETIF_F_NTUPLE | NETIF_F_HIGHDMA)

/* ---- carrier: both ends open */

static DEFINE_MUTEX(carrier_lock);	/* inside the instance locks; ends meet here, not under each other's lock */

static void carrier_set(struct net_device *dev, bool on)
{
	if (on)
		netif_carrier_on(dev);
	else
		netif_carrier_off(dev);
}

static void carrier_turn(struct szcnic_port *port, bool lit)
{
	struct szcnic_port *peer;
	bool on;

	mutex_lock(&carrier_lock);
	rcu_read_lock();
	port->lit = lit;
	peer = rcu_dereference(port->peer);
	on = lit && peer && peer->lit;
	carrier_set(port->dev, on);
	if (peer)
		carrier_set(peer->dev, on);
	rcu_read_unlock();
	mutex_unlock(&carrier_lock);
}

/* ---- one queue */

static int queue_memory(struct szcnic_port *port, struct szcnic_rxq *rxq)
{
	struct szcnic_txq *txq = &port->txqs[rxq->index];
	struct netdev_queue_config config;
	int err;

	netdev_queue_config(port->dev, rxq->index, &config);
	err = szcnic_rxmem_alloc(port, &rxq->mem, rxq->index, config.rx_page_size);
	if (err)
		return err;
	rxq->rx_size = rxq->mem.rx.size;
	rxq->agg_size = rxq->mem.agg.size;
	/* One for each buffer, and the two rings' last words. */
	rxq->nr_cmps = roundup_pow_of_two(rxq->rx_size + rxq->agg_size + 2);
	rxq->cons = 0;
	if (!szcnic_fault_alloc(port))
		rxq->cmps = kvcalloc(rxq->nr_cmps, sizeof(*rxq->cmps), GFP_KERNEL);
	if (!rxq->cmps)
		goto no_cmps;
	err = szcnic_txq_alloc(txq, roundup_pow_of_two(port->tx_pending));
	if (err)
		goto no_txq;
	return 0;

no_txq:
	kvfree(rxq->cmps);
	rxq->cmps = NULL;
no_cmps:
	szcnic_rxmem_free(&rxq->mem);
	return -ENOMEM;
}

static void queue_release(struct szcnic_port *port, struct szcnic_rxq *rxq)
{
	szcnic_txq_free(&port->txqs[rxq->index]);
	kvfree(rxq->cmps);
	rxq->cmps = NULL;
	szcnic_rxmem_free(&rxq->mem);
}

static int queue_command(struct szcnic_port *port, struct szcnic_rxq *rxq, enum fw_op op)
{
	struct fw_cmd cmd = { .op = op, .queue = rxq->index };

	if (op == FW_CP_ALLOC) {
		cmd.mem.entries = rxq->cmps;
		cmd.mem.size = rxq->nr_cmps;
	} else if (op == FW_TX_ALLOC) {
		cmd.mem.entries = port->txqs[rxq->index].slots;
		cmd.mem.size = port->txqs[rxq->index].size;
	}
	return fw_command(&port->hw, &cmd);
}

static int queue_start(struct szcnic_port *port, struct szcnic_rxq *rxq)
{
	int err;

	err = queue_command(port, rxq, FW_CP_ALLOC);
	if (!err)
		err = queue_command(port, rxq, FW_TX_ALLOC);
	return err ?: szcnic_rxq_start(rxq);
}

static void napi_add(struct szcnic_port *port, u32 queue)
{
	struct napi_struct *napi = &port->rxqs[queue].napi;

	netif_napi_add_config_locked(port->dev, napi, szcnic_poll, queue);
	netif_napi_set_irq_locked(napi, port->rxqs[queue].irq.number);
	netif_queue_set_napi(port->dev, queue, NETDEV_QUEUE_TYPE_RX, napi);
	netif_queue_set_napi(port->dev, queue, NETDEV_QUEUE_TYPE_TX, napi);
}

static void napi_del(struct szcnic_port *port, u32 queue)
{
	netif_queue_set_napi(port->dev, queue, NETDEV_QUEUE_TYPE_RX, NULL);
	netif_queue_set_napi(port->dev, queue, NETDEV_QUEUE_TYPE_TX, NULL);
	__netif_napi_del_locked(&port->rxqs[queue].napi);
}

/* ---- the port */

static int port_address(struct szcnic_port *port, const u8 *mac)
{
	struct fw_cmd cmd = { .op = FW_PORT_MAC, .address.promiscuous = !!(port->dev->flags & IFF_PROMISC) };

	ether_addr_copy(cmd.address.mac, mac);
	return fw_command(&port->hw, &cmd);
}

static int port_command(struct szcnic_port *port, enum fw_op op)
{
	struct fw_cmd cmd = { .op = op };

	return fw_command(&port->hw, &cmd);
}

static void queues_release(struct szcnic_port *port, u32 count)
{
	u32 i;

	szcnic_irqs_sync();
	for (i = 0; i < count; i++)
		napi_del(port, i);
	/* Others may still be walking the list of NAPIs. */
	synchronize_net();
	for (i = 0; i < count; i++)
		queue_release(port, &port->rxqs[i]);
}

static int queues_memory(struct szcnic_port *port)
{
	int err;
	u32 i;

	for (i = 0; i < port->channels; i++) {
		err = szcnic_irq_use(&port->rxqs[i]) ?: queue_memory(port, &port->rxqs[i]);
		if (err) {
			queues_release(port, i);
			return err;
		}
		napi_add(port, i);
	}
	return 0;
}

static int device_start(struct szcnic_port *port)
{
	int err = 0;
	u32 i;

	for (i = 0; !err && i < port->channels; i++)
		err = queue_start(port, &port->rxqs[i]);
	if (!err)
		err = port_address(port, port->dev->dev_addr);
	if (!err)
		err = szcnic_vnics_up(port);
	if (!err)
		err = port_command(port, FW_PORT_UP);
	return err;
}

/* Nothing is lost if a step fails: whoever knows does the rest by fw_reset(). */
static int device_stop(struct szcnic_port *port)
{
	int err;
	u32 i;

	err = port_command(port, FW_PORT_DOWN);
	err = szcnic_vnics_down(port) ?: err;
	for (i = 0; i < port->channels; i++)
		WRITE_ONCE(port->rxqs[i].draining, true);
	synchronize_net();
	for (i = 0; !err && i < port->channels; i++)
		err = szcnic_rxq_drain(&port->rxqs[i]);
	return err;
}

static int queues_free(struct szcnic_port *port)
{
	int err = 0;
	u32 i;

	for (i = 0; i < port->channels; i++) {
		err = queue_command(port, &port->rxqs[i], FW_TX_FREE) ?: err;
		err = queue_command(port, &port->rxqs[i], FW_CP_FREE) ?: err;
	}
	return err;
}

void szcnic_port_halt(struct szcnic_port *port)
{
	bool reset;
	u32 i;

	port->open = false;
	timer_delete_sync(&port->watchdog);
	for (i = 0; i < port->channels; i++)
		WRITE_ONCE(port->txqs[i].closing, true);
	reset = device_stop(port) || port->stuck;
	for (i = 0; i < port->channels; i++)
		szcnic_txq_halt(&port->txqs[i]);
	if (reset)
		fw_reset(&port->hw);
	for (i = 0; i < port->channels; i++)
		szcnic_rxq_stop(&port->rxqs[i]);
	if (!reset && queues_free(port)) {
		reset = true;
		fw_reset(&port->hw);
	}
	port->stuck = false;
	if (reset)
		netdev_warn(port->dev, "the firmware refused to close the port, so the device was reset\n");
}

static int port_open(struct szcnic_port *port)
{
	int err;
	u32 i;

	err = netif_set_real_num_queues(port->dev, port->channels, port->channels);
	if (!err)
		err = queues_memory(port);
	if (err)
		return err;
	err = device_start(port);
	if (err) {
		szcnic_port_halt(port);
		queues_release(port, port->channels);
		return err;
	}
	/* The stack's watchdog takes a queue that stands still for a broken one, be it in use or not. */
	for (i = port->channels; i < port->max_channels; i++)
		netif_tx_start_queue(netdev_get_tx_queue(port->dev, i));
	port->open = true;
	mod_timer(&port->watchdog, jiffies + 1);
	return 0;
}

static void port_close(struct szcnic_port *port)
{
	szcnic_port_halt(port);
	queues_release(port, port->channels);
}

static int port_up(struct net_device *dev)
{
	struct szcnic_port *port = netdev_priv(dev);
	int err;

	err = port_open(port);
	if (err)
		netdev_err(dev, "the port does not open (%d): %s\n", err,
			   err == -ENOMEM ? "memory is short; fewer channels or smaller rings need less" :
					    "the firmware refused a step");
	else
		carrier_turn(port, true);
	return err;
}

static int port_down(struct net_device *dev)
{
	struct szcnic_port *port = netdev_priv(dev);

	carrier_turn(port, false);
	if (port->open)
		port_close(port);
	return 0;
}

/* ---- a port that had to close by itself */

static void fail_work(struct work_struct *work)
{
	struct szcnic_port *port = container_of(work, struct szcnic_port, fail);
	struct net_device *dev = port->dev;
	netdevice_tracker tracker;

	rtnl_lock();
	netdev_lock(dev);
	/* From here on the next failure may be queued, with a tracker of its own. */
	tracker = port->fail_tracker;
	port->failing = false;
	if (dev->reg_state == NETREG_REGISTERED && !port->open && netif_running(dev)) {
		netif_close(dev);
		netdev_info(dev, "closed; `ip link set up` opens the port again\n");
	}
	netdev_unlock(dev);
	rtnl_unlock();
	netdev_put(dev, &tracker);
}

static void fail_later(struct szcnic_port *port)
{
	if (port->failing)
		return;
	port->failing = true;
	netdev_hold(port->dev, &port->fail_tracker, GFP_KERNEL);
	queue_work(szcnic_wq, &port->fail);
}

void szcnic_port_fail(struct szcnic_port *port, const char *what, u16 queue, int err)
{
	carrier_turn(port, false);
	if (port->open)
		szcnic_port_halt(port);
	queues_release(port, port->channels);
	netdev_err(port->dev, "queue %u: %s failed (%d), so the port closes\n", queue, what, err);
	fail_later(port);
}

int szcnic_reconfigure(struct szcnic_port *port, void (*change)(struct szcnic_port *port, const void *arg),
		       const void *to, const void *from)
{
	int err;

	if (!port->open) {
		change(port, to);
		return 0;
	}
	/* Absent, so that the stack's watchdog does not take the time this needs for a hang. */
	netif_device_detach(port->dev);
	port_close(port);
	change(port, to);
	err = port_open(port);
	if (err) {
		change(port, from);
		if (port_open(port)) {
			netdev_err(port->dev, "it opens with neither the new settings nor the old, and stays closed\n");
			carrier_turn(port, false);
			fail_later(port);
		}
	}
	netif_device_attach(port->dev);
	return err;
}

/* ---- settings */

static void mtu_change(struct szcnic_port *port, const void *arg)
{
	WRITE_ONCE(port->dev->mtu, *(const unsigned int *)arg);
}

static int change_mtu(struct net_device *dev, int mtu)
{
	const unsigned int from = dev->mtu, to = mtu;

	return szcnic_reconfigure(netdev_priv(dev), mtu_change, &to, &from);
}

static int set_rx_mode(struct net_device *dev, struct netdev_hw_addr_list *uc, struct netdev_hw_addr_list *mc)
{
	struct szcnic_port *port = netdev_priv(dev);

	return port->open ? port_address(port, dev->dev_addr) : 0;
}

static int set_mac_address(struct net_device *dev, void *p)
{
	struct szcnic_port *port = netdev_priv(dev);
	const struct sockaddr *address = p;
	int err;

	err = eth_prepare_mac_addr_change(dev, p);
	if (!err && port->open)
		err = port_address(port, address->sa_data);
	if (!err)
		eth_commit_mac_addr_change(dev, p);
	return err;
}

static int set_gro_hw(struct szcnic_port *port, bool on)
{
	int err;

	port->gro_hw = on;
	if (!port->open)
		return 0;
	err = szcnic_vnic_place_apply(port);
	if (err)
		port->gro_hw = !on;
	return err;
}

/* Receive checksums and hashes are looked at packet by packet. */
static int set_features(struct net_device *dev, netdev_features_t features)
{
	netdev_features_t changed = dev->features ^ features;
	struct szcnic_port *port = netdev_priv(dev);
	int err;

	if (changed & NETIF_F_GRO_HW) {
		err = set_gro_hw(port, features & NETIF_F_GRO_HW);
		if (err)
			return err;
		/* It stays, though what follows may be refused. */
		dev->features ^= NETIF_F_GRO_HW;
	}
	return changed & ~features & NETIF_F_NTUPLE ? szcnic_rules_flush(port) : 0;
}

/* The other end of the wire. */
static int get_iflink(const struct net_device *dev)
{
	const struct szcnic_port *port = netdev_priv(dev), *peer;
	int ifindex;

	rcu_read_lock();
	peer = rcu_dereference(port->peer);
	ifindex = peer ? READ_ONCE(peer->dev->ifindex) : 0;
	rcu_read_unlock();
	return ifindex;
}

static void tx_timeout(struct net_device *dev, unsigned int queue)
{
	struct szcnic_port *port = netdev_priv(dev);

	netdev_warn(dev, "transmit queue %u stands still: trying again\n", queue);
	hw_tx_resume(&port->hw);
	if (port->rxqs[queue].napi_on)
		napi_schedule(&port->rxqs[queue].napi);
}

/* ---- life */

static void queues_init(struct szcnic_port *port)
{
	u32 i;

	for (i = 0; i < port->max_channels; i++) {
		struct szcnic_rxq *rxq = &port->rxqs[i];
		struct szcnic_txq *txq = &port->txqs[i];

		rxq->port = port;
		rxq->index = i;
		init_completion(&rxq->rx_freed);
		init_completion(&rxq->agg_freed);
		timer_setup(&rxq->starved, szcnic_starved, 0);
		u64_stats_init(&rxq->sync);
		txq->port = port;
		txq->index = i;
		u64_stats_init(&txq->sync);
	}
}

static int port_init(struct net_device *dev)
{
	struct szcnic_port *port = netdev_priv(dev);
	int err = -ENOMEM;

	/* Both ports of a pair go in one batch, and the core locks them together. */
	netdev_lockdep_set_classes(dev);
	port->dev = dev;
	port->channels = min3(port->max_channels, num_online_cpus(), CHANNELS_DEFAULT);
	port->rx_pending = SZCNIC_RING_DEFAULT;
	port->tx_pending = SZCNIC_RING_DEFAULT;
	port->rxqs = kvcalloc(port->max_channels, sizeof(*port->rxqs), GFP_KERNEL);
	port->txqs = kvcalloc(port->max_channels, sizeof(*port->txqs), GFP_KERNEL);
	if (!port->rxqs || !port->txqs)
		goto out;
	queues_init(port);
	port->hw.dev = dev;
	port->hw.irq = szcnic_irq;
	err = szcnic_irqs_init(port);
	if (err)
		goto out;
	err = hw_port_init(&port->hw, port->max_channels);
	if (err)
		goto no_device;
	timer_setup(&port->watchdog, szcnic_watchdog, 0);
	INIT_WORK(&port->fail, fail_work);
	szcnic_rss_defaults(port);
	netif_carrier_off(dev);
	szcnic_faults_add(port);
	return netif_set_real_num_queues(dev, port->channels, port->channels);

no_device:
	szcnic_irqs_destroy(port);
out:
	kvfree(port->txqs);
	kvfree(port->rxqs);
	return err;
}

/* Closed, without a peer, and every reader of that pointer gone. */
static void port_uninit(struct net_device *dev)
{
	struct szcnic_port *port = netdev_priv(dev);

	szcnic_faults_remove(port);
	hw_port_destroy(&port->hw);
	szcnic_irqs_destroy(port);
	kvfree(port->txqs);
	kvfree(port->rxqs);
}

/* The device cannot follow IPv6 extension headers to where a segment's TCP or UDP header is. */
static netdev_features_t features_check(struct sk_buff *skb, struct net_device *dev, netdev_features_t features)
{
	if (skb_is_gso(skb) && vlan_get_protocol(skb) == htons(ETH_P_IPV6) &&
	    skb_network_header_len(skb) != sizeof(struct ipv6hdr))
		features &= ~NETIF_F_GSO_MASK;
	return vlan_features_check(skb, features);
}

static const struct net_device_ops szcnic_netdev_ops = {
	.ndo_init		= port_init,
	.ndo_uninit		= port_uninit,
	.ndo_open		= port_up,
	.ndo_stop		= port_down,
	.ndo_start_xmit		= szcnic_start_xmit,
	.ndo_change_mtu		= change_mtu,
	.ndo_set_rx_mode_async	= set_rx_mode,
	.ndo_set_mac_address	= set_mac_address,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_set_features	= set_features,
	.ndo_features_check	= features_check,
	.ndo_get_stats64	= szcnic_get_stats64,
	.ndo_tx_timeout		= tx_timeout,
	.ndo_get_iflink		= get_iflink,
};

void szcnic_setup(struct net_device *dev)
{
	ether_setup(dev);
	SET_NETDEV_DEV(dev, szcnic_parent());
	dev->netdev_ops = &szcnic_netdev_ops;
	dev->ethtool_ops = &szcnic_ethtool_ops;
	dev->stat_ops = &szcnic_stat_ops;
	dev->queue_mgmt_ops = &szcnic_queue_mgmt_ops;
	dev->request_ops_lock = true;
	dev->needs_free_netdev = true;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	dev->max_mtu = SZCNIC_MTU_MAX;
	dev->features |= FEATURES;
	dev->hw_features |= FEATURES | NETIF_F_GRO_HW;
	dev->vlan_features |= NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA;
}
