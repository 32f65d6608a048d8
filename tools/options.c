/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "failure.h"
#include "options.h"

enum key {
	KEY_LISTEN = 0x100,
	KEY_CONNECT,
	KEY_OUT,
	KEY_ONCE,
	KEY_PORT_FILE,
	KEY_CERT,
	KEY_KEY,
	KEY_CA,
	KEY_CLIENT_CA,
	KEY_INSECURE,
	KEY_SERVER_NAME,
	KEY_ALPN,
	KEY_CIPHERSUITES,
	KEY_SENDING,
	KEY_COPY_FIRST,
	KEY_PSP,
	KEY_BACKEND,
	KEY_IFNAME,
	KEY_QUEUE,
	KEY_STATE,
	KEY_AREA_SIZE,
	KEY_AREA_MAX,
	KEY_BUFFER_SIZE,
	KEY_MAX_CONNECTIONS,
	KEY_HANDSHAKE_TIMEOUT,
	KEY_IDLE_TIMEOUT,
	KEY_JSON,
	KEY_SPI_KEY,
	KEY_DEVICE_KEY,
};

static const struct argp_option recv_options[] = {
	{NULL, 0, NULL, 0, "Where to listen and where to put it:", 1},
	{"listen", KEY_LISTEN, "ADDR:PORT", 0,
	 "Listen here: 10.0.0.1:4433, [::1]:4433, :4433 for every address; port 0 takes a free one", 1},
	{"out", KEY_OUT, "FILE|DIR", 0,
	 "Write the payload here; - is standard output and implies --once. Without --once, and into a directory, each "
	 "connection gets a numbered file of its own: FILE.1 or DIR/000001. Without --out bytes are counted and dropped",
	 1},
	{"once", KEY_ONCE, NULL, 0, "Serve one connection and end; its fate is the exit code", 1},
	{0},
};

static const struct argp_option echo_options[] = {
	{NULL, 0, NULL, 0, "Where to listen:", 1},
	{"listen", KEY_LISTEN, "ADDR:PORT", 0,
	 "Listen here: 10.0.0.1:4433, [::1]:4433, :4433 for every address; port 0 takes a free one", 1},
	{"once", KEY_ONCE, NULL, 0, "Serve one connection and end; its fate is the exit code", 1},
	{0},
};

static const struct argp_option send_options[] = {
	{NULL, 0, NULL, 0, "Where to, and whom to trust:", 1},
	{"connect", KEY_CONNECT, "HOST:PORT", 0, "Send to this receiver; [::1]:4433 for IPv6", 1},
	{"ca", KEY_CA, "FILE", 0,
	 "Trust the authorities in this PEM file, not the system's; a self-signed certificate is its own authority", 1},
	{"insecure", KEY_INSECURE, NULL, 0, "Accept any certificate: anybody could be the receiver", 1},
	{"server-name", KEY_SERVER_NAME, "NAME", 0, "Ask for and verify this name instead of HOST", 1},
	{"cert", KEY_CERT, "FILE", 0, "Our own certificate, if the receiver wants one (PEM)", 1},
	{"key", KEY_KEY, "FILE", 0, "The private key that belongs to --cert (PEM)", 1},
	{0},
};

static const struct argp_option server_options[] = {
	{NULL, 0, NULL, 0, "As a server:", 2},
	{"cert", KEY_CERT, "FILE", 0, "Our certificate and its chain, leaf first (PEM)", 2},
	{"key", KEY_KEY, "FILE", 0, "The private key that belongs to it (PEM)", 2},
	{"client-ca", KEY_CLIENT_CA, "FILE", 0, "Serve only clients with a certificate of an authority in this file",
	 2},
	{"max-connections", KEY_MAX_CONNECTIONS, "N", 0,
	 "Serve this many at once, the others wait (default 64; with --once 1, or 4 with --psp, where a stream that moves takes two)",
	 2},
	{"port-file", KEY_PORT_FILE, "FILE", 0, "Write the port's number to this file once we listen", 2},
	{"ifname", KEY_IFNAME, "NAME", 0,
	 "Receive through a queue of this NIC, which then writes into our memory itself", 2},
	{"queue", KEY_QUEUE, "N", 0,
	 "... through this queue, from 0 on. It is prepared, our address and port are steered to it, and all is undone at "
	 "the end",
	 2},
	{"state", KEY_STATE, "FILE", 0,
	 "Where the NIC's changes are on record (default: a file for each interface and namespace in /run/szc)", 2},
	{0},
};

static const struct argp_option common_options[] = {
	{NULL, 0, NULL, 0, "TLS 1.3:", 3},
	{"ciphersuites", KEY_CIPHERSUITES, "LIST", 0, "OpenSSL's names, joined by ':'", 3},
	{"alpn", KEY_ALPN, "LIST", 0, "Application protocols, preferred first: h2,http/1.1", 3},
	{"sending", KEY_SENDING, "HOW", 0, "Who seals what we send: auto, user or ktls", 3},
	{"psp", KEY_PSP, "HOW", 0,
	 "Whether the NICs decrypt (PSP): off (default); auto, where both ends can, else TLS carries all; or require. "
	 "Versions are enabled by szc-nic psp",
	 3},
	{"copy-first", KEY_COPY_FIRST, NULL, 0,
	 "Copy each record out of the area before it is opened: safe against other writers to the area, two copies dearer",
	 3},
	{"handshake-timeout", KEY_HANDSHAKE_TIMEOUT, "SECONDS", 0,
	 "Give up on a handshake after this (default 10; 0: never)", 3},
	{"idle-timeout", KEY_IDLE_TIMEOUT, "SECONDS", 0, "Give up on a silent connection after this (default: never)",
	 3},
	{NULL, 0, NULL, 0, "Receive memory:", 4},
	{"backend", KEY_BACKEND, "NAME", 0,
	 "auto (default), zcrx (with --ifname), copy (io_uring), epoll, or nodev (for tests); zcrx and nodev need "
	 "CAP_NET_ADMIN",
	 4},
	{"area-size", KEY_AREA_SIZE, "SIZE", 0,
	 "Memory that is received into, shared by all connections: 16M, 1G (default: 8 buffers a connection)", 4},
	{"area-max", KEY_AREA_MAX, "SIZE", 0, "What it may grow to when a NIC's queue runs dry (default: it does not)",
	 4},
	{"buffer-size", KEY_BUFFER_SIZE, "SIZE", 0, "What one receive fills: a power of two, 4K to 1M", 4},
	{NULL, 0, NULL, 0, "What is told:", 5},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object at the end instead of lines for people", 5},
	{"verbose", 'v', NULL, 0, "Say on standard error which backend runs, and why not a better one", 5},
	{0},
};

static const struct argp_option capture_options[] = {
	{"key", KEY_SPI_KEY, "SPI:KEY", 0, "Open what has this SPI with this key, both in hexadecimal; up to 64 keys",
	 1},
	{"device-key", KEY_DEVICE_KEY, "KEY", 0,
	 "Open everything with the keys that a NIC derives from this one: 64 hexadecimal digits", 1},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object instead of lines for people", 2},
	{0},
};

static size_t parse_size(struct argp_state *state, const char *name, const char *text)
{
	static const char suffixes[] = "KMG";
	unsigned long long value;
	unsigned shift = 0;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end) {
		const char *suffix = strchr(suffixes, *end & ~0x20);

		if (suffix)
			shift = 10 * (unsigned)(suffix - suffixes + 1);
		if (!suffix || end[1])
			value = 0;
	}
	if (errno || *text < '0' || *text > '9' || !value || value > (SIZE_MAX >> shift)) {
		argp_error(state, "--%s=%s is not a size such as 65536, 64K, 16M or 1G", name, text);
		return 0;
	}
	return (size_t)value << shift;
}

static unsigned parse_count(struct argp_state *state, const char *name, const char *text)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || !value || value > UINT_MAX)
		argp_error(state, "--%s=%s is not a positive number", name, text);
	return (unsigned)value;
}

static unsigned parse_number(struct argp_state *state, const char *name, const char *text)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value > UINT16_MAX)
		argp_error(state, "--%s=%s is not a number from 0 to %d", name, text, UINT16_MAX);
	return (unsigned)value;
}

static int parse_seconds(struct argp_state *state, const char *name, const char *text)
{
	double value;
	char *end;

	value = strtod(text, &end);
	if (end == text || *end || !(value >= 0 && value <= 1e6)) {
		argp_error(state, "--%s=%s is not a number of seconds", name, text);
		return 0;
	}
	return value > 0 ? (int)(value * 1000 + 0.999) : -1;
}

static int parse_choice(struct argp_state *state, const char *name, const char *text, const char *const *choices)
{
	for (int i = 0; choices[i]; i++)
		if (!strcmp(choices[i], text))
			return i;
	argp_error(state, "--%s=%s is not one of the choices; see --help", name, text);
	return 0;
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	static const char *const backends[] = {"auto", "copy", "epoll", "nodev", "zcrx", NULL};
	static const char *const sendings[] = {"auto", "user", "ktls", NULL};
	static const char *const psps[] = {"off", "auto", "require", NULL};
	struct options *options = state->input;

	switch (key) {
	case KEY_CIPHERSUITES:
		options->ciphersuites = arg;
		break;
	case KEY_ALPN:
		options->alpn = arg;
		break;
	case KEY_SENDING:
		options->sending = (enum szc_tls_sending)parse_choice(state, "sending", arg, sendings);
		break;
	case KEY_PSP:
		options->psp = (enum options_psp)parse_choice(state, "psp", arg, psps);
		break;
	case KEY_COPY_FIRST:
		options->copy_first = true;
		break;
	case KEY_HANDSHAKE_TIMEOUT:
		options->handshake_timeout = parse_seconds(state, "handshake-timeout", arg);
		break;
	case KEY_IDLE_TIMEOUT:
		options->idle_timeout = parse_seconds(state, "idle-timeout", arg);
		break;
	case KEY_BACKEND:
		options->backend = (enum szc_backend)parse_choice(state, "backend", arg, backends);
		break;
	case KEY_AREA_SIZE:
		options->area_size = parse_size(state, "area-size", arg);
		break;
	case KEY_AREA_MAX:
		options->area_max = parse_size(state, "area-max", arg);
		break;
	case KEY_BUFFER_SIZE:
		options->buffer_size = parse_size(state, "buffer-size", arg);
		break;
	case KEY_JSON:
		options->json = true;
		break;
	case 'v':
		options->verbose = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse_server(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_CERT:
		options->cert = arg;
		break;
	case KEY_KEY:
		options->key = arg;
		break;
	case KEY_CLIENT_CA:
		options->client_ca = arg;
		break;
	case KEY_MAX_CONNECTIONS:
		options->max_connections = parse_count(state, "max-connections", arg);
		break;
	case KEY_PORT_FILE:
		options->port_file = arg;
		break;
	case KEY_IFNAME:
		options->ifname = arg;
		break;
	case KEY_QUEUE:
		options->queue = parse_number(state, "queue", arg);
		options->queue_given = true;
		break;
	case KEY_STATE:
		options->state_file = arg;
		break;
	case ARGP_KEY_END:
		if (options->state_file && !options->ifname)
			argp_error(state, "--state goes with --ifname and --queue");
		if (!options->ifname != !options->queue_given)
			argp_error(state, "--ifname and --queue go together");
		if (options->backend == SZC_BACKEND_ZCRX && !options->ifname)
			argp_error(state, "--backend=zcrx needs --ifname NAME and --queue N");
		if (!options->cert || !options->key)
			argp_error(state, "--cert FILE and --key FILE are needed: a TLS server shows a certificate");
		if (options->once && !options->max_connections)
			options->max_connections = options->psp ? 4 : 1;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse_listener(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_LISTEN:
		options->listen = arg;
		break;
	case KEY_OUT:
		options->out = arg;
		options->once |= !strcmp(arg, "-");
		break;
	case KEY_ONCE:
		options->once = true;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = options;
		state->child_inputs[1] = options;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		break;
	case ARGP_KEY_END:
		if (!options->listen)
			argp_error(state, "--listen ADDR:PORT is missing");
		if (options->out && !*options->out)
			argp_error(state, "--out needs the name of a file or directory, or -");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse_sender(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_CONNECT:
		options->connect = arg;
		break;
	case KEY_CA:
		options->ca = arg;
		break;
	case KEY_INSECURE:
		options->insecure = true;
		break;
	case KEY_SERVER_NAME:
		options->server_name = arg;
		break;
	case KEY_CERT:
		options->cert = arg;
		break;
	case KEY_KEY:
		options->key = arg;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = options;
		break;
	case ARGP_KEY_ARG:
		if (options->file)
			argp_error(state, "'%s' is one file too many: one is sent", arg);
		options->file = arg;
		break;
	case ARGP_KEY_END:
		if (!options->connect)
			argp_error(state, "--connect HOST:PORT is missing");
		if (!options->file)
			argp_error(state, "the FILE to be sent is missing; - is standard input");
		if (options->ca && options->insecure)
			argp_error(state, "--ca and --insecure contradict each other");
		if (!options->cert != !options->key)
			argp_error(state, "--cert and --key go together");
		/* A stream that moves has two, and one that is about to be closed. */
		options->max_connections = options->psp ? 4 : 1;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Digits in hexadecimal, 16 or 32 bytes of them. */
static void parse_key(struct argp_state *state, const char *name, const char *text, struct options_key *key)
{
	size_t len = 0;

	while (len < sizeof(key->key) && sscanf(text + 2 * len, "%2hhx", &key->key[len]) == 1 && text[2 * len + 1])
		len++;
	if (strlen(text) != 2 * len || strspn(text, "0123456789abcdefABCDEF") != 2 * len || (len != 16 && len != 32) ||
	    (key->device && len != 32))
		argp_error(state, "--%s: a key has %s hexadecimal digits", name, key->device ? "64" : "32 or 64");
	key->size = (unsigned)len;
}

static void add_key(struct options *options, struct argp_state *state, const char *text, bool device)
{
	struct options_key *key = &options->keys[options->key_count];
	char *end = (char *)text;

	if (options->key_count == OPTIONS_KEYS_MAX)
		argp_error(state, "more than %d keys", OPTIONS_KEYS_MAX);
	options->key_count++;
	*key = (struct options_key){.device = device};
	if (device) {
		parse_key(state, "device-key", text, key);
		return;
	}
	key->spi = (uint32_t)strtoul(text, &end, 16);
	if (end == text || end - text > 8 || *end != ':')
		argp_error(state, "--key=SPI:KEY, both in hexadecimal");
	else
		parse_key(state, "key", end + 1, key);
}

static error_t parse_capture(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_SPI_KEY:
	case KEY_DEVICE_KEY:
		add_key(options, state, arg, key == KEY_DEVICE_KEY);
		break;
	case KEY_JSON:
		options->json = true;
		break;
	case ARGP_KEY_ARG:
		if (options->file)
			argp_error(state, "'%s' is one file too many: one is read", arg);
		options->file = arg;
		break;
	case ARGP_KEY_END:
		if (!options->file)
			argp_error(state, "the FILE to be read is missing; - is standard input");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp common_argp = {.options = common_options, .parser = parse_common};
static const struct argp server_argp = {.options = server_options, .parser = parse_server};
static const struct argp_child listener_children[] = {{&server_argp, 0, NULL, 0}, {&common_argp, 0, NULL, 0}, {0}};
static const struct argp_child sender_children[] = {{&common_argp, 0, NULL, 0}, {0}};

#define EXIT_CODES                                                                                                     \
	"Exit codes: 0 done; 2 command line; 3 network; 4 TLS handshake or verification; 5 data damaged or "           \
	"truncated; 6 a local file; 7 system or resources; 128 + N interrupted by signal N."

void options_parse_recv(struct options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = recv_options,
		.parser = parse_listener,
		.args_doc = "--listen ADDR:PORT --cert FILE --key FILE",
		.doc = "Receives over TLS 1.3: records are opened in place, in the memory they arrived in, and written "
		       "from there.\v"
		       "A file gets its name only when the sender ended properly: what failed or was interrupted leaves "
		       "nothing behind. Without --once the server runs until SIGINT or SIGTERM, which is a clean end.\n\n"
		       "One file, then end:\n"
		       "  zcrx-tls recv --listen :4433 --cert c.pem --key k.pem --once --out x.tar\n"
		       "Into a pipe:\n"
		       "  zcrx-tls recv --listen :4433 --cert c.pem --key k.pem --out - | tar x\n"
		       "Each connection into a file of a directory:\n"
		       "  zcrx-tls recv --listen :4433 --cert c.pem --key k.pem --out incoming/\n\n" EXIT_CODES,
		.children = listener_children,
	};

	options->moves = true;
	argp_parse(&argp, argc, argv, 0, NULL, options);
}

void options_parse_send(struct options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = send_options,
		.parser = parse_sender,
		.args_doc = "--connect HOST:PORT FILE",
		.doc = "Sends FILE (- is standard input) over TLS 1.3 to any receiver.\v"
		       "Success means that the receiver took everything and said so by closing its side properly.\n\n"
		       "To a receiver with a certificate of a known authority:\n"
		       "  zcrx-tls send --connect backup.example:4433 backup.tar\n"
		       "To one with a self-signed certificate, out of a pipe:\n"
		       "  tar c . | zcrx-tls send --connect 10.0.0.1:4433 --ca c.pem -\n\n" EXIT_CODES,
		.children = sender_children,
	};

	options->moves = true;
	argp_parse(&argp, argc, argv, 0, NULL, options);
}

void options_parse_echo(struct options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = echo_options,
		.parser = parse_listener,
		.args_doc = "--listen ADDR:PORT --cert FILE --key FILE",
		.doc = "Sends back over TLS 1.3 whatever comes, from the memory it arrived in.\v"
		       "Runs until SIGINT or SIGTERM, which is a clean end.\n\n"
		       "  zcrx-tls echo --listen :4433 --cert c.pem --key k.pem\n\n" EXIT_CODES,
		.children = listener_children,
	};

	argp_parse(&argp, argc, argv, 0, NULL, options);
}

void options_parse_capture(struct options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = capture_options,
		.parser = parse_capture,
		.args_doc = "FILE",
		.doc = "Shows the PSP packets in FILE (- is standard input), a capture of the wire as tcpdump -w makes it, and "
		       "what is in them as far as keys are given.\v"
		       "  zcrx-tls capture wire.pcap\n"
		       "  zcrx-tls capture --key 80000001:00112233445566778899aabbccddeeff wire.pcap\n\n"
		       "A capture on a host with PSP shows what the host's TCP says, before it is sealed: capture on the "
		       "way, or where the NIC has PSP off.\n\n"
		       "Exit codes: 0 done; 2 command line; 5 packets that are not authentic by any key given; 6 the file; 7 system.",
	};

	argp_parse(&argp, argc, argv, 0, NULL, options);
}
