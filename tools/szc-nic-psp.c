/* SPDX-License-Identifier: MIT */
/* szc-nic psp: devices that encrypt by PSP, what they are set to, and a new device key for one. */
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <string.h>
#include "psp/family.h"
#include "szc-nic-commands.h"
#include "szc-nic-place.h"

static const char *const counters[PSP_A_STATS_LAST + 1] = {
	[PSP_A_STATS_KEY_ROTATIONS] = "rotations",
	[PSP_A_STATS_STALE_EVENTS] = "stale associations",
	[PSP_A_STATS_RX_PACKETS] = "rx packets",
	[PSP_A_STATS_RX_BYTES] = "rx bytes",
	[PSP_A_STATS_RX_AUTH_FAIL] = "rx not authentic",
	[PSP_A_STATS_RX_ERROR] = "rx errors",
	[PSP_A_STATS_RX_BAD] = "rx malformed",
	[PSP_A_STATS_TX_PACKETS] = "tx packets",
	[PSP_A_STATS_TX_BYTES] = "tx bytes",
	[PSP_A_STATS_TX_ERROR] = "tx errors",
};

static int refused(struct failure *failure, const struct szc_psp *psp, int error, const char *what)
{
	const char *why = *psp->netlink.why ? psp->netlink.why : strerror(-error);

	if (error == -ENOENT)
		return failure_set(failure, EXIT_SYSTEM, "this kernel has no PSP (CONFIG_INET_PSP, Linux 6.18)");
	if (error == -EPERM)
		why = "it needs CAP_NET_ADMIN";
	return failure_set(failure, EXIT_SYSTEM, "%s: %s", what, why);
}

/* ---- what is shown */

static void print_versions(const char *name, uint32_t set)
{
	printf("  %-18s", name);
	for (unsigned i = 0; i < NIC_PSP_VERSIONS; i++)
		if (set & 1U << i)
			printf(" %s", nic_psp_versions[i]);
	printf("%s\n", set ? "" : " none");
}

static void print_device(const struct szc_psp_device *device, const struct szc_psp_stats *stats)
{
	char ifname[IF_NAMESIZE] = "?";

	if_indextoname(device->ifindex, ifname);
	printf("%s: PSP device %" PRIu32 "\n", ifname, device->id);
	print_versions("can", device->capable);
	print_versions("opens", device->enabled);
	for (unsigned i = 0; i <= PSP_A_STATS_LAST; i++)
		if (counters[i])
			printf("  %-18s %" PRIu64 "\n", counters[i], stats->count[i]);
}

static json_t *versions_json(uint32_t set)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < NIC_PSP_VERSIONS; i++)
		if (set & 1U << i)
			json_array_append_new(list, json_string(nic_psp_versions[i]));
	return list;
}

/* Counters by their names, with an underscore for each space. */
static json_t *device_json(const struct szc_psp_device *device, const struct szc_psp_stats *stats)
{
	char ifname[IF_NAMESIZE] = "?", name[32];
	json_t *object;

	if_indextoname(device->ifindex, ifname);
	object = json_pack("{s:s, s:I, s:o, s:o}", "ifname", ifname, "id", (json_int_t)device->id, "capable",
			   versions_json(device->capable), "enabled", versions_json(device->enabled));
	for (unsigned i = 0; object && i <= PSP_A_STATS_LAST; i++) {
		if (!counters[i])
			continue;
		snprintf(name, sizeof(name), "%s", counters[i]);
		for (char *c = name; *c; c++)
			*c = *c == ' ' ? '_' : *c;
		json_object_set_new(object, name, json_integer((json_int_t)stats->count[i]));
	}
	return object;
}

/* ---- what is done */

static int change(const struct nic_options *options, struct szc_psp *psp, struct szc_psp_device *device,
		  struct failure *failure)
{
	uint32_t wanted = options->psp_versions == NIC_PSP_ALL ? device->capable : options->psp_versions;
	int error = 0;

	if (options->psp_enable && wanted & ~device->capable)
		return failure_set(failure, EXIT_USAGE, "%s cannot do all of these versions; see szc-nic psp",
				   options->places[0].ifname);
	if (options->psp_enable)
		error = szc_psp_enable(psp, device->id, wanted);
	if (error)
		return refused(failure, psp, error, "enabling versions");
	if (options->psp_enable)
		device->enabled = wanted;
	if (options->psp_rotate)
		error = szc_psp_rotate(psp, device->id);
	return error ? refused(failure, psp, error, "rotating the device key") : 0;
}

static int each_device(const struct nic_options *options, struct szc_psp *psp, json_t *list, struct failure *failure)
{
	struct szc_psp_device devices[SZC_PSP_DEVICES_MAX];
	const char *ifname = options->place_count ? options->places[0].ifname : NULL;
	int count = szc_psp_devices(psp, devices), shown = 0, error;
	struct szc_psp_stats stats;

	if (count < 0)
		return refused(failure, psp, count, "looking for PSP devices");
	for (int i = 0; i < count; i++) {
		if (ifname && devices[i].ifindex != if_nametoindex(ifname))
			continue;
		shown++;
		if (ifname && change(options, psp, &devices[i], failure))
			return failure->exit_code;
		error = szc_psp_stats(psp, devices[i].id, &stats);
		if (error)
			return refused(failure, psp, error, "the device's counters");
		if (options->json)
			json_array_append_new(list, device_json(&devices[i], &stats));
		else
			print_device(&devices[i], &stats);
	}
	if (ifname && !shown)
		return failure_set(failure, EXIT_SYSTEM, "%s is no PSP device here", ifname);
	if (!shown && !options->json)
		printf("there is no PSP device\n");
	return 0;
}

int nic_psp(const struct nic_options *options)
{
	json_t *list = options->json ? json_array() : NULL, *object = NULL;
	struct failure failure = {0};
	struct szc_psp psp;
	int error;

	if (!options->place_count || !place_enter(&options->places[0], &failure)) {
		error = szc_psp_open(&psp);
		if (error)
			refused(&failure, &psp, error, "PSP");
		else
			each_device(options, &psp, list, &failure);
		szc_psp_close(&psp);
	}
	if (options->json)
		object = json_pack("{s:s, s:o}", "command", "psp", "devices", list);
	return nic_report(options, object, &failure);
}
