/* SPDX-License-Identifier: MIT */
/* A connection's life: opened on a slot, killed by an error, closed by the application, settled when all is back. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool szc_conn_usable(const struct szc_conn *conn, const char *function)
{
	if (conn->state == SZC_CONN_OPEN)
		return true;
#ifndef NDEBUG
	fprintf(stderr, "szc: %s was called on a connection that was closed; that is a bug in the program\n", function);
	abort();
#else
	(void)function;
	return false;
#endif
}

static struct szc_conn *free_slot(struct szc_rx *rx)
{
	struct szc_conn *conn = rx->free_conns;

	if (conn) {
		rx->free_conns = conn->next_free;
		return conn;
	}
	if (rx->slots_made == rx->options.max_connections)
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	conn->slot = rx->slots_made;
	rx->conns[rx->slots_made++] = conn;
	return conn;
}

/* Everything but what a slot keeps: its number and the memory of its input. */
static void reset(struct szc_conn *conn, struct szc_rx *rx, int fd)
{
	struct szc_input input = conn->input;
	unsigned slot = conn->slot;

	memset(conn, 0, sizeof(*conn));
	conn->input = input;
	conn->slot = slot;
	conn->rx = rx;
	conn->fd = fd;
	conn->quota = rx->options.quota_buffers;
	conn->state = SZC_CONN_OPEN;
	conn->start_due = true;
	conn->active_ms = rx->now_ms;
	if (rx->options.handshake_timeout > 0)
		conn->deadline_ms = rx->now_ms + (uint64_t)rx->options.handshake_timeout;
}

int szc_conn_open(struct szc_rx *rx, int fd, struct szc_conn **out)
{
	struct szc_conn *conn;
	int error, on = 1;

	if (rx->slots_used == rx->options.max_connections)
		return szc_rx_fail(rx, SZC_E_LIMIT,
				   "all %u connection slots are in use (closed connections count until their views are "
				   "released); raise max_connections or release views",
				   rx->options.max_connections);
	conn = free_slot(rx);
	if (!conn)
		return szc_rx_fail(rx, -ENOMEM, "no memory for a connection");
	rx->now_ms = szc_clock_ms();
	reset(conn, rx, fd);
	error = szc_input_open(&conn->input, (int)conn->quota);
	if (!error)
		error = rx->ops->attach(conn);
	if (error) {
		conn->state = SZC_CONN_FREE;
		conn->next_free = rx->free_conns;
		rx->free_conns = conn;
		return rx->error_text[0] ? error : szc_rx_fail(rx, error, "no memory for a connection");
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	szc_rx_bound_socket(rx, fd);
	rx->slots_used++;
	if (conn->deadline_ms)
		szc_rx_timer_set(rx, conn->deadline_ms);
	szc_conn_list(conn);
	*out = conn;
	return 0;
}

int szc_rx_adopt(struct szc_rx *rx, int fd, struct szc_conn **conn)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int error, flags;

	rx->error_text[0] = '\0';
	if (getpeername(fd, (struct sockaddr *)&peer, &len))
		return szc_rx_fail(rx, -errno, "descriptor %d cannot be adopted: %s", fd, strerror(errno));
	error = szc_conn_open(rx, fd, conn);
	if (error)
		return error;
	/* Where the descriptor forbids waiting io_uring does not, on some kernels at once, on others now and then. */
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && (flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	return 0;
}

void szc_conn_list(struct szc_conn *conn)
{
	struct szc_rx *rx = conn->rx;

	if (conn->listed || conn->state != SZC_CONN_OPEN)
		return;
	conn->listed = true;
	conn->next_ready = NULL;
	if (rx->ready_tail)
		rx->ready_tail->next_ready = conn;
	else
		rx->ready_head = conn;
	rx->ready_tail = conn;
}

static void unlist(struct szc_conn *conn)
{
	struct szc_rx *rx = conn->rx;
	struct szc_conn **at = &rx->ready_head, *before = NULL;

	if (!conn->listed)
		return;
	while (*at != conn) {
		before = *at;
		at = &(*at)->next_ready;
	}
	*at = conn->next_ready;
	if (rx->ready_tail == conn)
		rx->ready_tail = before;
	conn->listed = false;
}

static void drop_input(struct szc_conn *conn)
{
	struct szc_frag_list unused = {NULL};

	szc_input_drop(&conn->input, conn->input.bytes, &unused);
	szc_rx_recycle(conn->rx, &unused);
}

static void not_starved(struct szc_conn *conn)
{
	szc_conn_park(conn, false);
	if (conn->view_starved)
		conn->rx->starved--;
	conn->view_starved = false;
}

void szc_conn_kill(struct szc_conn *conn, int error)
{
	if (conn->error)
		return;
	conn->error = error;
	if (!conn->error_text[0])
		snprintf(conn->error_text, sizeof(conn->error_text), "%s", szc_strerror(error));
	/* An alert may be queued: it gets one chance, and the peer sees a proper end of what did reach it. Not past a
	 * hook: what lies behind one waits for the layer, which is done with this connection. */
	if (!conn->send_error)
		szc_sendq_flush(&conn->sendq, conn->fd, &conn->trips.bytes_sent);
	szc_sendq_clear(&conn->sendq);
	conn->stopped = true;
	conn->rx->ops->stop(conn);
	shutdown(conn->fd, SHUT_WR);
	not_starved(conn);
	drop_input(conn);
	szc_conn_list(conn);
}

void szc_conn_close(struct szc_conn *conn)
{
	struct szc_frag_list unused = {NULL};
	struct szc_rx *rx;
	int i;

	if (!conn || !szc_conn_usable(conn, __func__))
		return;
	rx = conn->rx;
	unlist(conn);
	conn->state = SZC_CONN_CLOSING;
	conn->stopped = true;
	not_starved(conn);
	szc_sendq_clear(&conn->sendq);
	if (conn->building) {
		for (i = 0; i < conn->building->count; i++)
			szc_frag_unref(conn->building->frags[i], &unused);
		szc_view_recycle(conn->building, &rx->free_views);
		conn->building = NULL;
		szc_rx_recycle(rx, &unused);
	}
	drop_input(conn);
	if (conn->layer)
		conn->layer->free(conn->layer_state);
	conn->layer = NULL;
	shutdown(conn->fd, SHUT_RDWR);
	rx->ops->detach(conn);
}

void szc_conn_gone(struct szc_conn *conn)
{
	close(conn->fd);
	conn->fd = -1;
	conn->gone = true;
	szc_conn_settle(conn);
}

static void add_trips(struct szc_trips *sum, const struct szc_trips *trips)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)trips;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

void szc_conn_settle(struct szc_conn *conn)
{
	struct szc_rx *rx = conn->rx;

	if (conn->state != SZC_CONN_CLOSING || !conn->gone || conn->held || conn->views_out)
		return;
	add_trips(&rx->closed_trips, &conn->trips);
	conn->state = SZC_CONN_FREE;
	conn->next_free = rx->settled;
	rx->settled = conn;
}

void szc_conn_reuse(struct szc_rx *rx)
{
	if (!rx->settled)
		return;
	while (rx->settled) {
		struct szc_conn *conn = rx->settled;

		rx->settled = conn->next_free;
		conn->next_free = rx->free_conns;
		rx->free_conns = conn;
		rx->slots_used--;
	}
	szc_listener_resume(rx);
}

void szc_conn_park(struct szc_conn *conn, bool parked)
{
	struct szc_rx *rx = conn->rx;

	if (conn->parked == parked)
		return;
	conn->parked = parked;
	if (parked) {
		rx->stats.parked++;
		rx->starved++;
	} else {
		rx->stats.resumed++;
		rx->starved--;
	}
}

void szc_conn_moved(struct szc_conn *conn)
{
	/* The time of the last look for events may be long ago. */
	if (conn->rx->options.idle_timeout > 0)
		conn->active_ms = szc_clock_ms();
}

void szc_conn_expire(struct szc_conn *conn, uint64_t now_ms, uint64_t *next_ms)
{
	int idle = conn->rx->options.idle_timeout;
	uint64_t at = conn->deadline_ms;

	if (conn->state != SZC_CONN_OPEN || conn->error)
		return;
	if (at && now_ms >= at) {
		snprintf(conn->error_text, sizeof(conn->error_text),
			 "the handshake was not finished within %d ms (handshake_timeout)",
			 conn->rx->options.handshake_timeout);
		szc_conn_kill(conn, SZC_E_TIMEOUT);
		return;
	}
	if (!at && conn->ready && idle > 0) {
		/* An application that sits on views, or did not look at what is there yet, or has nothing to send to a
		 * peer that ended, is not an idle peer. */
		if (conn->views_out || conn->parked || (conn->eof_told && !conn->sendq.head) ||
		    (conn->listed && conn->input.bytes))
			conn->active_ms = now_ms;
		at = conn->active_ms + (uint64_t)idle;
		if (now_ms >= at) {
			snprintf(conn->error_text, sizeof(conn->error_text),
				 "no payload moved for %d ms (idle_timeout)", idle);
			szc_conn_kill(conn, SZC_E_TIMEOUT);
			return;
		}
	}
	if (at && (!*next_ms || at < *next_ms))
		*next_ms = at;
}

void szc_conn_set_user(struct szc_conn *conn, void *user)
{
	conn->user = user;
}

void *szc_conn_user(const struct szc_conn *conn)
{
	return conn->user;
}

int szc_conn_fd(const struct szc_conn *conn)
{
	return conn->fd;
}

struct szc_rx *szc_conn_rx(const struct szc_conn *conn)
{
	return conn->rx;
}

int szc_conn_error(const struct szc_conn *conn)
{
	return conn->error;
}

const char *szc_conn_last_error(const struct szc_conn *conn)
{
	return conn->error_text;
}

void szc_conn_trips(const struct szc_conn *conn, struct szc_trips *trips)
{
	*trips = conn->trips;
}

/*
 * The backend's account of what the kernel copied is of all connections together. It may name bytes that a connection's
 * own ledger has as copied already, and how many cannot be told: so that none is counted twice the larger account is
 * taken, and the sum is what was copied at least.
 */
static void add_copied(struct szc_trips *trips, uint64_t copied)
{
	uint64_t more = copied > trips->bytes_kernel_copied ? copied - trips->bytes_kernel_copied : 0;

	if (more > trips->bytes_zero_copy)
		more = trips->bytes_zero_copy;
	trips->bytes_kernel_copied += more;
	trips->bytes_zero_copy -= more;
}

void szc_rx_trips(const struct szc_rx *rx, struct szc_trips *trips)
{
	unsigned i;

	*trips = rx->closed_trips;
	for (i = 0; i < rx->slots_made; i++)
		if (rx->conns[i]->state != SZC_CONN_FREE)
			add_trips(trips, &rx->conns[i]->trips);
	if (rx->ops->copied)
		add_copied(trips, rx->ops->copied(rx));
}
