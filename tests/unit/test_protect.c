/* SPDX-License-Identifier: MIT */
/* struct szc_protect of tls/record.h: sequence numbers, limits, key updates, sealing, and what a failure leaves behind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <szc/szc.h>
#include "tests/unit/reference.h"
#include "tests/unit/scatter.h"
#include "tls/record.h"

static const uint8_t secret[SZC_SECRET_MAX] = "another secret of at most 48 bytes";
static const uint8_t text[] = "sixteen and more bytes of payload";

enum { TEXT = sizeof(text), WIRE = TEXT + SZC_RECORD_OVERHEAD };

static struct szc_protect make_protect(uint16_t suite, uint64_t seq, bool seals)
{
	struct szc_protect protect;

	assert_int_equal(szc_protect_init(&protect, szc_suite_by_id(suite), &szc_aead_evp, secret, seq, seals), 0);
	return protect;
}

static bool all_zero(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len && !at[len - 1])
		len--;
	return !len;
}

static int open_wire(struct szc_protect *protect, uint8_t *wire, size_t len, struct szc_opened *opened)
{
	struct iovec iov = {wire, len};
	struct szc_record record;
	uint8_t alert;

	assert_int_equal(szc_record_parse(&iov, 1, len, &record, &alert), 1);
	assert_int_equal(SZC_RECORD_HEADER + record.length, len);
	return szc_record_open(protect, &record, &iov, 1, opened);
}

static ssize_t seal_text(struct szc_protect *protect, uint8_t *wire)
{
	struct iovec iov = {(void *)text, TEXT};
	struct szc_span plain = {&iov, 1, 0, TEXT};

	return szc_record_seal(protect, SZC_CONTENT_APPLICATION, &plain, wire);
}

static void reference_text(uint16_t suite, const uint8_t *key_secret, uint64_t seq, uint8_t *wire)
{
	uint8_t inner[TEXT + 1];

	memcpy(inner, text, TEXT);
	inner[TEXT] = SZC_CONTENT_APPLICATION;
	assert_int_equal(reference_seal(suite, key_secret, seq, inner, sizeof(inner), wire), WIRE);
}

/* Every byte of the sequence number reaches the nonce. */
static void sequence_numbers(void **state)
{
	static const uint64_t numbers[] = {0, 1, 255, 256, 65535, 0x010203, 0xfffffff, 0x0102030405060, UINT64_MAX - 2};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct szc_protect opener = make_protect(0x1303, numbers[i], false);
		struct szc_protect sealer = make_protect(0x1303, numbers[i], true);
		uint8_t wire[WIRE], expected[WIRE];
		struct szc_opened opened;

		reference_text(0x1303, secret, numbers[i], expected);
		assert_int_equal(seal_text(&sealer, wire), WIRE);
		assert_memory_equal(wire, expected, WIRE);
		assert_int_equal(open_wire(&opener, wire, WIRE, &opened), 0);
		assert_int_equal(opened.length, TEXT);
		assert_memory_equal(wire + SZC_RECORD_HEADER, text, TEXT);
		assert_true(opener.seq == numbers[i] + 1 && sealer.seq == numbers[i] + 1);
		szc_protect_drop(&opener);
		szc_protect_drop(&sealer);
	}
}

/* The last record that the suite allows goes through, the next does not, and nothing wraps. */
static void the_limit_of_a_key(void **state)
{
	(void)state;
	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++) {
		uint64_t limit = szc_suite_by_id(suite)->key_records;
		struct szc_protect opener = make_protect(suite, limit - 1, false);
		struct szc_protect sealer = make_protect(suite, limit - 1, true);
		uint8_t wire[WIRE];
		struct szc_opened opened;

		assert_int_equal(seal_text(&sealer, wire), WIRE);
		assert_int_equal(open_wire(&opener, wire, WIRE, &opened), 0);

		for (int again = 0; again < 2; again++) {
			memset(wire, 0x77, sizeof(wire));
			assert_int_equal(seal_text(&sealer, wire), SZC_E_TLS_KEY_LIMIT);
			assert_true(all_zero(wire, sizeof(wire)));
			reference_text(suite, secret, limit, wire);
			assert_int_equal(open_wire(&opener, wire, WIRE, &opened), SZC_E_TLS_KEY_LIMIT);
			assert_int_equal(opened.alert, SZC_ALERT_INTERNAL_ERROR);
			assert_true(all_zero(wire + SZC_RECORD_HEADER, WIRE - SZC_RECORD_HEADER));
			assert_true(opener.seq == limit && sealer.seq == limit);
		}
		/* new keys, new count */
		assert_int_equal(szc_protect_update(&opener), 0);
		assert_int_equal(szc_protect_update(&sealer), 0);
		assert_int_equal(seal_text(&sealer, wire), WIRE);
		assert_int_equal(open_wire(&opener, wire, WIRE, &opened), 0);
		szc_protect_drop(&opener);
		szc_protect_drop(&sealer);
	}
}

static void key_updates(void **state)
{
	(void)state;
	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++) {
		struct szc_protect opener = make_protect(suite, 5, false);
		struct szc_protect sealer = make_protect(suite, 9, true);
		uint8_t now[SZC_SECRET_MAX], next[SZC_SECRET_MAX], wire[WIRE], expected[WIRE], stale[WIRE];
		struct szc_opened opened;

		memcpy(now, secret, sizeof(now));
		for (uint64_t generation = 1; generation <= 5; generation++) {
			reference_text(suite, now, 0, stale);
			reference_expand(suite, now, "traffic upd", next, reference_secret_len(suite));
			memcpy(now, next, sizeof(now));
			assert_int_equal(szc_protect_update(&opener), 0);
			assert_int_equal(szc_protect_update(&sealer), 0);
			assert_true(opener.generation == generation && opener.seq == 0 && sealer.seq == 0);
			assert_memory_equal(opener.secret, now, reference_secret_len(suite));

			assert_int_equal(open_wire(&opener, stale, WIRE, &opened), SZC_E_TLS_MAC);
			for (uint64_t seq = 0; seq < 3; seq++) {
				reference_text(suite, now, seq, expected);
				assert_int_equal(seal_text(&sealer, wire), WIRE);
				assert_memory_equal(wire, expected, WIRE);
				assert_int_equal(open_wire(&opener, wire, WIRE, &opened), 0);
				assert_memory_equal(wire + SZC_RECORD_HEADER, text, TEXT);
			}
		}
		szc_protect_drop(&opener);
		szc_protect_drop(&sealer);
	}
}

static void check_seal(uint16_t suite, uint8_t type, const uint8_t *plain, size_t len, const size_t *cuts,
		       int cut_count)
{
	static uint8_t inner[SZC_RECORD_INNER_MAX], out[SZC_RECORD_WIRE_MAX + 32], expected[SZC_RECORD_WIRE_MAX];
	struct szc_protect sealer = make_protect(suite, 3, true);
	size_t wire_len = len + SZC_RECORD_OVERHEAD;
	struct scatter scatter;
	struct szc_span span;

	memcpy(inner, plain, len);
	inner[len] = type;
	assert_int_equal(reference_seal(suite, secret, 3, inner, len + 1, expected), wire_len);
	scatter_make(&scatter, plain, len, cuts, cut_count);
	span = (struct szc_span){scatter.iov, scatter.iovcnt, 0, len};
	memset(out, 0xc5, sizeof(out));
	assert_int_equal(szc_record_seal(&sealer, type, &span, out), wire_len);
	assert_memory_equal(out, expected, wire_len);
	for (size_t i = wire_len; i < wire_len + 32; i++)
		assert_int_equal(out[i], 0xc5);
	scatter_gather(&scatter, inner);
	assert_memory_equal(inner, plain, len);
	assert_true(scatter_intact(&scatter));
	scatter_free(&scatter);
	szc_protect_drop(&sealer);
}

static void sealing_agrees_with_the_reference(void **state)
{
	static const size_t lengths[] = {0, 1, 15, 16, 17, 100, 4096, SZC_RECORD_PLAIN_MAX - 1, SZC_RECORD_PLAIN_MAX};
	static const uint8_t types[] = {SZC_CONTENT_APPLICATION, SZC_CONTENT_ALERT, SZC_CONTENT_HANDSHAKE};
	static uint8_t plain[SZC_RECORD_PLAIN_MAX];
	uint64_t seed = 23;

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)scatter_random(&seed);
	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			for (int round = 0; round < 10; round++) {
				size_t cuts[12];
				int count = scatter_random_cuts(&seed, lengths[i], cuts, 12);

				check_seal(suite, types[round % 3], plain, lengths[i], cuts, count);
			}
		}
	}
}

static void too_much_to_seal(void **state)
{
	static uint8_t plain[SZC_RECORD_PLAIN_MAX + 1], out[sizeof(plain) + SZC_RECORD_OVERHEAD];
	struct szc_protect sealer = make_protect(0x1301, 0, true);
	struct iovec iov = {plain, sizeof(plain)};
	struct szc_span span = {&iov, 1, 0, sizeof(plain)};

	(void)state;
	memset(out, 0x77, sizeof(out));
	assert_int_equal(szc_record_seal(&sealer, SZC_CONTENT_APPLICATION, &span, out), -EIO);
	assert_true(all_zero(out, sizeof(out)));
	assert_true(sealer.seq == 0);
	szc_protect_drop(&sealer);
}

static void a_direction_is_one_way(void **state)
{
	struct szc_protect sealer = make_protect(0x1301, 0, true), opener = make_protect(0x1301, 0, false);
	struct szc_opened opened;
	uint8_t wire[WIRE];

	(void)state;
	assert_int_equal(seal_text(&opener, wire), -EIO);
	reference_text(0x1301, secret, 0, wire);
	assert_int_equal(open_wire(&sealer, wire, WIRE, &opened), -EIO);
	assert_true(all_zero(wire + SZC_RECORD_HEADER, WIRE - SZC_RECORD_HEADER));
	szc_protect_drop(&opener);
	szc_protect_drop(&sealer);
}

static void drop_wipes(void **state)
{
	struct szc_protect protect = make_protect(0x1302, 1, false);
	struct szc_opened opened;
	uint8_t wire[WIRE];

	(void)state;
	szc_protect_drop(&protect);
	assert_true(all_zero(&protect, sizeof(protect)));
	szc_protect_drop(&protect);

	reference_text(0x1302, secret, 1, wire);
	assert_int_equal(open_wire(&protect, wire, WIRE, &opened), -EIO);
	assert_true(all_zero(wire + SZC_RECORD_HEADER, WIRE - SZC_RECORD_HEADER));
	assert_int_equal(seal_text(&protect, wire), -EIO);
	assert_int_equal(szc_protect_update(&protect), -EIO);
}

/* ---- a provider that fails when told to, and half way: it has written before */

static bool fail_make, fail_open, fail_seal;
static int made;

static struct szc_aead *faulty_make(const struct szc_suite *suite, const uint8_t *key, int seal)
{
	struct szc_aead *aead = fail_make ? NULL : szc_aead_evp.make(suite, key, seal);

	made += aead != NULL;
	return aead;
}

static int faulty_open(struct szc_aead *aead, const uint8_t nonce[SZC_RECORD_NONCE], const uint8_t *aad, size_t aad_len,
		       const struct szc_span *body, const uint8_t tag[SZC_RECORD_TAG])
{
	int ret = szc_aead_evp.open(aead, nonce, aad, aad_len, body, tag);

	return fail_open ? -ENOSYS : ret;
}

static int faulty_seal(struct szc_aead *aead, const uint8_t nonce[SZC_RECORD_NONCE], const uint8_t *aad, size_t aad_len,
		       const struct szc_span *plain, uint8_t type, uint8_t *out)
{
	int ret = szc_aead_evp.seal(aead, nonce, aad, aad_len, plain, type, out);

	return fail_seal ? -ENOSYS : ret;
}

static void faulty_drop(struct szc_aead *aead)
{
	made -= aead != NULL;
	szc_aead_evp.drop(aead);
}

static const struct szc_aead_ops faulty = {"faulty", faulty_make, faulty_open, faulty_seal, faulty_drop};

static void a_provider_that_fails(void **state)
{
	const struct szc_suite *suite = szc_suite_by_id(0x1301);
	struct szc_protect opener, sealer;
	struct szc_opened opened;
	uint8_t wire[WIRE];

	(void)state;
	assert_int_equal(szc_protect_init(&opener, suite, &faulty, secret, 0, false), 0);
	assert_int_equal(szc_protect_init(&sealer, suite, &faulty, secret, 0, true), 0);

	fail_seal = true;
	memset(wire, 0x77, sizeof(wire));
	assert_int_equal(seal_text(&sealer, wire), -EIO);
	assert_true(all_zero(wire, sizeof(wire)));

	fail_open = true;
	reference_text(0x1301, secret, 0, wire);
	assert_int_equal(open_wire(&opener, wire, WIRE, &opened), -EIO);
	assert_int_equal(opened.alert, SZC_ALERT_INTERNAL_ERROR);
	assert_true(all_zero(wire + SZC_RECORD_HEADER, WIRE - SZC_RECORD_HEADER));
	assert_true(opener.seq == 0);

	fail_make = true;
	assert_int_equal(szc_protect_update(&opener), -ENOMEM);
	assert_true(all_zero(&opener, sizeof(opener)));
	assert_int_equal(szc_protect_init(&opener, suite, &faulty, secret, 0, false), -ENOMEM);
	assert_true(all_zero(&opener, sizeof(opener)));
	szc_protect_drop(&opener);
	szc_protect_drop(&sealer);
	assert_int_equal(made, 0);
}

static void a_digest_that_is_not_there(void **state)
{
	struct szc_suite suite = *szc_suite_by_id(0x1301);
	struct szc_protect protect;

	(void)state;
	suite.digest = "NO-SUCH-DIGEST";
	assert_int_equal(szc_protect_init(&protect, &suite, &szc_aead_evp, secret, 0, false), -EIO);
	assert_true(all_zero(&protect, sizeof(protect)));

	suite.digest = "SHA2-256";
	assert_int_equal(szc_protect_init(&protect, &suite, &szc_aead_evp, secret, 0, false), 0);
	suite.digest = "NO-SUCH-DIGEST";
	assert_int_equal(szc_protect_update(&protect), -EIO);
	assert_true(all_zero(&protect, sizeof(protect)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequence_numbers),
		cmocka_unit_test(the_limit_of_a_key),
		cmocka_unit_test(key_updates),
		cmocka_unit_test(sealing_agrees_with_the_reference),
		cmocka_unit_test(too_much_to_seal),
		cmocka_unit_test(a_direction_is_one_way),
		cmocka_unit_test(drop_wipes),
		cmocka_unit_test(a_provider_that_fails),
		cmocka_unit_test(a_digest_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
