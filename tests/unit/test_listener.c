/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 4096 };

static int connect6(unsigned port)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool have_ipv6(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool have = fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address));

	if (fd >= 0)
		close(fd);
	return have;
}

/* The peer is accepted and its bytes arrive. */
static void serves(struct szc_rx *rx, struct szc_listener *listener, int peer)
{
	struct szc_event event;
	struct szc_conn *conn;

	assert_true(peer >= 0);
	event = fixture_expect(rx, SZC_EV_ACCEPTED);
	conn = event.conn;
	assert_ptr_equal(event.listener, listener);
	assert_ptr_equal(szc_conn_rx(conn), rx);
	assert_ptr_equal(fixture_expect(rx, SZC_EV_READY).conn, conn);
	assert_int_equal(send(peer, "hello", 5, 0), 5);
	event = fixture_expect(rx, SZC_EV_DATA);
	assert_int_equal(szc_view_size(event.view), 5);
	szc_view_release(event.view);
	szc_conn_close(conn);
	close(peer);
	fixture_quiet(rx, 0);
}

static void ipv4(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_listener *listener;

	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	assert_in_range(szc_listener_port(listener), 1, 65535);
	serves(rx, listener, fixture_connect(szc_listener_port(listener)));
	assert_int_equal(connect6(szc_listener_port(listener)), -1);
	fixture_close(rx);
}

static void ipv6(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_listener *listener;

	if (!have_ipv6()) {
		fixture_close(rx);
		printf("# skip: this machine has no IPv6 on loopback\n");
		skip();
	}
	assert_int_equal(szc_rx_listen(rx, "[::1]:0", NULL, &listener), 0);
	serves(rx, listener, connect6(szc_listener_port(listener)));
	fixture_close(rx);
}

static void both_families_on_one_port(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_listener *listener;

	assert_int_equal(szc_rx_listen(rx, ":0", NULL, &listener), 0);
	serves(rx, listener, fixture_connect(szc_listener_port(listener)));
	if (have_ipv6())
		serves(rx, listener, connect6(szc_listener_port(listener)));
	fixture_close(rx);
}

static void refused(struct szc_rx *rx, const char *address, int error, const char *words)
{
	struct szc_listener *listener = NULL;
	int before = fixture_open_files();

	assert_int_equal(szc_rx_listen(rx, address, NULL, &listener), error);
	assert_null(listener);
	if (!strstr(szc_rx_last_error(rx), words) || !strstr(szc_rx_last_error(rx), address))
		fail_msg("%s: \"%s\" does not say \"%s\"", address, szc_rx_last_error(rx), words);
	assert_int_equal(fixture_open_files(), before);
}

static void what_cannot_be_listened_on_is_explained(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_listener *listener;
	char taken[40];

	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	snprintf(taken, sizeof(taken), "127.0.0.1:%u", szc_listener_port(listener));
	refused(rx, taken, -EADDRINUSE, "another program listens there; choose another port");
	refused(rx, "192.0.2.1:0", -EADDRNOTAVAIL, "this machine does not have that address");
	refused(rx, "nonsense", SZC_E_ADDRESS, "there is no port");
	/* The first is not hurt by all that. */
	serves(rx, listener, fixture_connect(szc_listener_port(listener)));
	fixture_close(rx);
}

static void two_engines_share_a_port_if_told_to(void **state)
{
	struct szc_listen_options options = {.size = sizeof(options), .reuse_port = true, .backlog = 5};
	struct szc_rx *a = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_rx *b = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_listener *listener;
	char address[40];

	assert_int_equal(szc_rx_listen(a, "127.0.0.1:0", &options, &listener), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", szc_listener_port(listener));
	assert_int_equal(szc_rx_listen(b, address, &options, NULL), 0);
	fixture_close(a);
	fixture_close(b);
}

static void a_closed_listener_keeps_its_connections(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(3, BUFFER));
	struct szc_listener *listener;
	struct szc_event event;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int peers[2], fd;

	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	address.sin_port = htons((uint16_t)szc_listener_port(listener));
	peers[0] = fixture_connect(szc_listener_port(listener));
	event = fixture_expect(rx, SZC_EV_ACCEPTED);
	peers[1] = fixture_connect(szc_listener_port(listener));
	fixture_expect(rx, SZC_EV_READY);
	szc_listener_close(listener);
	szc_listener_close(NULL);
	fixture_quiet(rx, 50);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	fixture_write(peers[0], 100, 1, 0);
	szc_view_release(fixture_expect(rx, SZC_EV_DATA).view);
	assert_int_equal(szc_conn_send(event.conn, &(struct iovec){"x", 1}, 1), 1);
	close(peers[0]);
	close(peers[1]);
	fixture_close(rx);
}

/* Peers beyond max_connections wait in the backlog, and are served as soon as a slot is free: not before the views of
 * the one who had it are back. */
static void accepting_waits_for_a_slot(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(2, BUFFER));
	struct szc_listener *listener;
	struct szc_rx_stats stats;
	struct szc_conn *conns[2];
	struct szc_event event;
	struct szc_view *view;
	int peers[4];

	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	for (int i = 0; i < 4; i++) {
		peers[i] = fixture_connect(szc_listener_port(listener));
		fixture_write(peers[i], 10, (unsigned)i, 0);
	}
	for (int i = 0; i < 2; i++)
		conns[i] = NULL;
	view = NULL;
	for (int got = 0; got < 2;) {
		event = fixture_event(rx, FIXTURE_MS);
		if (event.type == SZC_EV_ACCEPTED)
			conns[conns[0] ? 1 : 0] = event.conn;
		else if (event.type == SZC_EV_DATA && got++ == 0)
			view = event.view, conns[0] = event.conn == conns[0] ? conns[0] : conns[1];
		else if (event.type == SZC_EV_DATA)
			szc_view_release(event.view), conns[1] = event.conn;
	}
	fixture_quiet(rx, 50);
	szc_rx_stats(rx, &stats);
	assert_int_equal(stats.connections, 2);
	assert_in_range(stats.accepts_held, 1, 10);
	szc_conn_close(conns[0]);
	fixture_quiet(rx, 50);
	szc_rx_stats(rx, &stats);
	assert_int_equal(stats.connections, 2);
	szc_view_release(view);
	fixture_expect(rx, SZC_EV_ACCEPTED);
	fixture_expect(rx, SZC_EV_READY);
	event = fixture_expect(rx, SZC_EV_DATA);
	fixture_check(event.view, 2, 0);
	szc_view_release(event.view);
	szc_conn_close(conns[1]);
	fixture_expect(rx, SZC_EV_ACCEPTED);
	fixture_expect(rx, SZC_EV_READY);
	event = fixture_expect(rx, SZC_EV_DATA);
	fixture_check(event.view, 3, 0);
	szc_view_release(event.view);
	for (int i = 0; i < 4; i++)
		close(peers[i]);
	fixture_close(rx);
}

static void without_descriptors_accepting_waits(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(4, BUFFER));
	struct szc_listener *listener;
	struct rlimit before, none;
	int peer;

	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	peer = fixture_connect(szc_listener_port(listener));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	fixture_quiet(rx, 250);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_non_null(strstr(szc_rx_last_error(rx), "waits unaccepted"));
	serves(rx, listener, peer);
	fixture_close(rx);
}

/* Each comes, says where in the stream it is, and goes. */
static void *a_thousand_peers(void *arg)
{
	unsigned port = *(unsigned *)arg;

	for (unsigned i = 0; i < 1000; i++) {
		int peer = fixture_connect(port);
		uint8_t bytes[100];
		size_t len = 1 + i % sizeof(bytes);

		fixture_fill(bytes, len, i, 0);
		if (send(peer, &i, sizeof(i), MSG_NOSIGNAL) < 0 || send(peer, bytes, len, MSG_NOSIGNAL) < 0)
			return "a peer could not send";
		if (i % 7 == 0)
			fixture_reset_on_close(peer);
		close(peer);
	}
	return NULL;
}

struct visit {
	uint8_t bytes[200];
	size_t len;
};

static void end_of_visit(const struct visit *visit, bool seen[1000])
{
	unsigned i;

	assert_true(visit->len > sizeof(i));
	memcpy(&i, visit->bytes, sizeof(i));
	assert_in_range(i, 0, 999);
	assert_false(seen[i]);
	seen[i] = true;
	assert_int_equal(visit->len, sizeof(i) + 1 + i % 100);
	for (size_t j = sizeof(i); j < visit->len; j++)
		assert_int_equal(visit->bytes[j], fixture_byte(i, j - sizeof(i)));
}

static void a_thousand_short_connections(void **state)
{
	struct szc_rx *rx = fixture_open(state, fixture_least(8, BUFFER));
	static struct visit visits[8];
	bool in_use[8] = {false}, seen[1000] = {false};
	struct szc_listener *listener;
	unsigned port, resets = 0;
	pthread_t thread;
	void *wrong;

	assert_int_equal(szc_rx_listen(rx, "127.0.0.1:0", NULL, &listener), 0);
	port = szc_listener_port(listener);
	assert_int_equal(pthread_create(&thread, NULL, a_thousand_peers, &port), 0);
	for (int ended = 0; ended < 1000;) {
		struct szc_event event = fixture_event(rx, FIXTURE_MS);
		struct visit *visit = event.conn ? szc_conn_user(event.conn) : NULL;
		int i = 0, iovcnt;

		switch (event.type) {
		case SZC_EV_ACCEPTED:
			while (in_use[i])
				i++;
			assert_in_range(i, 0, 7);
			in_use[i] = true;
			visits[i].len = 0;
			szc_conn_set_user(event.conn, &visits[i]);
			break;
		case SZC_EV_READY:
			break;
		case SZC_EV_DATA:
			for (const struct iovec *iov = szc_view_iov(event.view, &iovcnt); i < iovcnt; i++) {
				assert_true(visit->len + iov[i].iov_len <= sizeof(visit->bytes));
				memcpy(visit->bytes + visit->len, iov[i].iov_base, iov[i].iov_len);
				visit->len += iov[i].iov_len;
			}
			szc_view_release(event.view);
			break;
		case SZC_EV_EOF:
		case SZC_EV_ERROR:
			if (event.type == SZC_EV_ERROR)
				assert_int_equal(event.error, -ECONNRESET);
			resets += event.type == SZC_EV_ERROR;
			/* A reset may outrun what was sent before it. */
			if (event.type == SZC_EV_EOF)
				end_of_visit(visit, seen);
			in_use[visit - visits] = false;
			szc_conn_close(event.conn);
			ended++;
			break;
		default:
			fail_msg("event %d after %d connections", (int)event.type, ended);
		}
	}
	pthread_join(thread, &wrong);
	if (wrong)
		fail_msg("%s", (const char *)wrong);
	assert_in_range(resets, 1, 143);
	fixture_close(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_BACKEND(ipv4),
		EACH_BACKEND(ipv6),
		EACH_BACKEND(both_families_on_one_port),
		EACH_BACKEND(what_cannot_be_listened_on_is_explained),
		EACH_BACKEND(two_engines_share_a_port_if_told_to),
		EACH_BACKEND(a_closed_listener_keeps_its_connections),
		EACH_BACKEND(accepting_waits_for_a_slot),
		EACH_BACKEND(without_descriptors_accepting_waits),
		EACH_BACKEND(a_thousand_short_connections),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
