/* SPDX-License-Identifier: MIT */
#include "psp/packet.h"

#include <errno.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include "psp/bytes.h"
#include "psp/message.h"

enum { AT_NEXT, AT_LENGTH, AT_OFFSET, AT_FLAGS, AT_SPI, AT_IV = 8, UNIT = 8, OFFSET_UNIT = 4, BLOCK = 16 };

enum { FLAG_ONE = 1, FLAG_COOKIE = 2, FLAG_DROP = 0x40, FLAG_SAMPLE = 0x80, VERSION_SHIFT = 2, VERSION_MASK = 15 };

static bool encrypts(enum szc_psp_version version)
{
	return version == SZC_PSP_AES_GCM_128 || version == SZC_PSP_AES_GCM_256;
}

int szc_psp_packet_parse(struct szc_psp_packet *packet, const uint8_t *data, size_t len)
{
	unsigned version;

	*packet = (struct szc_psp_packet){0};
	if (len < SZC_PSP_HEADER + SZC_PSP_ICV || !(data[AT_FLAGS] & FLAG_ONE) || data[AT_OFFSET] & 0xc0)
		return SZC_E_PSP_MESSAGE;
	version = data[AT_FLAGS] >> VERSION_SHIFT & VERSION_MASK;
	packet->next = data[AT_NEXT];
	packet->cookie = data[AT_FLAGS] & FLAG_COOKIE;
	packet->drop = data[AT_FLAGS] & FLAG_DROP;
	packet->sample = data[AT_FLAGS] & FLAG_SAMPLE;
	packet->header = ((size_t)data[AT_LENGTH] + 1) * UNIT;
	if (version >= SZC_PSP_VERSIONS || packet->header < SZC_PSP_HEADER + (packet->cookie ? SZC_PSP_COOKIE : 0u) ||
	    packet->header + SZC_PSP_ICV > len)
		return SZC_E_PSP_MESSAGE;
	packet->version = version;
	packet->payload = len - packet->header - SZC_PSP_ICV;
	packet->clear = SZC_PSP_HEADER + (size_t)data[AT_OFFSET] * OFFSET_UNIT;
	if (packet->clear < packet->header)
		packet->clear = packet->header;
	if (packet->clear > packet->header + packet->payload)
		return SZC_E_PSP_MESSAGE;
	packet->spi = (uint32_t)szc_psp_get(data + AT_SPI, 4);
	memcpy(packet->iv, data + AT_IV, sizeof(packet->iv));
	return 0;
}

/* ---- keys */

static bool cmac(const uint8_t key[SZC_PSP_DEVICE_KEY], const uint8_t block[BLOCK], uint8_t out[BLOCK])
{
	char cipher[] = "AES-256-CBC";
	const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
				     OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	size_t len;
	bool done = ctx && EVP_MAC_init(ctx, key, SZC_PSP_DEVICE_KEY, params) && EVP_MAC_update(ctx, block, BLOCK) &&
		    EVP_MAC_final(ctx, out, &len, BLOCK);

	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return done;
}

int szc_psp_packet_derive(const uint8_t device_key[SZC_PSP_DEVICE_KEY], uint32_t spi, enum szc_psp_version version,
			  struct szc_psp_key *key)
{
	unsigned bits = 8 * szc_psp_key_size(version);
	uint8_t block[BLOCK] = {0, 0, 0, 0, 'P', 'v', (uint8_t)('0' + version), 0};

	*key = (struct szc_psp_key){.spi = spi, .size = bits / 8};
	szc_psp_put(block + 8, 4, spi);
	szc_psp_put(block + BLOCK - 2, 2, bits);
	for (unsigned done = 0; done < key->size; done += BLOCK) {
		block[3]++;
		if (!cmac(device_key, block, key->key + done))
			return -ENOMEM;
	}
	return 0;
}

/* ---- AES-GCM and AES-GMAC */

/* Over a packet whose header is in place; the ICV is taken from behind it, or put there. */
static int run(const struct szc_psp_packet *packet, const struct szc_psp_key *key, uint8_t *data, bool seal)
{
	size_t whole = packet->header + packet->payload;
	size_t clear = encrypts(packet->version) ? packet->clear : whole;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nothing[BLOCK], *to = clear < whole ? data + clear : nothing;
	int n, error = -ENOMEM;

	if (key->size != szc_psp_key_size(packet->version)) {
		EVP_CIPHER_CTX_free(ctx);
		return SZC_E_OPTION;
	}
	if (!ctx || !EVP_CipherInit_ex(ctx, key->size == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), NULL, key->key,
				       data + AT_SPI, seal))
		goto out;
	if (!EVP_CipherUpdate(ctx, NULL, &n, data, (int)clear) ||
	    (clear < whole && !EVP_CipherUpdate(ctx, to, &n, to, (int)(whole - clear))))
		goto out;
	if (!seal && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SZC_PSP_ICV, data + whole) != 1)
		goto out;
	error = seal ? -ENOMEM : SZC_E_TLS_MAC;
	if (EVP_CipherFinal_ex(ctx, nothing, &n) != 1)
		goto out;
	if (!seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SZC_PSP_ICV, data + whole) == 1)
		error = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	return error;
}

int szc_psp_packet_open(const struct szc_psp_packet *packet, const struct szc_psp_key *key, uint8_t *data)
{
	int error = run(packet, key, data, false);

	if (error == SZC_E_TLS_MAC)
		memset(data + packet->header, 0, packet->payload);
	return error;
}

ssize_t szc_psp_packet_seal(const struct szc_psp_packet *packet, const struct szc_psp_key *key, uint8_t *data)
{
	struct szc_psp_packet check;
	size_t whole = packet->header + packet->payload + SZC_PSP_ICV;
	int error;

	if (packet->header < SZC_PSP_HEADER || packet->header > SZC_PSP_HEADER + SZC_PSP_COOKIE)
		return SZC_E_OPTION;
	memset(data, 0, packet->header);
	data[AT_NEXT] = packet->next;
	data[AT_LENGTH] = (uint8_t)(packet->header / UNIT - 1);
	data[AT_OFFSET] = (uint8_t)((packet->clear - SZC_PSP_HEADER) / OFFSET_UNIT);
	data[AT_FLAGS] = (uint8_t)(FLAG_ONE | packet->version << VERSION_SHIFT | (packet->cookie ? FLAG_COOKIE : 0) |
				   (packet->drop ? FLAG_DROP : 0) | (packet->sample ? FLAG_SAMPLE : 0));
	szc_psp_put(data + AT_SPI, 4, packet->spi);
	memcpy(data + AT_IV, packet->iv, sizeof(packet->iv));
	/* What nobody could open is not made. */
	if (szc_psp_packet_parse(&check, data, whole) || check.clear != packet->clear || check.header != packet->header)
		return SZC_E_OPTION;
	error = run(packet, key, data, true);
	return error ? error : (ssize_t)whole;
}
