/* SPDX-License-Identifier: MIT */
/* Rules as text and back. */
#include "fixture.h"

#include <arpa/inet.h>
#include <string.h>
#include "lib/nic/rules.h"

static struct sockaddr_storage address(int family, const char *text)
{
	struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
	void *to = family == AF_INET ? (void *)&((struct sockaddr_in *)&address)->sin_addr
				     : (void *)&((struct sockaddr_in6 *)&address)->sin6_addr;

	assert_int_equal(inet_pton(family, text, to), 1);
	return address;
}

static void reads(const struct szc_nic_filter *filter, const char *expected)
{
	char text[SZC_NIC_RULE_TEXT];

	szc_nic_filter_text(filter, text);
	assert_string_equal(text, expected);
}

/* There and back. */
static void is(const struct szc_nic_flow *flow, unsigned queue, const char *text)
{
	struct szc_nic_filter made, parsed;

	assert_true(szc_nic_filter_make(&made, flow, queue));
	reads(&made, text);
	assert_true(szc_nic_filter_parse(&parsed, text));
	assert_true(szc_nic_filter_same(&made, &parsed));
	assert_int_equal(szc_nic_filter_queue(&parsed), queue);
	assert_int_equal(szc_nic_filter_context(&parsed), -1);
}

static void flows_are_rules(void **state)
{
	struct sockaddr_storage v4 = address(AF_INET, "10.0.0.1"), peer4 = address(AF_INET, "10.0.0.2");
	struct sockaddr_storage v6 = address(AF_INET6, "fd00::1"), peer6 = address(AF_INET6, "fd00::2");
	struct szc_nic_flow flow = {.size = sizeof(flow), .family = AF_INET, .port = 4433};

	(void)state;
	is(&flow, 1, "tcp4 *:* *:4433 queue 1");
	flow.local = (struct sockaddr *)&v4;
	is(&flow, 0, "tcp4 *:* 10.0.0.1:4433 queue 0");
	flow.peer = (struct sockaddr *)&peer4;
	flow.peer_port = 65535;
	is(&flow, 127, "tcp4 10.0.0.2:65535 10.0.0.1:4433 queue 127");
	flow = (struct szc_nic_flow){.size = sizeof(flow), .family = AF_INET6, .port = 1};
	is(&flow, 3, "tcp6 *:* *:1 queue 3");
	flow.local = (struct sockaddr *)&v6;
	flow.peer = (struct sockaddr *)&peer6;
	flow.peer_port = 7;
	is(&flow, 3, "tcp6 [fd00::2]:7 [fd00::1]:1 queue 3");
}

static void flows_that_contradict_themselves_are_none(void **state)
{
	struct sockaddr_storage v4 = address(AF_INET, "10.0.0.1"), v6 = address(AF_INET6, "::1");
	struct szc_nic_flow flow = {.size = sizeof(flow), .family = AF_INET};
	struct szc_nic_filter filter;

	(void)state;
	assert_false(szc_nic_filter_make(&filter, &flow, 1));
	flow.port = 80;
	assert_true(szc_nic_filter_make(&filter, &flow, 1));
	assert_false(szc_nic_filter_make(&filter, &flow, 1 << 16));
	flow.local = (struct sockaddr *)&v6;
	assert_false(szc_nic_filter_make(&filter, &flow, 1));
	flow.local = NULL;
	flow.family = AF_INET6;
	flow.peer = (struct sockaddr *)&v4;
	assert_false(szc_nic_filter_make(&filter, &flow, 1));
	flow.peer = NULL;
	flow.family = AF_UNIX;
	assert_false(szc_nic_filter_make(&filter, &flow, 1));
}

static void text_that_we_do_not_write_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"tcp4",
		"tcp4 *:* *:4433 queue",
		"tcp4 *:* *:* queue 1",
		"tcp4 *:* *:0 queue 1",
		"tcp4 *:* *:65536 queue 1",
		"tcp4 *:* *:4433 queue 65536",
		"tcp4 *:* *:4433 queue -1",
		"tcp4 *:* *:4433 queue 1 ",
		" tcp4 *:* *:4433 queue 1",
		"tcp4  *:* *:4433 queue 1",
		"tcp4 *:* *:4433 queue 01",
		"tcp4 *:* *:04433 queue 1",
		"tcp4 *:* *:4433 queue 1 queue 2",
		"tcp4 *:* *:4433 context 1",
		"tcp4 *:* *:4433 drop",
		"tcp4 * *:4433 queue 1",
		"tcp4 *:* [::1]:4433 queue 1",
		"tcp4 *:* 10.0.0.1/255.0.0.0:4433 queue 1",
		"tcp4 *:* 010.0.0.1:4433 queue 1",
		"tcp6 *:* ::1:4433 queue 1",
		"tcp6 *:* [::1:4433 queue 1",
		"tcp6 *:* []:4433 queue 1",
		"tcp6 *:* :4433 queue 1",
		"tcp6 *:* [0:0::1]:4433 queue 1",
		"tcp6 *:* 10.0.0.1:4433 queue 1",
		"udp4 *:* *:4433 queue 1",
		"udp6 *:* *:4433 queue 1",
		"tcp444444444444444444444444 *:* *:4433 queue 1",
		"tcp4 *:* *:4433 queue 99999999999999999999",
		"tcp6 *:* [1111111111111111111111111111111111111111111111111111111111111111]:4433 queue 1",
	};
	struct szc_nic_filter filter;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (szc_nic_filter_parse(&filter, bad[i]))
			fail_msg("\"%s\" is taken", bad[i]);
}

static void rules_of_others_are_told(void **state)
{
	struct szc_nic_filter filter = {.spec = {.flow_type = UDP_V4_FLOW}};
	struct ethtool_tcpip4_spec *v4 = &filter.spec.h_u.tcp_ip4_spec, *mask = &filter.spec.m_u.tcp_ip4_spec;

	(void)state;
	v4->ip4src = htonl(0x0a000000);
	mask->ip4src = htonl(0xff000000);
	v4->pdst = htons(0x100);
	mask->pdst = htons(0xff00);
	filter.spec.ring_cookie = RX_CLS_FLOW_DISC;
	reads(&filter, "udp4 10.0.0.0/255.0.0.0:* *:256/0xff00 drop");
	assert_int_equal(szc_nic_filter_queue(&filter), -1);

	filter = (struct szc_nic_filter){.spec = {.flow_type = TCP_V6_FLOW | FLOW_RSS}, .context = 3};
	reads(&filter, "tcp6 *:* *:* context 3");
	assert_int_equal(szc_nic_filter_queue(&filter), -1);
	assert_int_equal(szc_nic_filter_context(&filter), 3);

	filter = (struct szc_nic_filter){.spec = {.flow_type = ETHER_FLOW | FLOW_EXT, .ring_cookie = 2}};
	reads(&filter, "flow-type 18 ext queue 2");
	/* A virtual function's queue is not ours of that number. */
	filter.spec.ring_cookie = (uint64_t)1 << 32 | 2;
	reads(&filter, "flow-type 18 ext target 0x100000002");
	assert_int_equal(szc_nic_filter_queue(&filter), -1);
}

static void what_the_mask_leaves_out_does_not_count(void **state)
{
	struct szc_nic_flow flow = {.size = sizeof(flow), .family = AF_INET, .port = 80};
	struct szc_nic_filter a, b;

	(void)state;
	assert_true(szc_nic_filter_make(&a, &flow, 1) && szc_nic_filter_make(&b, &flow, 1));
	b.spec.h_u.tcp_ip4_spec.ip4src = 0x12345678;
	b.spec.location = 9;
	assert_true(szc_nic_filter_same(&a, &b));
	b.spec.ring_cookie = 2;
	assert_false(szc_nic_filter_same(&a, &b));
	assert_true(szc_nic_filter_matches_same(&a, &b));
	b.spec.m_u.tcp_ip4_spec.ip4src = 1;
	assert_false(szc_nic_filter_matches_same(&a, &b));
	b = a;
	b.spec.flow_type |= FLOW_EXT;
	assert_false(szc_nic_filter_matches_same(&a, &b));
	b = a;
	b.spec.flow_type |= FLOW_RSS;
	assert_true(szc_nic_filter_matches_same(&a, &b));
	assert_false(szc_nic_filter_same(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_are_rules),
		cmocka_unit_test(flows_that_contradict_themselves_are_none),
		cmocka_unit_test(text_that_we_do_not_write_is_refused),
		cmocka_unit_test(rules_of_others_are_told),
		cmocka_unit_test(what_the_mask_leaves_out_does_not_count),
	};

	return cmocka_run_group_tests_name("nic_flow", tests, NULL, NULL);
}
