/* SPDX-License-Identifier: MIT */
/* A netlink socket, one question at a time, with the kernel's own words when it refuses. */
#ifndef SZC_LIB_NIC_NETLINK_H
#define SZC_LIB_NIC_NETLINK_H

#include <stdint.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

struct szc_nic_netlink {
	struct nl_sock *sock;
	char why[256]; /* what the kernel said of the last question it refused; "" if it gave a number only */
};

/* `protocol` is NETLINK_GENERIC or NETLINK_ROUTE. 0 or -errno; szc_nic_netlink_close() may follow in every case. */
int szc_nic_netlink_open(struct szc_nic_netlink *netlink, int protocol);
void szc_nic_netlink_close(struct szc_nic_netlink *netlink);

/* The number of a generic family, or -errno. */
int szc_nic_netlink_family(struct szc_nic_netlink *netlink, const char *name);

/* Hears from now on what the kernel tells that group of a generic family. 0 or -errno: -ENOENT if there is none. */
int szc_nic_netlink_join(struct szc_nic_netlink *netlink, const char *family, const char *group);

/* A request with room for a large table, or NULL. `flags` as NLM_F_DUMP. */
struct nl_msg *szc_nic_netlink_request(int type, int flags);
struct nl_msg *szc_nic_netlink_command(int family, int command, int flags);

/* Opens a nest that says it is one, as newer families want it. NULL: no room. */
struct nlattr *szc_nic_netlink_nest(struct nl_msg *msg, int type);

/*
 * Sends the message, which it frees (NULL: out of memory), and calls `each` for every answer until the kernel says that
 * it is done. 0, -errno of the kernel, or what `each` returned that was not 0. `each` may be NULL.
 */
typedef int szc_nic_netlink_each(const struct nlmsghdr *answer, void *arg);
int szc_nic_netlink_ask(struct szc_nic_netlink *netlink, struct nl_msg *msg, szc_nic_netlink_each *each, void *arg);

/* An attribute of type "uint", which is 4 or 8 bytes long, or of a fixed size; 0 if it is shorter than it should be. */
uint64_t szc_nic_netlink_uint(const struct nlattr *attr);

/* Keeps the kernel's words of an error message, or of the message that ends a dump; exposed for its test. */
int szc_nic_netlink_verdict(const struct nlmsghdr *message, char *why, size_t size);

#endif
