/* SPDX-License-Identifier: MIT */
#include "starvation.h"

#include "engine.h"
#include "ifq.h"
#include "zcrx_abi.h"

enum {
	RETRY_MS = 20,
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

/* By as much as it had at first, up to what it may have. */
static bool grow(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq)
{
	size_t most = rx->options.area_max, total = area_total(ifq->rq);
	size_t size = rx->options.area_size > AREA_LEAST ? rx->options.area_size : AREA_LEAST;

	if (starvation->cannot_grow || ifq->imported || total >= most)
		return false;
	if (size > most - total)
		size = (most - total) / rx->options.buffer_size * rx->options.buffer_size;
	if (!size || szc_ifq_add_area(rx, ifq, size)) {
		starvation->cannot_grow = true;
		return false;
	}
	rx->stats.areas_added++;
	return true;
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
	if (grow(rx, starvation, ifq))
		starvation->retry_ms = 0;
}

void szc_starvation_receive(struct szc_rx *rx, struct szc_starvation *starvation, struct szc_ifq *ifq)
{
	rx->stats.area_empty++;
	begin(rx, starvation, ifq);
	starvation->waiting = true;
	if (grow(rx, starvation, ifq))
		starvation->retry_ms = 0;
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
