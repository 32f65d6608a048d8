/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include "tests/unit/reference.h"
#include "tests/unit/scatter.h"
#include "tls/suite.h"

static void suites_by_id(void **state)
{
	static const uint16_t others[] = {0, 0x1300, 0x1304, 0x1305, 0xc02f, 0xffff};

	(void)state;
	for (uint16_t id = 0x1301; id <= 0x1303; id++) {
		const struct szc_suite *suite = szc_suite_by_id(id);

		assert_non_null(suite);
		assert_int_equal(suite->id, id);
		assert_ptr_equal(szc_suite_by_name(suite->name, strlen(suite->name)), suite);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_null(szc_suite_by_id(others[i]));
}

static void suites_by_name(void **state)
{
	static const char list[] = "TLS_AES_256_GCM_SHA384:TLS_AES_128_CCM_SHA256";

	(void)state;
	assert_int_equal(szc_suite_by_name(list, 22)->id, 0x1302);
	assert_null(szc_suite_by_name(list, 21));
	assert_null(szc_suite_by_name(list, 23));
	assert_null(szc_suite_by_name(list + 23, 22));
	assert_null(szc_suite_by_name("", 0));
}

/* Names, identifiers and sizes are OpenSSL's. */
static void suites_agree_with_openssl(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl = SSL_new(ctx);
	int seen = 0;

	(void)state;
	assert_non_null(ssl);
	for (uint16_t id = 0x1301; id <= 0x1303; id++) {
		const struct szc_suite *suite = szc_suite_by_id(id);
		const SSL_CIPHER *ssl_cipher = SSL_CIPHER_find(ssl, (uint8_t[]){(uint8_t)(id >> 8), (uint8_t)id});
		EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
		EVP_MD *digest = EVP_MD_fetch(NULL, suite->digest, NULL);

		assert_string_equal(SSL_CIPHER_get_name(ssl_cipher), suite->name);
		assert_int_equal(EVP_CIPHER_get_key_length(cipher), suite->key_len);
		assert_int_equal(EVP_CIPHER_get_nid(cipher), SSL_CIPHER_get_cipher_nid(ssl_cipher));
		assert_int_equal(EVP_MD_get_size(digest), suite->secret_len);
		assert_int_equal(EVP_MD_get_type(digest), EVP_MD_get_type(SSL_CIPHER_get_handshake_digest(ssl_cipher)));
		assert_true(suite->key_len <= SZC_KEY_MAX && suite->secret_len <= SZC_SECRET_MAX);
		EVP_CIPHER_free(cipher);
		EVP_MD_free(digest);
		seen++;
	}
	assert_int_equal(seen, 3);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

/* RFC 8446 5.5: 2^24.5 records for GCM. */
static void record_limits(void **state)
{
	uint64_t limit = szc_suite_by_id(0x1301)->key_records;

	(void)state;
	assert_true(limit * limit <= 1ull << 49);
	assert_true((limit + 1) * (limit + 1) > 1ull << 49);
	assert_true(szc_suite_by_id(0x1302)->key_records == limit);
	assert_true(szc_suite_by_id(0x1303)->key_records == UINT64_MAX - 1);
}

struct published {
	uint16_t suite;
	const char *secret, *key, *iv;
};

/* RFC 8448 section 3; the two with SHA-384 are those of tls13.xargs.org. */
static const struct published published[] = {
	{0x1301, "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643", "9f02283b6c9c07efc26bb9f2ac92e356",
	 "cf782b88dd83549aadf1e984"},
	{0x1301, "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", "17422dda596ed5d9acd890e3c63f5051",
	 "5b78923dee08579033e523d9"},
	{0x1301, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21", "dbfaa693d1762c5b666af5d950258d01",
	 "5bd3c71b836e0b76bb73265f"},
	{0x1301, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38", "3fce516009c21727d0f2e4e86ee403bc",
	 "5d313eb2671276ee13000b30"},
	{0x1302, "9e47af27cb60d818a9ea7d233cb5ed4cc525fcd74614fb24b0ee59acb8e5aa7ff8d88b89792114208fec291a6fa96bad",
	 "de2f4c7672723a692319873e5c227606691a32d1c59d8b9f51dbb9352e9ca9cc", "bb007956f474b25de902432f"},
	{0x1302, "86c967fd7747a36a0685b4ed8d0e6b4c02b4ddaf3cd294aa44e9f6b0183bf911e89a189ba5dfd71fccffb5cc164901f8",
	 "01f78623f17e3edcc09e944027ba3218d57c8e0db93cd3ac419309274700ac27", "196a750b0c5049c0cc51a541"},
};

static void published_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
		const struct szc_suite *suite = szc_suite_by_id(published[i].suite);
		uint8_t secret[SZC_SECRET_MAX], expected[SZC_KEY_MAX], out[SZC_KEY_MAX];
		size_t len;

		assert_int_equal(unhex(published[i].secret, secret, sizeof(secret)), suite->secret_len);
		len = unhex(published[i].key, expected, sizeof(expected));
		assert_int_equal(len, suite->key_len);
		assert_int_equal(szc_suite_expand(suite, secret, "key", out, len), 0);
		assert_memory_equal(out, expected, len);
		len = unhex(published[i].iv, expected, sizeof(expected));
		assert_int_equal(len, SZC_RECORD_NONCE);
		assert_int_equal(szc_suite_expand(suite, secret, "iv", out, len), 0);
		assert_memory_equal(out, expected, len);
	}
}

static void expand_agrees_with_hmac(void **state)
{
	static const char *const labels[] = {"key", "iv", "traffic upd", "finished", ""};
	uint64_t seed = 11;

	(void)state;
	for (uint16_t id = 0x1301; id <= 0x1303; id++) {
		const struct szc_suite *suite = szc_suite_by_id(id);

		for (size_t len = 1; len <= 200; len++) {
			const char *label = labels[len % (sizeof(labels) / sizeof(labels[0]))];
			uint8_t secret[SZC_SECRET_MAX], out[201], expected[200];

			for (size_t i = 0; i < sizeof(secret); i++)
				secret[i] = (uint8_t)scatter_random(&seed);
			out[len] = 0xc3;
			assert_int_equal(szc_suite_expand(suite, secret, label, out, len), 0);
			reference_expand(id, secret, label, expected, len);
			assert_memory_equal(out, expected, len);
			assert_int_equal(out[len], 0xc3);
		}
	}
}

static void expand_refuses(void **state)
{
	static uint8_t out[70000];
	uint8_t secret[SZC_SECRET_MAX] = {1};

	(void)state;
	assert_int_equal(szc_suite_expand(szc_suite_by_id(0x1301), secret, "far too long a label", out, 16), -EIO);
	/* more than 255 blocks of the hash (RFC 5869 2.3), and more than the length field holds */
	assert_int_equal(szc_suite_expand(szc_suite_by_id(0x1301), secret, "key", out, 255 * 32 + 1), -EIO);
	assert_int_equal(szc_suite_expand(szc_suite_by_id(0x1301), secret, "key", out, 65536), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suites_by_id),
		cmocka_unit_test(suites_by_name),
		cmocka_unit_test(suites_agree_with_openssl),
		cmocka_unit_test(record_limits),
		cmocka_unit_test(published_keys),
		cmocka_unit_test(expand_agrees_with_hmac),
		cmocka_unit_test(expand_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
