/* SPDX-License-Identifier: MIT */
/*
 * Receives one TLS 1.3 connection in one of two ways and says what it cost:
 *
 *   openssl  epoll, a non-blocking socket, SSL_read of 16 KiB with read-ahead on
 *   inplace  this library: records opened in the buffers they arrived in
 *
 * Both hand every plaintext byte to the same consumer, which reads each once. Processor time is the process's, from the
 * accepted connection to its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "receive.h"

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void stamp(double *wall, double *cpu)
{
	struct timespec now;
	struct rusage usage;

	clock_gettime(CLOCK_MONOTONIC, &now);
	getrusage(RUSAGE_SELF, &usage);
	*wall = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	*cpu = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

void result_start(struct result *result)
{
	stamp(&result->wall_start, &result->cpu_start);
}

void result_stop(struct result *result)
{
	double wall, cpu;

	stamp(&wall, &cpu);
	result->seconds = wall - result->wall_start;
	result->cpu_seconds = cpu - result->cpu_start;
}

void result_consume(struct result *result, const void *data, size_t len)
{
	consume(&result->consumed, data, len);
}

static void print_json(const struct arguments *arguments, const struct result *result)
{
	printf("{\"mode\":\"%s\",\"backend\":\"%s\",\"cipher\":\"%s\",\"bytes\":%" PRIu64 ",\"sum\":\"%016" PRIx64 "\","
	       "\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"gb_per_second\":%.4f,\"cpu_seconds_per_gb\":%.6f,",
	       arguments->mode, result->backend, result->cipher, result->consumed.bytes, result->consumed.sum,
	       result->seconds, result->cpu_seconds, (double)result->consumed.bytes / result->seconds / 1e9,
	       result->cpu_seconds / (double)result->consumed.bytes * 1e9);
	printf("\"trips\":%.4f,\"trips_measured\":", result->trips_measured + result->trips_assumed);
	/* A model measured nothing. */
	if (result->model)
		printf("null,\"trips_assumed\":null,");
	else
		printf("%.4f,\"trips_assumed\":%.4f,", result->trips_measured, result->trips_assumed);
	printf("\"trips_model\":%s,\"passes\":%.4f}\n", result->model ? "true" : "false", result->passes);
}

static void print_lines(const struct arguments *arguments, const struct result *result)
{
	printf("mode      %s (%s), %s\n", arguments->mode, result->backend, result->cipher);
	printf("bytes     %" PRIu64 ", sum %016" PRIx64 "\n", result->consumed.bytes, result->consumed.sum);
	printf("time      %.3f s, %.2f GB/s\n", result->seconds,
	       (double)result->consumed.bytes / result->seconds / 1e9);
	printf("processor %.3f s, %.3f s for each GB\n", result->cpu_seconds,
	       result->cpu_seconds / (double)result->consumed.bytes * 1e9);
	if (result->model)
		printf("trips     %.2f for each byte, by model; passes %.2f\n",
		       result->trips_measured + result->trips_assumed, result->passes);
	else
		printf("trips     %.2f for each byte: %.2f measured, %.2f assumed; passes %.2f\n",
		       result->trips_measured + result->trips_assumed, result->trips_measured, result->trips_assumed,
		       result->passes);
}

static void usage(FILE *file)
{
	fputs("Usage: receive --mode openssl|inplace --listen ADDR:PORT --cert FILE --key FILE [OPTION...]\n"
	      "Receives one TLS 1.3 connection and says what it cost.\n\n"
	      "  --mode openssl|inplace  SSL_read over epoll, or this library\n"
	      "  --listen ADDR:PORT      IPv4; port 0 takes a free one\n"
	      "  --port-file FILE        write the port's number there once listening\n"
	      "  --cert FILE --key FILE  PEM\n"
	      "  --ciphersuites LIST     OpenSSL's names, joined by ':'\n"
	      "  --backend NAME          inplace: auto, copy, epoll, nodev\n"
	      "  --area-size BYTES       inplace\n"
	      "  --buffer-size BYTES     inplace\n"
	      "  --json                  one object instead of lines\n",
	      file);
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"mode", required_argument, NULL, 'm'},
		{"listen", required_argument, NULL, 'l'},
		{"port-file", required_argument, NULL, 'p'},
		{"cert", required_argument, NULL, 'c'},
		{"key", required_argument, NULL, 'k'},
		{"ciphersuites", required_argument, NULL, 's'},
		{"backend", required_argument, NULL, 'b'},
		{"area-size", required_argument, NULL, 'a'},
		{"buffer-size", required_argument, NULL, 'u'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int key;

	while ((key = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (key) {
		case 'm':
			arguments->mode = optarg;
			break;
		case 'l':
			arguments->listen = optarg;
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
		case 's':
			arguments->ciphersuites = optarg;
			break;
		case 'b':
			arguments->backend = optarg;
			break;
		case 'a':
			arguments->area_size = strtoul(optarg, NULL, 0);
			break;
		case 'u':
			arguments->buffer_size = strtoul(optarg, NULL, 0);
			break;
		case 'j':
			arguments->json = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return -1;
		}
	}
	return optind == argc && arguments->mode && arguments->listen && arguments->cert && arguments->key ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct result result = {.backend = "epoll"};
	int error;

	if (parse(&arguments, argc, argv)) {
		usage(stderr);
		return 2;
	}
	if (!strcmp(arguments.mode, "openssl")) {
		error = receive_openssl(&arguments, &result);
	} else if (!strcmp(arguments.mode, "inplace")) {
		error = receive_inplace(&arguments, &result);
	} else {
		fprintf(stderr, "receive: --mode is openssl or inplace, not '%s'\n", arguments.mode);
		return 2;
	}
	if (error)
		return 1;
	if (!result.consumed.bytes) {
		fprintf(stderr, "receive: nothing came\n");
		return 1;
	}
	if (arguments.json)
		print_json(&arguments, &result);
	else
		print_lines(&arguments, &result);
	return fflush(stdout) ? 1 : 0;
}
