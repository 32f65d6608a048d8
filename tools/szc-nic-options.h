/* SPDX-License-Identifier: MIT */
/* The command line of szc-nic, parsed by argp(3). */
#ifndef TOOLS_SZC_NIC_OPTIONS_H
#define TOOLS_SZC_NIC_OPTIONS_H

#include <szc/nic.h>

enum {
	NIC_PORTS_MAX = 64,
};

#define NIC_PSP_ALL UINT32_MAX /* that the device can do */

enum { NIC_PSP_VERSIONS = 4 };
extern const char *const nic_psp_versions[NIC_PSP_VERSIONS]; /* by bit, which is the protocol's number */

/* "NAME" or "NAME@NETNS" */
struct nic_place {
	char ifname[16];
	char netns[64]; /* "": the one we are in */
};

struct nic_options {
	struct nic_place places[2]; /* the second for pair only; show: none is all */
	unsigned place_count;
	bool has_queue;
	unsigned queue;
	uint16_t ports[NIC_PORTS_MAX];
	size_t port_count;
	unsigned rx_ring;
	unsigned queues;
	unsigned mtu;
	struct szc_nic_wire wire;
	char *state_file;
	bool dry_run;
	bool json;
	bool psp_enable;
	uint32_t psp_versions; /* bit by bit, or NIC_PSP_ALL */
	bool psp_rotate;
};

/* Each reads argv[0] as "szc-nic COMMAND". Ends the program on --help, --version and mistakes (EXIT_USAGE). */
void nic_options_parse_pair(struct nic_options *options, int argc, char **argv);
void nic_options_parse_wire(struct nic_options *options, int argc, char **argv);
void nic_options_parse_prepare(struct nic_options *options, int argc, char **argv);
void nic_options_parse_restore(struct nic_options *options, int argc, char **argv);
void nic_options_parse_show(struct nic_options *options, int argc, char **argv);
void nic_options_parse_psp(struct nic_options *options, int argc, char **argv);

#endif
