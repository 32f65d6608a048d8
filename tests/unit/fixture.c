/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum szc_backend fixture_copy = SZC_BACKEND_COPY, fixture_epoll = SZC_BACKEND_EPOLL;

/* Tests of running out of memory ask for too much of it: that is to fail, not to end the process. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

struct szc_rx *fixture_open(void **state, struct szc_rx_options options)
{
	enum szc_backend backend = *(enum szc_backend *)*state;
	char why[400] = "";
	struct szc_rx *rx;
	int error;

	options.size = sizeof(options);
	options.backend = backend;
	options.error = why;
	options.error_size = sizeof(why);
	error = szc_rx_open(&rx, &options);
	if (error == SZC_E_BACKEND && backend == SZC_BACKEND_COPY) {
		printf("# skip: %s\n", why);
		skip();
	}
	if (error)
		fail_msg("cannot open an engine: %s (%d)", why, error);
	assert_string_equal(szc_rx_backend(rx), backend == SZC_BACKEND_COPY ? "copy" : "epoll");
	return rx;
}

struct szc_rx_options fixture_least(unsigned connections, size_t buffer_size)
{
	return (struct szc_rx_options){
		.max_connections = connections,
		.buffer_size = buffer_size,
		.quota_buffers = szc_rx_min_quota(buffer_size),
	};
}

void fixture_close(struct szc_rx *rx)
{
	int error = szc_rx_close(rx);

	if (error)
		fail_msg("cannot close the engine: %s", szc_rx_last_error(rx));
}

/* ---- peers */

static void limit_times(int fd)
{
	struct timeval limit = {FIXTURE_MS / 1000, 0};
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int fixture_connect(unsigned port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail_msg("cannot connect to port %u: %s", port, strerror(errno));
	/* Not before: io_uring's work interrupts system calls, and those with a time limit are not restarted. */
	limit_times(fd);
	return fd;
}

void fixture_tcp_pair(int fds[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	fds[1] = fixture_connect(ntohs(address.sin_port));
	fds[0] = accept(listener, NULL, NULL);
	assert_true(fds[0] >= 0);
	close(listener);
}

struct szc_conn *fixture_conn(struct szc_rx *rx, int *peer)
{
	struct szc_conn *conn;
	int fds[2];

	fixture_tcp_pair(fds);
	assert_int_equal(szc_rx_adopt(rx, fds[0], &conn), 0);
	assert_int_equal(szc_conn_wait_ready(conn, FIXTURE_MS), 0);
	*peer = fds[1];
	return conn;
}

void fixture_reset_on_close(int fd)
{
	struct linger at_once = {1, 0};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
}

/* ---- events */

int fixture_wait(struct szc_rx *rx, struct szc_event *events, int max, int timeout_ms)
{
	int got;

	do {
		got = szc_rx_wait(rx, events, max, timeout_ms);
	} while (got == -EINTR);
	if (got < 0)
		fail_msg("szc_rx_wait: %s", szc_strerror(got));
	return got;
}

struct szc_event fixture_event(struct szc_rx *rx, int timeout_ms)
{
	struct szc_event event = {0};

	if (!fixture_wait(rx, &event, 1, timeout_ms))
		event = (struct szc_event){0};
	return event;
}

struct szc_event fixture_expect(struct szc_rx *rx, enum szc_event_type type)
{
	static const char *const names[] = {"nothing", "ACCEPTED", "READY", "DATA", "WRITABLE", "SENT", "EOF", "ERROR"};
	struct szc_event event = fixture_event(rx, FIXTURE_MS);

	if (event.type != type)
		fail_msg("%s came where %s was due%s%s", names[event.type], names[type], event.error ? ": " : "",
			 event.type == SZC_EV_ERROR ? szc_conn_last_error(event.conn) : "");
	return event;
}

void fixture_quiet(struct szc_rx *rx, int timeout_ms)
{
	struct szc_event event = fixture_event(rx, timeout_ms);

	if (event.type)
		fail_msg("event %d came, where nothing was due", (int)event.type);
}

/* ---- bytes */

uint8_t fixture_byte(unsigned seed, uint64_t at)
{
	/* Each byte of eight from another byte of a mixed counter: no period that a mistake in steps of 2^n could hide in. */
	uint64_t mixed = (at / 8 + seed) * 0x9e3779b97f4a7c15u;

	return (uint8_t)((mixed ^ mixed >> 31) >> (at % 8 * 8));
}

void fixture_fill(void *to, size_t len, unsigned seed, uint64_t at)
{
	uint8_t *bytes = to;

	for (size_t i = 0; i < len; i++)
		bytes[i] = fixture_byte(seed, at + i);
}

size_t fixture_check(const struct szc_view *view, unsigned seed, uint64_t at)
{
	uint64_t begin = at;
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (int i = 0; i < iovcnt; i++) {
		const uint8_t *bytes = iov[i].iov_base;

		for (size_t j = 0; j < iov[i].iov_len; j++, at++)
			if (bytes[j] != fixture_byte(seed, at))
				fail_msg("wrong byte at %llu of stream %u", (unsigned long long)at, seed);
	}
	assert_int_equal(at - begin, szc_view_size(view));
	return szc_view_size(view);
}

size_t fixture_recv(int fd, void *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = recv(fd, (uint8_t *)to + done, len - done, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			fail_msg("the peer's recv: %s", strerror(errno));
		if (!got)
			break;
		done += (size_t)got;
	}
	return done;
}

void fixture_read(int fd, size_t len, unsigned seed, uint64_t at)
{
	uint8_t bytes[16384];

	while (len) {
		size_t part = len < sizeof(bytes) ? len : sizeof(bytes);

		if (fixture_recv(fd, bytes, part) != part)
			fail_msg("the peer's stream ended, %zu bytes early", len);
		for (size_t i = 0; i < part; i++, at++)
			if (bytes[i] != fixture_byte(seed, at))
				fail_msg("wrong byte at %llu of stream %u", (unsigned long long)at, seed);
		len -= part;
	}
}

/* 0 or an errno. */
static int write_stream(int fd, uint64_t total, size_t piece, unsigned seed, uint64_t at)
{
	uint8_t bytes[65536];

	while (total) {
		size_t most = piece && piece < sizeof(bytes) ? piece : sizeof(bytes);
		size_t len = total < most ? (size_t)total : most, done = 0;

		fixture_fill(bytes, len, seed, at);
		while (done < len) {
			ssize_t sent = send(fd, bytes + done, len - done, MSG_NOSIGNAL);

			if (sent < 0 && errno != EINTR)
				return errno;
			done += sent > 0 ? (size_t)sent : 0;
		}
		at += len;
		total -= len;
	}
	return 0;
}

void fixture_write(int fd, size_t len, unsigned seed, uint64_t at)
{
	int error = write_stream(fd, len, 0, seed, at);

	if (error)
		fail_msg("the peer's send: %s", strerror(error));
}

static void *sender_main(void *arg)
{
	struct fixture_sender *sender = arg;

	sender->error = write_stream(sender->fd, sender->total, sender->piece, sender->seed, 0);
	if (sender->end)
		shutdown(sender->fd, SHUT_WR);
	return NULL;
}

void fixture_sender_start(struct fixture_sender *sender)
{
	assert_int_equal(pthread_create(&sender->thread, NULL, sender_main, sender), 0);
}

void fixture_sender_join(struct fixture_sender *sender)
{
	assert_int_equal(pthread_join(sender->thread, NULL), 0);
	if (sender->error)
		fail_msg("the peer's send: %s", strerror(sender->error));
}

/* ---- the rest */

void fixture_aborts(void (*act)(void *arg), void *arg, const char *words)
{
	char said[1000];
	size_t len = 0;
	ssize_t got;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		act(arg);
		_exit(0);
	}
	close(fds[1]);
	while (len < sizeof(said) - 1 && (got = read(fds[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)got;
	said[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("it did not end by SIGABRT (status %#x) and said: %s", (unsigned)status, said);
	if (!strstr(said, words))
		fail_msg("it said \"%s\", not \"%s\"", said, words);
}

uint64_t fixture_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t fixture_random(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 32) * below >> 32);
}

int fixture_open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
