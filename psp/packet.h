/* SPDX-License-Identifier: MIT */
/*
 * PSP packets in user space, for tests and for people who look at a wire: sealed and opened by OpenSSL, as the PSP
 * Architecture Specification has it.
 *
 *     next header (1) | length (1) | crypt offset (1) | S D version 0..15 V 1 (1) | SPI (4) | IV (8) | cookie (8, if V) |
 *     payload, in clear up to the crypt offset | ICV (16)
 *
 * The length counts units of 8 bytes, less one; the crypt offset units of 4 bytes behind the IV. The nonce is SPI and IV;
 * what is in clear is authenticated, and versions 2 and 3 (GMAC) leave all in clear.
 */
#ifndef SZC_PSP_PACKET_H
#define SZC_PSP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <szc/psp.h>
#include "psp/family.h"

enum {
	SZC_PSP_UDP_PORT = 1000,
	SZC_PSP_HEADER = 16, /* without a cookie */
	SZC_PSP_COOKIE = 8,
	SZC_PSP_ICV = 16,
	SZC_PSP_DEVICE_KEY = 32,
};

struct szc_psp_packet {
	uint8_t next; /* IANA's number of what is inside */
	enum szc_psp_version version;
	uint32_t spi;
	uint8_t iv[8];
	size_t header;  /* bytes, cookie and extensions included */
	size_t clear;   /* bytes in clear, from the header's beginning on */
	size_t payload; /* bytes behind the header, without the ICV */
	bool sample, drop, cookie;
};

/* What is at `data`, `len` bytes, behind UDP's header. 0 or SZC_E_PSP_MESSAGE. */
int szc_psp_packet_parse(struct szc_psp_packet *packet, const uint8_t *data, size_t len);

/* The key of an SPI: bit 31 says of which of the device's two keys. Chapter "Key Derivation". 0 or -ENOMEM. */
int szc_psp_packet_derive(const uint8_t device_key[SZC_PSP_DEVICE_KEY], uint32_t spi, enum szc_psp_version version,
			  struct szc_psp_key *key);

/*
 * Verifies, and decrypts in place; `data` is what was parsed. 0; SZC_E_TLS_MAC: it is not authentic, and wiped; SZC_E_OPTION:
 * the key is of another version; -ENOMEM.
 */
int szc_psp_packet_open(const struct szc_psp_packet *packet, const struct szc_psp_key *key, uint8_t *data);

/* Fills in the header of `packet` at `data`, seals what is behind it in place, and appends the ICV, for which there is room.
 * The packet's length in all, or an error. */
ssize_t szc_psp_packet_seal(const struct szc_psp_packet *packet, const struct szc_psp_key *key, uint8_t *data);

#endif
