/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine.h"
#include "stop.h"

/* Whether what failed about the NIC's queue lets us go on without it, which is said; else it is the failure. */
static bool do_without(const struct options *options, const struct failure *why, struct failure *failure)
{
	if (options->backend != SZC_BACKEND_AUTO) {
		*failure = *why;
		return false;
	}
	fprintf(stderr, "zcrx-tls: going on without the NIC's queue: %s\n", why->sentence);
	return true;
}

/* `ifname` is NULL without a NIC. */
static int open_rx(struct engine *engine, const struct options *options, const char *ifname, struct failure *failure)
{
	char sentence[512] = "";
	struct szc_rx_options rx_options = {
		.size = sizeof(rx_options),
		.backend = options->backend,
		.max_connections = options->max_connections,
		.area_size = options->area_size,
		.area_max = options->area_max,
		.buffer_size = options->buffer_size,
		.ifname = ifname,
		.queue = options->queue,
		.handshake_timeout = options->handshake_timeout,
		.idle_timeout = options->idle_timeout,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	int error = szc_rx_open(&engine->rx, &rx_options);

	if (error) {
		engine->rx = NULL;
		return failure_set_szc(failure, error, "cannot set up receive memory", sentence);
	}
	if (options->verbose)
		fputs(szc_rx_describe(engine->rx), stderr);
	return 0;
}

/* On the NIC's queue if options name one. */
static int open_on_queue(struct engine *engine, const struct options *options, struct failure *failure)
{
	struct failure unprepared = {0};

	if (!options->ifname)
		return open_rx(engine, options, NULL, failure);
	if (steering_prepare(&engine->steering, options, &unprepared))
		return do_without(options, &unprepared, failure) ? open_rx(engine, options, NULL, failure)
								 : failure->exit_code;
	if (open_rx(engine, options, options->ifname, failure))
		return failure->exit_code;
	if (!strcmp(szc_rx_backend(engine->rx), "zcrx"))
		return 0;
	if (!options->verbose)
		fprintf(stderr, "zcrx-tls: going on without the NIC's queue (-v tells why)\n");
	steering_restore(&engine->steering);
	return 0;
}

/* 0 or an exit code. */
static int open_psp(struct engine *engine, const struct options *options, struct failure *failure)
{
	char sentence[512] = "";
	struct szc_psp_options psp_options = {
		.size = sizeof(psp_options),
		.policy = options->psp == PSP_REQUIRE ? SZC_PSP_REQUIRE : SZC_PSP_AUTO,
		.moves = options->moves,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	int error;

	if (options->psp == PSP_OFF)
		return 0;
	error = szc_psp_ctx_open(&engine->psp, &psp_options);
	return error ? failure_set_szc(failure, error, "cannot set up PSP", sentence) : 0;
}

int engine_open(struct engine *engine, enum szc_tls_role role, const struct options *options, struct failure *failure)
{
	char sentence[512] = "";
	struct szc_tls_options tls_options = {
		.size = sizeof(tls_options),
		.role = role,
		.cert_file = options->cert,
		.key_file = options->key,
		.ca_file = role == SZC_TLS_SERVER ? options->client_ca : options->ca,
		.alpn = options->alpn,
		.ciphersuites = options->ciphersuites,
		.insecure = options->insecure,
		.client_auth = options->client_ca ? SZC_TLS_CLIENT_AUTH_REQUIRE : SZC_TLS_CLIENT_AUTH_NONE,
		.sending = options->sending,
		.copy_first = options->copy_first,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	int error;

	if (open_psp(engine, options, failure))
		return failure->exit_code;
	tls_options.upgrade = engine->psp ? szc_psp_upgrade(engine->psp) : NULL;
	error = szc_tls_ctx_open(&engine->tls, &tls_options);
	if (error) {
		engine->tls = NULL;
		/* Nobody was talked to yet: it is the option that is wrong. */
		if (error == SZC_E_TLS_CIPHER)
			error = SZC_E_OPTION;
		return failure_set_szc(failure, error, "cannot set up TLS", sentence);
	}
	return open_on_queue(engine, options, failure);
}

/* Written aside and renamed: who waits for the file never reads half a number. */
static int write_port_file(const char *path, unsigned port, struct failure *failure)
{
	char *temp;
	FILE *file = NULL;
	int error = 0;

	if (asprintf(&temp, "%s.part-%ld", path, (long)getpid()) < 0)
		return failure_set(failure, EXIT_SYSTEM, "out of memory");
	file = fopen(temp, "we");
	if (!file)
		error = -errno;
	else if (fprintf(file, "%u\n", port) < 0)
		error = -errno;
	if (file && fclose(file) && !error)
		error = -errno;
	if (!error && rename(temp, path))
		error = -errno;
	if (error) {
		unlink(temp);
		failure_set_file(failure, error, "cannot write", path);
	}
	free(temp);
	return failure->exit_code;
}

static int start_listening(struct engine *engine, const struct options *options, struct failure *failure)
{
	int error = szc_rx_listen(engine->rx, options->listen, NULL, &engine->listener);

	if (!error)
		return 0;
	engine->listener = NULL;
	return failure_set_szc(failure, error, "cannot listen", szc_rx_last_error(engine->rx));
}

/* Gives the NIC's queue back, to which nothing would come, and begins anew without. */
static int listen_without(struct engine *engine, const struct options *options, struct failure *failure)
{
	int error;

	steering_end(&engine->steering);
	error = szc_rx_close(engine->rx);
	if (error)
		return failure_set_szc(failure, error, "cannot leave the NIC's queue", szc_rx_last_error(engine->rx));
	engine->rx = NULL;
	engine->listener = NULL;
	steering_restore(&engine->steering);
	return open_rx(engine, options, NULL, failure) ?: start_listening(engine, options, failure);
}

int engine_listen(struct engine *engine, const struct options *options, struct failure *failure)
{
	const char *colon = strrchr(options->listen, ':');
	struct failure unsteered = {0};
	unsigned port;

	if (start_listening(engine, options, failure))
		return failure->exit_code;
	port = szc_listener_port(engine->listener);
	if (steering_begin(&engine->steering, options->listen, port, &unsteered)) {
		if (!do_without(options, &unsteered, failure) || listen_without(engine, options, failure))
			return failure->exit_code;
		port = szc_listener_port(engine->listener);
	}
	fprintf(stderr, "zcrx-tls: listening on %.*s:%u\n", colon ? (int)(colon - options->listen) : 0, options->listen,
		port);
	return options->port_file ? write_port_file(options->port_file, port, failure) : 0;
}

int engine_wait(struct engine *engine, struct szc_event *events, int max, int timeout_ms, struct failure *failure)
{
	int n = szc_rx_wait(engine->rx, events, max, timeout_ms);

	if (n >= 0)
		return n;
	if (n == -EINTR)
		return 0;
	failure_set_szc(failure, n, "cannot wait for events", szc_rx_last_error(engine->rx));
	return n;
}

void engine_close(struct engine *engine)
{
	int error;

	steering_end(&engine->steering);
	error = engine->rx ? szc_rx_close(engine->rx) : 0;
	if (error)
		fprintf(stderr, "zcrx-tls: %s: %s\n", szc_strerror(error), szc_rx_last_error(engine->rx));
	steering_restore(&engine->steering);
	szc_tls_ctx_close(engine->tls);
	szc_psp_ctx_close(engine->psp);
	*engine = (struct engine){0};
}

int engine_report(const struct options *options, const struct summary *summary, struct failure *failure)
{
	bool payload_on_stdout = options->out && !strcmp(options->out, "-");
	FILE *file = payload_on_stdout ? stderr : stdout;

	if (failure->exit_code)
		fprintf(stderr, "zcrx-tls: %s\n", failure->sentence);
	if (options->json) {
		if (summary_print_json(summary, failure, file))
			failure_set(failure, EXIT_FILE, "cannot write the summary");
	} else if (!failure->exit_code) {
		summary_print(summary, file);
		if (fflush(file))
			failure_set_file(failure, -errno, "cannot write the summary to", "standard output");
	}
	return failure->exit_code;
}
