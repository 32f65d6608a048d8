/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <szc/psp.h>
#include <szc/tls.h>
#include "progress.h"
#include "summary.h"

static double cpu_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void stopwatch_start(struct stopwatch *watch)
{
	if (watch->start)
		return;
	watch->start = progress_now();
	watch->cpu_start = cpu_now();
}

void stopwatch_stop(struct stopwatch *watch)
{
	if (!watch->start)
		return;
	watch->seconds = progress_now() - watch->start;
	watch->cpu_seconds = cpu_now() - watch->cpu_start;
}

/* ru_maxrss would count what the parent had before exec; VmHWM is this program's own. */
static uint64_t peak_rss(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	struct rusage usage;
	uint64_t kib = 0;
	char line[256];

	while (file && !kib && fgets(line, sizeof(line), file))
		if (!strncmp(line, "VmHWM:", 6))
			kib = strtoull(line + 6, NULL, 10);
	if (file)
		fclose(file);
	if (!kib && !getrusage(RUSAGE_SELF, &usage))
		kib = (uint64_t)usage.ru_maxrss;
	return kib * 1024;
}

static void note(char *to, size_t size, const char *text)
{
	if (text)
		snprintf(to, size, "%s", text);
}

void summary_note(struct summary *summary, const struct szc_conn *conn, uint64_t bytes)
{
	const char *psp = szc_psp_cipher(conn);

	summary->bytes_psp += psp ? bytes : 0;
	note(summary->psp, sizeof(summary->psp), psp);
	note(summary->psp_why, sizeof(summary->psp_why), szc_psp_why_not(conn));
	szc_conn_trips(conn, &summary->trips);
	note(summary->cipher, sizeof(summary->cipher), szc_tls_cipher(conn));
	note(summary->sending, sizeof(summary->sending), szc_tls_sending(conn));
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *ledger(const struct szc_trips *trips)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "trips",
			 szc_trips_total(trips), "trips_measured", szc_trips_measured(trips), "trips_assumed",
			 szc_trips_assumed(trips), "passes", szc_trips_passes(trips), "records",
			 (json_int_t)trips->records, "bytes_received", (json_int_t)trips->bytes_received,
			 "bytes_zero_copy", (json_int_t)trips->bytes_zero_copy, "bytes_kernel_copied",
			 (json_int_t)trips->bytes_kernel_copied, "bytes_user_copied",
			 (json_int_t)trips->bytes_user_copied, "bytes_opened_in_place",
			 (json_int_t)trips->bytes_opened_in_place, "bytes_opened", (json_int_t)trips->bytes_opened,
			 "bytes_handshake", (json_int_t)trips->bytes_handshake, "bytes_sent",
			 (json_int_t)trips->bytes_sent, "key_updates", (json_int_t)trips->key_updates);
}

int summary_print_json(const struct summary *summary, const struct failure *failure, FILE *file)
{
	json_t *counts = ledger(&summary->trips);
	json_t *object = json_pack(
		"{s:s, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:f, s:I, s:o}", "command",
		summary->command, "backend", text_or_null(summary->backend), "bytes", (json_int_t)summary->bytes,
		"bytes_psp", (json_int_t)summary->bytes_psp, "bytes_tls",
		(json_int_t)(summary->bytes - summary->bytes_psp), "bytes_returned", (json_int_t)summary->bytes_back,
		"seconds", summary->watch.seconds, "cpu_seconds", summary->watch.cpu_seconds, "cipher",
		text_or_null(summary->cipher), "sending", text_or_null(summary->sending), "psp",
		text_or_null(summary->psp), "psp_why_not", text_or_null(summary->psp_why), "connections",
		(json_int_t)summary->connections, "connections_failed", (json_int_t)summary->failed, "moves",
		(json_int_t)summary->moves, "move_seconds", summary->move_seconds, "peak_rss_bytes",
		(json_int_t)peak_rss(), "error", text_or_null(failure->sentence));
	int code = EXIT_SYSTEM;

	if (object && counts && !json_object_update(object, counts) &&
	    !json_dumpf(object, file, JSON_COMPACT | JSON_REAL_PRECISION(9)) && fputc('\n', file) != EOF &&
	    !fflush(file))
		code = 0;
	json_decref(counts);
	json_decref(object);
	return code;
}

char *summary_rate(char *text, size_t size, uint64_t bytes, double seconds)
{
	char amount[16];

	progress_amount(amount, (double)bytes);
	snprintf(text, size, "%s in %.2f s, %.2f GB/s", amount, seconds,
		 seconds > 0 ? (double)bytes / seconds / 1e9 : 0.0);
	return text;
}

static void print_ledger(const struct szc_trips *trips, FILE *file)
{
	char in_place[16], moved[16];

	if (!trips->bytes)
		return;
	fprintf(file, "records       %" PRIu64 ", opened in place %s, moved by us %s\n", trips->records,
		progress_amount(in_place, (double)trips->bytes_opened_in_place),
		progress_amount(moved, (double)trips->bytes_user_copied));
	fprintf(file, "trips         %.2f for each byte: %.2f measured, %.2f assumed; passes %.2f\n",
		szc_trips_total(trips), szc_trips_measured(trips), szc_trips_assumed(trips), szc_trips_passes(trips));
}

void summary_print(const struct summary *summary, FILE *file)
{
	const struct stopwatch *watch = &summary->watch;
	char text[64];

	fprintf(file, "%-13s %s\n", summary->what, summary_rate(text, sizeof(text), summary->bytes, watch->seconds));
	if (summary->path)
		fprintf(file, "file          %s\n", summary->path);
	if (summary->connections != 1)
		fprintf(file, "connections   %" PRIu64 ", of which %" PRIu64 " failed\n", summary->connections,
			summary->failed);
	if (summary->moves)
		fprintf(file, "moves         %" PRIu64 " to another connection, because a NIC's key was rotated\n",
			summary->moves);
	if (summary->bytes_back)
		fprintf(file, "came back     %s\n", progress_amount(text, (double)summary->bytes_back));
	if (*summary->psp)
		fprintf(file, "cipher        PSP %s, agreed upon under %s\n", summary->psp, summary->cipher);
	else if (*summary->cipher)
		fprintf(file, "cipher        %s, sealing by %s\n", summary->cipher, summary->sending);
	if (*summary->psp_why)
		fprintf(file, "not by PSP    %s: %s\n",
			progress_amount(text, (double)(summary->bytes - summary->bytes_psp)), summary->psp_why);
	if (*summary->backend)
		fprintf(file, "backend       %s\n", summary->backend);
	print_ledger(&summary->trips, file);
	fprintf(file, "processor     %.2f s", watch->cpu_seconds);
	/* Of less, it would say what a handshake costs. */
	if (summary->bytes >= 1000000)
		fprintf(file, ", %.2f s for each GB", watch->cpu_seconds / (double)summary->bytes * 1e9);
	fprintf(file, "\nmemory        %s at most\n", progress_amount(text, (double)peak_rss()));
}
