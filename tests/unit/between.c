/* SPDX-License-Identifier: MIT */
#include "tests/unit/between.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "tests/unit/pair.h"

enum { PATIENCE_MS = 20000, PIECE = 16384 };

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Returns the other end of its socket. */
static int end_open(struct between_end *end, enum szc_tls_role role, const struct szc_tls_upgrade *upgrade)
{
	const struct szc_tls_peer localhost = {.size = sizeof(localhost), .host = "localhost"};
	struct szc_rx_options options = {.size = sizeof(options), .backend = SZC_BACKEND_EPOLL, .max_connections = 2};
	struct szc_tls_options tls = pair_options(role);
	int fds[2];

	*end = (struct between_end){0};
	tls.upgrade = upgrade;
	assert_int_equal(szc_rx_open(&end->rx, &options), 0);
	end->ctx = pair_tls(&tls);
	pair_tcp(fds);
	assert_int_equal(szc_rx_adopt(end->rx, fds[0], &end->conn), 0);
	assert_int_equal(szc_tls_attach(end->conn, end->ctx, role == SZC_TLS_CLIENT ? &localhost : NULL), 0);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	return fds[1];
}

void between_open(struct between *between, const struct szc_tls_upgrade *client, const struct szc_tls_upgrade *server)
{
	*between = (struct between){0};
	between->at_client = end_open(&between->client, SZC_TLS_CLIENT, client);
	between->at_server = end_open(&between->server, SZC_TLS_SERVER, server);
}

static void end_close(struct between_end *end)
{
	if (end->conn)
		szc_conn_close(end->conn);
	assert_int_equal(szc_rx_close(end->rx), 0);
	szc_tls_ctx_close(end->ctx);
	free(end->got);
}

void between_close(struct between *between)
{
	end_close(&between->client);
	end_close(&between->server);
	close(between->at_client);
	close(between->at_server);
}

/* ---- turns */

static void take(struct between_end *end, struct szc_view *view)
{
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	end->got = realloc(end->got, end->got_len + szc_view_size(view));
	assert_non_null(end->got);
	for (int i = 0; i < iovcnt; i++) {
		memcpy(end->got + end->got_len, iov[i].iov_base, iov[i].iov_len);
		end->got_len += iov[i].iov_len;
	}
	szc_view_release(view);
}

static void end_turn(struct between_end *end)
{
	struct szc_event event;

	if (!end->conn || szc_rx_wait(end->rx, &event, 1, 0) < 1)
		return;
	switch (event.type) {
	case SZC_EV_READY:
		end->ready = true;
		break;
	case SZC_EV_DATA:
		assert_true(end->ready);
		take(end, event.view);
		break;
	case SZC_EV_EOF:
		end->eof = true;
		break;
	case SZC_EV_SENT:
		end->sent = true;
		break;
	case SZC_EV_ERROR:
		end->error = event.error;
		snprintf(end->sentence, sizeof(end->sentence), "%s", szc_conn_last_error(end->conn));
		szc_conn_close(end->conn);
		end->conn = NULL;
		break;
	default:
		break;
	}
}

static void pass(struct between *between, bool to_server)
{
	int from = to_server ? between->at_client : between->at_server;
	int to = to_server ? between->at_server : between->at_client;
	uint8_t piece[PIECE], *data = piece;
	ssize_t n;
	size_t len;

	if (between->ended[to_server])
		return;
	n = recv(from, piece, sizeof(piece), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		shutdown(to, SHUT_WR);
		between->ended[to_server] = true;
		return;
	}
	len = (size_t)n;
	if (between->meddle)
		len = between->meddle(between, to_server, between->passed[to_server], &data, len);
	between->passed[to_server] += (uint64_t)n;
	/* What an end that died does not take is nobody's loss. */
	if (len && send(to, data, len, MSG_NOSIGNAL) < 0)
		assert_true(errno == EPIPE || errno == ECONNRESET);
}

void between_turn(struct between *between)
{
	end_turn(&between->client);
	pass(between, true);
	end_turn(&between->server);
	pass(between, false);
}

static bool over(const struct between_end *end)
{
	return end->error || end->eof;
}

static void turn_before(struct between *between, int64_t deadline)
{
	between_turn(between);
	if (now_ms() > deadline)
		fail_msg("nothing happens: client %d %s, server %d %s", between->client.error, between->client.sentence,
			 between->server.error, between->server.sentence);
}

bool between_handshake(struct between *between)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	while (!(between->client.ready && between->server.ready) && !over(&between->client) && !over(&between->server))
		turn_before(between, deadline);
	return between->client.ready && between->server.ready;
}

void between_receive(struct between *between, struct between_end *end, size_t len)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	while (end->got_len < len && !over(end))
		turn_before(between, deadline);
}

void between_until_over(struct between *between, struct between_end *end)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	while (!over(end))
		turn_before(between, deadline);
}

void between_send(struct between *between, struct between_end *end, const void *data, size_t len)
{
	int64_t deadline = now_ms() + PATIENCE_MS;
	struct iovec iov = {(void *)data, len};

	while (iov.iov_len) {
		ssize_t n = szc_conn_send(end->conn, &iov, 1);

		assert_true(n >= 0);
		iov.iov_base = (uint8_t *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		turn_before(between, deadline);
	}
}
