/* SPDX-License-Identifier: MIT */
#include "psp/upgrade.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* ---- in the handshake */

static void *psp_open(struct szc_conn *conn, void *config, bool client)
{
	struct szc_psp_conn *psp = calloc(1, sizeof(*psp));

	if (!psp)
		return NULL;
	psp->ctx = config;
	psp->conn = conn;
	psp->client = client;
	psp->fd = szc_conn_fd(conn);
	psp->missing = SZC_E_PSP_PEER;
	return psp;
}

static bool able(struct szc_psp_conn *psp)
{
	int error = szc_psp_ctx_place(psp->ctx, psp->fd, &psp->place);

	if (!error)
		return true;
	psp->missing = error;
	if (error == SZC_E_PSP_DEVICE && !psp->ctx->has_family)
		psp->reason = SZC_PSP_NO_KERNEL;
	if (error == SZC_E_PSP_SOCKET)
		psp->reason = "the connection has no TCP timestamps, without which PSP is not safe from replay";
	if (error == SZC_E_PSP_VERSION)
		psp->reason = "no version of PSP that encrypts is enabled on the NIC (szc-nic psp)";
	return false;
}

static size_t psp_offer(void *state, uint8_t *data)
{
	struct szc_psp_conn *psp = state;

	if (!able(psp))
		return 0;
	data[0] = SZC_PSP_PROTOCOL;
	data[1] = (uint8_t)(psp->place.versions | (psp->ctx->options.moves ? SZC_PSP_EXTENSION_MOVES : 0));
	return SZC_PSP_EXTENSION_SIZE;
}

/* A later protocol may say more; what this one says stands in front. */
static size_t psp_answer(void *state, const uint8_t *offer, size_t len, uint8_t *data)
{
	struct szc_psp_conn *psp = state;
	uint32_t common;

	psp->agreed = false;
	if (len < SZC_PSP_EXTENSION_SIZE || offer[0] < SZC_PSP_PROTOCOL || !able(psp))
		return 0;
	common = offer[1] & psp->place.versions;
	psp->missing = SZC_E_PSP_VERSION;
	if (!common)
		return 0;
	psp->version = common & 1 << SZC_PSP_AES_GCM_256 ? SZC_PSP_AES_GCM_256 : SZC_PSP_AES_GCM_128;
	psp->agreed = true;
	psp->may_move = psp->ctx->options.moves && offer[1] & SZC_PSP_EXTENSION_MOVES;
	data[0] = SZC_PSP_PROTOCOL;
	data[1] = (uint8_t)(psp->version | (psp->may_move ? SZC_PSP_EXTENSION_MOVES : 0));
	return SZC_PSP_EXTENSION_SIZE;
}

static bool psp_accept(void *state, const uint8_t *answer, size_t len)
{
	struct szc_psp_conn *psp = state;
	unsigned version;

	if (len != SZC_PSP_EXTENSION_SIZE || answer[0] != SZC_PSP_PROTOCOL)
		return false;
	version = answer[1] & ~SZC_PSP_EXTENSION_MOVES;
	psp->may_move = answer[1] & SZC_PSP_EXTENSION_MOVES;
	if (version >= SZC_PSP_VERSIONS || !(psp->place.versions & 1U << version) ||
	    (psp->may_move && !psp->ctx->options.moves))
		return false;
	psp->version = version;
	psp->agreed = true;
	return true;
}

/* ---- after it */

static const char *why_not(const struct szc_psp_conn *psp)
{
	return psp->reason ? psp->reason : szc_strerror(psp->missing);
}

/* TLS goes on, unless that is not good enough here. */
static int without(struct szc_conn *conn, struct szc_psp_conn *psp)
{
	OPENSSL_cleanse(psp->secret, sizeof(psp->secret));
	OPENSSL_cleanse(psp->said, sizeof(psp->said));
	if (psp->before)
		return szc_layer_fail(conn, psp->missing, "the stream cannot go on here: %s", why_not(psp));
	if (psp->ctx->options.policy != SZC_PSP_REQUIRE)
		return SZC_UPGRADE_STAY;
	return szc_layer_fail(conn, psp->missing, "PSP is required: %s", why_not(psp));
}

static int cannot(struct szc_conn *conn, struct szc_psp_conn *psp, int error)
{
	uint8_t message[SZC_PSP_CANNOT_SIZE];
	size_t len = szc_psp_cannot_pack(message, error);

	psp->missing = error;
	error = szc_tls_upgrade_send(conn, message, len);
	return error ? error : without(conn, psp);
}

/* Our key to receive with is made, and what tells the peer. 0 or an error. */
static int make_key(struct szc_psp_conn *psp)
{
	struct szc_psp_key key;
	int error;

	/* Before the key is made: a rotation amid it counts. */
	psp->rotations = szc_psp_ctx_rotations(psp->ctx, psp->place.device, true);
	error = szc_psp_ctx_receive_key(psp->ctx, psp->fd, &psp->place, psp->version, &key);
	if (!error && key.size != szc_psp_key_size(psp->version))
		error = -EPROTO;
	if (!error)
		psp->said_len[!psp->client] = szc_psp_key_pack(psp->said[!psp->client], psp->version, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	return error;
}

static int say_key(struct szc_conn *conn, const struct szc_psp_conn *psp)
{
	return szc_tls_upgrade_send(conn, psp->said[!psp->client], psp->said_len[!psp->client]);
}

static int psp_begin(struct szc_conn *conn, void *state, const uint8_t secret[SZC_UPGRADE_SECRET])
{
	struct szc_psp_conn *psp = state;
	int error;

	if (!psp->agreed)
		return without(conn, psp);
	memcpy(psp->secret, secret, sizeof(psp->secret));
	if (!psp->client)
		return SZC_UPGRADE_WAIT;
	error = make_key(psp);
	if (error)
		return cannot(conn, psp, error);
	error = say_key(conn, psp);
	return error ? error : SZC_UPGRADE_WAIT;
}

int szc_psp_mac(const struct szc_psp_conn *psp, const uint8_t *key, const char *label, bool said,
		uint8_t mac[SZC_PSP_PROOF])
{
	uint8_t text[32 + 2 * SZC_PSP_KEY_MESSAGE_MAX];
	size_t len = (size_t)snprintf((char *)text, sizeof(text), "%s", label);
	bool done;

	for (int i = 0; said && i < 2; i++) {
		memcpy(text + len, psp->said[i], psp->said_len[i]);
		len += psp->said_len[i];
	}
	done = HMAC(EVP_sha256(), key, SZC_PSP_PROOF, text, len, mac, NULL) != NULL;
	OPENSSL_cleanse(text, sizeof(text));
	return done ? 0 : -ENOMEM;
}

int szc_psp_prove(const struct szc_psp_conn *psp, bool client, uint8_t proof[SZC_PSP_PROOF])
{
	return szc_psp_mac(psp, psp->secret, client ? "szc psp 1, client" : "szc psp 1, server", true, proof);
}

/* All was said that is said inside TLS. */
static int take(struct szc_conn *conn, struct szc_psp_conn *psp)
{
	int error = szc_psp_prove(psp, !psp->client, psp->expected);

	if (!error && psp->client)
		error = szc_psp_start(conn, psp);
	if (error)
		return error;
	psp->taken = true;
	return SZC_UPGRADE_TAKE;
}

static int behind_it(struct szc_conn *conn)
{
	return szc_layer_fail(conn, SZC_E_PSP_MESSAGE,
			      "something came behind the peer's last message in clear: "
			      "somebody put it there, or the peer goes on too early");
}

static int use_key(struct szc_conn *conn, struct szc_psp_conn *psp, const struct szc_psp_key *key, size_t behind)
{
	int error = behind ? 0 : szc_psp_ctx_send_key(psp->ctx, psp->fd, &psp->place, psp->version, key);

	if (behind || error == SZC_E_PSP_MESSAGE)
		return behind_it(conn);
	if (!error)
		return 0;
	/* A server has not said its own key yet, and can still go back. */
	if (psp->client)
		return szc_layer_fail(conn, error, "the peer's PSP key could not be used, and it cannot be told: %s",
				      szc_strerror(error));
	return error;
}

static int client_goes(struct szc_conn *conn, struct szc_psp_conn *psp, const struct szc_psp_message *message,
		       size_t behind)
{
	int error = use_key(conn, psp, &message->key, behind);

	return error ? error : take(conn, psp);
}

static int server_goes(struct szc_conn *conn, struct szc_psp_conn *psp, const struct szc_psp_message *message,
		       size_t behind)
{
	int error = make_key(psp);

	if (!error)
		error = use_key(conn, psp, &message->key, behind);
	if (error == SZC_E_PSP_MESSAGE)
		return error;
	if (error)
		return cannot(conn, psp, error);
	error = say_key(conn, psp);
	return error ? error : take(conn, psp);
}

static int psp_message(struct szc_conn *conn, void *state, const uint8_t *data, size_t len, size_t behind)
{
	struct szc_psp_conn *psp = state;
	struct szc_psp_message message;
	int next;

	if (!szc_psp_message_parse(&message, data, len) ||
	    (message.type == SZC_PSP_MESSAGE_KEY && message.version != psp->version)) {
		OPENSSL_cleanse(&message, sizeof(message));
		return szc_layer_fail(conn, SZC_E_PSP_MESSAGE,
				      "what the peer says about PSP makes no sense (%zu bytes)", len);
	}
	if (message.type == SZC_PSP_MESSAGE_CANNOT) {
		psp->missing = SZC_E_PSP_PEER;
		if (message.reason == SZC_E_STATE - SZC_E_PSP_LIMIT)
			psp->reason = "the peer's NIC has no PSP association left";
		return without(conn, psp);
	}
	memcpy(psp->said[psp->client], data, len);
	psp->said_len[psp->client] = len;
	next = psp->client ? client_goes(conn, psp, &message, behind) : server_goes(conn, psp, &message, behind);
	OPENSSL_cleanse(&message, sizeof(message));
	return next;
}

const struct szc_tls_upgrade szc_psp_upgrade_ops = {
	.size = sizeof(struct szc_tls_upgrade),
	.extension = SZC_PSP_EXTENSION,
	.exporter = "EXPORTER-szc-psp",
	.open = psp_open,
	.offer = psp_offer,
	.answer = psp_answer,
	.accept = psp_accept,
	.begin = psp_begin,
	.message = psp_message,
	.layer = &szc_psp_layer,
};

/* ---- asked by the application */

struct szc_psp_conn *szc_psp_conn_of(const struct szc_conn *conn)
{
	return szc_tls_upgrade_state(conn, &szc_psp_layer);
}

const char *szc_psp_cipher(const struct szc_conn *conn)
{
	const struct szc_psp_conn *psp = szc_psp_conn_of(conn);

	return psp && psp->started ? szc_psp_version_name(psp->version) : NULL;
}

const char *szc_psp_why_not(const struct szc_conn *conn)
{
	const struct szc_psp_conn *psp = szc_psp_conn_of(conn);

	return psp && !psp->taken ? why_not(psp) : NULL;
}
