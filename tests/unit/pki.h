/* SPDX-License-Identifier: MIT */
/* Throw-away certificates, made when the first is asked for and removed when the program ends. */
#ifndef SZC_TESTS_PKI_H
#define SZC_TESTS_PKI_H

enum pki_file {
	PKI_CA,         /* signed the next four pairs */
	PKI_SERVER,     /* DNS:localhost, DNS:*.example.test, IP:127.0.0.1, IP:::1 */
	PKI_SERVER_KEY, /* ... and so on: a certificate's key follows it */
	PKI_CLIENT,
	PKI_CLIENT_KEY,
	PKI_EXPIRED,
	PKI_EXPIRED_KEY,
	PKI_BIG, /* a certificate that needs two records of a handshake */
	PKI_BIG_KEY,
	PKI_STRANGER_CA, /* nobody's trust; signed the next pair */
	PKI_STRANGER,
	PKI_STRANGER_KEY,
	PKI_FILES,
};

/* The path of a PEM file. Aborts if it cannot be made. */
const char *pki_path(enum pki_file file);

#endif
