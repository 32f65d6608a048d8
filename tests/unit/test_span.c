/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/scatter.h"
#include "tls/span.h"

enum { BYTES = 13 };

static const uint8_t bytes[BYTES] = "\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d";

struct layout {
	struct scatter scatter;
	size_t skip, len;
};

/* Every pair of cuts (empty fragments included), every skip, every length. */
static void each_layout(const uint8_t *content, void (*check)(struct layout *layout, struct szc_span span))
{
	for (size_t a = 0; a <= BYTES; a++) {
		for (size_t b = a; b <= BYTES; b++) {
			struct layout layout;

			for (layout.skip = 0; layout.skip <= BYTES; layout.skip++) {
				for (layout.len = 0; layout.len <= BYTES - layout.skip; layout.len++) {
					scatter_make(&layout.scatter, content, BYTES, (size_t[]){a, b}, 2);
					check(&layout, (struct szc_span){layout.scatter.iov, layout.scatter.iovcnt,
									 layout.skip, layout.len});
					assert_true(scatter_intact(&layout.scatter));
					scatter_free(&layout.scatter);
				}
			}
		}
	}
}

static void check_next(struct layout *layout, struct szc_span span)
{
	size_t at = layout->skip, end = layout->skip + layout->len;
	int pieces = 0;

	while (span.len) {
		struct iovec piece = szc_span_next(&span);

		assert_in_range(piece.iov_len, 1, end - at);
		assert_memory_equal(piece.iov_base, bytes + at, piece.iov_len);
		at += piece.iov_len;
		pieces++;
	}
	assert_int_equal(at, end);
	assert_true(pieces <= layout->scatter.iovcnt);
}

static void next_walks_the_pieces(void **state)
{
	(void)state;
	each_layout(bytes, check_next);
}

static void check_part(struct layout *layout, struct szc_span span)
{
	for (size_t off = 0; off <= span.len; off++) {
		struct szc_span part = szc_span_part(&span, off, span.len - off);
		uint8_t out[BYTES];

		assert_int_equal(part.len, span.len - off);
		if (part.len) {
			assert_true(part.skip < part.iov->iov_len);
			szc_span_copy_out(&part, out);
			assert_memory_equal(out, bytes + layout->skip + off, part.len);
		}
		/* a shorter part of the same start must not see what follows it */
		if (part.len > 1) {
			part = szc_span_part(&span, off, 1);
			out[1] = 0xee;
			szc_span_copy_out(&part, out);
			assert_int_equal(out[0], bytes[layout->skip + off]);
			assert_int_equal(out[1], 0xee);
		}
	}
}

static void part_is_the_part(void **state)
{
	(void)state;
	each_layout(bytes, check_part);
}

static void check_copy_in(struct layout *layout, struct szc_span span)
{
	uint8_t expected[BYTES], out[BYTES], from[BYTES];

	memset(from, 0x5a, sizeof(from));
	memcpy(expected, bytes, BYTES);
	memcpy(expected + layout->skip, from, layout->len);
	szc_span_copy_in(&span, from);
	scatter_gather(&layout->scatter, out);
	assert_memory_equal(out, expected, BYTES);
}

static void copy_in_writes_the_span_only(void **state)
{
	(void)state;
	each_layout(bytes, check_copy_in);
}

static void check_wipe(struct layout *layout, struct szc_span span)
{
	uint8_t expected[BYTES], out[BYTES];

	memcpy(expected, bytes, BYTES);
	memset(expected + layout->skip, 0, layout->len);
	szc_span_wipe(&span);
	scatter_gather(&layout->scatter, out);
	assert_memory_equal(out, expected, BYTES);
}

static void wipe_zeroes_the_span_only(void **state)
{
	(void)state;
	each_layout(bytes, check_wipe);
}

static const uint8_t *trimmed;

static void check_trim(struct layout *layout, struct szc_span span)
{
	size_t left = layout->len;

	while (left && !trimmed[layout->skip + left - 1])
		left--;
	assert_int_equal(szc_span_trim(&span), left);
}

static void trim_finds_the_last_byte_that_is_not_zero(void **state)
{
	(void)state;
	for (size_t last = 0; last <= BYTES; last++) {
		uint8_t content[BYTES] = {0};

		if (last < BYTES)
			content[last] = 0x80;
		content[0] |= last & 1;
		trimmed = content;
		each_layout(content, check_trim);
	}
}

static void trim_of_long_padding(void **state)
{
	static uint8_t content[5000];
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		size_t cuts[40], skip = scatter_random(&seed) % 50, last = skip + scatter_random(&seed) % 4000;
		struct scatter scatter;
		struct szc_span span;

		memset(content, 0, sizeof(content));
		content[last] = 1;
		scatter_make(&scatter, content, sizeof(content), cuts,
			     scatter_random_cuts(&seed, sizeof(content), cuts, 40));
		span = (struct szc_span){scatter.iov, scatter.iovcnt, skip, sizeof(content) - skip - 100};
		assert_int_equal(szc_span_trim(&span), last - skip + 1);
		span.len = last - skip;
		assert_int_equal(szc_span_trim(&span), 0);
		scatter_free(&scatter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_walks_the_pieces),
		cmocka_unit_test(part_is_the_part),
		cmocka_unit_test(copy_in_writes_the_span_only),
		cmocka_unit_test(wipe_zeroes_the_span_only),
		cmocka_unit_test(trim_finds_the_last_byte_that_is_not_zero),
		cmocka_unit_test(trim_of_long_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
