/* SPDX-License-Identifier: MIT */
/*
 * The handshake: OpenSSL's, fed one record at a time, until it is finished. What was not fed stays in the area, so that
 * nothing is left over inside OpenSSL at the hand-over.
 */
#include "session.h"

#include <errno.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/* Sends what OpenSSL wrote. *records counts those of type application_data, which after the last flight of a server are
 * its tickets: OpenSSL writes each as one record under the traffic key, and our sequence number begins behind them. */
static int forward(struct szc_conn *conn, struct szc_tls *tls, uint64_t *records)
{
	uint8_t *out;
	long len = BIO_get_mem_data(SSL_get_wbio(tls->ssl), &out);
	struct iovec iov = {out, len > 0 ? (size_t)len : 0};
	size_t at = 0;
	int error;

	*records = 0;
	while (at + SZC_RECORD_HEADER <= iov.iov_len) {
		*records += out[at] == SZC_CONTENT_APPLICATION;
		at += SZC_RECORD_HEADER + ((size_t)out[at + 3] << 8 | out[at + 4]);
	}
	if (at != iov.iov_len)
		return szc_layer_fail(conn, SZC_E_TLS_HANDSHAKE, "OpenSSL wrote half a record");
	if (!iov.iov_len)
		return 0;
	error = szc_layer_queue(conn, &iov, 1);
	BIO_reset(SSL_get_wbio(tls->ssl));
	return error;
}

static int fail_alert(struct szc_conn *conn, int alert)
{
	if (alert == SSL_AD_PROTOCOL_VERSION)
		return szc_layer_fail(conn, SZC_E_TLS_VERSION,
				      "the peer refused TLS 1.3, the only version this library speaks");
	return szc_layer_fail(conn, SZC_E_TLS_ALERT, "the peer refused the handshake with alert %s (%d)",
			      szc_alert_name((uint8_t)alert), alert);
}

/* OpenSSL's reasons, sorted into ours. */
static int fail_handshake(struct szc_conn *conn, struct szc_tls *tls)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_REASON(code);
	const char *text = ERR_reason_error_string(code);

	ERR_clear_error();
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
		return fail_alert(conn, reason - SSL_AD_REASON_OFFSET);
	switch (reason) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_WRONG_VERSION_NUMBER:
		return szc_layer_fail(conn, SZC_E_TLS_VERSION,
				      "the peer offers no TLS 1.3, the only version this library speaks");
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return szc_layer_fail(conn, SZC_E_TLS_VERIFY, "the peer's certificate was not accepted: %s",
				      X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl)));
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return szc_layer_fail(conn, SZC_E_TLS_VERIFY, "the client showed no certificate, and one is required");
	case SSL_R_NO_SHARED_CIPHER:
		return szc_layer_fail(conn, SZC_E_TLS_CIPHER, "the peer offers none of the enabled cipher suites");
	default:
		return szc_layer_fail(conn, SZC_E_TLS_HANDSHAKE, "the TLS handshake failed: %s",
				      text ? text : "OpenSSL gives no reason");
	}
}

/* ---- the hand-over */

static int copy_facts(struct szc_tls *tls)
{
	const unsigned char *alpn;
	const char *name;
	unsigned len;

	SSL_get0_alpn_selected(tls->ssl, &alpn, &len);
	if (alpn && len <= sizeof(tls->alpn)) {
		memcpy(tls->alpn, alpn, len);
		tls->alpn_len = len;
	}
	name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
	if (name) {
		tls->server_name = strdup(name);
		if (!tls->server_name)
			return -ENOMEM;
	}
	tls->peer = SSL_get1_peer_certificate(tls->ssl);
	tls->resumed = SSL_session_reused(tls->ssl);
	return 0;
}

static int take_keys(struct szc_conn *conn, struct szc_tls *tls, uint64_t tickets)
{
	bool client = szc_tls_is_client(tls);
	const uint8_t *rx = client ? tls->server_secret : tls->client_secret;
	const uint8_t *tx = client ? tls->client_secret : tls->server_secret;
	int error;

	tls->suite = szc_suite_by_id((uint16_t)SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(tls->ssl)));
	if (!tls->suite)
		return szc_layer_fail(conn, SZC_E_TLS_CIPHER,
				      "cipher suite %s was agreed on, which this library does not open",
				      SSL_get_cipher_name(tls->ssl));
	if (tls->client_secret_len != tls->suite->secret_len || tls->server_secret_len != tls->suite->secret_len)
		return szc_layer_fail(
			conn, SZC_E_TLS_CONFIG,
			"OpenSSL did not log its traffic secrets: was the SSL_CTX changed during the handshake? "
			"Open each one you switch to with szc_tls_ctx_open()");
	error = szc_protect_init(&tls->rx, tls->suite, &szc_aead_evp, rx, 0, false);
	if (!error)
		error = szc_protect_init(&tls->tx, tls->suite, &szc_aead_evp, tx, tickets, true);
	if (!error && client)
		error = szc_protect_init(&tls->replay, tls->suite, &szc_aead_evp, rx, 0, true);
	OPENSSL_cleanse(tls->client_secret, sizeof(tls->client_secret));
	OPENSSL_cleanse(tls->server_secret, sizeof(tls->server_secret));
	return error;
}

static void set_key_limit(struct szc_tls *tls)
{
	uint64_t ceiling = tls->suite->key_records, asked = tls->ctx->options.key_records;

	/* Below the hard limit (RFC 8446 5.5: 2^24.5 for GCM), so that an update has time to take effect. */
	if (ceiling > (uint64_t)1 << 24 && ceiling < (uint64_t)1 << 32)
		ceiling = (uint64_t)1 << 24;
	tls->key_records = asked && asked < ceiling ? asked : ceiling;
}

/* max_fragment_length binds both sides, whichever of them asked for it: codes 1 to 4 stand for 512 to 4096 bytes. */
static void set_record_max(struct szc_tls *tls)
{
	uint8_t code = SSL_SESSION_get_max_fragment_length(SSL_get_session(tls->ssl));

	tls->record_max = code >= 1 && code <= 4 ? (size_t)256 << code : SZC_RECORD_PLAIN_MAX;
}

static int choose_sending(struct szc_conn *conn, struct szc_tls *tls)
{
	enum szc_tls_sending sending = tls->ctx->options.sending;
	int error;

	/* A kernel that cannot change keys would end the connection when the peer asks for it: not AUTO's choice. */
	if (sending == SZC_TLS_SEND_USER || (sending == SZC_TLS_SEND_AUTO && !szc_ktls_can_rekey()))
		return 0;
	error = szc_ktls_start(conn, tls);
	if (!error || sending == SZC_TLS_SEND_AUTO)
		return 0;
	return szc_layer_fail(
		conn, SZC_E_TLS_CONFIG,
		"the kernel cannot seal %s for this socket (%s): load the tls module, or choose another sending",
		tls->suite->name, strerror(-error));
}

/* What a full handshake would have found wrong with the certificate that a resumed session remembers. */
static long judge_session(SSL *ssl)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
	X509 *cert = SSL_get0_peer_certificate(ssl);
	char *ip = X509_VERIFY_PARAM_get1_ip_asc(param);
	long verdict = SSL_get_verify_result(ssl);

	if (!cert && !SSL_SESSION_has_ticket(SSL_get0_session(ssl)))
		verdict = X509_V_OK; /* a pre-shared key of the application's own, agreed by other means */
	else if (!cert)
		verdict = X509_V_ERR_UNSPECIFIED;
	else if (!verdict && host && X509_check_host(cert, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1)
		verdict = X509_V_ERR_HOSTNAME_MISMATCH;
	else if (!verdict && ip && X509_check_ip_asc(cert, ip, 0) != 1)
		verdict = X509_V_ERR_IP_ADDRESS_MISMATCH;
	OPENSSL_free(ip);
	return verdict;
}

/* A resumed handshake shows no certificate, and OpenSSL then asks neither how the session was verified nor for whom. A
 * callback of the application's own decides by itself what it accepts. */
static int check_resumed(struct szc_conn *conn, struct szc_tls *tls)
{
	const struct szc_tls_options *options = &tls->ctx->options;
	long verdict;

	if (!tls->resumed || SSL_get_verify_callback(tls->ssl))
		return 0;
	if (!szc_tls_is_client(tls) && options->client_auth == SZC_TLS_CLIENT_AUTH_REQUIRE && !tls->peer)
		return szc_tls_fatal(conn, tls, SZC_ALERT_CERTIFICATE_REQUIRED, SZC_E_TLS_VERIFY,
				     "the client's session was made with no certificate, and one is required");
	if (!szc_tls_is_client(tls) || options->insecure)
		return 0;
	verdict = judge_session(tls->ssl);
	if (verdict == X509_V_OK)
		return 0;
	return szc_tls_fatal(conn, tls, SZC_ALERT_BAD_CERTIFICATE, SZC_E_TLS_VERIFY,
			     "the session to resume was made with a certificate that is not accepted here: %s",
			     X509_verify_cert_error_string(verdict));
}

int szc_tls_carry(struct szc_conn *conn, struct szc_tls *tls)
{
	int error = choose_sending(conn, tls);

	if (!error)
		szc_layer_ready(conn);
	return error;
}

static int offer_upgrade(struct szc_conn *conn, struct szc_tls *tls)
{
	const char *label = tls->ctx->options.upgrade->exporter;
	uint8_t secret[SZC_UPGRADE_SECRET];
	int error = SZC_E_TLS_HANDSHAKE;

	if (SSL_export_keying_material(tls->ssl, secret, sizeof(secret), label, strlen(label), NULL, 0, 0) == 1)
		error = szc_tls_upgrade_begin(conn, tls, secret);
	OPENSSL_cleanse(secret, sizeof(secret));
	return error;
}

static int hand_over(struct szc_conn *conn, struct szc_tls *tls, uint64_t tickets)
{
	int error;

	if (szc_tls_is_client(tls))
		tickets = 0; /* its last flight is under handshake keys */
	if (BIO_ctrl_pending(SSL_get_rbio(tls->ssl)) || SSL_has_pending(tls->ssl))
		return szc_layer_fail(conn, SZC_E_TLS_HANDSHAKE, "OpenSSL held back bytes at the end of the handshake");
	error = copy_facts(tls);
	if (!error)
		error = take_keys(conn, tls, tickets);
	if (error)
		return error;
	set_key_limit(tls);
	set_record_max(tls);
	tls->handed_over = true;
	error = check_resumed(conn, tls);
	if (error)
		return error;
	if (tls->upgrade)
		error = offer_upgrade(conn, tls);
	if (!szc_tls_is_client(tls))
		szc_tls_drop_ssl(tls);
	if (error || tls->upgrade)
		return error;
	return szc_tls_carry(conn, tls);
}

/* ---- steps */

static int step(struct szc_conn *conn, struct szc_tls *tls)
{
	uint64_t records;
	int done, wants, error;

	ERR_clear_error();
	done = SSL_do_handshake(tls->ssl);
	wants = SSL_get_error(tls->ssl, done);
	/* Also after a failure: OpenSSL's alert is under OpenSSL's keys still. */
	error = forward(conn, tls, &records);
	if (error)
		return error;
	if (done == 1 && SSL_is_init_finished(tls->ssl))
		return hand_over(conn, tls, records);
	if (wants == SSL_ERROR_WANT_READ)
		return 0;
	if (wants == SSL_ERROR_SSL)
		return fail_handshake(conn, tls);
	return szc_layer_fail(conn, SZC_E_TLS_HANDSHAKE,
			      "the handshake stopped for a callback of the SSL_CTX that waits (SSL_get_error %d)",
			      wants);
}

int szc_tls_handshake_start(struct szc_conn *conn, struct szc_tls *tls)
{
	return szc_tls_is_client(tls) ? step(conn, tls) : 0;
}

static int feed(struct szc_tls *tls, const struct iovec *iov, int iovcnt, size_t len)
{
	struct szc_span record = {iov, iovcnt, 0, len};

	while (record.len) {
		struct iovec piece = szc_span_next(&record);

		if (BIO_write(SSL_get_rbio(tls->ssl), piece.iov_base, (int)piece.iov_len) != (int)piece.iov_len)
			return -ENOMEM;
	}
	return 0;
}

int szc_tls_handshake_input(struct szc_conn *conn, struct szc_tls *tls)
{
	struct szc_record record;
	const struct iovec *iov;
	uint8_t alert = 0;
	int iovcnt, found, error;
	size_t avail = szc_layer_peek(conn, &iov, &iovcnt), whole;

	found = szc_record_parse(iov, iovcnt, avail, &record, &alert);
	if (found < 0)
		return szc_tls_fatal(
			conn, tls, alert, found,
			"what came is not a TLS record (it begins %02x %02x %02x %02x %02x): does the peer speak TLS?",
			record.header[0], record.header[1], record.header[2], record.header[3], record.header[4]);
	whole = SZC_RECORD_HEADER + record.length;
	if (!found || avail < whole)
		return SZC_LAYER_NEED_MORE;
	error = feed(tls, iov, iovcnt, whole);
	if (error)
		return error;
	szc_layer_trips(conn)->bytes_handshake += whole;
	szc_layer_drop(conn, whole);
	error = step(conn, tls);
	return error ? error : SZC_LAYER_PROGRESS;
}
