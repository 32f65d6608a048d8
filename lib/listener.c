/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* accept4 */
#include "engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

enum { BACKLOG = 511, ACCEPT_BATCH = 64, RETRY_MS = 100 };

static void hold(struct szc_listener *listener, bool held)
{
	if (listener->held == held)
		return;
	listener->held = held;
	if (held) {
		listener->rx->stats.accepts_held++;
		listener->rx->starved++;
	} else {
		listener->rx->starved--;
	}
}

/* 1 if a connection was taken, 0 if there is none now or no slot for one. */
static int accept_one(struct szc_listener *listener)
{
	struct szc_rx *rx = listener->rx;
	struct szc_conn *conn;
	int fd;

	if (rx->slots_used == rx->options.max_connections) {
		hold(listener, true);
		return 0;
	}
	fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
		/* Level-triggered interest in a backlog that cannot be served would spin: look again a little later. */
		szc_rx_fail(rx, -errno, "a connection waits unaccepted: %s", strerror(errno));
		hold(listener, true);
		szc_rx_timer_set(rx, rx->now_ms + RETRY_MS);
		return 0;
	}
	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;
	if (szc_conn_open(rx, fd, &conn)) {
		close(fd);
		return 0;
	}
	conn->listener = listener;
	conn->accepted_due = true;
	return 1;
}

/* A socket that waits to be accepted can fill a part of the area, where somebody counts on its bound. */
static int fair_backlog(const struct szc_rx *rx, unsigned listeners, int asked)
{
	int backlog = asked ? asked : BACKLOG, fair;

	if (!rx->unaccepted)
		return backlog;
	fair = (int)(rx->unaccepted / listeners) - 1; /* a backlog of n lets n + 1 wait */
	return backlog >= 0 && backlog < fair ? backlog : fair;
}

/* Their number has changed. Those that were closed count until the backend lets go of the socket. */
static void share_backlog(const struct szc_rx *rx)
{
	const struct szc_listener *listener;

	for (listener = rx->listeners; listener; listener = listener->next)
		listen(listener->fd, fair_backlog(rx, rx->listeners_alive, listener->backlog));
}

static void incoming(struct szc_watch *watch)
{
	struct szc_listener *listener = watch->owner;
	int i;

	if (watch->doomed) {
		close(listener->fd);
		listener->rx->listeners_alive--;
		share_backlog(listener->rx);
		free(listener);
		return;
	}
	for (i = 0; i < ACCEPT_BATCH && accept_one(listener); i++)
		;
	if (!listener->held)
		listener->rx->ops->watch(listener->rx, watch);
}

void szc_listener_resume(struct szc_rx *rx)
{
	struct szc_listener *listener;

	for (listener = rx->listeners; listener; listener = listener->next) {
		if (!listener->held)
			continue;
		hold(listener, false);
		rx->ops->watch(rx, &listener->incoming);
	}
}

static int bind_and_listen(const struct szc_rx *rx, const struct addrinfo *address,
			   const struct szc_listen_options *options)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0, saved;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	szc_rx_bound_socket(rx, fd);
	if (options->reuse_port)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!bind(fd, address->ai_addr, address->ai_addrlen) &&
	    !listen(fd, fair_backlog(rx, rx->listeners_alive + 1, options->backlog)))
		return fd;
	saved = errno;
	close(fd);
	return -saved;
}

static int bind_first(const struct szc_rx *rx, const struct addrinfo *found, const struct szc_listen_options *options)
{
	int fd = -EADDRNOTAVAIL;

	for (; found && fd < 0; found = found->ai_next)
		fd = bind_and_listen(rx, found, options);
	return fd;
}

static unsigned port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = {.v6 = {0}};
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.any, &len))
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static int fail_listen(struct szc_rx *rx, const char *address, int error)
{
	const char *hint = "";

	if (error == -EADDRINUSE)
		hint = ": another program listens there; choose another port, or 0 for a free one";
	else if (error == -EACCES)
		hint = ": ports below 1024 need root or CAP_NET_BIND_SERVICE";
	else if (error == -EADDRNOTAVAIL)
		hint = ": this machine does not have that address";
	return szc_rx_fail(rx, error, "cannot listen on %s: %s%s", address, strerror(-error), hint);
}

int szc_rx_listen(struct szc_rx *rx, const char *address, const struct szc_listen_options *options,
		  struct szc_listener **out)
{
	struct szc_listen_options chosen = {0};
	struct szc_listener *listener;
	struct addrinfo *found;
	char why[200];
	int fd, error;

	if (options)
		memcpy(&chosen, options, options->size < sizeof(chosen) ? options->size : sizeof(chosen));
	if (rx->unaccepted && rx->listeners_alive == rx->unaccepted)
		return szc_rx_fail(rx, SZC_E_LIMIT,
				   "%u listeners share the backlog already, and it has room for as many connections: "
				   "close one, or open an engine for more connections",
				   rx->listeners_alive);
	if (szc_address_resolve(address, true, &found, why, sizeof(why)))
		return szc_rx_fail(rx, SZC_E_ADDRESS, "%s", why);
	fd = bind_first(rx, found, &chosen);
	freeaddrinfo(found);
	if (fd == -EAFNOSUPPORT && address[0] == ':') {
		/* No IPv6 on this machine: IPv4 alone is what ":PORT" means here. */
		char any[40];

		snprintf(any, sizeof(any), "0.0.0.0%s", address);
		if (!szc_address_resolve(any, true, &found, why, sizeof(why))) {
			fd = bind_first(rx, found, &chosen);
			freeaddrinfo(found);
		}
	}
	if (fd < 0)
		return fail_listen(rx, address, fd);
	listener = calloc(1, sizeof(*listener));
	if (!listener) {
		close(fd);
		return szc_rx_fail(rx, -ENOMEM, "no memory for a listener");
	}
	listener->rx = rx;
	listener->fd = fd;
	listener->port = port_of(fd);
	listener->backlog = chosen.backlog;
	listener->incoming = (struct szc_watch){.fd = fd, .fired = incoming, .owner = listener};
	error = rx->ops->watch(rx, &listener->incoming);
	if (error) {
		close(fd);
		free(listener);
		return szc_rx_fail(rx, error, "cannot watch a listening socket: %s", strerror(-error));
	}
	listener->next = rx->listeners;
	rx->listeners = listener;
	rx->listeners_alive++;
	share_backlog(rx);
	if (out)
		*out = listener;
	return 0;
}

unsigned szc_listener_port(const struct szc_listener *listener)
{
	return listener->port;
}

void szc_listener_close(struct szc_listener *listener)
{
	struct szc_listener **at;
	struct szc_rx *rx;
	unsigned i;

	if (!listener)
		return;
	rx = listener->rx;
	hold(listener, false);
	for (at = &rx->listeners; *at != listener; at = &(*at)->next)
		;
	*at = listener->next;
	for (i = 0; i < rx->slots_made; i++)
		if (rx->conns[i]->listener == listener)
			rx->conns[i]->listener = NULL;
	rx->ops->unwatch(rx, &listener->incoming);
}

void szc_listener_free_all(struct szc_rx *rx)
{
	while (rx->listeners)
		szc_listener_close(rx->listeners);
}
