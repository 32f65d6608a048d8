// SPDX-License-Identifier: GPL-2.0
/*
 * The wire: one direction of it, with its impairments. An unimpaired one is no more than a call of the other end.
 *
 * A packet that is to be reordered leaves without the delay that all others have, and so overtakes what was sent during
 * the delay before it; if no longer delay is set, the others are given HW_REORDER_NS.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/random.h>
#include <linux/rcupdate.h>

#include "hw.h"

#define HW_REORDER_NS	NSEC_PER_MSEC
#define HW_OVERHEAD	24		/* a frame's preamble, check sequence and gap on Ethernet, in bytes */
#define HW_BACKLOG_NS	NSEC_PER_MSEC	/* what waits to be sent may take this long, or */
#define HW_BACKLOG_MIN	SZ_16K		/* ... be this long */
#define HW_FLIGHT_MAX	SZ_64M		/* most bytes on the wire */
#define HW_RELEASE	256		/* most frames delivered at once */

static u64 send_ns(u64 rate, u32 bytes)
{
	return div64_u64((u64)bytes * BITS_PER_BYTE * NSEC_PER_SEC, rate);
}

static bool happens(u32 in_a_million)
{
	return in_a_million && get_random_u32_below(SZCNIC_MILLION) < in_a_million;
}

/* Under RCU: the peer may go away. */
static void deliver(struct hw_port *port, struct list_head *frames)
{
	struct hw_frame *frame, *next;
	struct hw_port *peer;

	if (list_empty(frames))
		return;
	rcu_read_lock();
	peer = rcu_dereference(port->peer);
	if (peer)
		hw_rx_burst(peer, frames);
	rcu_read_unlock();
	list_for_each_entry_safe(frame, next, frames, entry)
		hw_frame_free(frame);
	INIT_LIST_HEAD(frames);
}

/* ---- all of these under wire->lock */

static bool timed(const struct hw_wire *wire)
{
	return wire->params.rate || wire->params.delay_ns || wire->params.reorder || !list_empty(&wire->fifo);
}

static void note_impaired(struct hw_wire *wire)
{
	const struct hw_wire_params *p = &wire->params;

	WRITE_ONCE(wire->impaired, timed(wire) || wire->blocked || p->loss || p->duplicate || p->corrupt);
}

static void arm(struct hw_wire *wire)
{
	struct hw_frame *first = list_first_entry_or_null(&wire->fifo, struct hw_frame, entry);
	u64 at = first ? first->due_ns : U64_MAX;

	if (wire->blocked)
		at = min(at, wire->resume_at_ns);
	if (at != U64_MAX)
		hrtimer_start(&wire->timer, ns_to_ktime(at), HRTIMER_MODE_ABS_SOFT);
}

static void corrupt(struct hw_wire *wire, struct hw_frame *frame)
{
	u32 bit = ETH_HLEN * BITS_PER_BYTE + get_random_u32_below((frame->len - ETH_HLEN) * BITS_PER_BYTE);

	frame->data[bit / BITS_PER_BYTE] ^= 1 << bit % BITS_PER_BYTE;
	wire->stats.corrupted++;
}

/* Into the fifo, at its end unless the frame was picked to overtake. */
static void enqueue(struct hw_wire *wire, struct hw_frame *frame, bool picked)
{
	struct hw_frame *pos;

	wire->queued_bytes += frame->len;
	if (picked) {
		list_for_each_entry(pos, &wire->fifo, entry) {
			if (pos->due_ns > frame->due_ns) {
				list_add_tail(&frame->entry, &pos->entry);
				wire->stats.reordered++;
				return;
			}
		}
	} else if (!list_empty(&wire->fifo)) {
		pos = list_last_entry(&wire->fifo, struct hw_frame, entry);
		frame->due_ns = max(frame->due_ns, pos->due_ns);
	}
	list_add_tail(&frame->entry, &wire->fifo);
}

static u64 delay_ns(const struct hw_wire *wire)
{
	return wire->params.reorder ? max_t(u64, wire->params.delay_ns, HW_REORDER_NS) : wire->params.delay_ns;
}

/* Sends one frame: into the fifo, or at once to `out`. */
static void launch(struct hw_wire *wire, struct hw_frame *frame, u64 now, struct list_head *out)
{
	bool picked = happens(wire->params.reorder);

	if (happens(wire->params.corrupt))
		corrupt(wire, frame);
	if (!timed(wire)) {
		list_add_tail(&frame->entry, out);
		return;
	}
	wire->free_at_ns = max(wire->free_at_ns, now);
	if (wire->params.rate)
		wire->free_at_ns += send_ns(wire->params.rate, frame->len + HW_OVERHEAD);
	frame->due_ns = wire->free_at_ns + (picked ? 0 : delay_ns(wire));
	enqueue(wire, frame, picked);
}

static void impair(struct hw_wire *wire, struct hw_frame *frame, u64 now, struct list_head *out)
{
	struct hw_frame *twin = NULL;

	if (happens(wire->params.loss)) {
		wire->stats.lost++;
		hw_frame_free(frame);
		return;
	}
	if (happens(wire->params.duplicate)) {
		twin = hw_frame_alloc(frame->len);
		if (twin) {
			memcpy(twin->data, frame->data, frame->len);
			wire->stats.duplicated++;
		}
	}
	launch(wire, frame, now, out);
	if (twin)
		launch(wire, twin, now, out);
}

/* When there will be room; 0: now. */
static u64 room_at(const struct hw_wire *wire, u64 now)
{
	u64 backlog, most;

	if (wire->queued_bytes > HW_FLIGHT_MAX)
		return list_first_entry(&wire->fifo, struct hw_frame, entry)->due_ns;
	if (!wire->params.rate || wire->free_at_ns <= now)
		return 0;
	backlog = wire->free_at_ns - now;
	most = max_t(u64, HW_BACKLOG_NS, send_ns(wire->params.rate, HW_BACKLOG_MIN));
	return backlog > most ? wire->free_at_ns - most / 2 : 0;
}

/* ---- the timer */

/* Takes out what is due. */
static void release(struct hw_wire *wire, u64 now, struct list_head *out)
{
	struct hw_frame *frame, *next;
	int nr = 0;

	list_for_each_entry_safe(frame, next, &wire->fifo, entry) {
		if (frame->due_ns > now || nr++ == HW_RELEASE)
			break;
		wire->queued_bytes -= frame->len;
		list_move_tail(&frame->entry, out);
	}
}

static enum hrtimer_restart wire_timeout(struct hrtimer *timer)
{
	struct hw_wire *wire = container_of(timer, struct hw_wire, timer);
	struct hw_port *port = container_of(wire, struct hw_port, wire);
	u64 now = ktime_get_ns();
	unsigned long flags;
	LIST_HEAD(out);
	bool resume;
	u64 room;

	spin_lock_irqsave(&wire->lock, flags);
	release(wire, now, &out);
	room = room_at(wire, now);
	resume = wire->blocked && !room;
	if (resume)
		wire->blocked = false;
	else
		wire->resume_at_ns = room;
	note_impaired(wire);
	arm(wire);
	spin_unlock_irqrestore(&wire->lock, flags);

	deliver(port, &out);
	if (resume)
		hw_tx_resume(port);
	return HRTIMER_NORESTART;
}

/* ---- what others call */

void hw_wire_init(struct hw_port *port)
{
	struct hw_wire *wire = &port->wire;

	spin_lock_init(&wire->lock);
	INIT_LIST_HEAD(&wire->fifo);
	hrtimer_setup(&wire->timer, wire_timeout, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
}

bool hw_wire_room(struct hw_port *port)
{
	struct hw_wire *wire = &port->wire;
	unsigned long flags;
	u64 at;

	if (!READ_ONCE(wire->impaired))
		return true;
	spin_lock_irqsave(&wire->lock, flags);
	at = room_at(wire, ktime_get_ns());
	if (at) {
		wire->blocked = true;
		wire->resume_at_ns = at;
		arm(wire);
	}
	spin_unlock_irqrestore(&wire->lock, flags);
	return !at;
}

void hw_wire_send(struct hw_port *port, struct list_head *frames)
{
	struct hw_wire *wire = &port->wire;
	struct hw_frame *frame, *next;
	unsigned long flags;
	LIST_HEAD(out);
	u64 now;

	if (!READ_ONCE(wire->impaired)) {
		deliver(port, frames);
		return;
	}
	now = ktime_get_ns();
	spin_lock_irqsave(&wire->lock, flags);
	list_for_each_entry_safe(frame, next, frames, entry) {
		list_del(&frame->entry);
		impair(wire, frame, now, &out);
	}
	note_impaired(wire);
	arm(wire);
	spin_unlock_irqrestore(&wire->lock, flags);
	deliver(port, &out);
}

/* What is under way arrives no later than it would if it were sent now, whatever the wire was like. */
void hw_wire_set(struct hw_port *port, const struct hw_wire_params *params)
{
	struct hw_wire *wire = &port->wire;
	u64 now = ktime_get_ns();
	struct hw_frame *frame;
	unsigned long flags;

	spin_lock_irqsave(&wire->lock, flags);
	wire->params = *params;
	wire->free_at_ns = min(wire->free_at_ns, now);
	wire->resume_at_ns = min(wire->resume_at_ns, now);
	list_for_each_entry(frame, &wire->fifo, entry)
		frame->due_ns = min(frame->due_ns, now + delay_ns(wire));
	note_impaired(wire);
	arm(wire);
	spin_unlock_irqrestore(&wire->lock, flags);
}

void hw_wire_drain(struct hw_port *port)
{
	struct hw_wire *wire = &port->wire;
	struct hw_frame *frame, *next;
	unsigned long flags;
	LIST_HEAD(gone);

	hrtimer_cancel(&wire->timer);
	spin_lock_irqsave(&wire->lock, flags);
	list_splice_init(&wire->fifo, &gone);
	wire->queued_bytes = 0;
	wire->free_at_ns = 0;
	wire->blocked = false;
	note_impaired(wire);
	spin_unlock_irqrestore(&wire->lock, flags);
	list_for_each_entry_safe(frame, next, &gone, entry)
		hw_frame_free(frame);
}
