/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
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
#include <unistd.h>
#include <openssl/err.h>
#include "receiver.h"
#include "settle.h"

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
};

int complain(const char *what)
{
	fprintf(stderr, "trips-receive: %s: %s\n", what, strerror(errno));
	return -1;
}

int complain_ssl(const char *what)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	fprintf(stderr, "trips-receive: %s: %s\n", what, text);
	return -1;
}

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

int announce_port(const struct receiver *receiver, unsigned port)
{
	char part[4096];
	FILE *file;

	snprintf(part, sizeof(part), "%s.part", receiver->arguments.port_file);
	file = fopen(part, "we");
	if (!file || fprintf(file, "%u\n", port) < 0 || fclose(file) || rename(part, receiver->arguments.port_file))
		return complain(receiver->arguments.port_file);
	return 0;
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
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = -1;
	const char *ifname = receiver->arguments.ifname;
	struct ethtool_gstrings *names = NULL;
	struct ethtool_stats *values = NULL;
	uint32_t count;

	*counts = (struct nic_counts){0};
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
		add_counter(counts, (const char *)names->data + (size_t)i * ETH_GSTRING_LEN, receiver->arguments.queue,
			    values->data[i]);
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

/* ---- the two parts */

void consume(struct receiver *receiver, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t word, sum = 0;

	/* To the next word of the stream: pieces are cut differently in each mode, the sum must not be. */
	for (; len && receiver->bytes % sizeof(word); len--)
		sum += (uint64_t)*p++ << 8 * (receiver->bytes++ % sizeof(word));
	receiver->bytes += len;
	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	for (size_t i = 0; i < len; i++)
		sum += (uint64_t)p[i] << 8 * i;
	receiver->sum += sum;
}

bool warm_enough(const struct receiver *receiver)
{
	return receiver->bytes >= receiver->arguments.warm;
}

bool complete(const struct receiver *receiver)
{
	return receiver->bytes >= receiver->arguments.warm + receiver->arguments.bytes;
}

int counting_begins(struct receiver *receiver)
{
	struct nic_counts counts;

	if (nic_counts(receiver, &counts))
		return -1;
	receiver->device_before = counts.device;
	receiver->zero_copy_before = counts.zero_copy;
	if (settle())
		return complain("settling");
	szc_mark(SZC_MARK_RUN);
	return 0;
}

int counting_ends(struct receiver *receiver)
{
	struct nic_counts counts;

	szc_mark(SZC_MARK_STOP);
	szc_mark(SZC_MARK_UNWATCH);
	if (nic_counts(receiver, &counts))
		return -1;
	receiver->ledger.device = counts.device - receiver->device_before;
	receiver->ledger.zero_copy = counts.zero_copy - receiver->zero_copy_before;
	return 0;
}

/* ---- the program */

static void usage(FILE *file)
{
	fputs("Usage: trips-receive --mode MODE --ifname IFNAME --queue N --address ADDR --port-file FILE --cert FILE\n"
	      "       --key FILE --warm BYTES --bytes BYTES [--area-size BYTES] [--buffer-size BYTES]\n"
	      "Receives one connection for bench/trip-count, and says as JSON what it counted.\n"
	      "Modes:",
	      file);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		fprintf(file, " %s", modes[i].name);
	fputs("\n", file);
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"mode", required_argument, NULL, 'm'},
		{"ifname", required_argument, NULL, 'i'},
		{"queue", required_argument, NULL, 'q'},
		{"address", required_argument, NULL, 'l'},
		{"port-file", required_argument, NULL, 'p'},
		{"cert", required_argument, NULL, 'c'},
		{"key", required_argument, NULL, 'k'},
		{"warm", required_argument, NULL, 'w'},
		{"bytes", required_argument, NULL, 'n'},
		{"area-size", required_argument, NULL, 'a'},
		{"buffer-size", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'm':
			arguments->mode = optarg;
			break;
		case 'i':
			arguments->ifname = optarg;
			break;
		case 'q':
			arguments->queue = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'l':
			arguments->address = optarg;
			break;
		case 'p':
			arguments->port_file = optarg;
			break;
		case 'c':
			arguments->cert = optarg;
			break;
		case 'k':
			arguments->key = optarg;
			break;
		case 'w':
			arguments->warm = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			arguments->bytes = strtoull(optarg, NULL, 10);
			break;
		case 'a':
			arguments->area_size = strtoull(optarg, NULL, 10);
			break;
		case 'b':
			arguments->buffer_size = strtoull(optarg, NULL, 10);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return -1;
		}
	}
	return optind == argc && arguments->mode && arguments->ifname && arguments->address && arguments->port_file &&
			       arguments->cert && arguments->key && arguments->warm && arguments->bytes
		       ? 0
		       : -1;
}

static void print(const struct receiver *receiver)
{
	const struct ledger *ledger = &receiver->ledger;

	printf("{\"mode\": \"%s\", \"bytes\": %" PRIu64 ", \"sum\": \"%016" PRIx64 "\", \"cipher\": \"%s\", "
	       "\"model\": %s, \"device\": %" PRIu64 ", \"zero_copy\": %" PRIu64 ", \"kernel_copied\": %" PRIu64 ", "
	       "\"user_copied\": %" PRIu64 ", \"opened_in_place\": %" PRIu64 ", \"opened\": %" PRIu64 "}\n",
	       receiver->arguments.mode, receiver->bytes - receiver->arguments.warm, receiver->sum, receiver->cipher,
	       ledger->model ? "true" : "false", ledger->device, ledger->zero_copy, ledger->kernel_copied,
	       ledger->user_copied, ledger->opened_in_place, ledger->opened);
}

int main(int argc, char **argv)
{
	struct receiver receiver = {0};
	const struct mode *mode = NULL;

	if (parse(&receiver.arguments, argc, argv)) {
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
