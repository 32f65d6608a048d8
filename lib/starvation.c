/* SPDX-License-Identifier: MIT */
#include "starvation.h"

#include <string.h>

#include "engine.h"
#include "ifq.h"
#include "zcrx_abi.h"

enum {
	RETRY_MS = 20,
	GROW_MS = 1000,       /* after a failure */
	AREA_LEAST = 2 << 20, /* the area grows by at least that, but for the last time */
};

static size_t area_total(const struct szc_rq *rq)
{
	unsigned count = atomic_load_explicit(&rq->area_count, memory_order_relaxed), i;
	size_t total = 0;

	for (i = 0; i < count; i++)
		total += rq->areas[i].size;
	return total;
}

/* Sockets were promised what the area cannot have. What they hold already they keep until it is read. */
static void promise_less(struct szc_rx *rx, struct szc_rq *rq)
{
	unsigned before = (unsigned)szc_budget_promise(&rx->budget), i;
	const struct szc_listener *listener;

	rx->budget.reserved = atomic_load(&rq->promised) - before;
	szc_budget_limit(&rx->budget, area_total(rq));
	atomic_fetch_sub(&rq->promised, before - (unsigned)szc_budget_promise(&rx->budget));
	rx->receive_buffer = rx->budget.receive_buffer;
	for (i = 0; i < rx->slots_made; i++)
		if (rx->conns[i]->state == SZC_CONN_OPEN)
			szc_rx_bound_socket(rx, rx->conns[i]->fd);
	for (listener = rx->listeners; listener; listener = listener->next)
		szc_rx_bound_socket(rx, listener->fd);
}

/* It doubles, up to what it may have: so there are few areas, however far it goes. */
static bool grow(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq)
{
	size_t most = rx->options.area_max, total = area_total(ifq->rq);
	size_t size = total > AREA_LEAST ? total : AREA_LEAST;
	int error;

	if (ifq->imported || total >= most || szc_clock_ms() < starvation->grow_ms)
		return false;
	if (size > most - total)
		size = (most - total) / rx->options.buffer_size * rx->options.buffer_size;
	if (!size)
		return false;
	error = szc_ifq_add_area(rx, ifq, size);
	if (error) {
		starvation->grow_ms = szc_clock_ms() + GROW_MS;
		promise_less(rx, ifq->rq);
		szc_rx_fail(rx, error,
			    "the area ran dry and cannot grow by %zu KiB: %s; sockets are held to what there is",
			    size / 1024, strerror(-error));
		return false;
	}
	rx->stats.areas_added++;
	return true;
}

/* What we keep in reserve is given up first, at once; it may be all that is needed. */
static void help(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq)
{
	unsigned reserved = rx->refill.reserved;

	szc_ifq_hold_nothing(ifq);
	szc_ifq_settle(rx, ifq);
	if (reserved < SZC_POOL_TAKES && grow(rx, starvation, ifq))
		starvation->retry_ms = 0;
}

static void begin(struct szc_rx *rx, struct szc_starvation *starvation, const struct szc_ifq *ifq)
{
	if (starvation->event_due || starvation->waiting)
		return;
	starvation->put = ifq->put;
	starvation->retry_ms = szc_clock_ms() + RETRY_MS;
	szc_rx_timer_set(rx, starvation->retry_ms);
	/* A release by another thread shall end our sleep. */
	rx->starved++;
}

void szc_starvation_event(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq)
{
	rx->stats.queue_empty++;
	begin(rx, starvation, ifq);
	starvation->event_due = true;
	help(rx, starvation, ifq);
}

void szc_starvation_receive(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq)
{
	rx->stats.area_empty++;
	begin(rx, starvation, ifq);
	starvation->waiting = true;
	help(rx, starvation, ifq);
}

bool szc_starvation_relieve(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq)
{
	struct szc_zcrx_ctrl ctrl = {.op = SZC_ZCRX_CTRL_ARM_EVENT, .arm_event.event_type = SZC_ZCRX_EVENT_ALLOC_FAIL};

	if (!starvation->event_due && !starvation->waiting)
		return false;
	szc_ifq_flush(rx, ifq);
	if (ifq->put == starvation->put && szc_clock_ms() < starvation->retry_ms) {
		szc_rx_timer_set(rx, starvation->retry_ms);
		return false;
	}
	if (starvation->event_due)
		szc_ifq_ctrl(ifq, &ctrl);
	starvation->event_due = false;
	starvation->waiting = false;
	rx->starved--;
	return true;
}
