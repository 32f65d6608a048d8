/* SPDX-License-Identifier: MIT */
/* Engines of several threads on one queue: each has its own connections, one area feeds them all. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/lab/queue.h"

enum { BYTES = 3 << 20, AREA = 24 << 20 };

static const struct szc_rx_options first_options = {.max_connections = 2, .area_size = AREA, .shareable = true};

static void transfer(struct queue *queue, unsigned seed)
{
	struct sink sink;
	struct sink_sender sender;

	sink_send(&sender, queue_connect(queue, &sink, seed), seed, BYTES, 50000);
	sink_until_over(queue->rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, BYTES);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
}

/* The importer's own queue: the same NIC, another engine, another port. */
static void join(struct queue *other, const struct queue *first)
{
	char why[400] = "";

	*other = (struct queue){.nic = first->nic};
	if (queue_engine(other, (struct szc_rx_options){.max_connections = 2, .share = first->rx}, why, sizeof(why)))
		fail_msg("%s", why);
	queue_listen(other, other->rx, AF_INET6);
}

static void two_engines_take_turns(void **state)
{
	struct queue first, second;
	struct szc_trips trips;
	uint64_t before;
	int i;

	(void)state;
	queue_open(&first, AF_INET, first_options);
	join(&second, &first);
	assert_non_null(strstr(szc_rx_describe(second.rx), "shared"));
	before = queue_counter("rx1_payload_netmem");
	for (i = 0; i < 3; i++) {
		transfer(&first, (unsigned)i);
		transfer(&second, (unsigned)i + 10);
	}
	assert_true(queue_counter("rx1_payload_netmem") - before >= 6 * BYTES);
	szc_rx_trips(second.rx, &trips);
	assert_int_equal(trips.bytes_zero_copy, 3 * BYTES);

	assert_int_equal(szc_rx_close(first.rx), SZC_E_STATE);
	assert_non_null(strstr(szc_rx_last_error(first.rx), "1 engines still share"));
	sink_finish(second.rx);
	transfer(&first, 9);
	queue_close(&first);
}

/* The second goes on though the first one's thread is not turned: buffers need nobody else to go back. */
struct other {
	pthread_t thread;
	const struct queue *first;
	bool done;
};

static void *run_other(void *arg)
{
	struct other *other = arg;
	struct queue queue;
	int i;

	join(&queue, other->first);
	for (i = 0; i < 4; i++)
		transfer(&queue, 20 + (unsigned)i);
	sink_finish(queue.rx);
	other->done = true;
	return NULL;
}

static void another_thread_needs_no_turn_of_ours(void **state)
{
	struct queue first;
	struct other other = {.first = &first};

	(void)state;
	queue_open(&first, AF_INET, first_options);
	assert_int_equal(pthread_create(&other.thread, NULL, run_other, &other), 0);
	pthread_join(other.thread, NULL);
	assert_true(other.done);
	transfer(&first, 1);
	queue_close(&first);
}

static void threads_share_at_once(void **state)
{
	struct queue first;
	struct other other = {.first = &first};
	int i;

	(void)state;
	queue_open(&first, AF_INET, first_options);
	assert_int_equal(pthread_create(&other.thread, NULL, run_other, &other), 0);
	for (i = 0; i < 4; i++)
		transfer(&first, (unsigned)i);
	pthread_join(other.thread, NULL);
	assert_true(other.done);
	queue_close(&first);
}

enum { AT_ONCE = 4 };

struct opener {
	pthread_t thread;
	pthread_barrier_t *begin;
	struct szc_rx *first;
	int opened, closed;
	char why[400];
};

static void *open_and_close(void *arg)
{
	struct opener *opener = arg;
	struct szc_rx_options options = {.size = sizeof(options),
					 .backend = SZC_BACKEND_ZCRX,
					 .max_connections = 1,
					 .share = opener->first,
					 .error = opener->why,
					 .error_size = sizeof(opener->why)};
	struct szc_rx *rx;

	pthread_barrier_wait(opener->begin);
	opener->opened = szc_rx_open(&rx, &options);
	opener->closed = opener->opened ? 0 : szc_rx_close(rx);
	return NULL;
}

/* Where there is room for all nobody stands in another's way. */
static void threads_open_at_once(void **state)
{
	struct szc_rx_options options = first_options;
	struct opener openers[AT_ONCE];
	pthread_barrier_t begin;
	struct queue first;
	int i, round;

	(void)state;
	options.area_size = 64 << 20;
	queue_open(&first, AF_INET, options);
	assert_int_equal(pthread_barrier_init(&begin, NULL, AT_ONCE), 0);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < AT_ONCE; i++) {
			openers[i] = (struct opener){.begin = &begin, .first = first.rx};
			assert_int_equal(pthread_create(&openers[i].thread, NULL, open_and_close, &openers[i]), 0);
		}
		for (i = 0; i < AT_ONCE; i++)
			pthread_join(openers[i].thread, NULL);
		for (i = 0; i < AT_ONCE; i++) {
			if (openers[i].opened)
				fail_msg("%s", openers[i].why);
			assert_int_equal(openers[i].closed, 0);
		}
	}
	pthread_barrier_destroy(&begin);
	transfer(&first, 3);
	queue_close(&first);
}

static void an_area_too_small_for_another_is_told(void **state)
{
	struct szc_rx_options options = first_options;
	struct queue first, second;
	char why[400];

	(void)state;
	options.area_size = 2 << 20;
	queue_open(&first, AF_INET, options);
	options = (struct szc_rx_options){.max_connections = 2, .share = first.rx};
	assert_int_equal(queue_engine(&second, options, why, sizeof(why)), SZC_E_OPTION);
	assert_non_null(strstr(why, "for other engines on this area"));
	options.max_connections = 1;
	options.buffer_size = 8192;
	assert_int_equal(queue_engine(&second, options, why, sizeof(why)), SZC_E_OPTION);
	assert_non_null(strstr(why, "differs from that of the engine to share with"));
	transfer(&first, 1);
	queue_close(&first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_engines_take_turns),
		cmocka_unit_test(another_thread_needs_no_turn_of_ours),
		cmocka_unit_test(threads_share_at_once),
		cmocka_unit_test(threads_open_at_once),
		cmocka_unit_test(an_area_too_small_for_another_is_told),
	};

	queue_limit(800);
	return cmocka_run_group_tests_name("zcrx_share", tests, NULL, NULL);
}
