/* SPDX-License-Identifier: MIT */
/*
 * Preparing a NIC for zero-copy receive, and leaving it as it was found.
 *
 * A queue that is to receive into an application's memory needs: headers split from payload (threshold 0), a receive
 * table (RSS) that no longer spreads foreign traffic over it, and, once it is registered with io_uring, rules that steer
 * the wanted traffic to it. The order is szc_nic_prepare(), register, szc_nic_steer_port(), receive; and in reverse.
 *
 * Every step is written to a state file before it is taken. szc_nic_restore() undoes exactly those steps, in reverse,
 * each only if the NIC still has what the step gave it: what somebody else changed since is theirs and stays. Rules that
 * this library did not make are never touched, and ntuple filters, which take every rule with them when they are turned
 * off, stay on while there is one. Handles of several processes may work on one NIC at once; the state file
 * is locked for the length of each call, and a setting that two of them rely on goes back when the last one leaves.
 *
 * One thing cannot be told from outside: whether a split was set or is the driver's own choice, which the kernel does not
 * take for one that is on. One that is on already is set once more, which is a step on record, too; and on the way back a
 * split goes to the driver's choice, if that is what it was.
 *
 * Settings go through ethtool's generic netlink (Documentation/netlink/specs/ethtool.yaml of Linux), queues are read from
 * the family "netdev" (netdev.yaml), rules go through the ioctl ETHTOOL_SRXCLSRLINS, for which there is no netlink yet.
 * Reading needs no privilege, changing needs CAP_NET_ADMIN. NICs are those of the calling thread's network namespace.
 *
 * Conventions, errors and ownership: see szc.h. A handle is used by one thread at a time.
 */
#ifndef SZC_NIC_H
#define SZC_NIC_H

#include <stdbool.h>
#include <sys/socket.h>
#include <szc/szc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct szc_nic;

/* ------------------------------------------------------------------------------------------------ handle */

struct szc_nic_options {
	size_t size;            /* sizeof(struct szc_nic_options) */
	const char *ifname;     /* the interface */
	const char *state_file; /* default: a file of its own for each interface and namespace in /run/szc */

	/* Where a failed szc_nic_open() writes its sentence. May be NULL. */
	char *error;
	size_t error_size;
};

/* Opens a NIC, without changing anything. Errors: SZC_E_OPTION, -ENODEV, -ENOMEM; -EOPNOTSUPP without ethtool netlink. */
SZC_API int szc_nic_open(struct szc_nic **nic, const struct szc_nic_options *options);

/* Frees the handle. What it changed stays changed, and recorded: szc_nic_restore() comes before. NULL is ignored. */
SZC_API void szc_nic_close(struct szc_nic *nic);

/* The last failure of a call on this handle, as a sentence with the kernel's own words; "" if there was none. */
SZC_API const char *szc_nic_last_error(const struct szc_nic *nic);

/* ------------------------------------------------------------------------------------------------ prepare, restore */

struct szc_nic_prepare_options {
	size_t size;
	unsigned queue;        /* the receive queue; 0 is a queue, too */
	unsigned rx_ring;      /* descriptors of each receive ring; 0: as it is. The NIC may round it */
	const uint16_t *ports; /* TCP ports that are going to be steered: that they can be is looked at now */
	size_t port_count;
	bool leave_split; /* do not touch header/data split and its threshold */
	bool dry_run;     /* change nothing, write nothing: tell what would be done */
};

/*
 * Makes the queue ready to be registered. Nothing is changed unless all that can be looked at before is in order; if a
 * step fails all the same, those before it are undone. What was right already is left alone and not reported.
 * szc_nic_change() lists what was changed.
 * Errors: SZC_E_OPTION (no such queue, or the only one), -EBUSY (the queue has an owner, the state file is locked),
 * -EEXIST (a rule or an RSS context of somebody else's stands in the way), -EPERM, -EOPNOTSUPP (the NIC cannot do it),
 * or what the driver answered.
 */
SZC_API int szc_nic_prepare(struct szc_nic *nic, const struct szc_nic_prepare_options *options);

/* A step, in words. The texts are the handle's until its next call. */
struct szc_nic_change {
	const char *what;   /* "header/data split", "RSS table", "rule", ... */
	const char *before; /* what it was before the call ("none" for a rule) */
	const char *after;  /* what it is now */
	const char *note;   /* why something was left as it is, or looks so; NULL where it was changed */
	unsigned queue;     /* for which queue it was done */
	int holder;         /* the process that did it; 0: none */
};

/*
 * What the last szc_nic_prepare(), szc_nic_steer(), szc_nic_restore() or szc_nic_restore_all() did, or, after
 * szc_nic_look(), the steps on record. NULL behind the last.
 */
SZC_API const struct szc_nic_change *szc_nic_change(const struct szc_nic *nic, size_t index);

/*
 * Undoes what this handle did, the latest first. What is no longer as we set it is left alone and told by a change
 * with a note. 0, or the first error: the steps that could not be undone stay on record, the others are undone. Neither a
 * split nor an RSS table that spares the queue can be undone while the queue is registered: close the ring first. The kernel
 * ends the registration a moment after that, or after its process was killed, for which this waits up to a second. While
 * the interface is down the kernel does not tell who has a queue: who closed no ring sets it up first.
 */
SZC_API int szc_nic_restore(struct szc_nic *nic);

/*
 * Undoes everything on record for this NIC, whoever did it. -EBUSY if a process that did a part of it and still runs
 * is not this one.
 */
SZC_API int szc_nic_restore_all(struct szc_nic *nic);

/* ------------------------------------------------------------------------------------------------ steering */

/* The packets of a TCP flow that we receive. */
struct szc_nic_flow {
	size_t size;
	int family;                   /* AF_INET or AF_INET6 */
	uint16_t port;                /* ours (the destination's), host byte order; not 0 */
	uint16_t peer_port;           /* 0: any */
	const struct sockaddr *local; /* NULL: any; else of that family; its port is not looked at */
	const struct sockaddr *peer;  /* NULL: any */
};

/*
 * Steers a flow to a queue and returns the rule's number (its slot), which is 0 or positive. A rule that does the same
 * and is there already is taken as it is, and stays when ours go. The queue should have its memory by now: traffic
 * comes at once. Ntuple filters that are off are turned on, which is a step on record like the rule.
 * Errors: SZC_E_OPTION, -EEXIST (the flow is steered elsewhere), -ENOSPC (no free slot), -EPERM, -EOPNOTSUPP.
 */
SZC_API int szc_nic_steer(struct szc_nic *nic, const struct szc_nic_flow *flow, unsigned queue);

/* Steers all TCP to a port, IPv4 and IPv6, to a queue: both or none. 0 or an error as szc_nic_steer(). */
SZC_API int szc_nic_steer_port(struct szc_nic *nic, uint16_t port, unsigned queue);

/* Removes a rule that a handle of this library made. SZC_E_STATE if it is somebody else's. */
SZC_API int szc_nic_unsteer(struct szc_nic *nic, int rule);

/* ------------------------------------------------------------------------------------------------ looking */

#define SZC_NIC_UNKNOWN UINT64_MAX /* a figure that the driver does not tell */

enum szc_nic_split {
	SZC_NIC_SPLIT_UNKNOWN, /* the driver's own choice */
	SZC_NIC_SPLIT_OFF,
	SZC_NIC_SPLIT_ON,
};

/* What the wire does to packets that a port of szcnic, the virtual NIC, sends. */
struct szc_nic_wire {
	size_t size;
	unsigned set;       /* SZC_NIC_WIRE_*: which members count; 0: none */
	uint64_t rate;      /* bits a second; 0: no limit */
	uint64_t delay;     /* nanoseconds, at most a second */
	uint32_t loss;      /* packets in a million that vanish */
	uint32_t reorder;   /* ... that overtake those before them */
	uint32_t duplicate; /* ... that arrive twice */
	uint32_t corrupt;   /* ... that arrive with one bit flipped */
};
#define SZC_NIC_WIRE_RATE      1u
#define SZC_NIC_WIRE_DELAY     2u
#define SZC_NIC_WIRE_LOSS      4u
#define SZC_NIC_WIRE_REORDER   8u
#define SZC_NIC_WIRE_DUPLICATE 16u
#define SZC_NIC_WIRE_CORRUPT   32u

struct szc_nic_info {
	char ifname[16];
	unsigned ifindex;
	char kind[16]; /* of link ("szcnic", "veth"); "" for hardware */
	bool up;
	unsigned rx_queues; /* in use now */
	unsigned rx_queues_max;
	unsigned rx_ring; /* 0: the driver does not tell */
	unsigned rx_ring_max;
	unsigned
		rx_ring_payload; /* of the ring beside it that takes payload, where there is one and the driver tells */
	enum szc_nic_split split;
	uint64_t split_threshold; /* packets up to this many bytes are not split; or SZC_NIC_UNKNOWN */
	unsigned rss_entries;     /* of the main RSS table; 0: there is none */
	unsigned rule_slots;      /* how many rules there can be; 0: none, or not told */
	size_t queues;            /* ... that szc_nic_queue() tells of */
	size_t rules;             /* ... that szc_nic_rule() tells of */
	struct szc_nic_wire wire; /* `set` is 0 for other kinds */
};

enum szc_nic_memory {
	SZC_NIC_MEMORY_POOL,     /* the driver's own page pools, or nothing that it tells of */
	SZC_NIC_MEMORY_IO_URING, /* zero-copy receive */
	SZC_NIC_MEMORY_DMABUF,   /* device memory (devmem) */
	SZC_NIC_MEMORY_XSK,      /* AF_XDP */
};

struct szc_nic_queue {
	unsigned id;
	unsigned napi_id; /* 0: none, as while the interface is down */
	enum szc_nic_memory memory;
	uint64_t rx_buf_len;      /* bytes of each buffer; io_uring only, else SZC_NIC_UNKNOWN */
	uint64_t dmabuf_id;       /* dmabuf only */
	unsigned pools;           /* page pools of this NAPI that live */
	uint64_t pool_bytes;      /* memory of theirs that is in flight */
	bool in_rss;              /* the main RSS table spreads traffic over it */
	const unsigned *contexts; /* further RSS contexts that do */
	size_t context_count;
	/* Counters, or SZC_NIC_UNKNOWN. */
	uint64_t rx_packets, rx_bytes, rx_alloc_fail, rx_hw_drops, rx_hw_drop_overruns, rx_csum_bad;
};

struct szc_nic_rule {
	unsigned slot;
	int queue;        /* -1: none */
	int context;      /* RSS context, -1: none */
	bool ours;        /* on record in the state file */
	const char *text; /* "tcp4 *:* *:4433 queue 1" */
};

/*
 * Reads everything, at the price of some dozen system calls; the answers stay as they are until the next look. 0, or
 * the error of what could not be read though the NIC has it. What it does not have is said so in the members. A state file
 * that cannot be read hides who did what, and no more: it is the one change then, "state file", with the reason as its note.
 */
SZC_API int szc_nic_look(struct szc_nic *nic, const struct szc_nic_info **info);

/* Of the last look: receive queues and rules; NULL behind the last. */
SZC_API const struct szc_nic_queue *szc_nic_queue(const struct szc_nic *nic, size_t index);
SZC_API const struct szc_nic_rule *szc_nic_rule(const struct szc_nic *nic, size_t index);

/* ------------------------------------------------------------------------------------------------ the virtual NIC */

struct szc_nic_port {
	const char *ifname;
	int netns_fd; /* an open network namespace, or -1: the calling thread's */
};

struct szc_nic_pair_options {
	size_t size;
	struct szc_nic_port ports[2];
	unsigned queues; /* most queues a port can have, up to 128; default: the module's */
	unsigned mtu;    /* default: the module's */

	char *error; /* where a failure's sentence goes; may be NULL */
	size_t error_size;
};

/*
 * Makes a pair of szcnic ports, joined by a wire. They are down. The kernel module must be loaded.
 * Errors: SZC_E_OPTION, -EOPNOTSUPP (no such module), -EEXIST, -EPERM, -ENOMEM.
 */
SZC_API int szc_nic_pair(const struct szc_nic_pair_options *options);

/* Changes the wire for what this port sends: the members that `set` names. -EOPNOTSUPP on NICs of another kind. */
SZC_API int szc_nic_set_wire(struct szc_nic *nic, const struct szc_nic_wire *wire);

#ifdef __cplusplus
}
#endif
#endif
