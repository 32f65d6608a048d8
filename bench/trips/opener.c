/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <szc/rx.h>
#include <openssl/ssl.h>
#include "opener.h"

enum {
	HEADER = 5,
	TAG = 16,
	NONCE = 12,
	BODY_MAX = 16384 + 256,
	APPLICATION_DATA = 23,
};

struct opener {
	struct szc_conn *conn;
	SSL *ssl;
	BIO *in, *out;          /* the SSL's */
	EVP_CIPHER_CTX *cipher; /* NULL: the handshake goes on */
	unsigned char key[16], iv[NONCE];
	uint64_t sequence;
	unsigned char header[HEADER], tag[TAG];
	size_t have;           /* bytes of the record, header included */
	size_t body;           /* bytes behind the header; known when that is there */
	unsigned char *target; /* BODY_MAX */
};

static int set_up(struct opener *opener, const struct arguments *arguments)
{
	SSL_CTX *ctx = secret_context(arguments);

	if (!ctx)
		return -1;
	opener->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	opener->in = BIO_new(BIO_s_mem());
	opener->out = BIO_new(BIO_s_mem());
	if (!opener->ssl || !opener->in || !opener->out)
		return complain_ssl("TLS");
	SSL_set_bio(opener->ssl, opener->in, opener->out);
	SSL_set_accept_state(opener->ssl);
	opener->target =
		mmap(NULL, BODY_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (opener->target == MAP_FAILED)
		return complain("memory");
	announce(SZC_MARK_TARGET, opener->target, BODY_MAX);
	return 0;
}

struct opener *opener_new(struct receiver *receiver, struct szc_conn *conn)
{
	struct opener *opener = calloc(1, sizeof(*opener));

	if (!opener || set_up(opener, &receiver->arguments)) {
		free(opener);
		return NULL;
	}
	opener->conn = conn;
	return opener;
}

static int flush(struct opener *opener)
{
	struct iovec iov;
	char *data;
	long len = BIO_get_mem_data(opener->out, &data);

	iov = (struct iovec){.iov_base = data, .iov_len = (size_t)len};
	if (len > 0 && szc_conn_send(opener->conn, &iov, 1) != len) {
		fprintf(stderr, "trips-receive: send: %s\n", szc_conn_last_error(opener->conn));
		return -1;
	}
	(void)BIO_reset(opener->out);
	return 0;
}

int opener_say(struct opener *opener, char word)
{
	return SSL_write(opener->ssl, &word, 1) == 1 ? flush(opener) : complain_ssl("SSL_write");
}

/* ---- the handshake: OpenSSL is fed a record at a time, so that it has nothing left when it is done */

static int handshake_record(struct opener *opener, struct receiver *receiver)
{
	int n = SSL_accept(opener->ssl);

	if (n != 1 && SSL_get_error(opener->ssl, n) != SSL_ERROR_WANT_READ)
		return complain_ssl("the handshake failed");
	if (flush(opener))
		return -1;
	if (n != 1)
		return 0;
	snprintf(receiver->cipher, sizeof(receiver->cipher), "%s", SSL_get_cipher_name(opener->ssl));
	opener->cipher = EVP_CIPHER_CTX_new();
	if (secret_keys(opener->key, opener->iv))
		return -1;
	if (!opener->cipher || !EVP_DecryptInit_ex(opener->cipher, EVP_aes_128_gcm(), NULL, opener->key, NULL))
		return complain_ssl("AES-GCM");
	return 0;
}

/* ---- records */

static int record_begin(struct opener *opener)
{
	unsigned char nonce[NONCE];
	int len;

	memcpy(nonce, opener->iv, NONCE);
	for (int i = 0; i < 8; i++)
		nonce[NONCE - 1 - i] ^= (unsigned char)(opener->sequence >> 8 * i);
	opener->sequence++;
	if (!EVP_DecryptInit_ex(opener->cipher, NULL, NULL, NULL, nonce) ||
	    !EVP_DecryptUpdate(opener->cipher, NULL, &len, opener->header, HEADER))
		return complain_ssl("AES-GCM");
	return 0;
}

static int record_part(struct opener *opener, const unsigned char *data, size_t len)
{
	size_t at = opener->have - HEADER, sealed = opener->body - TAG;
	size_t part = at < sealed ? (len < sealed - at ? len : sealed - at) : 0;
	int done;

	if (part && !EVP_DecryptUpdate(opener->cipher, opener->target + at, &done, data, (int)part))
		return complain_ssl("AES-GCM");
	if (part < len)
		memcpy(opener->tag + (at + part - sealed), data + part, len - part);
	return 0;
}

static int record_end(struct opener *opener, struct receiver *receiver)
{
	size_t content = opener->body - TAG - 1;
	int done;

	if (EVP_CIPHER_CTX_ctrl(opener->cipher, EVP_CTRL_GCM_SET_TAG, TAG, opener->tag) != 1 ||
	    EVP_DecryptFinal_ex(opener->cipher, opener->target + content, &done) != 1)
		return complain_ssl("a record is damaged");
	if (opener->target[content] != APPLICATION_DATA) {
		fprintf(stderr, "trips-receive: a record of type %u came\n", opener->target[content]);
		return -1;
	}
	consume(&receiver->consumed, opener->target, content);
	return 0;
}

static int header_complete(struct opener *opener)
{
	opener->body = (size_t)opener->header[3] << 8 | opener->header[4];
	if (opener->body > BODY_MAX || (opener->cipher && opener->body <= TAG)) {
		fprintf(stderr, "trips-receive: a record of %zu bytes came\n", opener->body);
		return -1;
	}
	if (opener->cipher)
		return record_begin(opener);
	return BIO_write(opener->in, opener->header, HEADER) == HEADER ? 0 : complain_ssl("memory");
}

static int body_part(struct opener *opener, const unsigned char *data, size_t len)
{
	if (opener->cipher)
		return record_part(opener, data, len);
	return BIO_write(opener->in, data, (int)len) == (int)len ? 0 : complain_ssl("memory");
}

int opener_take(struct opener *opener, struct receiver *receiver, const unsigned char *data, size_t len)
{
	while (len) {
		bool in_header = opener->have < HEADER;
		size_t end = in_header ? HEADER : HEADER + opener->body;
		size_t part = len < end - opener->have ? len : end - opener->have;

		if (in_header)
			memcpy(opener->header + opener->have, data, part);
		else if (body_part(opener, data, part))
			return -1;
		opener->have += part;
		data += part;
		len -= part;
		if (opener->have == HEADER && in_header && header_complete(opener))
			return -1;
		if (opener->have <= HEADER || opener->have < HEADER + opener->body)
			continue;
		opener->have = 0;
		if (opener->cipher ? record_end(opener, receiver) : handshake_record(opener, receiver))
			return -1;
	}
	return 0;
}
