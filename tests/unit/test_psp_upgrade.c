/* SPDX-License-Identifier: MIT */
/*
 * From TLS to PSP, with a kernel of the test's own that hands out keys and seals nothing (so a man in the middle reads, and
 * changes, what under PSP he could not: worse than he is): who goes over and who stays, what each failure leads to, and
 * that nothing that was moved, put in, or taken away on the way is ever taken for the peer's. How the real kernel does with
 * it is tests/lab/test_psp_upgrade.py's.
 */
#include "tests/unit/between.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <szc/psp.h>
#include "psp/message.h"
#include "psp/upgrade.h"
#include "tests/unit/pair.h"
#include "tests/unit/psp_kernel.h"
#include "tls/session.h"

/* ---- both ends */

struct test {
	struct between between;
	struct szc_psp_ctx *client, *server;
};

static const struct szc_tls_upgrade *configure(struct szc_psp_ctx **ctx, enum szc_psp_policy policy)
{
	struct szc_psp_options options = {.size = sizeof(options), .policy = policy};

	assert_int_equal(szc_psp_ctx_open(ctx, &options), 0);
	return szc_psp_upgrade(*ctx);
}

static void open_with(struct test *test, enum szc_psp_policy client, enum szc_psp_policy server)
{
	*test = (struct test){0};
	between_open(&test->between, configure(&test->client, client), configure(&test->server, server));
}

static void close_all(struct test *test)
{
	between_close(&test->between);
	szc_psp_ctx_close(test->client);
	szc_psp_ctx_close(test->server);
}

/* Payload both ways, and both ends. */
static void must_carry(struct between *between)
{
	static uint8_t payload[300000];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 31 >> 3);
	between_send(between, &between->client, payload, sizeof(payload));
	between_send(between, &between->server, payload, 1000);
	between_receive(between, &between->server, sizeof(payload));
	between_receive(between, &between->client, 1000);
	assert_int_equal(szc_conn_shutdown(between->client.conn), 0);
	between_until_over(between, &between->server);
	assert_int_equal(szc_conn_shutdown(between->server.conn), 0);
	between_until_over(between, &between->client);
	assert_true(between->server.eof && between->client.eof);
	assert_int_equal(between->server.got_len, sizeof(payload));
	assert_memory_equal(between->server.got, payload, sizeof(payload));
	assert_int_equal(between->client.got_len, 1000);
	assert_memory_equal(between->client.got, payload, 1000);
}

static void must_stay(struct test *test)
{
	struct szc_trips trips;

	assert_true(between_handshake(&test->between));
	assert_null(szc_psp_cipher(test->between.client.conn));
	assert_null(szc_psp_cipher(test->between.server.conn));
	must_carry(&test->between);
	szc_conn_trips(test->between.server.conn, &trips);
	assert_int_equal(trips.bytes_opened, trips.bytes);
	close_all(test);
}

static void must_fail(struct test *test, int client, int server)
{
	assert_false(between_handshake(&test->between));
	between_until_over(&test->between, &test->between.client);
	between_until_over(&test->between, &test->between.server);
	if (client)
		assert_int_equal(test->between.client.error, client);
	if (server)
		assert_int_equal(test->between.server.error, server);
	assert_true(strlen(test->between.client.sentence) > 10);
	assert_true(strlen(test->between.server.sentence) > 10);
	close_all(test);
}

/* ---- going over */

static void both_can(void **state)
{
	struct szc_trips trips;
	struct test test;
	X509 *cert;

	(void)state;
	open_with(&test, SZC_PSP_REQUIRE, SZC_PSP_AUTO);
	assert_null(szc_psp_cipher(test.between.server.conn));
	assert_true(between_handshake(&test.between));
	assert_string_equal(szc_psp_cipher(test.between.client.conn), "AES-GCM-256");
	assert_string_equal(szc_psp_cipher(test.between.server.conn), "AES-GCM-256");
	assert_null(szc_psp_why_not(test.between.client.conn));
	/* Each sends with what the other one's device made. */
	assert_int_equal(kernel.made_count, 2);
	assert_int_equal(kernel.sends, 2);
	assert_memory_equal(&kernel.used[0], &kernel.made[0], sizeof(kernel.made[0]));
	assert_memory_equal(&kernel.used[1], &kernel.made[1], sizeof(kernel.made[1]));
	/* Who the peer is was TLS's to find out, and stays known. */
	cert = szc_tls_peer_certificate(test.between.client.conn);
	assert_non_null(cert);
	X509_free(cert);
	assert_string_equal(szc_tls_sending(test.between.client.conn), "psp");
	assert_int_equal(szc_tls_key_update(test.between.client.conn, false), SZC_E_STATE);
	must_carry(&test.between);
	szc_conn_trips(test.between.server.conn, &trips);
	assert_int_equal(trips.bytes_opened, 0);
	assert_int_equal(trips.bytes_user_copied, 0);
	close_all(&test);
}

static void the_stronger_is_chosen_of_what_is_enabled(void **state)
{
	static const uint32_t enabled[] = {1, 2, 1 | 4};
	static const char *const chosen[] = {"AES-GCM-128", "AES-GCM-256", "AES-GCM-128"};

	for (int i = 0; i < 3; i++) {
		struct test test;

		fresh_kernel(state);
		kernel.enabled = enabled[i];
		open_with(&test, SZC_PSP_REQUIRE, SZC_PSP_REQUIRE);
		assert_true(between_handshake(&test.between));
		assert_string_equal(szc_psp_cipher(test.between.client.conn), chosen[i]);
		close_all(&test);
	}
	/* What does not encrypt is never used, though it is enabled. */
	fresh_kernel(state);
	kernel.enabled = 4 | 8;
	{
		struct test test;

		open_with(&test, SZC_PSP_AUTO, SZC_PSP_AUTO);
		must_stay(&test);
	}
}

static void enables_what_the_device_can(void **state)
{
	struct szc_psp_options options = {.size = sizeof(options), .policy = SZC_PSP_REQUIRE, .enable = true};
	struct test test = {0};

	(void)state;
	kernel.enabled = 0;
	assert_int_equal(szc_psp_ctx_open(&test.client, &options), 0);
	assert_int_equal(szc_psp_ctx_open(&test.server, &options), 0);
	between_open(&test.between, szc_psp_upgrade(test.client), szc_psp_upgrade(test.server));
	assert_true(between_handshake(&test.between));
	assert_int_equal(kernel.enabled, 3);
	close_all(&test);
}

/* ---- staying */

static void who_knows_nothing_of_it_gets_tls(void **state)
{
	struct test test = {0};

	(void)state;
	between_open(&test.between, NULL, configure(&test.server, SZC_PSP_AUTO));
	assert_true(between_handshake(&test.between));
	assert_non_null(szc_psp_why_not(test.between.server.conn));
	assert_null(szc_psp_why_not(test.between.client.conn));
	must_stay(&test);
	test = (struct test){0};
	between_open(&test.between, configure(&test.client, SZC_PSP_AUTO), NULL);
	must_stay(&test);
	assert_int_equal(kernel.receives, 0);
}

static void where_it_is_required_nothing_else_will_do(void **state)
{
	struct test test = {0};

	(void)state;
	between_open(&test.between, NULL, configure(&test.server, SZC_PSP_REQUIRE));
	must_fail(&test, SZC_E_TLS_ALERT, SZC_E_PSP_PEER);
	test = (struct test){0};
	between_open(&test.between, configure(&test.client, SZC_PSP_REQUIRE), NULL);
	/* The client is over before the server was ready. */
	between_until_over(&test.between, &test.between.client);
	assert_int_equal(test.between.client.error, SZC_E_PSP_PEER);
	between_until_over(&test.between, &test.between.server);
	assert_int_equal(test.between.server.error, SZC_E_TLS_ALERT);
	close_all(&test);
}

static void no_device_no_version_no_kernel(void **state)
{
	struct szc_psp_options options = {.size = sizeof(options), .policy = SZC_PSP_REQUIRE};
	struct szc_psp_ctx *ctx;
	struct test test;

	kernel.no_device = -ENODEV;
	open_with(&test, SZC_PSP_AUTO, SZC_PSP_AUTO);
	must_stay(&test);
	fresh_kernel(state);
	kernel.enabled = 0;
	open_with(&test, SZC_PSP_REQUIRE, SZC_PSP_AUTO);
	must_fail(&test, SZC_E_PSP_VERSION, 0);
	fresh_kernel(state);
	kernel.no_family = -ENOENT;
	open_with(&test, SZC_PSP_AUTO, SZC_PSP_AUTO);
	must_stay(&test);
	assert_int_equal(szc_psp_ctx_open(&ctx, &options), SZC_E_PSP_DEVICE);
}

/* At each point where the kernel can refuse: TLS goes on, or, where it must not, both ends fail and know why. */
static void a_kernel_that_refuses(void **state)
{
	static const struct {
		int receive_at, send_at, error, told;
	} refusals[] = {
		{1, 0, -ENOSPC, SZC_E_PSP_LIMIT}, /* the client's key */
		{2, 0, -ENOSPC, SZC_E_PSP_LIMIT}, /* the server's key */
		{1, 0, -EBUSY, SZC_E_PSP_SOCKET},
		{0, 1, -EINVAL, SZC_E_PSP_SOCKET}, /* the server, of the client's key */
	};
	struct test test;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		for (int required = 0; required < 2; required++) {
			enum szc_psp_policy policy = required ? SZC_PSP_REQUIRE : SZC_PSP_AUTO;

			fresh_kernel(state);
			kernel.receive_at = refusals[i].receive_at;
			kernel.send_at = refusals[i].send_at;
			kernel.receive_fails = kernel.send_fails = refusals[i].error;
			open_with(&test, policy, policy);
			if (!required)
				must_stay(&test);
			else if (refusals[i].receive_at == 1)
				must_fail(&test, refusals[i].told, 0);
			else
				must_fail(&test, 0, refusals[i].told);
		}
	}
	/* Whoever is second has nobody left to tell: the alert in clear reaches only a server without a real kernel. */
	fresh_kernel(state);
	kernel.send_at = 2;
	kernel.send_fails = -ENOMEM;
	open_with(&test, SZC_PSP_AUTO, SZC_PSP_AUTO);
	must_fail(&test, -ENOMEM, SZC_E_PSP_MESSAGE);
}

/* ---- a man in the middle */

/* Where, counted in bytes to the server since it took the client's key; what is done there. */
struct blow {
	uint64_t at;
	enum { FLIP, DROP, INSERT, END } what;
	size_t len;
	uint64_t base; /* bytes to the server before */
	bool done;
	uint8_t memory[32768];
};

static size_t strike(struct between *between, bool to_server, uint64_t before, uint8_t **data, size_t len)
{
	struct blow *blow = between->arg;
	size_t off;

	if (!to_server || !kernel.sends || blow->done)
		return len;
	if (!blow->base)
		blow->base = before;
	if (before + len <= blow->base + blow->at)
		return len;
	blow->done = true;
	off = (size_t)(blow->base + blow->at - before);
	switch (blow->what) {
	case FLIP:
		(*data)[off] ^= 0x40;
		return len;
	case DROP:
		assert_true(off + blow->len <= len);
		memmove(*data + off, *data + off + blow->len, len - off - blow->len);
		return len - blow->len;
	case INSERT:
		memcpy(blow->memory, *data, off);
		memset(blow->memory + off, 0x5a, blow->len);
		memcpy(blow->memory + off + blow->len, *data + off, len - off);
		*data = blow->memory;
		return len + blow->len;
	default:
		between->ended[true] = true;
		if (off)
			assert_int_equal(send(between->at_server, *data, off, MSG_NOSIGNAL), off);
		shutdown(between->at_server, SHUT_WR);
		return 0;
	}
}

/* The client sends some payload and its end; returns what the server made of it. */
static int struck(struct blow *blow, size_t *got)
{
	static const char payload[] = "only all of this, or nothing";
	struct test test;
	int error;

	fresh_kernel(NULL);
	open_with(&test, SZC_PSP_AUTO, SZC_PSP_AUTO);
	test.between.meddle = strike;
	test.between.arg = blow;
	if (between_handshake(&test.between)) {
		between_send(&test.between, &test.between.client, payload, sizeof(payload));
		assert_int_equal(szc_conn_shutdown(test.between.client.conn), 0);
		between_until_over(&test.between, &test.between.server);
	}
	assert_true(blow->done);
	error = test.between.server.error;
	*got = test.between.server.got_len;
	assert_true(*got <= sizeof(payload));
	assert_true(error || !memcmp(test.between.server.got, payload, *got));
	close_all(&test);
	return error;
}

enum { START = SZC_PSP_FRAME_HEADER + SZC_PSP_PROOF };

static void a_prefix_is_taken_away(void **state)
{
	size_t got;

	(void)state;
	for (size_t len = 1; len <= START; len += 13) {
		struct blow blow = {.what = DROP, .len = len};

		/* What is left stands where the start should: it is none, or too short, and then the end of TCP tells. */
		assert_int_not_equal(struck(&blow, &got), 0);
		assert_int_equal(got, 0);
	}
}

static void something_is_put_in(void **state)
{
	size_t got;

	(void)state;
	for (size_t at = 0; at < START; at += 3) {
		struct blow blow = {.at = at, .what = INSERT, .len = 5};

		assert_int_equal(struck(&blow, &got), SZC_E_PSP_MESSAGE);
		assert_int_equal(got, 0);
	}
}

static void every_byte_of_the_start_counts(void **state)
{
	size_t got;

	(void)state;
	for (size_t at = 0; at < START; at++) {
		struct blow blow = {.at = at, .what = FLIP};

		assert_int_equal(struck(&blow, &got), SZC_E_PSP_MESSAGE);
		assert_int_equal(got, 0);
	}
}

static void only_the_end_is_an_end(void **state)
{
	size_t got, frame = SZC_PSP_FRAME_HEADER;

	(void)state;
	for (size_t at = 0; at < START + frame + 29 + frame + 8; at += 5) {
		struct blow blow = {.at = at, .what = END};
		int error = struck(&blow, &got);

		assert_int_equal(error, at < START ? SZC_E_CLOSED : SZC_E_TRUNCATED);
	}
	/* An end that counts otherwise than we did. */
	{
		struct blow blow = {.at = START + frame + 29 + frame + 7, .what = FLIP};

		assert_int_equal(struck(&blow, &got), SZC_E_PSP_MESSAGE);
	}
}

/* Behind the client's last message in clear, before the server could take its key. */
static size_t put_behind(struct between *between, bool to_server, uint64_t before, uint8_t **data, size_t len)
{
	static uint8_t memory[32768];

	(void)before;
	if (!to_server || kernel.receives != 1 || kernel.sends || between->arg)
		return len;
	between->arg = memory;
	memcpy(memory, *data, len);
	memset(memory + len, 0, START);
	*data = memory;
	return len + START;
}

static void nothing_may_come_behind_the_last_message(void **state)
{
	struct test test;

	(void)state;
	open_with(&test, SZC_PSP_AUTO, SZC_PSP_AUTO);
	test.between.meddle = put_behind;
	must_fail(&test, 0, SZC_E_PSP_MESSAGE);
	assert_int_equal(kernel.sends, 0);
	/* Where it did not reach us, but the kernel has it. */
	fresh_kernel(state);
	kernel.send_at = 1;
	kernel.send_fails = -EBUSY;
	open_with(&test, SZC_PSP_AUTO, SZC_PSP_AUTO);
	must_fail(&test, 0, SZC_E_PSP_MESSAGE);
}

/* The extension's number, where the client's hello has it. */
static size_t strip(struct between *between, bool to_server, uint64_t before, uint8_t **data, size_t len)
{
	static const uint8_t extension[] = {0xff, 0x53, 0, 2, 1};
	uint8_t *found = memmem(*data, len, extension, sizeof(extension));

	if (to_server && !before) {
		assert_non_null(found);
		if (between->arg)
			found[4 + 1] ^= 1; /* another offer */
		else
			found[1] ^= 1; /* another extension: none that anybody knows */
	}
	return len;
}

static void an_offer_is_stripped_or_altered(void **state)
{
	struct test test;

	(void)state;
	for (int altered = 0; altered < 2; altered++) {
		fresh_kernel(state);
		open_with(&test, SZC_PSP_AUTO, SZC_PSP_AUTO);
		test.between.meddle = strip;
		test.between.arg = altered ? &test : NULL;
		must_fail(&test, 0, 0);
	}
}

/* ---- a peer who says what he likes */

static struct szc_tls_upgrade liar;
static uint8_t lie[SZC_UPGRADE_MESSAGE_MAX + 1];
static size_t lie_len;

static int liar_begins(struct szc_conn *conn, void *state, const uint8_t secret[SZC_UPGRADE_SECRET])
{
	struct szc_psp_conn *psp = state;

	(void)secret;
	assert_true(psp->agreed);
	assert_int_equal(szc_tls_upgrade_send(conn, lie, lie_len), 0);
	return SZC_UPGRADE_WAIT;
}

static int lied_to(void)
{
	struct test test = {0};
	int error;

	fresh_kernel(NULL);
	liar = *configure(&test.client, SZC_PSP_AUTO);
	liar.begin = liar_begins;
	between_open(&test.between, &liar, configure(&test.server, SZC_PSP_AUTO));
	between_handshake(&test.between);
	between_until_over(&test.between, &test.between.server);
	error = test.between.server.error;
	assert_false(test.between.server.ready);
	assert_int_equal(test.between.server.got_len, 0);
	close_all(&test);
	return error;
}

static int liar_leaves(struct szc_conn *conn, void *state, const uint8_t secret[SZC_UPGRADE_SECRET])
{
	(void)state;
	(void)secret;
	assert_int_equal(szc_tls_shutdown(conn, szc_layer_state(conn, &szc_tls_layer)), 0);
	return SZC_UPGRADE_WAIT;
}

/* Nothing was said of payload yet: it is no end of any. */
static void a_farewell_instead_of_a_key(void **state)
{
	struct test test = {0};

	(void)state;
	liar = *configure(&test.client, SZC_PSP_AUTO);
	liar.begin = liar_leaves;
	between_open(&test.between, &liar, configure(&test.server, SZC_PSP_AUTO));
	between_until_over(&test.between, &test.between.server);
	assert_int_equal(test.between.server.error, SZC_E_CLOSED);
	assert_false(test.between.server.ready || test.between.server.eof);
	close_all(&test);
}

static void messages_that_are_none(void **state)
{
	struct szc_psp_key key = {.spi = 0x80000001, .size = 32, .key = {1}};
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {{0, 0}, {0, 3}, {1, SZC_PSP_AES_GCM_128}, {1, SZC_PSP_AES_GMAC_256}, {1, 9}, {2, 1}, {3, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		lie_len = szc_psp_key_pack(lie, SZC_PSP_AES_GCM_256, &key);
		lie[changes[i].at] = changes[i].value;
		assert_int_equal(lied_to(), SZC_E_PSP_MESSAGE);
	}
	for (size_t len = 1; len < 48; len++) {
		szc_psp_key_pack(lie, SZC_PSP_AES_GCM_256, &key);
		lie_len = len == 40 ? 47 : len;
		assert_int_equal(lied_to(), SZC_E_PSP_MESSAGE);
	}
	key.spi = 0x80000000;
	lie_len = szc_psp_key_pack(lie, SZC_PSP_AES_GCM_256, &key);
	assert_int_equal(lied_to(), SZC_E_PSP_MESSAGE);
	lie_len = sizeof(lie);
	assert_int_equal(lied_to(), SZC_E_TLS_RECORD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(both_can, fresh_kernel),
		cmocka_unit_test_setup(the_stronger_is_chosen_of_what_is_enabled, fresh_kernel),
		cmocka_unit_test_setup(enables_what_the_device_can, fresh_kernel),
		cmocka_unit_test_setup(who_knows_nothing_of_it_gets_tls, fresh_kernel),
		cmocka_unit_test_setup(where_it_is_required_nothing_else_will_do, fresh_kernel),
		cmocka_unit_test_setup(no_device_no_version_no_kernel, fresh_kernel),
		cmocka_unit_test_setup(a_kernel_that_refuses, fresh_kernel),
		cmocka_unit_test_setup(a_prefix_is_taken_away, fresh_kernel),
		cmocka_unit_test_setup(something_is_put_in, fresh_kernel),
		cmocka_unit_test_setup(every_byte_of_the_start_counts, fresh_kernel),
		cmocka_unit_test_setup(only_the_end_is_an_end, fresh_kernel),
		cmocka_unit_test_setup(nothing_may_come_behind_the_last_message, fresh_kernel),
		cmocka_unit_test_setup(an_offer_is_stripped_or_altered, fresh_kernel),
		cmocka_unit_test_setup(messages_that_are_none, fresh_kernel),
		cmocka_unit_test_setup(a_farewell_instead_of_a_key, fresh_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
