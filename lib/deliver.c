/* SPDX-License-Identifier: MIT */
/*
 * From fragments to events. Records are opened only when the application asks for events, a view at a time, so that
 * what it gets was touched a moment ago and one connection cannot crowd out the others.
 */
#include "engine.h"

#include <errno.h>

enum { VIEW_ENTRIES = SZC_VIEW_INLINE * 2 / 3 }; /* a view this long is handed out: one more record may still fit */

static void discard(struct szc_conn *conn, struct szc_frag *frag)
{
	struct szc_frag_list unused = {NULL};

	frag->refs = 1;
	szc_frag_unref(frag, &unused);
	szc_rx_recycle(conn->rx, &unused);
}

/* What has no room is lost to the stream, which so ends in front of it. */
static void lose(struct szc_conn *conn, struct szc_frag *frag, int error)
{
	conn->stopped = true;
	conn->rx->ops->stop(conn);
	szc_conn_fin(conn, error);
	discard(conn, frag);
}

void szc_conn_received(struct szc_conn *conn, struct szc_frag *frag)
{
	/* What was on its way when the receive was stopped belongs to no stream any more. */
	bool late = conn->stopped;
	int error = late ? 0 : szc_input_push(&conn->input, frag);

	if (error) {
		lose(conn, frag, error);
		return;
	}
	conn->trips.bytes_received += frag->len;
	if (conn->rx->ops->kernel_copies || conn->elsewhere)
		conn->trips.bytes_kernel_copied += frag->len;
	else
		conn->trips.bytes_zero_copy += frag->len;
	if (late)
		discard(conn, frag);
	else
		szc_conn_list(conn);
}

void szc_conn_fin(struct szc_conn *conn, int recv_error)
{
	conn->fin = true;
	conn->recv_error = recv_error;
	/* It waits for no buffer any more: nothing else is to come. */
	szc_conn_park(conn, false);
	szc_conn_list(conn);
}

static void start(struct szc_conn *conn)
{
	int error = 0;

	conn->start_due = false;
	if (conn->layer)
		error = conn->layer->start(conn, conn->layer_state);
	else
		szc_layer_ready(conn);
	if (error)
		szc_conn_kill(conn, error);
	else
		conn->rx->ops->receive(conn);
}

static bool may_build(struct szc_conn *conn)
{
	if (conn->building || conn->views_out < conn->quota)
		return true;
	if (!conn->view_starved) {
		conn->view_starved = true;
		conn->rx->starved++;
	}
	return false;
}

static bool view_full(const struct szc_view *view)
{
	return view && (view->size >= SZC_VIEW_BYTES || view->count >= VIEW_ENTRIES);
}

static int plain_input(struct szc_conn *conn)
{
	size_t len = conn->input.bytes < SZC_VIEW_BYTES ? conn->input.bytes : SZC_VIEW_BYTES;
	int error = szc_layer_deliver(conn, len);

	return error ? error : SZC_LAYER_PROGRESS;
}

void szc_conn_compact(struct szc_conn *conn)
{
	struct szc_frag_list unused = {NULL};
	size_t copied;

	if (conn->rx->ops->pack)
		copied = conn->rx->ops->pack(conn, &unused);
	else
		copied = szc_input_compact(&conn->input, &unused);

	if (copied)
		conn->rx->stats.compactions++;
	conn->trips.bytes_user_copied += copied;
	szc_rx_recycle(conn->rx, &unused);
}

static void finish(struct szc_conn *conn)
{
	int error = conn->recv_error ? conn->recv_error : conn->broken;

	if (!error && conn->layer)
		error = conn->layer->fin(conn, conn->layer_state);
	if (error)
		szc_conn_kill(conn, error);
	else
		conn->ended = true;
}

/* The peer's proper end: whatever follows it is not payload, and must not hold buffers. */
static void end(struct szc_conn *conn)
{
	struct szc_frag_list unused = {NULL};

	conn->ended = true;
	conn->stopped = true;
	conn->rx->ops->stop(conn);
	szc_conn_park(conn, false);
	szc_input_drop(&conn->input, conn->input.bytes, &unused);
	szc_rx_recycle(conn->rx, &unused);
}

static void pump(struct szc_conn *conn)
{
	int result = SZC_LAYER_PROGRESS;

	while (!conn->error && !conn->ended && !conn->ready_due) {
		if (!conn->input.bytes) {
			result = SZC_LAYER_NEED_MORE;
			break;
		}
		if (!may_build(conn) || view_full(conn->building))
			return;
		result = conn->layer ? conn->layer->input(conn, conn->layer_state) : plain_input(conn);
		if (result == SZC_LAYER_EOF)
			end(conn);
		else if (result < 0)
			szc_conn_kill(conn, result);
		else if (result == SZC_LAYER_NEED_MORE)
			break;
	}
	if (result != SZC_LAYER_NEED_MORE || conn->error || conn->ended)
		return;
	if (conn->fin)
		finish(conn);
	else if (conn->held >= conn->quota && conn->input.count > 1)
		szc_conn_compact(conn);
}

static int hand_out(struct szc_conn *conn, struct szc_event *event)
{
	struct szc_view *view = conn->building;

	conn->building = NULL;
	conn->views_out++;
	conn->rx->stats.views_out++;
	conn->trips.bytes += view->size;
	szc_conn_moved(conn);
	event->type = SZC_EV_DATA;
	event->view = view;
	return 1;
}

static int told(struct szc_event *event, bool *due, enum szc_event_type type)
{
	*due = false;
	event->type = type;
	return 1;
}

int szc_conn_next_event(struct szc_conn *conn, struct szc_event *event)
{
	*event = (struct szc_event){.conn = conn};
	if (conn->accepted_due) {
		event->listener = conn->listener;
		return told(event, &conn->accepted_due, SZC_EV_ACCEPTED);
	}
	if (conn->start_due)
		start(conn);
	if (!conn->error && !conn->building)
		pump(conn);
	if (!conn->error && conn->sendq.head && !conn->write_armed)
		szc_conn_flush(conn);
	if (conn->ready_due)
		return told(event, &conn->ready_due, SZC_EV_READY);
	if (conn->building && conn->building->count)
		return hand_out(conn, event);
	if (conn->error) {
		if (conn->error_told)
			return 0;
		conn->error_told = true;
		event->type = SZC_EV_ERROR;
		event->error = conn->error;
		return 1;
	}
	if (conn->writable_due)
		return told(event, &conn->writable_due, SZC_EV_WRITABLE);
	if (conn->sent_due)
		return told(event, &conn->sent_due, SZC_EV_SENT);
	if (conn->ended && !conn->eof_told) {
		conn->eof_told = true;
		event->type = SZC_EV_EOF;
		/* What we could not send is a loss the application must hear of, after what the peer did say. */
		if (conn->send_error)
			szc_conn_kill(conn, conn->send_error);
		return 1;
	}
	return 0;
}
