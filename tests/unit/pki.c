/* SPDX-License-Identifier: MIT */
#include "pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static const char *const names[PKI_FILES] = {
	"ca.pem",      "server.pem", "server.key", "client.pem",      "client.key",   "expired.pem",
	"expired.key", "big.pem",    "big.key",    "stranger-ca.pem", "stranger.pem", "stranger.key",
};

static char directory[] = "/tmp/szc-pki.XXXXXX";
static char paths[PKI_FILES][64];
static pid_t maker;

static void must(int true_enough, const char *what)
{
	if (true_enough)
		return;
	fprintf(stderr, "the test certificates cannot be made: %s\n", what);
	abort();
}

static void remove_all(void)
{
	int i;

	if (getpid() != maker)
		return; /* a child of the test that ends: the files are still in use */
	for (i = 0; i < PKI_FILES; i++)
		unlink(paths[i]);
	rmdir(directory);
}

static void write_cert(enum pki_file file, X509 *cert)
{
	FILE *to = fopen(paths[file], "w");

	must(to && PEM_write_X509(to, cert) == 1 && fclose(to) == 0, paths[file]);
}

static void write_key(enum pki_file file, EVP_PKEY *key)
{
	FILE *to = fopen(paths[file], "w");

	must(to && PEM_write_PrivateKey(to, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(to) == 0, paths[file]);
}

static void extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(extension && X509_add_ext(cert, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

/* `issuer` NULL: signed by itself. */
static X509 *make_cert(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *alt, long until)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509_NAME *subject;

	must(cert != NULL, "no memory");
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(cert), until);
	X509_set_pubkey(cert, key);
	subject = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject);
	if (!issuer)
		extend(cert, NID_basic_constraints, "critical,CA:TRUE");
	if (alt)
		extend(cert, NID_subject_alt_name, alt);
	must(X509_sign(cert, issuer_key, EVP_sha256()) > 0, name);
	return cert;
}

struct authority {
	X509 *cert;
	EVP_PKEY *key;
};

static struct authority make_authority(const char *name, enum pki_file file)
{
	struct authority authority = {.key = EVP_EC_gen("P-256")};

	must(authority.key != NULL, "no key");
	authority.cert = make_cert(name, authority.key, NULL, authority.key, NULL, 86400);
	write_cert(file, authority.cert);
	return authority;
}

static void make_pair(const struct authority *authority, enum pki_file file, const char *name, const char *alt,
		      long until)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert;

	must(key != NULL, "no key");
	cert = make_cert(name, key, authority->cert, authority->key, alt, until);
	write_cert(file, cert);
	write_key(file + 1, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static char *many_names(void)
{
	enum { NAMES = 600 };
	char *text = malloc(NAMES * 48), *at = text;
	int i;

	must(text != NULL, "no memory");
	at += sprintf(at, "DNS:localhost");
	for (i = 0; i < NAMES; i++)
		at += sprintf(at, ",DNS:name-%d-of-very-many.example.test", i);
	return text;
}

static void make_all(void)
{
	static const char alt[] = "DNS:localhost,DNS:*.example.test,IP:127.0.0.1,IP:::1";
	struct authority trusted, stranger;
	char *many = many_names();
	int i;

	must(mkdtemp(directory) != NULL, directory);
	maker = getpid();
	for (i = 0; i < PKI_FILES; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", directory, names[i]);
	atexit(remove_all);
	trusted = make_authority("test authority", PKI_CA);
	stranger = make_authority("strange authority", PKI_STRANGER_CA);
	make_pair(&trusted, PKI_SERVER, "server", alt, 86400);
	make_pair(&trusted, PKI_CLIENT, "client", NULL, 86400);
	make_pair(&trusted, PKI_EXPIRED, "expired", alt, -3600);
	make_pair(&trusted, PKI_BIG, "big", many, 86400);
	make_pair(&stranger, PKI_STRANGER, "stranger", alt, 86400);
	X509_free(trusted.cert);
	EVP_PKEY_free(trusted.key);
	X509_free(stranger.cert);
	EVP_PKEY_free(stranger.key);
	free(many);
}

const char *pki_path(enum pki_file file)
{
	if (!maker)
		make_all();
	return paths[file];
}
