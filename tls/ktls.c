/* SPDX-License-Identifier: MIT */
/* The kernel seals what we send (TLS_TX). Receiving stays ours: without TLS_RX the socket's recvmsg is left alone, so
 * that zero-copy receive goes on (io_uring/zcrx.c, io_zcrx_recv). */
#include "session.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

enum { KTLS_RECORDS = 1 << 21 };

union info {
	struct tls_crypto_info common;
	struct tls12_crypto_info_aes_gcm_128 gcm_128;
	struct tls12_crypto_info_aes_gcm_256 gcm_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha20;
};

/* linux/tls.h splits the 12-byte iv of GCM into a salt of 4 and the rest; ChaCha20 has it whole. */
static size_t fill(union info *info, const struct szc_protect *tx, const uint8_t *key)
{
	uint8_t seq[8];
	int i;

	for (i = 0; i < 8; i++)
		seq[i] = (uint8_t)(tx->seq >> (56 - 8 * i));
	memset(info, 0, sizeof(*info));
	info->common.version = TLS_1_3_VERSION;
	switch (tx->suite->id) {
	case 0x1301:
		info->common.cipher_type = TLS_CIPHER_AES_GCM_128;
		memcpy(info->gcm_128.salt, tx->iv, 4);
		memcpy(info->gcm_128.iv, tx->iv + 4, 8);
		memcpy(info->gcm_128.key, key, 16);
		memcpy(info->gcm_128.rec_seq, seq, 8);
		return sizeof(info->gcm_128);
	case 0x1302:
		info->common.cipher_type = TLS_CIPHER_AES_GCM_256;
		memcpy(info->gcm_256.salt, tx->iv, 4);
		memcpy(info->gcm_256.iv, tx->iv + 4, 8);
		memcpy(info->gcm_256.key, key, 32);
		memcpy(info->gcm_256.rec_seq, seq, 8);
		return sizeof(info->gcm_256);
	default:
		info->common.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(info->chacha20.iv, tx->iv, 12);
		memcpy(info->chacha20.key, key, 32);
		memcpy(info->chacha20.rec_seq, seq, 8);
		return sizeof(info->chacha20);
	}
}

bool szc_ktls_can_rekey(void)
{
	struct utsname name;
	char *dot;
	long major, minor;

	/* No probe tells without giving the socket to the kernel for good; 6.14 brought it (net/tls/tls_main.c). */
	if (uname(&name))
		return false;
	major = strtol(name.release, &dot, 10);
	minor = *dot == '.' ? strtol(dot + 1, NULL, 10) : 0;
	return major > 6 || (major == 6 && minor >= 14);
}

int szc_ktls_rekey(struct szc_conn *conn, struct szc_tls *tls)
{
	uint8_t key[SZC_KEY_MAX];
	union info info;
	size_t size;
	int error = szc_suite_expand(tls->suite, tls->tx.secret, "key", key, tls->suite->key_len);

	if (error)
		return error;
	size = fill(&info, &tls->tx, key);
	if (setsockopt(szc_conn_fd(conn), SOL_TLS, TLS_TX, &info, (socklen_t)size))
		error = -errno;
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(&info, sizeof(info));
	return error;
}

int szc_ktls_start(struct szc_conn *conn, struct szc_tls *tls)
{
	int error;

	/* What the handshake left in our queue is sealed already and must be out before the kernel seals. */
	if (szc_conn_unsent(conn))
		return -EAGAIN;
	/* The kernel fills its records to 2^14. */
	if (tls->record_max < SZC_RECORD_PLAIN_MAX)
		return -EMSGSIZE;
	if (setsockopt(szc_conn_fd(conn), IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		return -errno;
	/* With the ULP but no key the socket sends as before: a refusal here leaves user space to seal. */
	error = szc_ktls_rekey(conn, tls);
	tls->ktls = !error;
	/* The kernel ends a record wherever it stops taking bytes, which is not seen from here: count with a margin. */
	if (tls->ktls && tls->key_records > KTLS_RECORDS)
		tls->key_records = KTLS_RECORDS;
	return error;
}
