/* SPDX-License-Identifier: MIT */
/* Beginnings and ends: refusals, closing amid traffic, forks, views that outlive, connections that come another way, and
 * areas that only the device can write to. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/udmabuf.h>
#include <szc/layer.h>
#include "tests/lab/queue.h"

enum { PAGE = 4096 };

static void refused(struct queue *queue, struct szc_rx_options options, int expected, const char *words)
{
	char why[400] = "";
	struct szc_rx *before = queue->rx;
	int error = queue_engine(queue, options, why, sizeof(why));

	queue->rx = before;
	assert_int_equal(error, expected);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static int open_queue(struct szc_rx **rx, unsigned number, char *why, size_t size)
{
	struct szc_rx_options options = {.size = sizeof(options),
					 .backend = SZC_BACKEND_ZCRX,
					 .max_connections = 1,
					 .ifname = queue_near,
					 .queue = number,
					 .error = why,
					 .error_size = size};

	return szc_rx_open(rx, &options);
}

static void refusals_name_their_cause(void **state)
{
	struct szc_rx_options usual = {.max_connections = 1};
	struct szc_rx *rx;
	struct queue queue;
	char why[400];

	(void)state;
	queue_prepare(&queue);
	assert_int_equal(open_queue(&rx, 99, why, sizeof(why)), SZC_E_BACKEND);
	assert_non_null(strstr(why, "no receive queue 99: it has 2"));
	assert_int_equal(queue_engine(&queue, usual, why, sizeof(why)), 0);
	refused(&queue, usual, SZC_E_BACKEND, "belongs to somebody else's zero-copy receive");
	usual.area_size = 1 << 20;
	refused(&queue, usual, SZC_E_OPTION, "Raise area_size to");
	assert_int_equal(szc_rx_close(queue.rx), 0);
	queue_restore(&queue);
	assert_int_equal(open_queue(&rx, QUEUE, why, sizeof(why)), SZC_E_BACKEND);
	assert_non_null(strstr(why, "its header/data split is off"));
}

static void closes_amid_traffic(void **state)
{
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	int round;

	(void)state;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 4});
	for (round = 0; round < 10; round++) {
		size_t enough = (size_t)round * 20000;

		sink_send(&sender, queue_connect(&queue, &sink, 1), 1, 1 << 30, 1 << 16);
		sink.hoard = round % 3 == 0;
		while (sink.got < enough && sink.view_count < 2)
			sink_turn(queue.rx, SINK_TURN_MS);
		szc_conn_close(sink.conn);
		sink_turn(queue.rx, 0);
		sink_release(queue.rx, &sink);
		sink_send_end(&sender);
	}
	sink_send(&sender, queue_connect(&queue, &sink, 1), 1, 1 << 30, 1 << 16);
	while (sink.got < 1 << 20)
		sink_turn(queue.rx, SINK_TURN_MS);
	assert_int_equal(szc_rx_close(queue.rx), 0);
	sink_send_end(&sender);
	queue_restore(&queue);
}

static void views_outlive_their_connection(void **state)
{
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;

	(void)state;
	queue_open(&queue, AF_INET6, (struct szc_rx_options){.max_connections = 2});
	sink_send(&sender, queue_connect(&queue, &sink, 2), 2, 60000, 60000);
	sink.hoard = true;
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, 60000);
	szc_conn_close(sink.conn);
	sink_turn(queue.rx, SINK_TURN_MS);
	assert_int_equal(szc_rx_close(queue.rx), SZC_E_VIEWS_OUT);
	sink_release(queue.rx, &sink);
	sink_send_end(&sender);
	queue_close(&queue);
}

/* A child that lives on keeps neither the queue bound nor the area mapped. */
static void a_child_keeps_nothing(void **state)
{
	struct szc_rx_options options = {.max_connections = 1};
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	pid_t child;
	int round, status;

	(void)state;
	queue_prepare(&queue);
	for (round = 0; round < 2; round++) {
		char why[400];
		int tries = 0;

		/* The kernel gives a queue back when it comes to it. */
		while (queue_engine(&queue, options, why, sizeof(why))) {
			if (!round || ++tries == 20)
				fail_msg("round %d: %s", round, why);
		}
		if (round)
			break;
		queue_listen(&queue, queue.rx, AF_INET);
		sink_send(&sender, queue_connect(&queue, &sink, 3), 3, 100000, 5000);
		sink_until_over(queue.rx, &sink, 1);
		child = fork();
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* nor shall it outlive a test that fails */
			pause();
			_exit(0);
		}
		assert_return_code(child, errno);
		sink_send_end(&sender);
		szc_conn_close(sink.conn);
		sink_finish(queue.rx);
	}
	sink_finish(queue.rx);
	assert_return_code(kill(child, SIGKILL), errno);
	assert_int_equal(waitpid(child, &status, 0), child);
	queue_restore(&queue);
}

/* What comes through another queue lies in ordinary memory: the kernel copies it, and it is counted. */
static void another_way_in_is_copied_and_counted(void **state)
{
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	struct szc_trips trips;
	char why[400];

	(void)state;
	queue_prepare(&queue);
	if (queue_engine(&queue, (struct szc_rx_options){.max_connections = 1}, why, sizeof(why)))
		fail_msg("%s", why);
	/* Over loopback. */
	sink_send(&sender, sink_add(queue.rx, &sink, 4, 0), 4, 1 << 20, 30000);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.got, 1 << 20);
	assert_int_equal(sink_stats(queue.rx).elsewhere, 1);
	szc_conn_trips(sink.conn, &trips);
	assert_int_equal(trips.bytes_kernel_copied, 1 << 20);
	szc_rx_trips(queue.rx, &trips);
	assert_int_equal(trips.bytes_received, 1 << 20);
	assert_int_equal(trips.bytes_kernel_copied, 1 << 20);
	assert_int_equal(trips.bytes_zero_copy, 0);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	sink_finish(queue.rx);
	queue_restore(&queue);
}

static void send_part(int fd, unsigned seed, size_t from, size_t len)
{
	uint8_t *bytes = malloc(len);
	size_t i;

	assert_non_null(bytes);
	for (i = 0; i < len; i++)
		bytes[i] = sink_byte(seed, from + i);
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
	free(bytes);
}

/*
 * A connection that came through the queue at first and does not any more, as its rule is gone. Nobody but the kernel
 * knows: it copies, and its statistics have it.
 */
static void a_way_that_changes_is_copied_and_counted(void **state)
{
	enum { PART = 60000 };
	struct queue queue;
	struct sink sink;
	struct szc_trips trips;
	int fd;

	(void)state;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 1});
	fd = queue_connect(&queue, &sink, 11);
	send_part(fd, 11, 0, PART);
	while (sink.got < PART)
		sink_turn(queue.rx, SINK_TURN_MS);
	szc_rx_trips(queue.rx, &trips);
	assert_int_equal(trips.bytes_zero_copy, PART);
	/* The rule; what is below cannot be undone yet. */
	assert_true(szc_nic_restore(queue.nic) < 0);
	send_part(fd, 11, PART, PART);
	shutdown(fd, SHUT_WR);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, 2 * PART);
	assert_int_equal(sink_stats(queue.rx).elsewhere, 0);
	szc_rx_trips(queue.rx, &trips);
	assert_int_equal(trips.bytes_kernel_copied, PART);
	assert_int_equal(trips.bytes_zero_copy, PART);
	szc_conn_close(sink.conn);
	close(fd);
	queue_close(&queue);
}

/* The interface goes down and up again, twice, under traffic. */
static void down_and_up_loses_nothing(void **state)
{
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	size_t pause;

	(void)state;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 1});
	sink_send(&sender, queue_connect(&queue, &sink, 7), 7, 3 << 20, 60000);
	for (pause = 1 << 20; pause <= 2 << 20; pause += 1 << 20) {
		while (sink.got < pause)
			sink_turn(queue.rx, SINK_TURN_MS);
		queue_up(false);
		sink_turn(queue.rx, SINK_TURN_MS);
		queue_up(true);
	}
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, 3 << 20);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	/* The queue's NAPI may have another number now: who comes in is ours all the same. */
	sink_send(&sender, queue_connect(&queue, &sink, 8), 8, 1 << 16, 60000);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink_stats(queue.rx).elsewhere, 0);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

/* The engine behind somebody else's poll(). */
static void drives_a_foreign_loop(void **state)
{
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	int rounds;

	(void)state;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 1});
	sink_send(&sender, queue_connect(&queue, &sink, 9), 9, 2 << 20, 5000);
	for (rounds = 0; rounds < 1 << 20 && !sink_over(&sink); rounds++) {
		struct pollfd poll_fd = {.fd = szc_rx_fd(queue.rx), .events = POLLIN};

		while (sink_turn(queue.rx, 0))
			;
		if (!sink_over(&sink))
			assert_int_equal(poll(&poll_fd, 1, 5000), 1);
	}
	assert_int_equal(sink.got, 2 << 20);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
}

/* Opened as root; the data path needs no privilege. A child, because there is no way back. */
static void runs_without_privilege(void **state)
{
	struct queue queue;
	pid_t child;
	int status;

	(void)state;
	queue_prepare(&queue);
	child = fork();
	if (!child) {
		struct sink sink;
		struct sink_sender sender;
		char why[400];
		int fd;

		if (queue_engine(&queue, (struct szc_rx_options){.max_connections = 1}, why, sizeof(why)))
			_exit(2);
		queue_listen(&queue, queue.rx, AF_INET);
		fd = queue_dial(&queue);
		if (setresuid(65534, 65534, 65534))
			_exit(3);
		memset(&sink, 0, sizeof(sink));
		sink.seed = 10;
		while (!sink.conn)
			sink.conn = sink_accept(queue.rx, &sink);
		sink_send(&sender, fd, 10, 1 << 20, 60000);
		sink_until_over(queue.rx, &sink, 1);
		szc_conn_close(sink.conn);
		sink_send_end(&sender);
		_exit(sink.got == 1 << 20 && !szc_rx_close(queue.rx) ? 0 : 4);
	}
	assert_return_code(child, errno);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	queue_restore(&queue);
}

/* ---- dma-buf */

static int dmabuf(size_t size)
{
	struct udmabuf_create create = {.flags = UDMABUF_FLAGS_CLOEXEC, .size = size};
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), memory, fd;

	if (device < 0) {
		printf("# skip: this kernel has no /dev/udmabuf\n");
		skip();
	}
	memory = memfd_create("area", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	assert_return_code(memory, errno);
	assert_return_code(ftruncate(memory, (off_t)size), errno);
	assert_return_code(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), errno);
	create.memfd = (uint32_t)memory;
	fd = ioctl(device, UDMABUF_CREATE, &create);
	assert_return_code(fd, errno);
	close(memory);
	close(device);
	return fd;
}

static void into_a_dma_buf(void **state)
{
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	int fd = dmabuf(4 << 20);

	(void)state;
	queue_open(&queue, AF_INET, (struct szc_rx_options){.max_connections = 1, .dmabuf_fd = fd});
	sink_send(&sender, queue_connect(&queue, &sink, 5), 5, 2 << 20, 60000);
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.got, 2 << 20);
	sink_send_end(&sender);
	szc_conn_close(sink.conn);
	queue_close(&queue);
	close(fd);
}

static int no_start(struct szc_conn *conn, void *layer)
{
	(void)conn;
	(void)layer;
	return 0;
}

static void count_free(void *layer)
{
	++*(int *)layer;
}

/* No layer may write there, and the kernel cannot copy to it. */
static void a_dma_buf_has_its_limits(void **state)
{
	static const struct szc_layer_ops writer = {.start = no_start, .free = count_free};
	struct queue queue;
	struct sink sink;
	struct sink_sender sender;
	char why[400];
	int fd = dmabuf(4 << 20), freed = 0;

	(void)state;
	queue_prepare(&queue);
	if (queue_engine(&queue, (struct szc_rx_options){.max_connections = 1, .dmabuf_fd = fd}, why, sizeof(why)))
		fail_msg("%s", why);
	sink_send(&sender, sink_add(queue.rx, &sink, 6, 0), 6, 1 << 20, 30000);
	assert_int_equal(szc_layer_attach(sink.conn, &writer, &freed), SZC_E_STATE);
	assert_int_equal(freed, 1);
	assert_non_null(strstr(szc_conn_last_error(sink.conn), "dma-buf"));
	sink_until_over(queue.rx, &sink, 1);
	assert_int_equal(sink.error, -ENOMEM);
	assert_non_null(strstr(szc_conn_last_error(sink.conn), "cannot copy it into a dma-buf"));
	szc_conn_close(sink.conn);
	sink_send_end(&sender);
	sink_finish(queue.rx);
	queue_restore(&queue);
	close(fd);
}

/* Ordinary traffic that lands on a queue of ours could be read by nobody. */
static void the_table_spares_the_queue_until_it_is_free(void **state)
{
	const struct szc_nic_info *info;
	struct queue queue;
	char why[400];

	(void)state;
	queue_prepare(&queue);
	if (queue_engine(&queue, (struct szc_rx_options){.max_connections = 1}, why, sizeof(why)))
		fail_msg("%s", why);
	assert_true(szc_nic_restore(queue.nic) < 0);
	assert_int_equal(szc_nic_look(queue.nic, &info), 0);
	assert_int_equal(szc_nic_queue(queue.nic, QUEUE)->memory, SZC_NIC_MEMORY_IO_URING);
	assert_false(szc_nic_queue(queue.nic, QUEUE)->in_rss);
	assert_int_equal(szc_rx_close(queue.rx), 0);
	queue_restore(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_name_their_cause),
		cmocka_unit_test(closes_amid_traffic),
		cmocka_unit_test(views_outlive_their_connection),
		cmocka_unit_test(a_child_keeps_nothing),
		cmocka_unit_test(another_way_in_is_copied_and_counted),
		cmocka_unit_test(a_way_that_changes_is_copied_and_counted),
		cmocka_unit_test(down_and_up_loses_nothing),
		cmocka_unit_test(drives_a_foreign_loop),
		cmocka_unit_test(runs_without_privilege),
		cmocka_unit_test(into_a_dma_buf),
		cmocka_unit_test(a_dma_buf_has_its_limits),
		cmocka_unit_test(the_table_spares_the_queue_until_it_is_free),
	};

	queue_limit(800);
	return cmocka_run_group_tests_name("zcrx_life", tests, NULL, NULL);
}
