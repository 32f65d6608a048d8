/* SPDX-License-Identifier: MIT */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>

int complain(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	return -1;
}

int complain_ssl(const char *what)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, text);
	return -1;
}

static uint64_t word_at(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

void consume(struct consumed *consumed, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t a = 0, b = 0, c = 0, d = 0;

	/* To the next word of the stream: pieces are cut differently in each mode, the sum must not be. */
	for (; len && consumed->bytes % 8; len--)
		a += (uint64_t)*p++ << 8 * (consumed->bytes++ % 8);
	consumed->bytes += len;
	/* Four sums, and words that stay in registers: what is written down here would count as the receiver's stores. */
	for (; len >= 32; p += 32, len -= 32) {
		a += word_at(p);
		b += word_at(p + 8);
		c += word_at(p + 16);
		d += word_at(p + 24);
	}
	for (; len >= 8; p += 8, len -= 8)
		a += word_at(p);
	for (size_t i = 0; i < len; i++)
		b += (uint64_t)p[i] << 8 * i;
	consumed->sum += a + b + c + d;
}

int write_port(const char *path, unsigned port)
{
	char temp[4096];
	FILE *file;
	int error = 0;

	if (!path)
		return 0;
	snprintf(temp, sizeof(temp), "%s.part", path);
	file = fopen(temp, "we");
	if (!file || fprintf(file, "%u\n", port) < 0)
		error = errno;
	if (file && fclose(file) && !error)
		error = errno;
	if (!error && rename(temp, path))
		error = errno;
	if (error)
		fprintf(stderr, "%s: cannot write %s: %s\n", program_invocation_short_name, path, strerror(error));
	return error ? -1 : 0;
}
