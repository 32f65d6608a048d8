/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <linux/tls.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "lib/sendq.h"

enum { SOCKET_BUFFER = 4608, MIB = 1 << 20 };

/* What sendmsg() is asked for by the queue, seen on its way to the kernel. */
static struct {
	int calls;
	int fail_with; /* errno of the next call */
	int typed;
	uint8_t record_type;
	int flags;
} seen;

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct cmsghdr *cmsg = msg->msg_controllen ? msg->msg_control : NULL;

	seen.calls++;
	seen.flags = flags;
	if (cmsg) {
		seen.typed++;
		assert_int_equal(cmsg->cmsg_level, 282); /* SOL_TLS */
		assert_int_equal(cmsg->cmsg_type, TLS_SET_RECORD_TYPE);
		assert_int_equal(cmsg->cmsg_len, CMSG_LEN(1));
		seen.record_type = *CMSG_DATA(cmsg);
	}
	if (seen.fail_with) {
		errno = seen.fail_with;
		seen.fail_with = 0;
		return -1;
	}
	return syscall(SYS_sendmsg, fd, msg, flags);
}

struct wire {
	struct szc_sendq sendq;
	int fds[2];
	uint64_t queued; /* of stream 3 */
	uint64_t sent;   /* as the queue counted it */
	uint64_t read;
};

static void open_wire(struct wire *wire)
{
	int size = SOCKET_BUFFER;

	memset(wire, 0, sizeof(*wire));
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire->fds), 0);
	assert_int_equal(setsockopt(wire->fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void close_wire(struct wire *wire)
{
	szc_sendq_clear(&wire->sendq);
	assert_null(wire->sendq.head);
	assert_null(wire->sendq.spare);
	assert_int_equal(wire->sendq.bytes, 0);
	close(wire->fds[0]);
	close(wire->fds[1]);
}

static void queue(struct wire *wire, size_t len)
{
	uint8_t *to = szc_sendq_reserve(&wire->sendq, len);

	assert_non_null(to);
	fixture_fill(to, len, 3, wire->queued);
	szc_sendq_commit(&wire->sendq, len);
	wire->queued += len;
}

static int flush(struct wire *wire)
{
	int result = szc_sendq_flush(&wire->sendq, wire->fds[0], &wire->sent);

	assert_int_equal(wire->sendq.bytes, wire->queued - wire->sent);
	return result;
}

static void read_some(struct wire *wire, size_t most)
{
	uint8_t bytes[SOCKET_BUFFER];
	ssize_t got = recv(wire->fds[1], bytes, most < sizeof(bytes) ? most : sizeof(bytes), MSG_DONTWAIT);

	assert_true(got > 0);
	for (ssize_t i = 0; i < got; i++)
		assert_int_equal(bytes[i], fixture_byte(3, wire->read + (uint64_t)i));
	wire->read += (uint64_t)got;
}

static void finish(struct wire *wire)
{
	while (flush(wire) == SZC_SENDQ_BLOCKED)
		read_some(wire, SIZE_MAX);
	while (wire->read < wire->sent)
		read_some(wire, SIZE_MAX);
	assert_int_equal(wire->read, wire->queued);
	assert_int_equal(wire->sendq.bytes, 0);
}

static void an_empty_queue_sends_nothing(void **state)
{
	struct wire wire;

	(void)state;
	open_wire(&wire);
	assert_int_equal(flush(&wire), SZC_SENDQ_EMPTY);
	/* Reserved, then not needed. */
	assert_non_null(szc_sendq_reserve(&wire.sendq, 100));
	assert_int_equal(flush(&wire), SZC_SENDQ_EMPTY);
	assert_int_equal(seen.calls, 0);
	close_wire(&wire);
}

static void all_arrives_in_order_through_a_small_socket(void **state)
{
	struct wire wire;
	uint64_t seed = 1;

	(void)state;
	open_wire(&wire);
	while (wire.queued < 3 * MIB) {
		uint32_t what = fixture_random(&seed, 8);

		if (what < 4)
			queue(&wire, 1 + fixture_random(&seed, 20000));
		else if (what == 4 && wire.queued < MIB)
			queue(&wire, 300000); /* more than a chunk holds */
		else if (what < 7 && wire.read < wire.sent)
			read_some(&wire, 1 + fixture_random(&seed, SOCKET_BUFFER));
		else
			flush(&wire);
	}
	finish(&wire);
	assert_int_equal(seen.flags, MSG_DONTWAIT | MSG_NOSIGNAL);
	close_wire(&wire);
}

static void a_steady_stream_allocates_nothing(void **state)
{
	struct szc_chunk *chunk;
	struct wire wire;

	(void)state;
	open_wire(&wire);
	queue(&wire, 10);
	chunk = wire.sendq.head;
	finish(&wire);
	for (int i = 0; i < 100; i++) {
		queue(&wire, 1000);
		assert_ptr_equal(wire.sendq.head, chunk);
		finish(&wire);
	}
	close_wire(&wire);
}

static void typed_records_are_sent_by_themselves(void **state)
{
	uint8_t alert[2];
	struct wire wire;

	(void)state;
	open_wire(&wire);
	queue(&wire, 100);
	fixture_fill(alert, 2, 3, wire.queued);
	assert_int_equal(szc_sendq_typed(&wire.sendq, 21, alert, 2), 0);
	memset(alert, 0, 2); /* ours again at once */
	wire.queued += 2;
	queue(&wire, 50); /* never into the typed one's memory */
	finish(&wire);
	assert_int_equal(seen.calls, 3);
	assert_int_equal(seen.typed, 1);
	assert_int_equal(seen.record_type, 21);
	close_wire(&wire);
}

static void a_hook_stops_the_flush_until_it_is_passed(void **state)
{
	struct wire wire;

	(void)state;
	open_wire(&wire);
	assert_int_equal(szc_sendq_hook(&wire.sendq), 0);
	assert_int_equal(flush(&wire), SZC_SENDQ_AT_HOOK);
	assert_int_equal(flush(&wire), SZC_SENDQ_AT_HOOK);
	szc_sendq_pass(&wire.sendq);
	assert_int_equal(flush(&wire), SZC_SENDQ_EMPTY);

	queue(&wire, 10);
	assert_int_equal(szc_sendq_hook(&wire.sendq), 0);
	assert_int_equal(szc_sendq_hook(&wire.sendq), 0);
	queue(&wire, 20);
	assert_int_equal(flush(&wire), SZC_SENDQ_AT_HOOK);
	assert_int_equal(wire.sent, 10);
	szc_sendq_pass(&wire.sendq);
	assert_int_equal(flush(&wire), SZC_SENDQ_AT_HOOK);
	assert_int_equal(wire.sent, 10);
	szc_sendq_pass(&wire.sendq);
	finish(&wire);
	close_wire(&wire);
}

static void a_blocked_queue_keeps_its_hook(void **state)
{
	struct wire wire;
	int hooks = 0, result;

	(void)state;
	open_wire(&wire);
	queue(&wire, 100000);
	assert_int_equal(szc_sendq_hook(&wire.sendq), 0);
	queue(&wire, 100000);
	while ((result = flush(&wire)) != SZC_SENDQ_EMPTY) {
		if (result == SZC_SENDQ_AT_HOOK) {
			assert_int_equal(wire.sent, 100000);
			szc_sendq_pass(&wire.sendq);
			hooks++;
		} else {
			assert_int_equal(result, SZC_SENDQ_BLOCKED);
			read_some(&wire, SIZE_MAX);
		}
	}
	assert_int_equal(hooks, 1);
	finish(&wire);
	close_wire(&wire);
}

static void straight_from_memory_only_if_nothing_waits(void **state)
{
	uint8_t bytes[300], rest[3];
	struct iovec iov[2] = {{bytes, 200}, {bytes + 200, 100}};
	struct wire wire;

	(void)state;
	open_wire(&wire);
	fixture_fill(bytes, sizeof(bytes), 3, 0);
	assert_int_equal(szc_sendq_direct(&wire.sendq, wire.fds[0], iov, 2), 300);
	wire.queued = wire.sent = 300;
	queue(&wire, 10);
	assert_int_equal(szc_sendq_direct(&wire.sendq, wire.fds[0], iov, 2), 0);
	finish(&wire);
	/* A hook is something that waits, too. */
	assert_int_equal(szc_sendq_hook(&wire.sendq), 0);
	assert_int_equal(szc_sendq_direct(&wire.sendq, wire.fds[0], iov, 2), 0);
	szc_sendq_pass(&wire.sendq);
	while (szc_sendq_direct(&wire.sendq, wire.fds[0], iov, 2) > 0)
		;
	assert_int_equal(szc_sendq_direct(&wire.sendq, wire.fds[0], iov, 2), 0);
	assert_int_equal(recv(wire.fds[1], rest, sizeof(rest), MSG_DONTWAIT), sizeof(rest));
	close_wire(&wire);
}

static void interruptions_are_no_errors(void **state)
{
	struct wire wire;

	(void)state;
	open_wire(&wire);
	queue(&wire, 10);
	seen.fail_with = EINTR;
	assert_int_equal(flush(&wire), SZC_SENDQ_EMPTY);
	assert_int_equal(seen.calls, 2);
	queue(&wire, 10);
	seen.fail_with = EAGAIN;
	assert_int_equal(flush(&wire), SZC_SENDQ_BLOCKED);
	finish(&wire);
	seen.fail_with = EINTR;
	assert_int_equal(szc_sendq_typed(&wire.sendq, 22, "x", 1), 0);
	assert_int_equal(szc_sendq_flush(&wire.sendq, wire.fds[0], &wire.sent), SZC_SENDQ_EMPTY);
	close_wire(&wire);
}

static void errors_are_told(void **state)
{
	struct wire wire;

	(void)state;
	open_wire(&wire);
	queue(&wire, 10);
	seen.fail_with = ENOBUFS;
	assert_int_equal(flush(&wire), -ENOBUFS);
	close(wire.fds[1]);
	assert_int_equal(flush(&wire), -EPIPE); /* and no SIGPIPE */
	wire.fds[1] = dup(wire.fds[0]);
	close_wire(&wire);
}

static void without_memory_the_queue_stays_as_it_was(void **state)
{
	volatile size_t far_too_much = PTRDIFF_MAX - 4096;
	struct wire wire;

	(void)state;
	open_wire(&wire);
	assert_null(szc_sendq_reserve(&wire.sendq, far_too_much));
	assert_null(wire.sendq.head);
	queue(&wire, 100);
	assert_null(szc_sendq_reserve(&wire.sendq, far_too_much));
	assert_int_equal(szc_sendq_typed(&wire.sendq, 21, "", far_too_much), -ENOMEM);
	queue(&wire, 100);
	finish(&wire);
	close_wire(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_queue_sends_nothing),
		cmocka_unit_test(all_arrives_in_order_through_a_small_socket),
		cmocka_unit_test(a_steady_stream_allocates_nothing),
		cmocka_unit_test(typed_records_are_sent_by_themselves),
		cmocka_unit_test(a_hook_stops_the_flush_until_it_is_passed),
		cmocka_unit_test(a_blocked_queue_keeps_its_hook),
		cmocka_unit_test(straight_from_memory_only_if_nothing_waits),
		cmocka_unit_test(interruptions_are_no_errors),
		cmocka_unit_test(errors_are_told),
		cmocka_unit_test(without_memory_the_queue_stays_as_it_was),
	};

	return cmocka_run_group_tests_name("sendq", tests, NULL, NULL);
}
