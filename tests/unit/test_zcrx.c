/* SPDX-License-Identifier: MIT */
/* The zcrx backend where there is no NIC for it: what is said, and what runs instead. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "lib/engine.h"
#include "lib/refusal.h"

static char why[400];

static int open_it(struct szc_rx **rx, struct szc_rx_options options)
{
	options.size = sizeof(options);
	options.error = why;
	options.error_size = sizeof(why);
	why[0] = '\0';
	return szc_rx_open(rx, &options);
}

static void says(const char *words)
{
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void a_queue_is_needed(void **state)
{
	struct szc_rx *rx;

	(void)state;
	assert_int_equal(open_it(&rx, (struct szc_rx_options){.backend = SZC_BACKEND_ZCRX}), SZC_E_OPTION);
	says("set ifname and queue, or share");
	assert_int_equal(open_it(&rx, (struct szc_rx_options){.backend = SZC_BACKEND_ZCRX, .ifname = "szc-none0"}),
			 SZC_E_BACKEND);
	says("there is no interface szc-none0");
	assert_int_equal(open_it(&rx, (struct szc_rx_options){.ifname = "lo", .dmabuf_fd = 1, .area_size = 1 << 20}),
			 SZC_E_OPTION);
	says("area_size and area_max stay unset");
}

static void loopback_is_refused_with_a_sentence(void **state)
{
	struct szc_rx_options options = {.backend = SZC_BACKEND_ZCRX, .ifname = "lo", .max_connections = 2};
	struct szc_rx *rx;
	bool known;

	(void)state;
	assert_int_equal(open_it(&rx, options), SZC_E_BACKEND);
	assert_null(rx);
	known = strstr(why, "lo cannot do zero-copy receive") || strstr(why, "Linux 6.15") ||
		strstr(why, "CAP_NET_ADMIN") || strstr(why, "io_uring");
	if (!known)
		fail_msg("\"%s\" does not say what to do", why);
}

static void auto_falls_back_and_says_why(void **state)
{
	struct szc_rx_options options = {.ifname = "lo", .max_connections = 2};
	struct szc_rx *rx;
	const char *text;

	(void)state;
	assert_int_equal(open_it(&rx, options), 0);
	text = szc_rx_describe(rx);
	assert_string_not_equal(szc_rx_backend(rx), "zcrx");
	assert_non_null(strstr(text, "\nzcrx: "));
	assert_null(strstr(text, "not tried"));
	assert_int_equal(szc_rx_close(rx), 0);
	/* So does what is too small for a NIC, but not for others. */
	options.area_size = 1 << 20;
	options.buffer_size = 65536;
	assert_int_equal(open_it(&rx, options), 0);
	assert_non_null(strstr(szc_rx_describe(rx), "are needed"));
	assert_int_equal(szc_rx_close(rx), 0);
	/* And nothing is tried where no queue was named. */
	options.ifname = NULL;
	assert_int_equal(open_it(&rx, options), 0);
	assert_non_null(strstr(szc_rx_describe(rx), "zcrx: not tried, no NIC queue was named"));
	assert_int_equal(szc_rx_close(rx), 0);
}

/* The area is its own then, and TLS can be attached. */
static void what_it_falls_back_to_has_no_dmabuf(void **state)
{
	struct szc_rx *rx;
	int fd = memfd_create("not-a-dmabuf", MFD_CLOEXEC);

	(void)state;
	assert_true(fd > 0);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	assert_int_equal(open_it(&rx, (struct szc_rx_options){.ifname = "lo", .dmabuf_fd = fd, .max_connections = 2}),
			 0);
	assert_string_not_equal(szc_rx_backend(rx), "zcrx");
	assert_int_equal(rx->options.dmabuf_fd, 0);
	assert_int_equal(szc_rx_close(rx), 0);
	close(fd);
}

static void sharing_needs_one_that_shares(void **state)
{
	struct szc_rx *first = fixture_open(state, (struct szc_rx_options){.max_connections = 2});
	struct szc_rx *rx;

	assert_int_equal(open_it(&rx, (struct szc_rx_options){.backend = SZC_BACKEND_ZCRX, .share = first}),
			 SZC_E_OPTION);
	says("does not run on a NIC queue");
	assert_int_equal(open_it(&rx, (struct szc_rx_options){.share = first, .ifname = "lo"}), SZC_E_OPTION);
	says("the queue and the area are the other engine's");
	fixture_close(first);
}

static void without_the_capability_it_says_so(void **state)
{
	struct szc_rx *rx;
	pid_t child;
	int status;

	(void)state;
	if (geteuid()) {
		printf("# skip: only root can give the capability up\n");
		skip();
	}
	child = fork();
	if (!child) {
		int error;

		if (setuid(65534))
			_exit(2);
		error = open_it(&rx, (struct szc_rx_options){.backend = SZC_BACKEND_ZCRX, .ifname = "lo"});
		_exit(error != SZC_E_BACKEND ? 3 : strstr(why, "CAP_NET_ADMIN") || strstr(why, "io_uring") ? 0 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Each errno has words of its own, which name what to do. */
static void every_refusal_has_its_own_sentence(void **state)
{
	static const struct {
		int error;
		const char *words;
	} known[] = {
		{EPERM, "CAP_NET_ADMIN"},
		{ENOMEM, "ulimit -l"},
		{EOPNOTSUPP, "queues be managed"},
		{EINVAL, "szc-nic prepare"},
		{ERANGE, "no receive queue 7"},
		{EEXIST, "szc-nic show"},
		{EBUSY, "AF_XDP"},
		{EIO, "DMA mask"},
		{ENODEV, "no interface"},
		{ENETDOWN, "is down"},
		{EPROTO, "Protocol error"},
	};
	struct szc_rx rx = {.options = {.ifname = "lo", .queue = 7}};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].error == EINVAL && !szc_features_recv_zc())
			continue; /* there it means that the kernel is too old */
		assert_int_equal(szc_refusal_registration(&rx, -known[i].error, 1), SZC_E_BACKEND);
		if (!strstr(rx.error_text, known[i].words))
			fail_msg("\"%s\" does not say \"%s\"", rx.error_text, known[i].words);
	}
	assert_non_null(strstr(szc_refusal_receive(-EFAULT, false), "steer"));
	assert_non_null(strstr(szc_refusal_receive(-ENOMEM, true), "dma-buf"));
	assert_null(szc_refusal_receive(-ENOMEM, false));
	assert_null(szc_refusal_receive(-ECONNRESET, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_is_needed),
		cmocka_unit_test(loopback_is_refused_with_a_sentence),
		cmocka_unit_test(auto_falls_back_and_says_why),
		cmocka_unit_test(what_it_falls_back_to_has_no_dmabuf),
		EACH_BACKEND(sharing_needs_one_that_shares),
		cmocka_unit_test(without_the_capability_it_says_so),
		cmocka_unit_test(every_refusal_has_its_own_sentence),
	};

	return cmocka_run_group_tests_name("zcrx", tests, NULL, NULL);
}
