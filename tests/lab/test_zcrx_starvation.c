/* SPDX-License-Identifier: MIT */
/* What can run out on a NIC's queue: buffers, the completion ring, the refill ring. Each is told apart and goes on. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/lab/queue.h"

enum {
	PAGE = 4096,
	STANDING = 2 * QUEUE_RING + 128, /* buffers that the NIC can hold by itself, as lib/budget.c has it */
	UNACCEPTED = 4,                  /* sockets in the backlog, at least; the same */
	SMALL = STANDING + 32 +
		(1 + UNACCEPTED) * 32, /* of a small area: one connection, 32 of quota and in a socket */
};

/* The library's bound undone: what the kernel would have let the socket keep. */
static void unbound(const struct sink *sink)
{
	int size = 64 << 20;

	assert_return_code(setsockopt(szc_conn_fd(sink->conn), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), errno);
}

/* The bound keeps the area from running dry, whatever the wire does. */
static void a_small_area_survives_loss(void **state)
{
	struct szc_nic_wire lossy = {.set = SZC_NIC_WIRE_LOSS, .loss = 30000};
	struct szc_rx_options options = {.max_connections = 1, .area_size = SMALL * PAGE};
	uint64_t before;
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;

	(void)state;
	queue_open(&queue, AF_INET, options);
	before = queue_counter("rx1_alloc_fail");
	queue_wire(lossy);
	sink_send(&sender, queue_connect(&queue, &sink, 1), 1, 1 << 20, 60000);
	sink_send_stuck(&sender);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, 1 << 20);
	assert_int_equal(sink_stats(queue.rx).queue_empty, 0);
	assert_int_equal(queue_counter("rx1_alloc_fail"), before);
	lossy.loss = 0;
	queue_wire(lossy);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

/* Without it the queue runs dry, says so once, and goes on when buffers are back; what was dropped is sent again. */
static void a_dry_queue_recovers(void **state)
{
	struct szc_rx_options options = {.max_connections = 1, .area_size = SMALL * PAGE};
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;

	(void)state;
	queue_open(&queue, AF_INET, options);
	sink_send(&sender, queue_connect(&queue, &sink, 2), 2, 6 << 20, 60000);
	unbound(&sink);
	sink_send_stuck(&sender);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, 6 << 20);
	assert_true(sink_stats(queue.rx).queue_empty >= 1);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

static void a_dry_queue_is_given_more(void **state)
{
	struct szc_rx_options options = {
		.max_connections = 1, .area_size = SMALL * PAGE, .area_max = 8 << 20, .quota_buffers = 32};
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;

	(void)state;
	queue_open(&queue, AF_INET, options);
	sink_send(&sender, queue_connect(&queue, &sink, 3), 3, 6 << 20, 60000);
	unbound(&sink);
	sink_send_stuck(&sender);
	sink.anywhere = true;
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, 6 << 20);
	assert_in_range(sink_stats(queue.rx).areas_added, 1, 4);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

/* Peers that nobody accepts send all that they may: who was accepted goes on. */
static void unaccepted_peers_leave_room(void **state)
{
	enum { PEERS = 40, EACH = 200000 };
	static const uint8_t bytes[EACH];
	struct szc_rx_options options = {.max_connections = 1, .area_size = SMALL * PAGE};
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	bool sent[PEERS] = {false};
	int fds[PEERS], fd, i, tries, heard = 0;

	(void)state;
	queue_open(&queue, AF_INET, options);
	fd = queue_connect(&queue, &sink, 8);
	for (i = 0; i < PEERS; i++)
		fds[i] = queue_dial_begin(&queue);
	for (tries = 0; tries < 100 && heard < UNACCEPTED; tries++) {
		usleep(200000);
		for (i = 0; i < PEERS; i++) {
			if (sent[i] || send(fds[i], bytes, EACH, MSG_NOSIGNAL) <= 0)
				continue;
			sent[i] = true;
			heard++;
		}
	}
	assert_true(heard >= UNACCEPTED);
	usleep(500000);
	sink_send(&sender, fd, 8, 1 << 20, 60000);
	sink_send_stuck(&sender);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, 1 << 20);
	assert_int_equal(sink_stats(queue.rx).queue_empty, 0);
	assert_true(sink_stats(queue.rx).accepts_held >= 1);
	sink_send_end(&sender);
	szc_listener_close(queue.listener);
	szc_conn_close(sink.conn);
	for (i = 0; i < PEERS; i++)
		close(fds[i]);
	queue_close(&queue);
}

/* More at once, on all connections together, than the completion ring holds. */
static void a_full_completion_ring_loses_nothing(void **state)
{
	enum { COUNT = 16, QUOTA = 1500, WAITING = 700, EACH = 600000 };
	struct szc_rx_options options = {.max_connections = COUNT,
					 .quota_buffers = QUOTA,
					 .area_size = (size_t)(STANDING + COUNT * (QUOTA + 2 * WAITING)) * PAGE};
	struct sink *sinks = calloc(COUNT, sizeof(*sinks));
	struct sink_sender senders[COUNT];
	struct queue queue;
	int fds[COUNT], i;

	(void)state;
	queue_open(&queue, AF_INET, options);
	for (i = 0; i < COUNT; i++)
		fds[i] = queue_connect(&queue, &sinks[i], (unsigned)i);
	sink_turn(queue.rx, 0);
	for (i = 0; i < COUNT; i++)
		sink_send(&senders[i], fds[i], (unsigned)i, EACH, EACH);
	for (i = 0; i < COUNT; i++)
		sink_send_stuck(&senders[i]);
	sink_until_over(queue.rx, sinks, COUNT);
	assert_true(sink_stats(queue.rx).cq_full >= 1);
	for (i = 0; i < COUNT; i++) {
		assert_int_equal(sinks[i].got, EACH);
		sink_send_end(&senders[i]);
		szc_conn_close(sinks[i].conn);
	}
	queue_close(&queue);
	free(sinks);
}

/* A hoarder stops itself alone, and goes on when it lets go. */
static void a_hoarder_stalls_itself_alone(void **state)
{
	struct szc_rx_options options = {.max_connections = 2, .quota_buffers = 32};
	struct sink *sinks = calloc(2, sizeof(*sinks));
	struct sink_sender senders[2];
	struct queue queue;

	(void)state;
	queue_open(&queue, AF_INET, options);
	sink_send(&senders[0], queue_connect(&queue, &sinks[0], 5), 5, 1 << 20, 60000);
	sinks[0].hoard = true;
	while (!sink_stats(queue.rx).parked)
		sink_turn(queue.rx, SINK_TURN_MS);
	sink_until_quiet(queue.rx);
	assert_true(sinks[0].got < 1 << 20);
	sink_send(&senders[1], queue_connect(&queue, &sinks[1], 6), 6, 1 << 20, 60000);
	sink_until_over(queue.rx, &sinks[1], 1);
	assert_int_equal(sinks[1].got, 1 << 20);
	assert_false(sink_over(&sinks[0]));
	sink_release(queue.rx, &sinks[0]);
	sink_until_over(queue.rx, sinks, 2);
	assert_int_equal(sinks[0].got, 1 << 20);
	sink_send_end(&senders[0]);
	sink_send_end(&senders[1]);
	szc_conn_close(sinks[0].conn);
	szc_conn_close(sinks[1].conn);
	queue_close(&queue);
	free(sinks);
}

/* An engine on the queue, and a connection that does not come through it: all of it must be copied. */
static int copied_connection(struct queue *queue, struct sink *sink, struct szc_rx_options options)
{
	char why[400];

	queue_prepare(queue);
	if (queue_engine(queue, options, why, sizeof(why)))
		fail_msg("%s", why);
	return sink_add(queue->rx, sink, 7, 0);
}

/*
 * A hoarder that small segments took beyond its quota, and that found the area empty. (It asks for bytes that five times
 * its quota could not hold in such segments, and the area holds fewer.)
 */
enum { HOARDED_QUOTA = 80, HOARDED_SEGMENT = 100, HOARDED_TOTAL = 1200 * HOARDED_SEGMENT };

struct hoarder {
	struct queue queue;
	struct sink *sink;
	struct sink_sender sender;
};

static void hoarder_begin(struct hoarder *hoarder)
{
	struct szc_rx_options options = {.max_connections = 1,
					 .quota_buffers = HOARDED_QUOTA,
					 .area_size = (STANDING + HOARDED_QUOTA + (1 + UNACCEPTED) * 16) * PAGE};
	int fd;

	hoarder->sink = calloc(1, sizeof(*hoarder->sink));
	fd = copied_connection(&hoarder->queue, hoarder->sink, options);
	unbound(hoarder->sink);
	sink_send(&hoarder->sender, fd, 7, HOARDED_TOTAL, HOARDED_SEGMENT);
	sink_send_stuck(&hoarder->sender);
	hoarder->sink->hoard = true;
	sink_until_quiet(hoarder->queue.rx);
	assert_true(sink_stats(hoarder->queue.rx).area_empty >= 1);
}

static void hoarder_end(struct hoarder *hoarder)
{
	sink_until_over(hoarder->queue.rx, hoarder->sink, 1);
	assert_int_equal(hoarder->sink->got, HOARDED_TOTAL);
	sink_send_end(&hoarder->sender);
	szc_conn_close(hoarder->sink->conn);
	sink_finish(hoarder->queue.rx);
	queue_restore(&hoarder->queue);
	free(hoarder->sink);
}

/* By the time it lets go, the shortage is long over. */
static void a_hoarder_beyond_its_quota_goes_on(void **state)
{
	struct hoarder hoarder;

	(void)state;
	hoarder_begin(&hoarder);
	assert_true(sink_stats(hoarder.queue.rx).buffers_out >= HOARDED_QUOTA);
	sink_release(hoarder.queue.rx, hoarder.sink);
	hoarder_end(&hoarder);
}

static void *release_later(void *arg)
{
	struct sink *sink = arg;
	unsigned i;

	usleep(300000);
	for (i = 0; i < sink->view_count; i++)
		szc_view_release(sink->views[i]);
	return NULL;
}

/* A connection at its quota, which the area could not serve before: a release by another thread ends the sleep. */
static void a_release_elsewhere_wakes_who_starves(void **state)
{
	struct hoarder hoarder;
	struct pollfd wakes = {.events = POLLIN};
	pthread_t thread;

	(void)state;
	hoarder_begin(&hoarder);
	hoarder.sink->hoard = false;
	wakes.fd = szc_rx_fd(hoarder.queue.rx);
	assert_int_equal(pthread_create(&thread, NULL, release_later, hoarder.sink), 0);
	/* Nothing else would wake it: the time that it is tried again by itself is over, and the peer sent all. */
	while (!sink_turn(hoarder.queue.rx, 0))
		assert_int_equal(poll(&wakes, 1, SINK_MS), 1);
	pthread_join(thread, NULL);
	hoarder_end(&hoarder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_area_survives_loss),
		cmocka_unit_test(a_dry_queue_recovers),
		cmocka_unit_test(unaccepted_peers_leave_room),
		cmocka_unit_test(a_dry_queue_is_given_more),
		cmocka_unit_test(a_full_completion_ring_loses_nothing),
		cmocka_unit_test(a_hoarder_stalls_itself_alone),
		cmocka_unit_test(a_hoarder_beyond_its_quota_goes_on),
		cmocka_unit_test(a_release_elsewhere_wakes_who_starves),
	};

	queue_limit(800);
	return cmocka_run_group_tests_name("zcrx_starvation", tests, NULL, NULL);
}
