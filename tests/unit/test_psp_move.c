/* SPDX-License-Identifier: MIT */
/*
 * Streams that move to another connection when a NIC's key was rotated: every byte once and in order, whichever end's key
 * it was, and errors where it cannot be done. The kernel is the test's own (psp_kernel.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <szc/psp.h>
#include <szc/tls.h>
#include "psp/upgrade.h"
#include "tests/unit/pair.h"
#include "tests/unit/psp_kernel.h"

enum { PATIENCE_S = 20, CONNS = 8, HANDSHAKE_MS = 4000 };

/* A connection as its application sees it. */
struct seen {
	struct szc_conn *conn;
	bool ready, eof, sent;
	int error, moving;
	struct szc_conn *moved;
};

struct side {
	struct szc_rx *rx;
	struct szc_psp_ctx *psp;
	struct szc_tls_ctx *tls;
	struct seen seen[CONNS];
	int count;
	uint8_t *got; /* of all connections, as it was handed out */
	size_t got_len;
	uint8_t next; /* what must come */
};

struct test {
	struct side client, server;
	char address[32];
	uint8_t next; /* what is sent */
};

static struct seen *seen_of(struct side *side, const struct szc_conn *conn)
{
	for (int i = 0; i < side->count; i++) {
		if (side->seen[i].conn == conn)
			return &side->seen[i];
	}
	assert_true(side->count < CONNS);
	side->seen[side->count].conn = (struct szc_conn *)conn;
	return &side->seen[side->count++];
}

static void side_open(struct side *side, enum szc_tls_role role, bool moves)
{
	struct szc_rx_options options = {.size = sizeof(options),
					 .backend = SZC_BACKEND_EPOLL,
					 .max_connections = 8,
					 .handshake_timeout = HANDSHAKE_MS};
	struct szc_psp_options psp = {.size = sizeof(psp), .policy = SZC_PSP_REQUIRE, .moves = moves};
	struct szc_tls_options tls = pair_options(role);

	assert_int_equal(szc_rx_open(&side->rx, &options), 0);
	assert_int_equal(szc_psp_ctx_open(&side->psp, &psp), 0);
	tls.upgrade = szc_psp_upgrade(side->psp);
	side->tls = pair_tls(&tls);
}

static void side_close(struct side *side)
{
	assert_int_equal(szc_rx_close(side->rx), 0);
	szc_tls_ctx_close(side->tls);
	szc_psp_ctx_close(side->psp);
}

static void take(struct side *side, struct szc_view *view)
{
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (int i = 0; i < iovcnt; i++) {
		for (size_t at = 0; at < iov[i].iov_len; at++)
			assert_int_equal(((uint8_t *)iov[i].iov_base)[at], side->next++);
		side->got_len += iov[i].iov_len;
	}
	szc_view_release(view);
}

static void side_turn(struct side *side)
{
	struct szc_event event;
	struct seen *seen;

	if (szc_rx_wait(side->rx, &event, 1, 0) < 1)
		return;
	seen = seen_of(side, event.conn);
	switch (event.type) {
	case SZC_EV_ACCEPTED:
		assert_int_equal(szc_tls_attach(event.conn, side->tls, NULL), 0);
		break;
	case SZC_EV_READY:
		seen->ready = true;
		break;
	case SZC_EV_DATA:
		take(side, event.view);
		break;
	case SZC_EV_EOF:
		seen->eof = true;
		seen->moving = szc_psp_moved(event.conn, &seen->moved);
		break;
	case SZC_EV_SENT:
		seen->sent = true;
		break;
	case SZC_EV_ERROR:
		seen->error = event.error;
		szc_conn_close(event.conn);
		seen->conn = NULL;
		break;
	default:
		break;
	}
}

#define UNTIL(test, condition)                                                                                         \
	do {                                                                                                           \
		time_t end_ = time(NULL) + PATIENCE_S;                                                                 \
		while (!(condition)) {                                                                                 \
			side_turn(&(test)->client);                                                                    \
			side_turn(&(test)->server);                                                                    \
			if (time(NULL) > end_)                                                                         \
				fail_msg("line %d: does not come: %s", __LINE__, #condition);                          \
		}                                                                                                      \
	} while (0)

/* The next connection, attached; the stream of `before` goes on there unless that is NULL. */
static struct seen *dial(struct test *test, struct szc_conn *before)
{
	struct szc_tls_peer peer = {.size = sizeof(peer), .host = "localhost"};
	struct side *client = &test->client;
	struct szc_conn *conn;

	peer.session = before ? szc_tls_session(before) : NULL;
	assert_int_equal(szc_rx_connect(client->rx, test->address, 5000, &conn), 0);
	assert_int_equal(szc_tls_attach(conn, client->tls, &peer), 0);
	SSL_SESSION_free(peer.session);
	if (before)
		assert_int_equal(szc_psp_continue(conn, before), 0);
	return seen_of(client, conn);
}

static void test_open(struct test *test, bool client_moves, bool server_moves)
{
	struct szc_listener *listener;

	*test = (struct test){0};
	side_open(&test->client, SZC_TLS_CLIENT, client_moves);
	side_open(&test->server, SZC_TLS_SERVER, server_moves);
	assert_int_equal(szc_rx_listen(test->server.rx, "127.0.0.1:0", NULL, &listener), 0);
	snprintf(test->address, sizeof(test->address), "127.0.0.1:%u", szc_listener_port(listener));
	dial(test, NULL);
	UNTIL(test, test->client.seen[0].ready && test->server.count == 1 && test->server.seen[0].ready);
}

static void test_close(struct test *test)
{
	side_close(&test->client);
	side_close(&test->server);
}

/* Both ways the same bytes go, each direction counting for itself. */
static void send_some(struct test *test, struct szc_conn *conn, size_t len, uint8_t *next)
{
	uint8_t piece[5000];

	while (len) {
		size_t part = len < sizeof(piece) ? len : sizeof(piece);
		struct iovec iov = {piece, part};
		ssize_t n;

		for (size_t i = 0; i < part; i++)
			piece[i] = (uint8_t)(*next + i);
		n = szc_conn_send(conn, &iov, 1);
		assert_true(n >= 0);
		*next = (uint8_t)(*next + n);
		len -= (size_t)n;
		side_turn(&test->client);
		side_turn(&test->server);
	}
}

/* The notices of one end only: the other's configuration is taken to have read them. */
static void rotate_at(struct side *side, struct side *other)
{
	kernel.rotations++;
	other->psp->notices.family = kernel.rotations;
	side->psp->looked_ms = 0;
}

/* A rotation at that end is noticed by the client, sooner or later. */
static void until_asked(struct test *test, struct szc_conn *client, struct szc_conn *server)
{
	time_t end = time(NULL) + PATIENCE_S;
	int move = 0;

	while (!move) {
		side_turn(&test->client);
		side_turn(&test->server);
		assert_int_equal(server ? szc_psp_should_move(server) : 0, 0);
		move = szc_psp_should_move(client);
		assert_true(time(NULL) < end);
	}
	assert_int_equal(move, 1);
}

/* Opened, the client's key rotated and that noticed: what every move begins with. */
static void test_open_to_move(struct test *test)
{
	test_open(test, true, true);
	rotate_at(&test->client, &test->server);
	until_asked(test, test->client.seen[0].conn, test->server.seen[0].conn);
}

/* ... and the new connection is ready at the client's end. */
static struct seen *test_open_moving(struct test *test)
{
	struct seen *fresh;

	test_open_to_move(test);
	fresh = dial(test, test->client.seen[0].conn);
	UNTIL(test, fresh->ready);
	return fresh;
}

/* The whole dance, with payload both ways amid it. Returns where the stream goes on. */
static void move(struct test *test, struct seen **client, struct seen **server, uint8_t *back)
{
	struct seen *old = *client, *there = *server, *fresh, *fresh_there;

	fresh = dial(test, old->conn);
	assert_int_equal(szc_psp_should_move(old->conn), 0);
	send_some(test, old->conn, 30000, &test->next);
	send_some(test, there->conn, 20000, back);
	UNTIL(test, fresh->ready);
	assert_true(szc_tls_resumed(fresh->conn));
	send_some(test, old->conn, 30000, &test->next);
	assert_int_equal(szc_conn_shutdown(old->conn), 0);
	/* What it does not know yet it may send on the old one. */
	send_some(test, there->conn, 10000, back);
	UNTIL(test, there->eof);
	assert_int_equal(test->server.got_len % 60000, 0);
	assert_int_equal(there->moving, 1);
	fresh_there = seen_of(&test->server, there->moved);
	assert_true(fresh_there != there && !fresh_there->ready);
	assert_int_equal(szc_conn_shutdown(there->conn), 0);
	UNTIL(test, old->eof && there->sent);
	assert_ptr_equal(old->moved, fresh->conn);
	szc_conn_close(old->conn);
	szc_conn_close(there->conn);
	old->conn = there->conn = NULL; /* the handles may serve again */
	UNTIL(test, fresh_there->ready);
	*client = fresh;
	*server = fresh_there;
}

static void end_both(struct test *test, struct seen *client, struct seen *server, size_t to_server, size_t to_client)
{
	assert_int_equal(szc_conn_shutdown(client->conn), 0);
	UNTIL(test, server->eof);
	assert_int_equal(server->moving, 0);
	assert_int_equal(szc_conn_shutdown(server->conn), 0);
	UNTIL(test, client->eof);
	assert_int_equal(client->moving, 0);
	assert_int_equal(test->server.got_len, to_server);
	assert_int_equal(test->client.got_len, to_client);
	szc_conn_close(client->conn);
	szc_conn_close(server->conn);
}

static void a_stream_moves_as_often_as_it_must(void **state)
{
	struct seen *client, *server;
	uint8_t back = 0;
	struct test test;

	(void)state;
	test_open(&test, true, true);
	client = &test.client.seen[0];
	server = &test.server.seen[0];
	for (int i = 0; i < 3; i++) {
		/* The client's own, then the server's, who asks. */
		if (i % 2)
			rotate_at(&test.server, &test.client);
		else
			rotate_at(&test.client, &test.server);
		until_asked(&test, client->conn, server->conn);
		move(&test, &client, &server, &back);
		assert_int_equal(szc_psp_should_move(client->conn), 0);
	}
	end_both(&test, client, server, 180000, 90000);
	test_close(&test);
}

static void twice_is_too_often(void **state)
{
	struct test test;

	(void)state;
	test_open_to_move(&test);
	dial(&test, test.client.seen[0].conn);
	rotate_at(&test.client, &test.server);
	assert_int_equal(szc_psp_should_move(test.client.seen[0].conn), SZC_E_PSP_EXPIRED);
	test_close(&test);
}

static void who_cannot_move_is_not_asked_to(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct test test;

		fresh_kernel(state);
		test_open(&test, i, !i);
		kernel.rotations = 1;
		assert_int_equal(szc_psp_should_move(test.client.seen[0].conn), 0);
		assert_int_equal(szc_psp_should_move(test.server.seen[0].conn), 0);
		test_close(&test);
	}
}

/* The stream ends while the new connection is being made: that is its end, and the new one was for nothing. */
static void an_end_amid_the_move_is_an_end(void **state)
{
	struct seen *client, *server;
	struct test test;

	(void)state;
	test_open_to_move(&test);
	client = &test.client.seen[0];
	server = &test.server.seen[0];
	dial(&test, client->conn);
	end_both(&test, client, server, 0, 0);
	test_close(&test);
}

/* The old connection dies under the move: nobody takes what came for all of it. */
static void a_move_that_breaks_is_an_error(void **state)
{
	struct seen *client, *server, *fresh;
	struct test test;

	(void)state;
	test_open_to_move(&test);
	client = &test.client.seen[0];
	server = &test.server.seen[0];
	fresh = dial(&test, client->conn);
	send_some(&test, client->conn, 10000, &test.next);
	UNTIL(&test, fresh->ready);
	szc_conn_close(client->conn);
	UNTIL(&test, server->error);
	assert_true(server->error == SZC_E_TRUNCATED || server->error == -ECONNRESET);
	test_close(&test);
}

/* Who dialled does not wait until the old connection was read to its end. */
static void nobody_goes_too_early(void **state)
{
	struct seen *fresh;
	struct test test;

	(void)state;
	for (int early = 0; early < 4; early++) {
		static const uint8_t nothing[8];

		fresh = test_open_moving(&test);
		switch (early) {
		case 0:
			send_some(&test, fresh->conn, 1000, &test.next);
			break;
		case 1:
			assert_int_equal(szc_psp_say(fresh->conn, SZC_PSP_FRAME_GO, NULL, 0), 0);
			break;
		case 2: /* before the server's application has left the old one */
			assert_int_equal(szc_conn_shutdown(test.client.seen[0].conn), 0);
			assert_int_equal(szc_psp_say(fresh->conn, SZC_PSP_FRAME_GO, NULL, 0), 0);
			break;
		default: /* on to yet another one */
			assert_int_equal(szc_psp_say(fresh->conn, SZC_PSP_FRAME_MOVE, nothing, sizeof(nothing)), 0);
		}
		UNTIL(&test, test.server.seen[1].error);
		assert_int_equal(test.server.seen[1].error, SZC_E_PSP_MESSAGE);
		assert_false(test.server.seen[1].ready);
		test_close(&test);
	}
}

/* The new connection dies after the old one was left: what came is not all. */
static void a_target_that_dies_is_no_end(void **state)
{
	struct seen *fresh, *server;
	struct test test;

	(void)state;
	fresh = test_open_moving(&test);
	server = &test.server.seen[0];
	assert_int_equal(szc_conn_shutdown(test.client.seen[0].conn), 0);
	szc_conn_close(fresh->conn);
	fresh->conn = NULL;
	UNTIL(&test, server->eof && test.server.seen[1].error);
	/* Whichever the server heard of first. */
	assert_true(server->moving == SZC_E_CLOSED || server->moving == 1);
	assert_int_equal(szc_psp_moved(server->conn, &server->moved), SZC_E_CLOSED);
	assert_false(test.server.seen[1].ready);
	test_close(&test);
}

static void what_has_ended_does_not_move(void **state)
{
	struct test test;

	(void)state;
	for (int by_server = 0; by_server < 2; by_server++) {
		struct seen *client, *server;

		fresh_kernel(state);
		test_open(&test, true, true);
		client = &test.client.seen[0];
		server = &test.server.seen[0];
		assert_int_equal(szc_conn_shutdown(by_server ? server->conn : client->conn), 0);
		UNTIL(&test, by_server ? client->eof : server->eof);
		kernel.rotations = 1;
		test.client.psp->looked_ms = test.server.psp->looked_ms = 0;
		assert_int_equal(szc_psp_should_move(server->conn), 0);
		assert_int_equal(szc_psp_should_move(client->conn), 0);
		test_close(&test);
	}
}

/* Reading the old connection to its end may take longer than a handshake may. */
static void a_move_takes_its_time(void **state)
{
	struct test test;
	time_t end;

	(void)state;
	test_open_moving(&test);
	end = time(NULL) + HANDSHAKE_MS / 1000 + 2;
	UNTIL(&test, time(NULL) >= end);
	assert_int_equal(test.server.seen[1].error, 0);
	/* When the old one dies it has nothing to wait for. */
	szc_conn_close(test.server.seen[0].conn);
	UNTIL(&test, test.server.seen[1].error);
	assert_int_equal(test.server.seen[1].error, SZC_E_CLOSED);
	test_close(&test);
}

/* Another client, with a session of its own, names a stream that is not its. */
static void a_stream_cannot_be_stolen(void **state)
{
	struct szc_psp_conn *thief;
	struct seen *other;
	struct test test;

	(void)state;
	for (int named = 0; named < 2; named++) {
		test_open(&test, true, true);
		other = dial(&test, NULL);
		UNTIL(&test, other->ready);
		rotate_at(&test.client, &test.server);
		until_asked(&test, test.client.seen[0].conn, test.server.seen[0].conn);
		thief = szc_psp_conn_of(other->conn);
		if (named) /* it knows the name, and not the secret */
			memcpy(thief->id, szc_psp_conn_of(test.client.seen[0].conn)->id, sizeof(thief->id));
		else
			memset(thief->id, 1, sizeof(thief->id));
		other = dial(&test, other->conn);
		UNTIL(&test, other->error || other->ready);
		assert_false(other->ready);
		UNTIL(&test, test.server.seen[2].error);
		assert_int_equal(test.server.seen[2].error, SZC_E_PSP_MESSAGE);
		/* The stream itself is none the worse. */
		send_some(&test, test.client.seen[0].conn, 1000, &test.next);
		UNTIL(&test, test.server.got_len == 1000);
		test_close(&test);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_stream_moves_as_often_as_it_must, fresh_kernel),
		cmocka_unit_test_setup(twice_is_too_often, fresh_kernel),
		cmocka_unit_test_setup(who_cannot_move_is_not_asked_to, fresh_kernel),
		cmocka_unit_test_setup(an_end_amid_the_move_is_an_end, fresh_kernel),
		cmocka_unit_test_setup(a_move_that_breaks_is_an_error, fresh_kernel),
		cmocka_unit_test_setup(a_stream_cannot_be_stolen, fresh_kernel),
		cmocka_unit_test_setup(nobody_goes_too_early, fresh_kernel),
		cmocka_unit_test_setup(a_target_that_dies_is_no_end, fresh_kernel),
		cmocka_unit_test_setup(what_has_ended_does_not_move, fresh_kernel),
		cmocka_unit_test_setup(a_move_takes_its_time, fresh_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
