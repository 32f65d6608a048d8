/* SPDX-License-Identifier: MIT */
/* Blocking helpers for one connection: the same events, looked for on that connection alone. */
#include "engine.h"

#include <errno.h>

/* 1 and the connection's next event, 0 when the time is over, or a negative error of the engine. */
static int next_event(struct szc_conn *conn, struct szc_event *event, int timeout_ms)
{
	struct szc_rx *rx = conn->rx;
	uint64_t until = timeout_ms > 0 ? szc_clock_ms() + (uint64_t)timeout_ms : 0;
	bool looked = false;

	for (;;) {
		uint64_t now;
		int got, error, left = timeout_ms;

		szc_rx_drain(rx);
		got = szc_conn_next_event(conn, event);
		szc_rx_expire(rx);
		if (got)
			return got;
		if (conn->error && !conn->error_told)
			continue;
		now = szc_clock_ms();
		if (timeout_ms > 0)
			left = now < until ? (int)(until - now) : 0;
		if (looked && !left)
			return 0;
		looked = true;
		error = szc_rx_step(rx, left);
		if (error && error != -EINTR)
			return error;
	}
}

int szc_conn_wait_ready(struct szc_conn *conn, int timeout_ms)
{
	struct szc_event event;
	int got;

	if (!szc_conn_usable(conn, __func__))
		return SZC_E_STATE;
	while (!conn->ready) {
		if (conn->error_told)
			return conn->error;
		got = next_event(conn, &event, timeout_ms);
		if (got <= 0)
			return got ? got : SZC_E_TIMEOUT;
		if (event.type == SZC_EV_ERROR)
			return event.error;
	}
	return 0;
}

int szc_conn_recv(struct szc_conn *conn, struct szc_view **view, int timeout_ms)
{
	struct szc_event event;
	int got;

	*view = NULL;
	if (!szc_conn_usable(conn, __func__))
		return SZC_E_STATE;
	for (;;) {
		if (conn->error_told)
			return conn->error;
		if (conn->eof_told)
			return 0;
		got = next_event(conn, &event, timeout_ms);
		if (got <= 0)
			return got ? got : SZC_E_TIMEOUT;
		if (event.type == SZC_EV_DATA) {
			*view = event.view;
			return 1;
		}
	}
}

/* Only what lets a sender go on is consumed here; data and end wait for szc_conn_recv(). */
static int wait_writable(struct szc_conn *conn, int timeout_ms)
{
	uint64_t until = timeout_ms > 0 ? szc_clock_ms() + (uint64_t)timeout_ms : 0;

	while (!conn->writable_due && !conn->error && !conn->send_error) {
		uint64_t now = szc_clock_ms();
		int error;

		if (timeout_ms >= 0 && now >= until)
			return SZC_E_TIMEOUT;
		/* Others go on meanwhile; and with views left unseen the step below would not sleep. */
		szc_rx_drain(conn->rx);
		error = szc_rx_step(conn->rx, timeout_ms < 0 ? -1 : (int)(until - now));
		if (error && error != -EINTR)
			return error;
		szc_rx_expire(conn->rx);
	}
	conn->writable_due = false;
	return conn->error ? conn->error : conn->send_error;
}

int szc_conn_send_all(struct szc_conn *conn, const void *data, size_t len, int timeout_ms)
{
	struct iovec iov = {(void *)data, len};

	while (iov.iov_len) {
		ssize_t taken = szc_conn_send(conn, &iov, 1);
		int error;

		if (taken < 0)
			return (int)taken;
		iov.iov_base = (uint8_t *)iov.iov_base + taken;
		iov.iov_len -= (size_t)taken;
		error = iov.iov_len ? wait_writable(conn, timeout_ms) : 0;
		if (error)
			return error;
	}
	return 0;
}
