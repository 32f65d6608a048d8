/* SPDX-License-Identifier: MIT */
/* The command line, parsed by argp(3). */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <szc/tls.h>

enum { OPTIONS_KEYS_MAX = 64 };

/* capture: a key to open packets with. */
struct options_key {
	bool device; /* the key that a NIC derives others from */
	uint32_t spi;
	uint8_t key[32];
	unsigned size; /* bytes of it: 16 or 32 */
};

enum options_psp { PSP_OFF, PSP_AUTO, PSP_REQUIRE };

struct options {
	const char *listen;      /* recv, echo: ADDR:PORT */
	const char *connect;     /* send: HOST:PORT */
	const char *file;        /* send: what is sent, capture: what is read; "-" is standard input */
	const char *out;         /* recv; NULL: count and drop */
	const char *cert;        /* server's certificate, or a client's own */
	const char *key;         /* ... and its key */
	const char *ca;          /* send: whom to trust */
	const char *client_ca;   /* recv, echo: clients must show a certificate of this authority */
	const char *server_name; /* send: name to ask for and to verify instead of HOST */
	const char *alpn;
	const char *ciphersuites;
	const char *port_file;
	const char *ifname;     /* recv, echo: the NIC of `queue`; NULL: none */
	const char *state_file; /* ... where its changes are on record; NULL: the library's default */
	unsigned queue;
	bool queue_given;
	enum szc_backend backend;
	enum szc_tls_sending sending;
	enum options_psp psp;
	bool moves; /* the command lets streams move */
	size_t area_size;
	size_t area_max;
	size_t buffer_size;
	unsigned max_connections;
	int handshake_timeout; /* ms; 0: the library's default, -1: none */
	int idle_timeout;
	struct options_key keys[OPTIONS_KEYS_MAX]; /* capture */
	unsigned key_count;
	bool insecure;
	bool copy_first;
	bool once;
	bool json;
	bool verbose;
};

/* Each reads argv[0] as "zcrx-tls COMMAND". Ends the program on --help, --version and mistakes (EXIT_USAGE). */
void options_parse_recv(struct options *options, int argc, char **argv);
void options_parse_send(struct options *options, int argc, char **argv);
void options_parse_echo(struct options *options, int argc, char **argv);
void options_parse_capture(struct options *options, int argc, char **argv);

#endif
