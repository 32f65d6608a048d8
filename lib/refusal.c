/* SPDX-License-Identifier: MIT */
#include "refusal.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "nicinfo.h"

static int too_old(struct szc_rx *rx, const char *what, const char *since)
{
	struct utsname name;

	uname(&name);
	return szc_rx_fail(rx, SZC_E_BACKEND,
			   "this kernel (Linux %s) has no zero-copy receive%s: that takes Linux %s or later",
			   name.release, what, since);
}

int szc_refusal_nodev(struct szc_rx *rx, const struct szc_features *features)
{
	if (features->error == -EPERM || features->error == -EACCES)
		return szc_rx_fail(rx, SZC_E_BACKEND, "a restriction of this sandbox forbids to query io_uring");
	if (features->error || !features->nodev || !features->ctrls)
		return too_old(rx, " without a NIC", "7.1");
	return 0;
}

/* ---- registration */

/* Any of what the kernel checks before it asks the driver (__netif_mp_open_rxq), or the driver's own no. */
static int not_prepared(struct szc_rx *rx)
{
	const struct szc_rx_options *o = &rx->options;
	const char *what = "headers must be split from payload, with a threshold of 0";
	struct szc_nicinfo nic;

	if (!szc_nicinfo_look(&nic, o->ifname, o->queue)) {
		if (nic.split == SZC_NIC_SPLIT_ON && nic.threshold)
			what = "the threshold of its header/data split is not 0";
		else if (nic.split == SZC_NIC_SPLIT_ON)
			what = "headers are split from payload, but its driver refuses";
		else if (nic.split == SZC_NIC_SPLIT_OFF)
			what = "its header/data split is off";
	}
	return szc_rx_fail(rx, SZC_E_BACKEND,
			   "%s is not ready for zero-copy receive: %s. Run `szc-nic prepare %s --queue %u`, or "
			   "`ethtool -G %s tcp-data-split on hds-thresh 0`",
			   o->ifname, what, o->ifname, o->queue, o->ifname);
}

static int no_such_queue(struct szc_rx *rx)
{
	const struct szc_rx_options *o = &rx->options;
	struct szc_nicinfo nic;

	if (szc_nicinfo_look(&nic, o->ifname, o->queue) || !nic.queues)
		return szc_rx_fail(rx, SZC_E_BACKEND, "%s has no receive queue %u", o->ifname, o->queue);
	return szc_rx_fail(rx, SZC_E_BACKEND,
			   "%s has no receive queue %u: it has %u, numbered from 0 (ethtool -L changes that)",
			   o->ifname, o->queue, nic.queues);
}

static int refused_by_nic(struct szc_rx *rx, int error)
{
	const struct szc_rx_options *o = &rx->options;

	switch (-error) {
	case EOPNOTSUPP:
		return szc_rx_fail(
			rx, SZC_E_BACKEND,
			"%s cannot do zero-copy receive: its driver does not let queues be managed one by one, "
			"or there is no device behind it that writes to memory (as with lo, veth and bridges); "
			"or the kernel was built without CONFIG_IO_URING_ZCRX",
			o->ifname);
	case ENODEV:
		return szc_rx_fail(rx, SZC_E_BACKEND, "there is no interface %s any more", o->ifname);
	case ERANGE:
		return no_such_queue(rx);
	case EEXIST:
		return szc_rx_fail(
			rx, SZC_E_BACKEND,
			"queue %u of %s belongs to somebody else's zero-copy receive, or an XDP program is on "
			"the interface: `szc-nic show %s` tells",
			o->queue, o->ifname, o->ifname);
	case EBUSY:
		return szc_rx_fail(rx, SZC_E_BACKEND,
				   "queue %u of %s is in use by AF_XDP, or leased to a virtual device", o->queue,
				   o->ifname);
	case EIO:
		return szc_rx_fail(
			rx, SZC_E_BACKEND,
			"the device of %s cannot reach the area's memory: its driver sets too small a DMA mask",
			o->ifname);
	case ENETDOWN:
		return szc_rx_fail(rx, SZC_E_BACKEND,
				   "%s is down, and its driver does not like that: ip link set %s up", o->ifname,
				   o->ifname);
	default:
		return szc_rx_fail(rx, SZC_E_BACKEND, "the kernel refused queue %u of %s for zero-copy receive: %s",
				   o->queue, o->ifname, strerror(-error));
	}
}

int szc_refusal_registration(struct szc_rx *rx, int error, unsigned ifindex)
{
	switch (-error) {
	case EPERM:
		return szc_rx_fail(
			rx, SZC_E_BACKEND,
			"zero-copy receive takes the capability CAP_NET_ADMIN, and a container's own is not "
			"enough: run as root, or setcap cap_net_admin+ep on the program (which then prepares a "
			"NIC with a state file of its own, as /run/szc is root's)");
	case ENOMEM:
		return szc_rx_fail(rx, SZC_E_BACKEND,
				   "the kernel could not pin an area of %zu KiB: raise the limit of locked memory "
				   "(ulimit -l), or lower area_size",
				   rx->area.size / 1024);
	case EINVAL:
		/* Kernels before 6.15 do not know the call. */
		if (!szc_features_recv_zc())
			return too_old(rx, "", "6.15");
		break;
	case EOPNOTSUPP:
		if (ifindex)
			break;
		return szc_rx_fail(
			rx, SZC_E_BACKEND,
			"this kernel was built without CONFIG_IO_URING_ZCRX: zero-copy receive is not in it");
	default:
		break;
	}
	if (ifindex)
		return error == -EINVAL ? not_prepared(rx) : refused_by_nic(rx, error);
	return szc_rx_fail(rx, SZC_E_BACKEND, "the kernel refused the area for zero-copy receive: %s",
			   strerror(-error));
}

/* ---- receiving */

const char *szc_refusal_receive(int error, bool dmabuf)
{
	switch (-error) {
	case EFAULT:
		return "the peer's bytes lie in the memory of another receive queue, which only its owner can read: steer "
		       "the connection to this engine's queue before it begins";
	case ENOMEM:
		return dmabuf ? "payload came in ordinary memory, and the kernel cannot copy it into a dma-buf: headers were "
				"not split off, or packets came through another queue"
			      : NULL;
	case EPROTONOSUPPORT:
		return "the kernel decrypts on this socket (TLS_RX), and then it does not receive into the area";
	default:
		return NULL;
	}
}

const char *szc_refusal_length(int error)
{
	switch (-error) {
	case ENOSYS:
		return "this kernel knows no other";
	case ERANGE:
		return "the area's memory does not lie in longer pieces: reserve huge pages (vm.nr_hugepages)";
	case EOPNOTSUPP:
		return "the NIC's driver knows no other";
	default:
		return "the NIC's driver refuses longer ones";
	}
}
