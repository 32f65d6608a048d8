/* SPDX-License-Identifier: MIT */
/*
 * Short transfers during which one call fails, the first, then the second, and so on until a transfer meets none. Whatever
 * fails: no crash, no hang, no wrong byte, no descriptor and no memory left behind, and either all went well or there is
 * a sentence that says why not. Run with the shim preloaded:
 *
 *   fault_transfer CERT KEY
 *
 * Each transfer is a process of its own, and so is its peer, which nothing happens to.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <szc/tls.h>
#include <unistd.h>

enum {
	FROM_PEER = 200000,
	TO_PEER = 50000,
	LIMIT_S = 40,    /* a process that takes longer hangs */
	LIMIT_MS = 5000, /* an engine that is silent for so long waits for nothing */
	OPENSSL_OWN = 3, /* pieces that OpenSSL 3.0 loses when memory runs out while it looks for a key's decoder */
};

enum outcome { WELL, TOLD, MUTE, WRONG, DESCRIPTORS, MEMORY };
static const char *const outcome_names[] = {
	"all went well",       "an error with a sentence", "an error without a sentence",
	"wrong or lost bytes", "descriptors left behind",  "memory left behind"};

struct setting {
	const char *name;
	enum szc_backend backend;
	bool connect; /* else the peer does */
	bool tls;
};

static const struct setting settings[] = {
	{"copy, accepting", SZC_BACKEND_COPY, false, false},
	{"copy, connecting", SZC_BACKEND_COPY, true, false},
	{"copy, accepting, TLS", SZC_BACKEND_COPY, false, true},
	{"copy, connecting, TLS", SZC_BACKEND_COPY, true, true},
	{"epoll, accepting", SZC_BACKEND_EPOLL, false, false},
	{"epoll, connecting", SZC_BACKEND_EPOLL, true, false},
	{"epoll, accepting, TLS", SZC_BACKEND_EPOLL, false, true},
	{"epoll, connecting, TLS", SZC_BACKEND_EPOLL, true, true},
	{"the best there is, accepting", SZC_BACKEND_AUTO, false, false},
};

static const struct {
	const char *call;
	int error;
} faults[] = {
	{"malloc", ENOMEM},
	{"mmap", ENOMEM},
	{"madvise", EINVAL},
	{"socket", EMFILE},
	{"socket", EAFNOSUPPORT},
	{"bind", EACCES},
	{"listen", EADDRINUSE},
	{"connect", ENETUNREACH},
	{"accept4", EMFILE},
	{"accept4", ECONNABORTED},
	{"accept4", EINTR},
	{"getsockname", ENOBUFS},
	{"getpeername", ENOTCONN},
	{"setsockopt", ENOPROTOOPT},
	{"getaddrinfo", ENOMEM},
	{"recv", ECONNRESET},
	{"recv", EINTR},
	{"recv", EAGAIN},
	{"recv", ENOMEM},
	{"sendmsg", EPIPE},
	{"sendmsg", ECONNRESET},
	{"sendmsg", ENOBUFS},
	{"sendmsg", EINTR},
	{"sendmsg", EAGAIN},
	{"epoll_create1", EMFILE},
	{"epoll_ctl", ENOMEM},
	{"epoll_ctl", ENOSPC},
	{"epoll_wait", EINTR},
	{"eventfd", EMFILE},
	{"timerfd_create", EMFILE},
	{"timerfd_settime", EINVAL},
	{"io_uring_queue_init_params", EPERM},
	{"io_uring_queue_init_params", ENOSYS},
	{"io_uring_queue_init_params", ENOMEM},
	{"io_uring_ring_dontfork", ENOMEM},
	{"io_uring_register_buf_ring", ENOMEM},
	{"io_uring_submit", EAGAIN},
	{"io_uring_submit_and_wait", EINTR},
	{"io_uring_submit_and_wait", EAGAIN},
	{"io_uring_submit_and_get_events", EINTR},
	{"io_uring_submit_and_wait_timeout", EINTR},
	{"io_uring_submit_and_wait_timeout", EBUSY},
};

/* One transfer, as the process that runs it and the one that judges see it. */
struct report {
	enum outcome outcome;
	long calls;
	char sentence[400];
};

static const char *cert_file, *key_file;
static struct report *report; /* shared with the children */
static SSL_CTX *peer_ctx[2];  /* client's, server's */

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 167 + (at >> 8) * 13 + (at >> 16));
}

/* ---- the peer, to whom nothing happens */

static bool peer_write(int fd, SSL *ssl, const uint8_t *bytes, size_t len)
{
	while (len) {
		int done = ssl ? SSL_write(ssl, bytes, (int)len) : (int)send(fd, bytes, len, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		bytes += done;
		len -= (size_t)done;
	}
	return true;
}

static bool peer_read(int fd, SSL *ssl)
{
	uint8_t bytes[4096];
	uint64_t at = 0;
	int got;

	while ((got = ssl ? SSL_read(ssl, bytes, sizeof(bytes)) : (int)recv(fd, bytes, sizeof(bytes), 0)) > 0)
		for (int i = 0; i < got; i++, at++)
			if (bytes[i] != byte_at(at))
				return false;
	return at == TO_PEER;
}

static _Noreturn void peer_main(const struct setting *setting, int listener, int port_pipe)
{
	static uint8_t bytes[FROM_PEER];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	SSL *ssl = NULL;
	int fd;
	bool well;

	alarm(LIMIT_S);
	signal(SIGPIPE, SIG_IGN);
	if (setting->connect) {
		fd = accept(listener, NULL, NULL);
	} else {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (read(port_pipe, &to.sin_port, sizeof(to.sin_port)) != sizeof(to.sin_port) ||
		    connect(fd, (struct sockaddr *)&to, sizeof(to)))
			_exit(1);
	}
	if (setting->tls) {
		ssl = SSL_new(peer_ctx[setting->connect]);
		SSL_set_fd(ssl, fd);
		if ((setting->connect ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
			_exit(1);
	}
	for (uint64_t i = 0; i < FROM_PEER; i++)
		bytes[i] = byte_at(i);
	well = peer_write(fd, ssl, bytes, sizeof(bytes));
	if (ssl)
		SSL_shutdown(ssl);
	shutdown(fd, SHUT_WR);
	well = well && peer_read(fd, ssl);
	_exit(well ? 0 : 1);
}

/* ---- the engine's side */

struct run {
	const struct setting *setting;
	struct szc_tls_ctx *ctx;
	struct szc_rx *rx;
	struct szc_conn *conn;
	uint64_t got;
	bool over;
};

static void tell(struct run *run, int error, const char *sentence)
{
	run->over = true;
	report->outcome = *sentence ? TOLD : MUTE;
	snprintf(report->sentence, sizeof(report->sentence), "%s (%s)", sentence, szc_strerror(error));
}

static void wrong(struct run *run, const char *what)
{
	run->over = true;
	report->outcome = WRONG;
	snprintf(report->sentence, sizeof(report->sentence), "%s, after %llu bytes", what,
		 (unsigned long long)run->got);
}

static void attach(struct run *run, struct szc_conn *conn)
{
	struct szc_tls_peer peer = {.size = sizeof(peer), .host = "localhost"};
	int error;

	run->conn = conn;
	if (!run->setting->tls)
		return;
	error = szc_tls_attach(conn, run->ctx, run->setting->connect ? &peer : NULL);
	if (error)
		tell(run, error, szc_strerror(error));
}

static void answer(struct run *run)
{
	uint8_t bytes[TO_PEER];
	ssize_t taken;

	for (uint64_t i = 0; i < TO_PEER; i++)
		bytes[i] = byte_at(i);
	taken = szc_conn_send(run->conn, &(struct iovec){bytes, sizeof(bytes)}, 1);
	if (taken < 0)
		tell(run, (int)taken, szc_conn_last_error(run->conn));
	else if (taken != TO_PEER)
		wrong(run, "an empty queue did not take all");
}

static void take(struct run *run, struct szc_view *view)
{
	int iovcnt;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);

	for (int i = 0; i < iovcnt; i++)
		for (size_t j = 0; j < iov[i].iov_len; j++, run->got++)
			if (((const uint8_t *)iov[i].iov_base)[j] != byte_at(run->got) && !run->over)
				wrong(run, "a wrong byte");
	szc_view_release(view);
}

static void end_of_stream(struct run *run)
{
	int error;

	if (run->got != FROM_PEER) {
		wrong(run, "a proper end of a stream that was cut");
		return;
	}
	error = szc_conn_shutdown(run->conn);
	if (error)
		tell(run, error, szc_conn_last_error(run->conn));
}

static void handle(struct run *run, const struct szc_event *event)
{
	switch (event->type) {
	case SZC_EV_ACCEPTED:
		attach(run, event->conn);
		break;
	case SZC_EV_READY:
		answer(run);
		break;
	case SZC_EV_DATA:
		take(run, event->view);
		break;
	case SZC_EV_EOF:
		end_of_stream(run);
		break;
	case SZC_EV_SENT:
		run->over = true;
		break;
	case SZC_EV_ERROR:
		tell(run, event->error, szc_conn_last_error(event->conn));
		break;
	default:
		break;
	}
}

static bool open_all(struct run *run, unsigned port, int port_pipe)
{
	struct szc_tls_options tls = {.size = sizeof(tls), .insecure = true};
	char why[300] = "", address[40];
	struct szc_rx_options options = {
		.size = sizeof(options),
		.backend = run->setting->backend,
		.max_connections = 2,
		.buffer_size = 8192,
		.error = why,
		.error_size = sizeof(why),
	};
	struct szc_listener *listener;
	uint16_t big_endian;
	int error;

	tls.error = why;
	tls.error_size = sizeof(why);
	tls.role = run->setting->connect ? SZC_TLS_CLIENT : SZC_TLS_SERVER;
	tls.cert_file = run->setting->connect ? NULL : cert_file;
	tls.key_file = run->setting->connect ? NULL : key_file;
	error = run->setting->tls ? szc_tls_ctx_open(&run->ctx, &tls) : 0;
	if (!error)
		error = szc_rx_open(&run->rx, &options);
	if (error) {
		tell(run, error, why);
		return false;
	}
	snprintf(address, sizeof(address), "127.0.0.1:%u", run->setting->connect ? port : 0);
	error = run->setting->connect ? szc_rx_connect(run->rx, address, LIMIT_MS, &run->conn)
				      : szc_rx_listen(run->rx, address, NULL, &listener);
	if (error) {
		tell(run, error, szc_rx_last_error(run->rx));
		return false;
	}
	if (run->setting->connect) {
		attach(run, run->conn);
		return !run->over;
	}
	big_endian = htons((uint16_t)szc_listener_port(listener));
	if (!big_endian)
		tell(run, -EINVAL, "the listener does not know its port");
	else if (write(port_pipe, &big_endian, sizeof(big_endian)) != sizeof(big_endian))
		wrong(run, "the peer is gone");
	return !run->over;
}

/* The transfer; what fails in it was armed before. */
static void run_engine(struct run *run, unsigned port, int port_pipe)
{
	report->outcome = WELL;
	if (!open_all(run, port, port_pipe))
		goto close;
	while (!run->over) {
		struct szc_event events[4];
		int count = szc_rx_wait(run->rx, events, 4, LIMIT_MS);

		if (count == -EINTR)
			continue;
		if (count < 0)
			tell(run, count, szc_strerror(count));
		else if (!count)
			tell(run, SZC_E_TIMEOUT, szc_rx_last_error(run->rx));
		for (int i = 0; i < count; i++) {
			if (run->over && events[i].type == SZC_EV_DATA)
				szc_view_release(events[i].view);
			else if (!run->over)
				handle(run, &events[i]);
		}
	}
close:
	if (run->rx && szc_rx_close(run->rx))
		wrong(run, szc_rx_last_error(run->rx));
	szc_tls_ctx_close(run->ctx);
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (dir && readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* 0 means: no fault. Returns whether the peer was content. */
static bool transfer(const struct setting *setting, const char *call, int error, long at)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	struct run run = {.setting = setting};
	int listener = socket(AF_INET, SOCK_STREAM, 0), port_pipe[2], descriptors, status;
	long live;
	pid_t peer;

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len) || pipe(port_pipe))
		abort();
	peer = fork();
	if (!peer)
		peer_main(setting, listener, port_pipe[0]);
	descriptors = count_descriptors();
	/* OpenSSL's memory of errors and the like. */
	OPENSSL_thread_stop();
	live = shim_live();
	shim_arm(call, error, at);
	run_engine(&run, ntohs(address.sin_port), port_pipe[1]);
	report->calls = shim_calls();
	OPENSSL_thread_stop();
	live = shim_live() - live - (strstr(shim_refused(), "libcrypto") ? OPENSSL_OWN : 0);
	shim_arm(NULL, 0, 0);
	if (report->outcome < WRONG && count_descriptors() != descriptors)
		report->outcome = DESCRIPTORS;
	if (report->outcome < WRONG && at && live > 0) {
		report->outcome = MEMORY;
		snprintf(report->sentence, sizeof(report->sentence), "%ld pieces", live);
	}
	close(listener);
	close(port_pipe[0]);
	close(port_pipe[1]);
	if (report->outcome != WELL)
		kill(peer, SIGKILL);
	if (waitpid(peer, &status, 0) != peer)
		abort();
	return status == 0;
}

/* ---- judging */

static int failures, tests;

static void result(bool good, const char *setting, const char *call, const char *error, const char *detail)
{
	printf("%s %d - %s: %s%s%s\n", good ? "ok" : "not ok", ++tests, setting, call, *error ? ": " : "", error);
	if (*detail)
		printf("# %s\n", detail);
	failures += !good;
}

/* In a process of its own. Returns NULL, or what is wrong with how it ended. */
static const char *one(const struct setting *setting, const char *call, int error, long at)
{
	static char what[600];
	int status;
	pid_t child;

	memset(report, 0, sizeof(*report));
	fflush(stdout);
	child = fork();
	if (!child) {
		alarm(LIMIT_S);
		if (!transfer(setting, call, error, at) && report->outcome == WELL)
			report->outcome = WRONG;
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		abort();
	if (WIFSIGNALED(status)) {
		snprintf(what, sizeof(what), "%s",
			 WTERMSIG(status) == SIGALRM ? "it hung" : strsignal(WTERMSIG(status)));
		return what;
	}
	if (status || report->outcome > TOLD) {
		snprintf(what, sizeof(what), "%s: %s", outcome_names[report->outcome], report->sentence);
		return what;
	}
	return NULL;
}

/* Thousands of allocations are the handshake's: not each one of them on each run. */
static long stride(const struct setting *setting, const char *call)
{
	if (strcmp(call, "malloc") != 0 || !setting->tls)
		return 1;
	return getenv("SZC_TEST_FULL") ? 1 : 41;
}

static void inject(const struct setting *setting, const char *call, int error)
{
	long at, step = stride(setting, call), met = 0, told = 0;
	char detail[900], last[400] = "";
	const char *bad = NULL;

	for (at = 1; at < 100000; at += step) {
		bad = one(setting, call, error, at);
		if (bad || report->calls < at)
			break;
		met++;
		told += report->outcome == TOLD;
		if (report->outcome == TOLD)
			snprintf(last, sizeof(last), "%s", report->sentence);
	}
	if (bad)
		snprintf(detail, sizeof(detail), "call %ld: %s", at, bad);
	else
		snprintf(detail, sizeof(detail), "%ld times, %ld of them an error%s%s", met, told,
			 told ? ", last: " : "", last);
	if (bad || met)
		result(!bad, setting->name, call, strerror(error), detail);
}

static SSL_CTX *make_peer_ctx(bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!ctx || (server && (SSL_CTX_use_certificate_file(ctx, cert_file, SSL_FILETYPE_PEM) != 1 ||
				SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)))
		abort();
	return ctx;
}

int main(int argc, char **argv)
{
	if (argc != 3 || !shim_arm) {
		fprintf(stderr, "usage: LD_PRELOAD=libfault_shim.so %s CERT KEY\n", argv[0]);
		return 2;
	}
	cert_file = argv[1];
	key_file = argv[2];
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 2; i++)
		peer_ctx[i] = make_peer_ctx(i);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		const struct setting *setting = &settings[i];
		bool content;

		/* Twice here, so that what is allocated once in a process is there before anything is counted. */
		transfer(setting, NULL, 0, 0);
		content = transfer(setting, NULL, 0, 0);
		if (report->outcome == TOLD && setting->backend == SZC_BACKEND_COPY) {
			printf("ok %d - %s # SKIP %s\n", ++tests, setting->name, report->sentence);
			continue;
		}
		result(report->outcome == WELL && content, setting->name, "untouched", "", report->sentence);
		if (report->outcome != WELL)
			continue;
		for (size_t j = 0; j < sizeof(faults) / sizeof(faults[0]); j++)
			inject(setting, faults[j].call, faults[j].error);
	}
	printf("1..%d\n", tests);
	return failures ? 1 : 0;
}
