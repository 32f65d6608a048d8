/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>
#include <openssl/crypto.h>
#include "span.h"

static void drop_untouched(struct szc_span *span)
{
	while (span->iovcnt && span->skip >= span->iov->iov_len) {
		span->skip -= span->iov->iov_len;
		span->iov++;
		span->iovcnt--;
	}
}

struct szc_span szc_span_part(const struct szc_span *span, size_t off, size_t len)
{
	struct szc_span part = {span->iov, span->iovcnt, span->skip + off, len};

	assert(off <= span->len && len <= span->len - off);
	drop_untouched(&part);
	return part;
}

struct iovec szc_span_next(struct szc_span *span)
{
	struct iovec piece;
	size_t room;

	drop_untouched(span);
	assert(span->len && span->iovcnt);
	room = span->iov->iov_len - span->skip;
	piece.iov_base = (uint8_t *)span->iov->iov_base + span->skip;
	piece.iov_len = room < span->len ? room : span->len;
	span->skip += piece.iov_len;
	span->len -= piece.iov_len;
	return piece;
}

void szc_span_copy_out(const struct szc_span *span, void *to)
{
	struct szc_span rest = *span;
	uint8_t *at = to;

	while (rest.len) {
		struct iovec piece = szc_span_next(&rest);

		memcpy(at, piece.iov_base, piece.iov_len);
		at += piece.iov_len;
	}
}

void szc_span_copy_in(const struct szc_span *span, const void *from)
{
	struct szc_span rest = *span;
	const uint8_t *at = from;

	while (rest.len) {
		struct iovec piece = szc_span_next(&rest);

		memcpy(piece.iov_base, at, piece.iov_len);
		at += piece.iov_len;
	}
}

void szc_span_wipe(const struct szc_span *span)
{
	struct szc_span rest = *span;

	while (rest.len) {
		struct iovec piece = szc_span_next(&rest);

		OPENSSL_cleanse(piece.iov_base, piece.iov_len);
	}
}

/* A record may be 16 KiB of padding, at the peer's choice: hence words. */
static size_t trim_bytes(const uint8_t *bytes, size_t len)
{
	uint64_t word;

	while (len >= sizeof(word)) {
		memcpy(&word, bytes + len - sizeof(word), sizeof(word));
		if (word)
			break;
		len -= sizeof(word);
	}
	while (len && !bytes[len - 1])
		len--;
	return len;
}

size_t szc_span_trim(const struct szc_span *span)
{
	size_t end = span->skip + span->len; /* counted from the first iovec's start, as `before` is */
	size_t before = 0;
	int i = 0;

	while (i < span->iovcnt && before + span->iov[i].iov_len < end)
		before += span->iov[i++].iov_len;

	while (end > span->skip) {
		size_t from = before > span->skip ? before : span->skip;
		size_t left = trim_bytes((const uint8_t *)span->iov[i].iov_base + (from - before), end - from);

		if (left)
			return from + left - span->skip;
		end = from;
		if (end > span->skip)
			before -= span->iov[--i].iov_len;
	}
	return 0;
}
