/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/crypto.h>
#include "tests/unit/aead_vectors.h"
#include "tests/unit/scatter.h"
#include "tls/aead.h"

enum { VECTORS = sizeof(aead_vectors) / sizeof(aead_vectors[0]), TEXT_MAX = 256 };

/* What OpenSSL allocated; main() puts the counters in place before OpenSSL allocates at all. */
static size_t allocations;
static int counting;

static void *count_malloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations++;
	return malloc(len);
}

static void *count_realloc(void *memory, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations++;
	return realloc(memory, len);
}

static void count_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	free(memory);
}

/* A vector in bytes, with its keys made. */
struct loaded {
	const struct aead_vector *vector;
	struct szc_aead *opener, *sealer;
	uint8_t nonce[SZC_RECORD_NONCE], aad[TEXT_MAX], plain[TEXT_MAX], sealed[TEXT_MAX], tag[SZC_RECORD_TAG];
	size_t aad_len, len;
};

static void load(struct loaded *loaded, const struct aead_vector *vector)
{
	const struct szc_suite *suite = szc_suite_by_id(vector->suite);
	uint8_t key[SZC_KEY_MAX];

	loaded->vector = vector;
	assert_int_equal(unhex(vector->key, key, sizeof(key)), suite->key_len);
	assert_int_equal(unhex(vector->nonce, loaded->nonce, sizeof(loaded->nonce)), SZC_RECORD_NONCE);
	assert_int_equal(unhex(vector->tag, loaded->tag, sizeof(loaded->tag)), SZC_RECORD_TAG);
	loaded->aad_len = unhex(vector->aad, loaded->aad, TEXT_MAX);
	loaded->len = unhex(vector->plain, loaded->plain, TEXT_MAX);
	if (vector->sealed)
		assert_int_equal(unhex(vector->sealed, loaded->sealed, TEXT_MAX), loaded->len);
	else
		memset(loaded->sealed, 0xff, loaded->len);
	loaded->opener = szc_aead_evp.make(suite, key, 0);
	loaded->sealer = szc_aead_evp.make(suite, key, 1);
	assert_non_null(loaded->opener);
	assert_non_null(loaded->sealer);
}

static void unload(struct loaded *loaded)
{
	szc_aead_evp.drop(loaded->opener);
	szc_aead_evp.drop(loaded->sealer);
}

static void each_vector(void (*check)(struct loaded *loaded))
{
	for (size_t i = 0; i < VECTORS; i++) {
		struct loaded loaded;

		load(&loaded, &aead_vectors[i]);
		check(&loaded);
		unload(&loaded);
	}
}

static void open_cut(struct loaded *v, const size_t *cuts, int cut_count)
{
	struct scatter scatter;
	struct szc_span body;
	uint8_t out[TEXT_MAX];
	int ret;

	scatter_make(&scatter, v->sealed, v->len, cuts, cut_count);
	body = (struct szc_span){scatter.iov, scatter.iovcnt, 0, v->len};
	ret = szc_aead_evp.open(v->opener, v->nonce, v->aad, v->aad_len, &body, v->tag);
	if (ret != v->vector->valid)
		fail_msg("suite %x, tcId %d: open() returned %d", v->vector->suite, v->vector->tc, ret);
	assert_true(scatter_intact(&scatter));
	scatter_gather(&scatter, out);
	if (v->vector->valid)
		assert_memory_equal(out, v->plain, v->len);
	scatter_free(&scatter);
}

static void check_every_cut(struct loaded *v)
{
	size_t all[TEXT_MAX];

	open_cut(v, NULL, 0);
	for (size_t cut = 0; cut <= v->len; cut++) {
		open_cut(v, &cut, 1);
		all[cut] = cut;
	}
	open_cut(v, all, (int)v->len + 1);
}

static void vectors_cut_at_every_offset(void **state)
{
	(void)state;
	each_vector(check_every_cut);
}

static void check_random_cuts(struct loaded *v)
{
	uint64_t seed = (uint64_t)v->vector->tc;
	size_t cuts[60];

	for (int round = 0; round < 200; round++) {
		int count = scatter_random_cuts(&seed, v->len, cuts, 60);

		open_cut(v, cuts, count);
	}
}

static void vectors_in_random_pieces(void **state)
{
	(void)state;
	each_vector(check_random_cuts);
}

/* seal() puts one byte behind the plaintext: the vector's last byte stands in for the content type. */
static void check_seal(struct loaded *v)
{
	uint8_t out[TEXT_MAX + SZC_RECORD_TAG + 1];
	uint8_t *tag = out + v->len;

	if (!v->vector->valid || !v->len)
		return;
	for (size_t cut = 0; cut < v->len; cut++) {
		struct scatter scatter;
		struct szc_span plain;

		scatter_make(&scatter, v->plain, v->len, &cut, 1);
		plain = (struct szc_span){scatter.iov, scatter.iovcnt, 0, v->len - 1};
		tag[SZC_RECORD_TAG] = 0xc5;
		assert_int_equal(
			szc_aead_evp.seal(v->sealer, v->nonce, v->aad, v->aad_len, &plain, v->plain[v->len - 1], out),
			0);
		assert_memory_equal(out, v->sealed, v->len);
		assert_memory_equal(tag, v->tag, SZC_RECORD_TAG);
		assert_int_equal(tag[SZC_RECORD_TAG], 0xc5);
		assert_true(scatter_intact(&scatter));
		scatter_free(&scatter);
	}
}

static void vectors_sealed(void **state)
{
	(void)state;
	each_vector(check_seal);
}

static int open_copy(struct loaded *v)
{
	uint8_t body[TEXT_MAX];
	struct iovec iov[2] = {{body, v->len / 2}, {body + v->len / 2, v->len - v->len / 2}};
	struct szc_span span = {iov, 2, 0, v->len};

	memcpy(body, v->sealed, v->len);
	return szc_aead_evp.open(v->opener, v->nonce, v->aad, v->aad_len, &span, v->tag);
}

static void flip_each_bit(struct loaded *v, uint8_t *bytes, size_t len)
{
	for (size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(open_copy(v), 0);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void check_flips(struct loaded *v)
{
	if (!v->vector->valid)
		return;
	flip_each_bit(v, v->tag, SZC_RECORD_TAG);
	flip_each_bit(v, v->nonce, SZC_RECORD_NONCE);
	flip_each_bit(v, v->aad, v->aad_len);
	flip_each_bit(v, v->sealed, v->len);
	/* and the key is as good as before */
	assert_int_equal(open_copy(v), 1);
}

static void any_flipped_bit_is_refused(void **state)
{
	(void)state;
	each_vector(check_flips);
}

/* A whole record's length, cut so that OpenSSL's bulk code runs after odd beginnings. */
static void long_bodies(void **state)
{
	static uint8_t plain[SZC_RECORD_PLAIN_MAX], sealed[SZC_RECORD_PLAIN_MAX + 1 + SZC_RECORD_TAG],
		out[SZC_RECORD_PLAIN_MAX + 1];
	const uint8_t key[SZC_KEY_MAX] = {3}, nonce[SZC_RECORD_NONCE] = {4}, aad[SZC_RECORD_HEADER] = {5};
	const struct iovec whole = {plain, sizeof(plain)};
	const struct szc_span plain_span = {&whole, 1, 0, sizeof(plain)};
	uint64_t seed = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)scatter_random(&seed);
	for (uint16_t id = 0x1301; id <= 0x1303; id++) {
		struct szc_aead *sealer = szc_aead_evp.make(szc_suite_by_id(id), key, 1);
		struct szc_aead *opener = szc_aead_evp.make(szc_suite_by_id(id), key, 0);

		assert_int_equal(szc_aead_evp.seal(sealer, nonce, aad, sizeof(aad), &plain_span, 23, sealed), 0);
		for (int round = 0; round < 300; round++) {
			struct scatter scatter;
			struct szc_span body;
			size_t cuts[20];

			scatter_make(&scatter, sealed, sizeof(out), cuts,
				     scatter_random_cuts(&seed, sizeof(out), cuts, round < 150 ? 3 : 20));
			body = (struct szc_span){scatter.iov, scatter.iovcnt, 0, sizeof(out)};
			assert_int_equal(
				szc_aead_evp.open(opener, nonce, aad, sizeof(aad), &body, sealed + sizeof(out)), 1);
			assert_true(scatter_intact(&scatter));
			scatter_gather(&scatter, out);
			assert_memory_equal(out, plain, sizeof(plain));
			assert_int_equal(out[sizeof(plain)], 23);
			scatter_free(&scatter);
		}
		szc_aead_evp.drop(sealer);
		szc_aead_evp.drop(opener);
	}
}

static void nothing_is_allocated_by_open_and_seal(void **state)
{
	static uint8_t plain[SZC_RECORD_PLAIN_MAX], sealed[SZC_RECORD_PLAIN_MAX + 1 + SZC_RECORD_TAG];
	const uint8_t key[SZC_KEY_MAX] = {3}, nonce[SZC_RECORD_NONCE] = {4}, aad[SZC_RECORD_HEADER] = {5};
	const struct iovec pieces[3] = {{plain, 4096}, {plain + 4096, 1}, {plain + 4097, sizeof(plain) - 4097}};
	const struct iovec body_pieces[3] = {{sealed, 1}, {sealed + 1, 8191}, {sealed + 8192, sizeof(plain) - 8191}};
	const struct szc_span span = {pieces, 3, 0, sizeof(plain)};
	const struct szc_span body = {body_pieces, 3, 0, sizeof(plain) + 1};
	const uint8_t *tag = sealed + body.len;

	(void)state;
	assert_true(counting);
	for (uint16_t id = 0x1301; id <= 0x1303; id++) {
		size_t before = allocations;
		struct szc_aead *sealer = szc_aead_evp.make(szc_suite_by_id(id), key, 1);
		struct szc_aead *opener = szc_aead_evp.make(szc_suite_by_id(id), key, 0);

		assert_true(allocations > before);
		before = allocations;
		for (int round = 0; round < 20; round++) {
			assert_int_equal(szc_aead_evp.seal(sealer, nonce, aad, sizeof(aad), &span, 23, sealed), 0);
			assert_int_equal(szc_aead_evp.open(opener, nonce, aad, sizeof(aad), &body, tag), 1);
			assert_int_equal(szc_aead_evp.open(opener, nonce, aad, sizeof(aad), &body, tag), 0);
		}
		assert_int_equal(allocations, before);
		szc_aead_evp.drop(sealer);
		szc_aead_evp.drop(opener);
	}
}

static void make_refuses_and_drop_ignores(void **state)
{
	struct szc_suite suite = *szc_suite_by_id(0x1301);
	const uint8_t key[SZC_KEY_MAX] = {1};

	(void)state;
	suite.cipher = "NO-SUCH-CIPHER";
	assert_null(szc_aead_evp.make(&suite, key, 0));
	suite.cipher = "AES-256-GCM";
	assert_null(szc_aead_evp.make(&suite, key, 0));
	szc_aead_evp.drop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_cut_at_every_offset),
		cmocka_unit_test(vectors_in_random_pieces),
		cmocka_unit_test(vectors_sealed),
		cmocka_unit_test(any_flipped_bit_is_refused),
		cmocka_unit_test(long_bodies),
		cmocka_unit_test(nothing_is_allocated_by_open_and_seal),
		cmocka_unit_test(make_refuses_and_drop_ignores),
	};

	counting = CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
