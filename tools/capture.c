/* SPDX-License-Identifier: MIT */
/* zcrx-tls capture: PSP packets in a capture of the wire, and what is in them. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "failure.h"
#include "pcap.h"
#include "psp/message.h"
#include "psp/packet.h"

enum outcome { NO_KEY, OPENED, NOT_AUTHENTIC };

struct capture {
	const struct options *options;
	struct pcap_file pcap;
	struct pcap_packet packet;
	uint64_t first_ns;
	uint64_t packets, psp, opened, not_authentic;
	json_t *list; /* --json */
	struct failure failure;
};

struct seen {
	double seconds;
	struct pcap_udp udp;
	struct szc_psp_packet psp;
	enum outcome outcome;
	const uint8_t *inside; /* what is behind PSP's header, decrypted if it was opened */
};

/* ---- keys */

/* A copy is opened: another key may be the right one. */
static bool opens(const struct seen *seen, const struct szc_psp_key *key)
{
	static uint8_t copy[PCAP_PACKET_MAX];

	memcpy(copy, seen->udp.payload, seen->udp.len);
	if (szc_psp_packet_open(&seen->psp, key, copy))
		return false;
	memcpy(seen->udp.payload, copy, seen->udp.len);
	OPENSSL_cleanse(copy, seen->udp.len);
	return true;
}

static enum outcome try_keys(const struct options *options, const struct seen *seen)
{
	enum outcome outcome = NO_KEY;

	for (unsigned i = 0; i < options->key_count; i++) {
		const struct options_key *given = &options->keys[i];
		struct szc_psp_key key = {.spi = given->spi, .size = given->size};

		memcpy(key.key, given->key, given->size);
		if (given->device && szc_psp_packet_derive(given->key, seen->psp.spi, seen->psp.version, &key))
			continue;
		if (key.spi != seen->psp.spi || key.size != szc_psp_key_size(seen->psp.version))
			continue;
		if (opens(seen, &key))
			return OPENED;
		outcome = NOT_AUTHENTIC;
	}
	return outcome;
}

/* ---- what is told */

static const char *const outcomes[] = {"sealed", "opened", "not authentic by any key given"};

static void print_dump(const uint8_t *data, size_t len)
{
	for (size_t at = 0; at < len; at += 16) {
		printf("    %04zx ", at);
		for (size_t i = at; i < at + 16; i++)
			i < len ? printf(" %02x", data[i]) : printf("   ");
		printf("  ");
		for (size_t i = at; i < at + 16 && i < len; i++)
			putchar(data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '.');
		putchar('\n');
	}
}

static void hex(const uint8_t *data, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", data[i]);
}

static void print_packet(const struct seen *seen)
{
	const struct szc_psp_packet *psp = &seen->psp;
	char iv[17];

	hex(psp->iv, sizeof(psp->iv), iv);
	printf("%.6f %s.%u > %s.%u: PSP %s, SPI %08" PRIx32 ", IV %s, protocol %u, %zu bytes, %zu in clear%s%s%s: %s\n",
	       seen->seconds, seen->udp.source, seen->udp.source_port, seen->udp.target, seen->udp.target_port,
	       szc_psp_version_name(psp->version), psp->spi, iv, psp->next, psp->payload, psp->clear - psp->header,
	       psp->cookie ? ", cookie" : "", psp->sample ? ", sample" : "", psp->drop ? ", drop" : "",
	       outcomes[seen->outcome]);
	if (seen->outcome == OPENED)
		print_dump(seen->inside, psp->payload);
}

static json_t *packet_json(const struct seen *seen)
{
	const struct szc_psp_packet *psp = &seen->psp;
	char *inside = calloc(psp->payload + 1, 2), iv[17];
	json_t *object;

	if (!inside)
		return NULL;
	hex(psp->iv, sizeof(psp->iv), iv);
	if (seen->outcome == OPENED)
		hex(seen->inside, psp->payload, inside);
	object = json_pack(
		"{s:f, s:s, s:i, s:s, s:i, s:s, s:I, s:s, s:i, s:I, s:I, s:b, s:s, s:o}", "seconds", seen->seconds,
		"source", seen->udp.source, "source_port", seen->udp.source_port, "target", seen->udp.target,
		"target_port", seen->udp.target_port, "version", szc_psp_version_name(psp->version), "spi",
		(json_int_t)psp->spi, "iv", iv, "protocol", psp->next, "bytes", (json_int_t)psp->payload, "bytes_clear",
		(json_int_t)(psp->clear - psp->header), "cookie", psp->cookie, "outcome", outcomes[seen->outcome],
		"plaintext", seen->outcome == OPENED ? json_string(inside) : json_null());
	free(inside);
	return object;
}

/* ---- the file */

static void take(struct capture *capture)
{
	struct seen seen = {0};

	if (!capture->packets++)
		capture->first_ns = capture->packet.ns;
	if (!pcap_udp(&capture->pcap, &capture->packet, &seen.udp) || seen.udp.target_port != SZC_PSP_UDP_PORT ||
	    szc_psp_packet_parse(&seen.psp, seen.udp.payload, seen.udp.len))
		return;
	seen.seconds = ((double)capture->packet.ns - (double)capture->first_ns) / 1e9;
	seen.outcome = try_keys(capture->options, &seen);
	seen.inside = seen.udp.payload + seen.psp.header;
	capture->psp++;
	capture->opened += seen.outcome == OPENED;
	capture->not_authentic += seen.outcome == NOT_AUTHENTIC;
	if (!capture->options->json)
		print_packet(&seen);
	else if (json_array_append_new(capture->list, packet_json(&seen)))
		failure_set(&capture->failure, EXIT_SYSTEM, "out of memory");
}

static void read_all(struct capture *capture, FILE *file)
{
	const char *path = capture->options->file;
	int result = pcap_begin(&capture->pcap, file);

	while (!result && !capture->failure.exit_code && (result = pcap_next(&capture->pcap, &capture->packet)) > 0) {
		take(capture);
		result = 0;
	}
	if (result < 0)
		failure_set(&capture->failure, EXIT_FILE, "%s: %s", path, capture->pcap.why);
}

static void report(struct capture *capture)
{
	json_t *object;

	if (capture->not_authentic)
		failure_set(&capture->failure, EXIT_DATA, "%" PRIu64 " packets are not authentic by any key given",
			    capture->not_authentic);
	if (capture->failure.exit_code)
		fprintf(stderr, "zcrx-tls: %s\n", capture->failure.sentence);
	if (!capture->options->json) {
		printf("%" PRIu64 " packets, of PSP %" PRIu64 ", opened %" PRIu64 "\n", capture->packets, capture->psp,
		       capture->opened);
		return;
	}
	object = json_pack("{s:s, s:I, s:I, s:I, s:I, s:O}", "command", "capture", "packets",
			   (json_int_t)capture->packets, "packets_psp", (json_int_t)capture->psp, "packets_opened",
			   (json_int_t)capture->opened, "packets_not_authentic", (json_int_t)capture->not_authentic,
			   "psp", capture->list);
	if (!object || json_dumpf(object, stdout, JSON_COMPACT) || putchar('\n') == EOF)
		failure_set(&capture->failure, EXIT_FILE, "cannot write what was found");
	json_decref(object);
}

int capture(const struct options *options)
{
	static struct capture capture;
	FILE *file = strcmp(options->file, "-") ? fopen(options->file, "re") : stdin;

	capture = (struct capture){.options = options, .list = json_array()};
	if (!file)
		failure_set_file(&capture.failure, -errno, "cannot open", options->file);
	else
		read_all(&capture, file);
	report(&capture);
	if (fflush(stdout))
		failure_set_file(&capture.failure, -errno, "cannot write what was found to", "standard output");
	json_decref(capture.list);
	if (file && file != stdin)
		fclose(file);
	OPENSSL_cleanse(&capture.packet, sizeof(capture.packet));
	return capture.failure.exit_code;
}
