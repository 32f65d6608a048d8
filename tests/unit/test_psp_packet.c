/* SPDX-License-Identifier: MIT */
/*
 * PSP packets in user space. What is published: the device keys of google/psp's configurations with the keys that scapy's
 * tests name for that SPI, and the packet in the documentation of scapy's PSP layer. Versions 2 and 3 have no published
 * vector: they are checked against the specification's text, through OpenSSL, here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "psp/message.h"
#include "psp/packet.h"

static void hex(const char *text, uint8_t *to, size_t size)
{
	size_t len;

	assert_int_equal(OPENSSL_hexstr2buf_ex(to, size, &len, text, '\0'), 1);
	assert_int_equal(len, size);
}

static void keys_are_derived_as_published(void **state)
{
	uint8_t device_key[SZC_PSP_DEVICE_KEY], expected[32];
	struct szc_psp_key key;

	(void)state;
	hex("563952565d3a78ae773ec1b779f2f2d99f4a7f53a6fbb9b07d5b71f39364d739", device_key, 32);
	assert_int_equal(szc_psp_packet_derive(device_key, 0x9a345678, SZC_PSP_AES_GCM_128, &key), 0);
	hex("3946da2554eae46ad1ef77a64372edc4", expected, 16);
	assert_int_equal(key.size, 16);
	assert_int_equal(key.spi, 0x9a345678);
	assert_memory_equal(key.key, expected, 16);
	assert_int_equal(szc_psp_packet_derive(device_key, 0x9a345678, SZC_PSP_AES_GCM_256, &key), 0);
	hex("fa00f609df6020289a1c93d6027081a637ad45b24a5576b36e6f49dd43114d80", expected, 32);
	assert_int_equal(key.size, 32);
	assert_memory_equal(key.key, expected, 32);
}

static const char published_clear[] = "0401050111223344010203040506070845000025000100004011"
				      "7cc57f0000017f00000104d2162e0011a0c4414141414141414141";
static const char published_sealed[] = "0401050111223344010203040506070845000025000100004011"
				       "7cc57f0000017f0000018e3e2b1345c76bf95cdac39b861762a0cf"
				       "dffbbebbc6313a2b9de064759cdd71c9";

static void a_packet_is_sealed_as_published(void **state)
{
	enum { CLEAR = 53, SEALED = 69 };
	struct szc_psp_key key = {.size = 16};
	uint8_t clear[CLEAR], sealed[SEALED], data[SEALED];
	struct szc_psp_packet packet;

	(void)state;
	hex("ffeeddccbbaa99887766554433221100", key.key, 16);
	hex(published_clear, clear, sizeof(clear));
	hex(published_sealed, sealed, sizeof(sealed));
	assert_int_equal(szc_psp_packet_parse(&packet, sealed, sizeof(sealed)), 0);
	assert_int_equal(packet.next, 4);
	assert_int_equal(packet.spi, 0x11223344);
	assert_int_equal(packet.version, SZC_PSP_AES_GCM_128);
	assert_int_equal(packet.header, 16);
	assert_int_equal(packet.clear, 36);
	assert_int_equal(packet.payload, 37);
	memcpy(data, clear, sizeof(clear));
	memset(data, 0xee, packet.header);
	assert_int_equal(szc_psp_packet_seal(&packet, &key, data), SEALED);
	assert_memory_equal(data, sealed, SEALED);
	assert_int_equal(szc_psp_packet_open(&packet, &key, data), 0);
	assert_memory_equal(data, clear, CLEAR);
}

/* By the text: all that is in clear is authenticated, the nonce is SPI and IV. */
static void icv_by_the_text(const struct szc_psp_packet *packet, const struct szc_psp_key *key, const uint8_t *clear,
			    uint8_t icv[SZC_PSP_ICV])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12];
	int n;

	for (int i = 0; i < 4; i++)
		nonce[i] = (uint8_t)(packet->spi >> (24 - 8 * i));
	memcpy(nonce + 4, packet->iv, 8);
	assert_int_equal(
		EVP_EncryptInit_ex(ctx, key->size == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), NULL, key->key, nonce),
		1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, clear, (int)(packet->header + packet->payload)), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, icv, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SZC_PSP_ICV, icv), 1);
	EVP_CIPHER_CTX_free(ctx);
}

enum { PAYLOAD = 100, ROOM = SZC_PSP_HEADER + SZC_PSP_COOKIE + PAYLOAD + SZC_PSP_ICV };

static size_t make(struct szc_psp_packet *packet, struct szc_psp_key *key, enum szc_psp_version version, bool cookie,
		   uint8_t *data)
{
	ssize_t len;

	*packet = (struct szc_psp_packet){.next = 6,
					  .version = version,
					  .spi = 0x80000005,
					  .iv = {1, 2, 3, 4, 5, 6, 7, 8},
					  .header = SZC_PSP_HEADER + (cookie ? SZC_PSP_COOKIE : 0),
					  .payload = PAYLOAD,
					  .cookie = cookie};
	packet->clear = packet->header + 8;
	*key = (struct szc_psp_key){.size = szc_psp_key_size(version), .key = {9, 8, 7}};
	for (size_t i = 0; i < PAYLOAD; i++)
		data[packet->header + i] = (uint8_t)i;
	len = szc_psp_packet_seal(packet, key, data);
	assert_int_equal(len, packet->header + PAYLOAD + SZC_PSP_ICV);
	return (size_t)len;
}

static void every_version_there_and_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * SZC_PSP_VERSIONS; i++) {
		bool encrypted = i / 2 == SZC_PSP_AES_GCM_128 || i / 2 == SZC_PSP_AES_GCM_256;
		struct szc_psp_packet packet, parsed;
		struct szc_psp_key key;
		uint8_t data[ROOM], icv[SZC_PSP_ICV];
		size_t len = make(&packet, &key, i / 2, i % 2, data), covered = 0;

		assert_int_equal(szc_psp_packet_parse(&parsed, data, len), 0);
		assert_int_equal(parsed.clear, packet.clear);
		for (size_t at = 0; at < PAYLOAD; at++)
			covered += data[packet.header + at] != at;
		if (encrypted)
			assert_true(covered > PAYLOAD - 8 - 10);
		else
			assert_int_equal(covered, 0);
		if (!encrypted) {
			icv_by_the_text(&packet, &key, data, icv);
			assert_memory_equal(data + len - SZC_PSP_ICV, icv, SZC_PSP_ICV);
		}
		assert_int_equal(szc_psp_packet_open(&parsed, &key, data), 0);
		for (size_t at = 0; at < PAYLOAD; at++)
			assert_int_equal(data[packet.header + at], at);
	}
}

static void every_bit_counts(void **state)
{
	struct szc_psp_packet packet, parsed;
	struct szc_psp_key key;
	uint8_t sealed[ROOM], data[ROOM];

	(void)state;
	for (enum szc_psp_version version = 0; version < SZC_PSP_VERSIONS; version++) {
		size_t len = make(&packet, &key, version, false, sealed);

		for (size_t bit = 0; bit < 8 * len; bit++) {
			int error;

			memcpy(data, sealed, len);
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			error = szc_psp_packet_parse(&parsed, data, len);
			if (!error)
				error = szc_psp_packet_open(&parsed, &key, data);
			assert_true(error == SZC_E_PSP_MESSAGE || error == SZC_E_TLS_MAC || error == SZC_E_OPTION);
			/* What is not authentic leaves nothing. */
			for (size_t at = 0; error == SZC_E_TLS_MAC && at < parsed.payload; at++)
				assert_int_equal(data[parsed.header + at], 0);
		}
	}
}

static void what_is_cut_short_is_no_packet(void **state)
{
	struct szc_psp_packet packet, parsed;
	struct szc_psp_key key;
	uint8_t data[ROOM];
	size_t len;

	(void)state;
	len = make(&packet, &key, SZC_PSP_AES_GCM_256, true, data);
	for (size_t cut = 0; cut < packet.clear + SZC_PSP_ICV; cut++)
		assert_int_equal(szc_psp_packet_parse(&parsed, data, cut), SZC_E_PSP_MESSAGE);
	for (size_t cut = packet.clear + SZC_PSP_ICV; cut < len; cut++) {
		uint8_t copy[ROOM];

		memcpy(copy, data, cut);
		assert_int_equal(szc_psp_packet_parse(&parsed, copy, cut), 0);
		assert_int_equal(szc_psp_packet_open(&parsed, &key, copy), SZC_E_TLS_MAC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_derived_as_published),  cmocka_unit_test(a_packet_is_sealed_as_published),
		cmocka_unit_test(every_version_there_and_back),   cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(what_is_cut_short_is_no_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
