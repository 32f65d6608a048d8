/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <link.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "options.h"
#include "parts.h"
#include "receiver.h"
#include "settle.h"

enum {
	QUIET = 3, /* parts in a row */
	PARTS_MAX = 20,
};

static const struct mode {
	const char *name;
	receive_mode *receive;
} modes[] = {
	{"recv", receive_recv},
	{"zc", receive_zc},
	{"openssl", receive_openssl},
	{"ktls", receive_ktls},
	{"ktls+nopad", receive_ktls_nopad},
	{"zc+copy", receive_zc_copy},
	{"zc+inplace", receive_zc_inplace},
	{"psp+recv", receive_psp_recv},
	{"psp+zc", receive_psp_zc},
};

/* ---- for who watches memory */

static int find_cipher(struct dl_phdr_info *info, size_t size, void *found)
{
	struct {
		const void *memory;
		size_t size;
	} *code = found;

	(void)size;
	if (!strstr(info->dlpi_name, "libcrypto"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
			code->memory = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
			code->size = info->dlpi_phdr[i].p_memsz;
		}
	}
	return 1;
}

void announce_cipher(void)
{
	struct {
		const void *memory;
		size_t size;
	} code = {0};

	dl_iterate_phdr(find_cipher, &code);
	/* There, before it is announced: a page that has to be read from a file lets others run. */
	for (size_t at = 0; at < code.size; at += 4096)
		(void)((const volatile char *)code.memory)[at];
	if (code.size)
		announce(SZC_MARK_CIPHER, code.memory, code.size);
}

/* ---- the NIC's own count */

struct nic_counts {
	uint64_t device, zero_copy;
};

static int ask(int fd, const char *ifname, void *command)
{
	struct ifreq request = {.ifr_data = command};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	return ioctl(fd, SIOCETHTOOL, &request);
}

/* Payload as the queue counted it: what it wrote, split from its headers or not, and what of it into net_iovs. */
static void add_counter(struct nic_counts *counts, const char *name, unsigned queue, uint64_t value)
{
	char prefix[16];

	snprintf(prefix, sizeof(prefix), "rx%u_", queue);
	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return;
	name += strlen(prefix);
	if (!strcmp(name, "split") || !strcmp(name, "whole"))
		counts->device += value;
	else if (!strcmp(name, "payload_netmem"))
		counts->zero_copy += value;
}

/* How many counters there are; 0 if that cannot be told. */
static uint32_t count_counters(int fd, const char *ifname)
{
	uint64_t memory[(sizeof(struct ethtool_sset_info) + sizeof(uint32_t) + 7) / 8] = {0};
	struct ethtool_sset_info *info = (struct ethtool_sset_info *)memory;

	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1 << ETH_SS_STATS;
	return ask(fd, ifname, info) || !info->sset_mask ? 0 : info->data[0];
}

static int nic_counts(const struct receiver *receiver, struct nic_counts *counts)
{
	int fd, error = -1;
	const char *ifname = receiver->arguments.ifname;
	struct ethtool_gstrings *names = NULL;
	struct ethtool_stats *values = NULL;
	uint32_t count;

	*counts = (struct nic_counts){0};
	if (receiver->arguments.unwatched)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto out;
	count = count_counters(fd, ifname);
	names = calloc(1, sizeof(*names) + (size_t)count * ETH_GSTRING_LEN);
	values = calloc(1, sizeof(*values) + (size_t)count * sizeof(uint64_t));
	if (!count || !names || !values)
		goto out;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = count;
	values->cmd = ETHTOOL_GSTATS;
	values->n_stats = count;
	if (ask(fd, ifname, names) || ask(fd, ifname, values))
		goto out;
	for (uint32_t i = 0; i < count; i++)
		add_counter(counts, (const char *)names->data + (size_t)i * ETH_GSTRING_LEN,
			    (unsigned)receiver->arguments.queue, values->data[i]);
	error = 0;
out:
	if (error)
		complain(ifname);
	free(names);
	free(values);
	if (fd >= 0)
		close(fd);
	return error;
}

/* ---- the kernel's TLS's own count */

/* Records it decrypted a second time, or in vain. 0 where the kernel has no TLS. */
static uint64_t decrypted_again(void)
{
	static const char *const names[] = {"TlsDecryptRetry", "TlsRxNoPadViolation", "TlsDecryptError"};
	FILE *file = fopen("/proc/net/tls_stat", "re");
	uint64_t sum = 0, value;
	char name[64];

	if (!file)
		return 0;
	while (fscanf(file, "%63s %" SCNu64, name, &value) == 2) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			sum += strcmp(name, names[i]) ? 0 : value;
	}
	fclose(file);
	return sum;
}

/* ---- the parts */

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool part_over(const struct receiver *receiver)
{
	return receiver->consumed.bytes >= receiver->asked;
}

/* What is done before every part alike: what comes after a pause comes otherwise than what comes without one. */
static int look_and_rest(struct receiver *receiver)
{
	struct nic_counts counts;

	if (nic_counts(receiver, &counts))
		return -1;
	receiver->device_before = counts.device;
	receiver->zero_copy_before = counts.zero_copy;
	receiver->again_before = decrypted_again();
	if (!receiver->arguments.unwatched && settle())
		return complain("settling");
	return 0;
}

int part_begins(struct receiver *receiver)
{
	receiver->fresh = 0;
	receiver->counting = receiver->asked >= receiver->arguments.warm;
	receiver->asked += receiver->arguments.bytes;
	if (look_and_rest(receiver))
		return -1;
	if (!receiver->counting)
		return 0;
	receiver->ledger.warm = receiver->consumed.bytes;
	receiver->consumed.sum = 0;
	receiver->elapsed_before = now_ns(CLOCK_MONOTONIC);
	receiver->cpu_before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	szc_mark(SZC_MARK_RUN);
	return 0;
}

static int counting_ends(struct receiver *receiver)
{
	struct nic_counts counts;

	szc_mark(SZC_MARK_STOP);
	szc_mark(SZC_MARK_UNWATCH);
	receiver->ledger.elapsed_ns = now_ns(CLOCK_MONOTONIC) - receiver->elapsed_before;
	receiver->ledger.cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - receiver->cpu_before;
	if (nic_counts(receiver, &counts))
		return -1;
	receiver->ledger.device = counts.device - receiver->device_before;
	receiver->ledger.zero_copy = counts.zero_copy - receiver->zero_copy_before;
	receiver->ledger.opened_again = decrypted_again() - receiver->again_before;
	return 0;
}

int part_ends(struct receiver *receiver)
{
	receiver->parts++;
	receiver->quiet = receiver->fresh ? 0 : receiver->quiet + 1;
	receiver->ledger.steady = receiver->quiet >= QUIET;
	receiver->complete = receiver->counting && (receiver->ledger.steady || receiver->parts >= PARTS_MAX);
	return receiver->complete ? counting_ends(receiver) : 0;
}

/* ---- the program */

static void usage(FILE *file)
{
	fputs("Usage: trips-receive --mode MODE --address ADDR --port-file FILE --cert FILE --key FILE\n"
	      "       --warm BYTES --bytes BYTES --ifname IFNAME --queue N --recycle newest|oldest\n"
	      "       [--area-size BYTES] [--buffer-size BYTES] [--hold BYTES]\n"
	      "       trips-receive --mode MODE ... --unwatched    (no NIC; not in modes of zero copy)\n"
	      "Receives one connection for bench/trip-count, and says as JSON what it counted.\n"
	      "Modes:",
	      file);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		fprintf(file, " %s", modes[i].name);
	fputs("\n", file);
}

static bool parse(struct arguments *arguments, int argc, char **argv)
{
	bool help = false;
	const struct option_value values[] = {
		{"mode", .text = &arguments->mode},
		{"ifname", .text = &arguments->ifname, .optional = true},
		{"queue", .number = &arguments->queue, .optional = true},
		{"address", .text = &arguments->address},
		{"port-file", .text = &arguments->port_file},
		{"cert", .text = &arguments->cert},
		{"key", .text = &arguments->key},
		{"warm", .number = &arguments->warm},
		{"bytes", .number = &arguments->bytes},
		{"area-size", .number = &arguments->area_size, .optional = true},
		{"buffer-size", .number = &arguments->buffer_size, .optional = true},
		{"recycle", .text = &arguments->recycle, .optional = true},
		{"hold", .number = &arguments->hold, .optional = true},
		{"unwatched", .flag = &arguments->unwatched},
		{"help", .flag = &help},
	};
	bool understood = options_read(argc, argv, values, sizeof(values) / sizeof(values[0]));

	if (help) {
		usage(stdout);
		exit(0);
	}
	if (!arguments->ifname != arguments->unwatched || !arguments->recycle != arguments->unwatched)
		return false;
	return understood && arguments->warm && arguments->bytes;
}

static void print(const struct receiver *receiver)
{
	const struct ledger *ledger = &receiver->ledger;

	printf("{\"mode\": \"%s\", \"bytes\": %" PRIu64 ", \"sum\": \"%016" PRIx64 "\", \"cipher\": \"%s\", "
	       "\"model\": %s, \"device\": %" PRIu64 ", \"zero_copy\": %" PRIu64 ", \"kernel_copied\": %" PRIu64 ", "
	       "\"user_copied\": %" PRIu64 ", \"opened_in_place\": %" PRIu64 ", \"opened\": %" PRIu64 ", "
	       "\"opened_again\": %" PRIu64 ", \"warm\": %" PRIu64
	       ", \"steady\": %s, \"fresh\": %u, \"elapsed_ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 "}\n",
	       receiver->arguments.mode, receiver->arguments.bytes, receiver->consumed.sum, receiver->cipher,
	       ledger->model ? "true" : "false", ledger->device, ledger->zero_copy, ledger->kernel_copied,
	       ledger->user_copied, ledger->opened_in_place, ledger->opened, ledger->opened_again, ledger->warm,
	       ledger->steady ? "true" : "false", receiver->fresh, ledger->elapsed_ns, ledger->cpu_ns);
}

int main(int argc, char **argv)
{
	struct receiver receiver = {0};
	const struct mode *mode = NULL;

	if (!parse(&receiver.arguments, argc, argv)) {
		usage(stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(modes[i].name, receiver.arguments.mode))
			mode = &modes[i];
	}
	if (!mode) {
		fprintf(stderr, "trips-receive: there is no mode %s\n", receiver.arguments.mode);
		return 2;
	}
	receiver.asked = first_part(receiver.arguments.warm, receiver.arguments.bytes);
	szc_mark(SZC_MARK_WATCH);
	/* The emulator begins to look with what is executed anew. */
	usleep(1000);
	if (inside_set_up())
		return 1;
	announce_cipher();
	if (mode->receive(&receiver))
		return 1;
	print(&receiver);
	return fflush(stdout) ? 1 : 0;
}
