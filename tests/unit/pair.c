/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "tls/ctx.h"

enum { PATIENCE_MS = 20000 };

enum szc_backend pair_copy = SZC_BACKEND_COPY, pair_epoll = SZC_BACKEND_EPOLL;

void pair_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# skip: ");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
	skip();
	abort(); /* cmocka's skip() does not return, but does not say so */
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- opening and closing */

void pair_open(struct pair *pair, void **state, const struct szc_rx_options *options)
{
	struct szc_rx_options o = {0};
	char why[320] = "";
	int error;

	if (options)
		o = *options;
	o.size = sizeof(o);
	o.backend = *(enum szc_backend *)*state;
	if (!o.max_connections)
		o.max_connections = 4;
	o.error = why;
	o.error_size = sizeof(why);
	memset(pair, 0, sizeof(*pair));
	pair->peer.fd = -1;
	error = szc_rx_open(&pair->rx, &o);
	if (error == SZC_E_BACKEND)
		pair_skip("%s", why);
	if (error)
		fail_msg("szc_rx_open: %d, %s", error, why);
}

void pair_release(struct pair *pair)
{
	unsigned i;

	for (i = 0; i < pair->kept_count; i++)
		szc_view_release(pair->kept[i]);
	pair->kept_count = 0;
}

void pair_disconnect(struct pair *pair)
{
	if (pair->conn)
		szc_conn_close(pair->conn);
	pair->conn = NULL;
	if (pair->peer.ssl)
		peer_close(&pair->peer);
	szc_tls_ctx_close(pair->ctx);
	pair->ctx = NULL;
	free(pair->got);
	pair->got = NULL;
	pair->got_len = 0;
	pair->views = pair->pieces = 0;
	pair->error = 0;
	pair->sentence[0] = '\0';
	pair->ready = pair->writable = pair->sent = pair->eof = false;
}

void pair_close(struct pair *pair)
{
	pair_release(pair);
	pair_disconnect(pair);
	assert_int_equal(szc_rx_close(pair->rx), 0);
	pair->rx = NULL;
}

struct szc_tls_options pair_options(enum szc_tls_role role)
{
	struct szc_tls_options options = {.size = sizeof(options), .role = role, .sending = SZC_TLS_SEND_USER};

	if (role == SZC_TLS_SERVER) {
		options.cert_file = pki_path(PKI_SERVER);
		options.key_file = pki_path(PKI_SERVER_KEY);
	} else {
		options.ca_file = pki_path(PKI_CA);
	}
	return options;
}

struct szc_tls_ctx *pair_tls(const struct szc_tls_options *options)
{
	struct szc_tls_options o = *options;
	struct szc_tls_ctx *ctx;
	char why[320] = "";
	int error;

	o.error = why;
	o.error_size = sizeof(why);
	error = szc_tls_ctx_open(&ctx, &o);
	if (error)
		fail_msg("szc_tls_ctx_open: %d, %s", error, why);
	return ctx;
}

void pair_tcp(int fds[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&address, sizeof(address)), 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fds[1] >= 0);
	close(listener);
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void pair_connect(struct pair *pair, struct szc_tls_ctx *ctx, const struct szc_tls_peer *to, SSL_CTX *peer_ctx,
		  SSL_SESSION *peer_session)
{
	int fds[2];

	pair_disconnect(pair);
	pair_tcp(fds);
	szc_tls_ctx_ref(ctx);
	pair->ctx = ctx;
	pair->szc_server = ctx->options.role == SZC_TLS_SERVER;
	assert_int_equal(szc_rx_adopt(pair->rx, fds[0], &pair->conn), 0);
	assert_int_equal(szc_tls_attach(pair->conn, ctx, to), 0);
	peer_open(&pair->peer, peer_ctx, fds[1], !pair->szc_server, peer_session);
}

/* ---- turning */

static void take_view(struct pair *pair, struct szc_view *view)
{
	int iovcnt, i;
	const struct iovec *iov = szc_view_iov(view, &iovcnt);
	size_t size = 0, area_size;
	void *area;

	szc_rx_area(pair->rx, &area, &area_size);
	pair->views++;
	pair->pieces += (unsigned)iovcnt;
	for (i = 0; i < iovcnt; i++) {
		uint8_t *at = iov[i].iov_base;

		assert_true(iov[i].iov_len > 0);
		assert_true(at >= (uint8_t *)area && at + iov[i].iov_len <= (uint8_t *)area + area_size);
		size += iov[i].iov_len;
	}
	assert_int_equal(size, szc_view_size(view));
	if (!pair->discard) {
		pair->got = realloc(pair->got, pair->got_len + size);
		assert_non_null(pair->got);
		for (i = 0; i < iovcnt; i++) {
			memcpy(pair->got + pair->got_len, iov[i].iov_base, iov[i].iov_len);
			pair->got_len += iov[i].iov_len;
		}
	} else {
		pair->got_len += size;
	}
	if (pair->keep && pair->kept_count < 100)
		pair->kept[pair->kept_count++] = view;
	else
		szc_view_release(view);
}

static void take_event(struct pair *pair, const struct szc_event *event)
{
	assert_ptr_equal(event->conn, pair->conn);
	assert_int_equal(pair->error, 0);
	switch (event->type) {
	case SZC_EV_READY:
		assert_false(pair->ready);
		pair->ready = true;
		break;
	case SZC_EV_DATA:
		assert_true(pair->ready);
		assert_false(pair->eof);
		take_view(pair, event->view);
		break;
	case SZC_EV_WRITABLE:
		pair->writable = true;
		break;
	case SZC_EV_SENT:
		pair->sent = true;
		break;
	case SZC_EV_EOF:
		assert_false(pair->eof);
		pair->eof = true;
		break;
	case SZC_EV_ERROR:
		assert_true(event->error < 0);
		pair->error = event->error;
		snprintf(pair->sentence, sizeof(pair->sentence), "%s", szc_conn_last_error(pair->conn));
		assert_true(pair->sentence[0]);
		break;
	default:
		fail_msg("an event of type %d", event->type);
	}
}

static bool turn(struct pair *pair, int wait_ms)
{
	struct szc_event events[8];
	uint64_t before = pair->peer.bytes_in + pair->peer.out_len + pair->peer.fin + pair->peer.reset;
	bool moved = false;
	int got, i;

	if (pair->peer.ssl)
		peer_step(&pair->peer);
	while ((got = szc_rx_wait(pair->rx, events, 8, wait_ms)) > 0) {
		for (i = 0; i < got; i++)
			take_event(pair, &events[i]);
		moved = true;
		wait_ms = 0;
	}
	assert_true(got == 0 || got == -EINTR);
	if (pair->peer.ssl)
		peer_step(&pair->peer);
	return moved || before != pair->peer.bytes_in + pair->peer.out_len + pair->peer.fin + pair->peer.reset;
}

void pair_turn(struct pair *pair)
{
	turn(pair, 0);
}

void pair_settle(struct pair *pair)
{
	int64_t until = now_ms() + PATIENCE_MS;
	int idle = 0;

	while (idle < 3) {
		idle = turn(pair, idle ? 2 : 0) ? 0 : idle + 1;
		assert_true(now_ms() < until);
	}
}

/* Turns until `over` says so. */
static void turn_until(struct pair *pair, bool (*over)(struct pair *pair), const char *what)
{
	int64_t until = now_ms() + PATIENCE_MS;
	int wait_ms = 0;

	while (!over(pair)) {
		wait_ms = turn(pair, wait_ms) ? 0 : 1;
		if (now_ms() > until)
			fail_msg("%s did not happen (error %d, %s)", what, pair->error, pair->sentence);
	}
}

static bool handshake_over(struct pair *pair)
{
	return (pair->ready || pair->error) &&
	       (pair->peer.done || pair->peer.failed || pair->peer.fin || pair->peer.reset);
}

void pair_handshake(struct pair *pair)
{
	turn_until(pair, handshake_over, "the end of the handshake");
}

void pair_must_handshake(struct pair *pair)
{
	pair_handshake(pair);
	if (!pair->ready || !pair->peer.done)
		fail_msg("the handshake failed: %d, %s; peer's reason %d", pair->error, pair->sentence,
			 pair->peer.reason);
}

void pair_start(struct pair *pair, void **state, const struct pair_setup *setup)
{
	enum szc_tls_role role = setup->role ? setup->role : SZC_TLS_SERVER;
	struct szc_tls_options basic = pair_options(role), options = setup->tls;
	struct szc_tls_peer to = {.size = sizeof(to), .host = "localhost"};
	SSL_CTX *peer_ctx = peer_ssl_ctx(role == SZC_TLS_CLIENT);
	struct szc_tls_ctx *ctx;

	options.size = basic.size;
	options.role = role;
	options.cert_file = basic.cert_file;
	options.key_file = basic.key_file;
	options.ca_file = basic.ca_file;
	if (!options.sending)
		options.sending = basic.sending;
	if (setup->peer_suites)
		assert_int_equal(SSL_CTX_set_ciphersuites(peer_ctx, setup->peer_suites), 1);
	if (setup->peer_tickets)
		SSL_CTX_set_num_tickets(peer_ctx, setup->peer_tickets < 0 ? 0 : (size_t)setup->peer_tickets);
	pair_open(pair, state, &setup->rx);
	ctx = pair_tls(&options);
	pair_connect(pair, ctx, role == SZC_TLS_CLIENT ? &to : NULL, peer_ctx, NULL);
	szc_tls_ctx_close(ctx);
	SSL_CTX_free(peer_ctx);
	pair_must_handshake(pair);
}

/* ---- what is expected */

void pair_fill(uint8_t *bytes, size_t len, uint64_t offset)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint64_t at = offset + i;

		bytes[i] = (uint8_t)((at * 0x9e3779b97f4a7c15) >> 53) ^ (uint8_t)(at >> 11);
	}
}

static size_t wanted;

static bool got_enough(struct pair *pair)
{
	return pair->got_len >= wanted || pair->error || pair->eof;
}

void pair_until_got(struct pair *pair, size_t len)
{
	wanted = len;
	turn_until(pair, got_enough, "the payload");
	if (pair->got_len < len)
		fail_msg("%zu of %zu bytes came, then %d, %s", pair->got_len, len, pair->error, pair->sentence);
}

void pair_expect(struct pair *pair, const void *bytes, size_t len)
{
	pair_until_got(pair, len);
	assert_int_equal(pair->got_len, len);
	if (len)
		assert_memory_equal(pair->got, bytes, len);
	pair->got_len = 0;
}

static bool at_end(struct pair *pair)
{
	return pair->eof || pair->error;
}

void pair_until_eof(struct pair *pair)
{
	turn_until(pair, at_end, "the end");
	if (!pair->eof)
		fail_msg("not the end but %d, %s", pair->error, pair->sentence);
}

static bool dead(struct pair *pair)
{
	return pair->error;
}

void pair_expect_error(struct pair *pair, int error, const char *words)
{
	turn_until(pair, dead, "the error");
	if (pair->error != error || !strstr(pair->sentence, words))
		fail_msg("expected %d with \"%s\", not %d, %s", error, words, pair->error, pair->sentence);
}

static bool record_there(struct pair *pair)
{
	const struct peer *peer = &pair->peer;

	if (peer->fin || peer->reset)
		return true;
	return peer->in_len >= 5 && peer->in_len >= 5 + ((size_t)peer->in[3] << 8 | peer->in[4]);
}

void pair_next(struct pair *pair, struct peer_record *record)
{
	turn_until(pair, record_there, "a record from the library");
	assert_true(peer_next(&pair->peer, record));
}

static bool tcp_over(struct pair *pair)
{
	return pair->peer.fin || pair->peer.reset;
}

void pair_expect_silence(struct pair *pair)
{
	turn_until(pair, tcp_over, "TCP's end");
	assert_false(pair->peer.reset);
	assert_int_equal(pair->peer.in_len, 0);
}

void pair_expect_alert(struct pair *pair, uint8_t alert)
{
	struct peer_record *record = malloc(sizeof(*record));

	pair_next(pair, record);
	assert_int_equal(record->type, SZC_CONTENT_ALERT);
	assert_int_equal(record->len, 2);
	assert_int_equal(record->content[0], PEER_FATAL);
	if (record->content[1] != alert)
		fail_msg("alert %s, not %s", szc_alert_name(record->content[1]), szc_alert_name(alert));
	free(record);
	pair_expect_silence(pair);
}

void pair_send(struct pair *pair, const void *bytes, size_t len)
{
	struct iovec iov = {(void *)bytes, len};
	int64_t until = now_ms() + PATIENCE_MS;

	while (iov.iov_len) {
		ssize_t taken = szc_conn_send(pair->conn, &iov, 1);

		assert_true(taken >= 0);
		iov.iov_base = (uint8_t *)iov.iov_base + taken;
		iov.iov_len -= (size_t)taken;
		pair_turn(pair);
		assert_true(now_ms() < until);
	}
	while (szc_conn_unsent(pair->conn)) {
		turn(pair, 1);
		assert_true(now_ms() < until);
	}
}

void pair_prove_alive(struct pair *pair)
{
	struct peer_record *record = malloc(sizeof(*record));

	peer_say(&pair->peer, SZC_CONTENT_APPLICATION, "from the peer", 13);
	pair_expect(pair, "from the peer", 13);
	pair_send(pair, "from the library", 16);
	do {
		pair_next(pair, record);
	} while (record->type == SZC_CONTENT_HANDSHAKE);
	assert_int_equal(record->type, SZC_CONTENT_APPLICATION);
	assert_int_equal(record->len, 16);
	assert_memory_equal(record->content, "from the library", 16);
	free(record);
}
