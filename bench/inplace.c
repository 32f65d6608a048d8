/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <szc/tls.h>
#include "receive.h"

struct setup {
	struct szc_rx *rx;
	struct szc_tls_ctx *tls;
	struct szc_listener *listener;
};

static int complain_szc(const char *what, int error, const char *detail)
{
	fprintf(stderr, "receive: %s: %s\n", what, detail && *detail ? detail : szc_strerror(error));
	return -1;
}

static int backend_of(const char *name, enum szc_backend *backend)
{
	static const char *const names[] = {"auto", "copy", "epoll", "nodev"};

	*backend = SZC_BACKEND_AUTO;
	if (!name)
		return 0;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], name)) {
			*backend = (enum szc_backend)i;
			return 0;
		}
	fprintf(stderr, "receive: --backend is auto, copy, epoll or nodev, not '%s'\n", name);
	return -1;
}

static int set_up(struct setup *setup, const struct arguments *arguments)
{
	char sentence[512] = "";
	struct szc_rx_options rx_options = {
		.size = sizeof(rx_options),
		.max_connections = 1,
		.area_size = arguments->area_size,
		.buffer_size = arguments->buffer_size,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	struct szc_tls_options tls_options = {
		.size = sizeof(tls_options),
		.role = SZC_TLS_SERVER,
		.cert_file = arguments->cert,
		.key_file = arguments->key,
		.ciphersuites = arguments->ciphersuites,
		.error = sentence,
		.error_size = sizeof(sentence),
	};
	int error;

	if (backend_of(arguments->backend, &rx_options.backend))
		return -1;
	error = szc_rx_open(&setup->rx, &rx_options);
	if (error) {
		setup->rx = NULL;
		return complain_szc("cannot set up receive memory", error, sentence);
	}
	error = szc_tls_ctx_open(&setup->tls, &tls_options);
	if (error) {
		setup->tls = NULL;
		return complain_szc("cannot set up TLS", error, sentence);
	}
	error = szc_rx_listen(setup->rx, arguments->listen, NULL, &setup->listener);
	if (error)
		return complain_szc("cannot listen", error, szc_rx_last_error(setup->rx));
	return write_port(arguments->port_file, szc_listener_port(setup->listener));
}

static void consume_view(struct result *result, struct szc_view *view)
{
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (; iovcnt > 0; iov++, iovcnt--)
		result_consume(result, iov->iov_base, iov->iov_len);
	szc_view_release(view);
}

static void finish(const struct setup *setup, const struct szc_conn *conn, struct result *result)
{
	struct szc_trips trips;

	result_stop(result);
	szc_conn_trips(conn, &trips);
	result->trips_measured = szc_trips_measured(&trips);
	result->trips_assumed = szc_trips_assumed(&trips);
	result->passes = szc_trips_passes(&trips);
	snprintf(result->cipher, sizeof(result->cipher), "%s", szc_tls_cipher(conn));
	snprintf(result->backend, sizeof(result->backend), "%s", szc_rx_backend(setup->rx));
}

/* 1: the connection ended, 0: go on, -1 after a message. */
static int handle(const struct setup *setup, const struct szc_event *event, struct result *result)
{
	int error;

	switch (event->type) {
	case SZC_EV_ACCEPTED:
		result_start(result);
		error = szc_tls_attach(event->conn, setup->tls, NULL);
		return error ? complain_szc("TLS", error, szc_conn_last_error(event->conn)) : 0;
	case SZC_EV_DATA:
		consume_view(result, event->view);
		return 0;
	case SZC_EV_EOF:
		finish(setup, event->conn, result);
		error = szc_conn_shutdown(event->conn);
		return error ? complain_szc("ending", error, szc_conn_last_error(event->conn)) : 0;
	case SZC_EV_SENT:
		szc_conn_close(event->conn);
		return 1;
	case SZC_EV_ERROR:
		return complain_szc("connection", event->error, szc_conn_last_error(event->conn));
	default:
		return 0;
	}
}

int receive_inplace(const struct arguments *arguments, struct result *result)
{
	struct szc_event events[16];
	struct setup setup = {0};
	int state = set_up(&setup, arguments);

	while (!state) {
		int n = szc_rx_wait(setup.rx, events, 16, -1);

		if (n < 0)
			state = complain_szc("cannot wait", n, szc_rx_last_error(setup.rx));
		for (int i = 0; i < n; i++)
			if (!state)
				state = handle(&setup, &events[i], result);
			else if (events[i].type == SZC_EV_DATA)
				szc_view_release(events[i].view);
	}
	if (setup.rx)
		szc_rx_close(setup.rx);
	szc_tls_ctx_close(setup.tls);
	return state == 1 ? 0 : -1;
}
