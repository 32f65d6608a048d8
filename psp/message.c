/* SPDX-License-Identifier: MIT */
#include "psp/message.h"

#include <string.h>
#include "psp/bytes.h"

const char *szc_psp_version_name(enum szc_psp_version version)
{
	static const char *const names[SZC_PSP_VERSIONS] = {
		"AES-GCM-128",
		"AES-GCM-256",
		"AES-GMAC-128",
		"AES-GMAC-256",
	};

	return names[version];
}

unsigned szc_psp_key_size(enum szc_psp_version version)
{
	return version == SZC_PSP_AES_GCM_256 || version == SZC_PSP_AES_GMAC_256 ? 32 : 16;
}

/* ---- inside TLS */

size_t szc_psp_key_pack(uint8_t to[SZC_PSP_KEY_MESSAGE_MAX], enum szc_psp_version version,
			const struct szc_psp_key *key)
{
	memset(to, 0, 4);
	to[0] = SZC_PSP_MESSAGE_KEY;
	to[1] = (uint8_t)version;
	szc_psp_put(to + 4, 4, key->spi);
	memcpy(to + 8, key->key, key->size);
	return 8 + key->size;
}

size_t szc_psp_cannot_pack(uint8_t to[SZC_PSP_CANNOT_SIZE], int error)
{
	int reason = SZC_E_STATE - error;

	to[0] = SZC_PSP_MESSAGE_CANNOT;
	to[1] = reason > 0 && reason <= UINT8_MAX ? (uint8_t)reason : 0;
	return SZC_PSP_CANNOT_SIZE;
}

static bool parse_key(struct szc_psp_message *message, const uint8_t *data, size_t len)
{
	if (len < 8 || data[1] >= SZC_PSP_VERSIONS || data[2] || data[3])
		return false;
	message->version = data[1];
	message->key.size = szc_psp_key_size(message->version);
	message->key.spi = (uint32_t)szc_psp_get(data + 4, 4);
	/* The specification reserves SPIs without a number below the bit that names the device's key. */
	if (len != 8 + message->key.size || !(message->key.spi & ~(UINT32_C(1) << 31)))
		return false;
	memcpy(message->key.key, data + 8, message->key.size);
	return true;
}

bool szc_psp_message_parse(struct szc_psp_message *message, const uint8_t *data, size_t len)
{
	*message = (struct szc_psp_message){0};
	if (!len)
		return false;
	message->type = data[0];
	if (message->type == SZC_PSP_MESSAGE_KEY)
		return parse_key(message, data, len);
	if (message->type != SZC_PSP_MESSAGE_CANNOT || len != SZC_PSP_CANNOT_SIZE)
		return false;
	message->reason = data[1];
	return true;
}

/* ---- under PSP */

void szc_psp_frame_pack(uint8_t to[SZC_PSP_FRAME_HEADER], enum szc_psp_message_type type, uint32_t length)
{
	memset(to, 0, 4);
	to[0] = (uint8_t)type;
	szc_psp_put(to + 4, 4, length);
}

/* The iovecs have them. */
static void copy_out(uint8_t *to, const struct iovec *iov, size_t skip, size_t len)
{
	for (; len; iov++) {
		size_t part = iov->iov_len > skip ? iov->iov_len - skip : 0;

		part = part < len ? part : len;
		if (part)
			memcpy(to, (const uint8_t *)iov->iov_base + skip, part);
		skip = skip > iov->iov_len ? skip - iov->iov_len : 0;
		to += part;
		len -= part;
	}
}

/* What a frame of that type may announce behind its header. */
static bool length_is_right(const struct szc_psp_frame *frame)
{
	switch (frame->type) {
	case SZC_PSP_FRAME_START:
		return frame->length == SZC_PSP_PROOF;
	case SZC_PSP_FRAME_PAYLOAD:
		return frame->length && frame->length <= SZC_PSP_PAYLOAD_MAX;
	case SZC_PSP_FRAME_END:
	case SZC_PSP_FRAME_MOVE:
		return frame->length == sizeof(uint64_t);
	case SZC_PSP_FRAME_CONTINUE:
		return frame->length == SZC_PSP_FRAME_BODY_MAX;
	case SZC_PSP_FRAME_GO:
	case SZC_PSP_FRAME_ASK:
		return !frame->length;
	default:
		return false;
	}
}

int szc_psp_frame_parse(struct szc_psp_frame *frame, const struct iovec *iov, size_t avail)
{
	uint8_t header[SZC_PSP_FRAME_HEADER];

	if (avail < sizeof(header))
		return 0;
	copy_out(header, iov, 0, sizeof(header));
	frame->type = header[0];
	frame->length = (uint32_t)szc_psp_get(header + 4, 4);
	if (header[1] || header[2] || header[3] || !length_is_right(frame))
		return SZC_E_PSP_MESSAGE;
	if (frame->type == SZC_PSP_FRAME_PAYLOAD)
		return 1;
	if (avail < sizeof(header) + frame->length)
		return 0;
	copy_out(frame->body, iov, sizeof(header), frame->length);
	return 1;
}
