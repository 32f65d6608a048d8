/* SPDX-License-Identifier: MIT */
/* The engine: opened from its options, turned by szc_rx_wait(), closed when every view is back. */
#include "engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "options.h"

uint64_t szc_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int szc_rx_fail(struct szc_rx *rx, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(rx->error_text, sizeof(rx->error_text), format, args);
	va_end(args);
	return error;
}

/* ---- the engine's own watches */

/* Empties an eventfd or timerfd. How often it went off does not matter: what follows looks at everything. */
static void empty(int fd)
{
	uint64_t count;
	ssize_t done = read(fd, &count, sizeof(count));

	(void)done;
}

static void woken(struct szc_watch *watch)
{
	struct szc_rx *rx = watch->owner;

	if (watch->doomed)
		return;
	empty(watch->fd);
	rx->ops->watch(rx, watch);
}

static void timer_fired(struct szc_watch *watch)
{
	struct szc_rx *rx = watch->owner;

	if (watch->doomed)
		return;
	empty(watch->fd);
	rx->timer_ms = 0;
	rx->timer_due = true;
	szc_listener_resume(rx);
	rx->ops->watch(rx, watch);
}

void szc_rx_expire(struct szc_rx *rx)
{
	uint64_t next = 0;
	unsigned i;

	if (!rx->timer_due)
		return;
	rx->timer_due = false;
	rx->now_ms = szc_clock_ms();
	for (i = 0; i < rx->slots_made; i++)
		szc_conn_expire(rx->conns[i], rx->now_ms, &next);
	if (next)
		szc_rx_timer_set(rx, next);
}

void szc_rx_timer_set(struct szc_rx *rx, uint64_t at_ms)
{
	struct itimerspec spec = {{0, 0}, {(time_t)(at_ms / 1000), (long)(at_ms % 1000) * 1000000}};

	if (rx->timer_ms && rx->timer_ms <= at_ms)
		return;
	rx->timer_ms = at_ms;
	timerfd_settime(rx->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static int open_watches(struct szc_rx *rx)
{
	int error;

	rx->timer = (struct szc_watch){.fired = timer_fired, .owner = rx};
	rx->wake = (struct szc_watch){.fd = rx->refill.wake_fd, .fired = woken, .owner = rx};
	rx->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (rx->timer.fd < 0)
		return -errno;
	error = rx->ops->watch(rx, &rx->timer);
	return error ? error : rx->ops->watch(rx, &rx->wake);
}

/* ---- open and close */

static void say(const struct szc_rx_options *options, const char *text)
{
	const size_t needed = offsetof(struct szc_rx_options, error_size) + sizeof(options->error_size);

	/* An older caller's struct may end before these members; one whose size was forgotten is a new one. */
	if (options && (!options->size || options->size >= needed) && options->error && options->error_size)
		snprintf(options->error, options->error_size, "%s", text);
}

static void release_all(struct szc_rx *rx)
{
	unsigned i;

	if (rx->ops)
		rx->ops->close(rx);
	if (rx->timer.fd >= 0)
		close(rx->timer.fd);
	for (i = 0; i < rx->slots_made; i++) {
		szc_input_close(&rx->conns[i]->input);
		free(rx->conns[i]);
	}
	szc_view_free_all(rx->free_views);
	szc_refill_close(&rx->refill);
	szc_area_unmap(&rx->area);
	free(rx->conns);
	free(rx);
}

static int map_area(struct szc_rx *rx, size_t overhead)
{
	const struct szc_rx_options *o = &rx->options;
	int error;

	error = rx->ops->map ? rx->ops->map(rx) : szc_area_map(&rx->area, overhead + o->area_size, o->pages);
	if (error)
		return szc_rx_fail(
			rx, error, "cannot map an area of %zu bytes%s: %s", o->area_size,
			o->pages == SZC_PAGES_HUGE ? " of reserved huge pages (see /proc/sys/vm/nr_hugepages)" : "",
			strerror(-error));
	return 0;
}

/* The area and what hangs on it, laid out for one backend. */
static int open_area(struct szc_rx *rx)
{
	const struct szc_rx_options *o = &rx->options;
	size_t overhead = rx->ops->overhead ? rx->ops->overhead(o->max_connections, o->quota_buffers) : 0;
	unsigned buffers = (unsigned)(o->area_size / o->buffer_size);
	int error = map_area(rx, overhead);

	if (error)
		return error;
	rx->buffers = rx->area.base + overhead;
	error = szc_refill_open(&rx->refill, buffers, rx->buffers, rx->ops->exclusive_buffers ? o->buffer_size : 0);
	if (error)
		return szc_rx_fail(rx, error, "%u buffers cannot be set up: %s", buffers, strerror(-error));
	return 0;
}

static void close_area(struct szc_rx *rx)
{
	szc_refill_close(&rx->refill);
	szc_area_unmap(&rx->area);
}

static int try_backend(struct szc_rx *rx, const struct szc_backend_ops *ops)
{
	int error;

	rx->ops = ops;
	rx->options = rx->given;
	/* Others have an area of their own, which can be written. */
	if (ops != &szc_backend_zcrx)
		rx->options.dmabuf_fd = 0;
	rx->receive_buffer = 0;
	error = ops->derive(rx);
	if (error)
		goto no_area;
	error = open_area(rx);
	if (error)
		goto no_backend;
	error = ops->open(rx);
	if (error)
		goto no_backend;
	return 0;

no_backend:
	close_area(rx);
no_area:
	rx->ops = NULL;
	return error;
}

/* The best that runs; what speaks against each better one is kept for szc_rx_describe(). */
static int open_best(struct szc_rx *rx)
{
	static const struct szc_backend_ops *const best_first[] = {&szc_backend_zcrx, &szc_backend_copy,
								   &szc_backend_epoll};
	bool queue = rx->given.ifname || rx->given.share;
	char why[1024] = "";
	int error = SZC_E_BACKEND;
	size_t i, len;

	for (i = 0; error == SZC_E_BACKEND && i < sizeof(best_first) / sizeof(best_first[0]); i++) {
		bool zcrx = best_first[i] == &szc_backend_zcrx;

		if (zcrx && !queue) {
			snprintf(why, sizeof(why), "zcrx: not tried, no NIC queue was named\n");
			continue;
		}
		rx->error_text[0] = '\0';
		error = try_backend(rx, best_first[i]);
		if (!error)
			szc_options_describe(rx, why);
		/* What is steered to that queue cannot be read by anything else. */
		if (error && zcrx && rx->given.share && rx->given.share->ops == &szc_backend_zcrx)
			return error;
		/* What does not fit on a NIC's queue may fit without, and memory that cannot be mapped may not be needed. */
		if (zcrx && error)
			error = SZC_E_BACKEND;
		len = strlen(why);
		snprintf(why + len, sizeof(why) - len, "%s: %s\n", best_first[i]->name, rx->error_text);
	}
	return error;
}

static int open_backend(struct szc_rx *rx)
{
	static const struct szc_backend_ops *const by_name[] = {
		[SZC_BACKEND_COPY] = &szc_backend_copy,
		[SZC_BACKEND_EPOLL] = &szc_backend_epoll,
		[SZC_BACKEND_NODEV] = &szc_backend_nodev,
		[SZC_BACKEND_ZCRX] = &szc_backend_zcrx,
	};
	int error;

	if (rx->given.backend == SZC_BACKEND_AUTO)
		return open_best(rx);
	error = try_backend(rx, by_name[rx->given.backend]);
	if (!error)
		szc_options_describe(rx, "as asked for\n");
	return error;
}

int szc_rx_open(struct szc_rx **out, const struct szc_rx_options *options)
{
	struct szc_rx *rx = calloc(1, sizeof(*rx));
	int error;

	*out = NULL;
	say(options, "");
	if (!rx) {
		say(options, "no memory for an engine");
		return -ENOMEM;
	}
	rx->timer.fd = -1;
	rx->now_ms = szc_clock_ms();
	error = szc_options_take(rx, options);
	if (!error) {
		rx->conns = calloc(rx->given.max_connections, sizeof(struct szc_conn *));
		error = rx->conns ? open_backend(rx) : szc_rx_fail(rx, -ENOMEM, "no memory for connections");
	}
	if (!error) {
		error = open_watches(rx);
		if (error)
			szc_rx_fail(rx, error, "cannot set up the engine's timer: %s", strerror(-error));
	}
	if (error) {
		say(options, rx->error_text);
		release_all(rx);
		return error;
	}
	*out = rx;
	return 0;
}

int szc_rx_close(struct szc_rx *rx)
{
	unsigned i;
	int error;

	if (!rx)
		return 0;
	szc_rx_drain(rx);
	if (rx->stats.views_out)
		return szc_rx_fail(rx, SZC_E_VIEWS_OUT, "%u views are still with the application; release them first",
				   rx->stats.views_out);
	error = rx->ops->may_close ? rx->ops->may_close(rx) : 0;
	if (error)
		return error;
	szc_listener_free_all(rx);
	for (i = 0; i < rx->slots_made; i++)
		if (rx->conns[i]->state == SZC_CONN_OPEN)
			szc_conn_close(rx->conns[i]);
	rx->ops->unwatch(rx, &rx->wake);
	rx->ops->unwatch(rx, &rx->timer);
	for (szc_conn_reuse(rx); rx->slots_used || rx->listeners_alive; szc_conn_reuse(rx)) {
		error = rx->ops->wait(rx, 10);
		if (error && error != -EINTR)
			return szc_rx_fail(rx, error, "the backend cannot end what is under way: %s", strerror(-error));
	}
	release_all(rx);
	return 0;
}

/* ---- turning */

void szc_rx_recycle(struct szc_rx *rx, struct szc_frag_list *unused)
{
	while (unused->first) {
		struct szc_frag *frag = unused->first;
		struct szc_conn *conn = frag->conn;

		unused->first = frag->next_free;
		conn->held--;
		rx->ops->recycle(rx, frag);
		if (conn->state == SZC_CONN_OPEN && !conn->stopped && !conn->fin && !conn->start_due)
			rx->ops->receive(conn);
		else
			szc_conn_settle(conn);
	}
}

/* At the start of every call that looks for events. */
void szc_rx_drain(struct szc_rx *rx)
{
	struct szc_view *view = szc_refill_returned(&rx->refill);

	while (view) {
		struct szc_view *next = view->next;
		struct szc_conn *conn = view->conn;
		struct szc_frag_list unused = {NULL};
		int i;

		for (i = 0; i < view->count; i++)
			szc_frag_unref(view->frags[i], &unused);
		szc_view_recycle(view, &rx->free_views);
		rx->stats.views_out--;
		conn->views_out--;
		if (conn->view_starved) {
			conn->view_starved = false;
			rx->starved--;
			szc_conn_list(conn);
		}
		szc_rx_recycle(rx, &unused);
		szc_conn_settle(conn);
		view = next;
	}
	szc_conn_reuse(rx);
}

/* Turns the backend once. A sleep is announced to those who release views only if that could let somebody go on. */
int szc_rx_step(struct szc_rx *rx, int timeout_ms)
{
	int error;

	if (rx->starved && timeout_ms && !szc_refill_sleep(&rx->refill))
		timeout_ms = 0;
	error = rx->ops->wait(rx, timeout_ms);
	szc_refill_awake(&rx->refill);
	rx->now_ms = szc_clock_ms();
	return error;
}

static int collect(struct szc_rx *rx, struct szc_event *events, int max)
{
	struct szc_conn *last = rx->ready_tail;
	int got = 0;

	while (got < max && rx->ready_head) {
		struct szc_conn *conn = rx->ready_head;
		bool round_over = conn == last;

		rx->ready_head = conn->next_ready;
		if (!rx->ready_head)
			rx->ready_tail = NULL;
		conn->listed = false;
		if (szc_conn_next_event(conn, &events[got])) {
			got++;
			szc_conn_list(conn);
		}
		if (round_over)
			break;
	}
	return got;
}

int szc_rx_wait(struct szc_rx *rx, struct szc_event *events, int max, int timeout_ms)
{
	uint64_t until = timeout_ms > 0 ? szc_clock_ms() + (uint64_t)timeout_ms : 0;
	bool looked = false;

	if (max <= 0)
		return SZC_E_OPTION;
	for (;;) {
		int got, error, left = timeout_ms;

		szc_refill_awake(&rx->refill);
		szc_rx_drain(rx);
		got = collect(rx, events, max);
		szc_rx_expire(rx);
		if (got)
			return got;
		if (rx->ready_head)
			continue;
		if (timeout_ms > 0 && looked)
			left = rx->now_ms < until ? (int)(until - rx->now_ms) : 0;
		if (looked && !left) {
			/* The caller may now sleep on szc_rx_fd(): nothing may be left that only another call would
			 * begin, and a release must be able to wake him. */
			rx->ops->submit(rx);
			if (!rx->starved || szc_refill_sleep(&rx->refill))
				return 0;
			continue;
		}
		looked = true;
		error = szc_rx_step(rx, left);
		if (error)
			return error;
	}
}

/* ---- getters */

int szc_rx_fd(const struct szc_rx *rx)
{
	return rx->ops->fd(rx);
}

const char *szc_rx_describe(const struct szc_rx *rx)
{
	return rx->describe;
}

const char *szc_rx_backend(const struct szc_rx *rx)
{
	return rx->ops->name;
}

const char *szc_rx_last_error(const struct szc_rx *rx)
{
	return rx->error_text;
}

void szc_rx_area(const struct szc_rx *rx, void **base, size_t *size)
{
	*base = rx->area.base;
	*size = rx->area.size;
}

void szc_rx_stats(const struct szc_rx *rx, struct szc_rx_stats *stats)
{
	*stats = rx->stats;
	stats->connections = rx->slots_used;
	stats->buffers_out = rx->refill.count - rx->refill.free_count - rx->refill.reserved;
}

void szc_rx_bound_socket(const struct szc_rx *rx, int fd)
{
	int half = rx->receive_buffer / 2; /* the kernel doubles what it is told */

	if (half && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof(half)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
}
