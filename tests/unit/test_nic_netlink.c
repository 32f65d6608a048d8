/* SPDX-License-Identifier: MIT */
/* What the kernel says when it refuses, and the questions that need no NIC. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include "lib/nic/netlink.h"
#include "lib/nic/nic.h"

static struct nl_msg *verdict(int type, int error, int flags, const char *words)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlmsgerr body = {.error = error};

	assert_non_null(msg);
	assert_non_null(nlmsg_put(msg, 0, 0, type, 0, flags));
	assert_int_equal(nlmsg_append(msg, &body, type == NLMSG_ERROR ? sizeof(body) : sizeof(error), NLMSG_ALIGNTO),
			 0);
	if (words)
		assert_int_equal(nla_put_string(msg, NLMSGERR_ATTR_MSG, words), 0);
	return msg;
}

static void heard(int type, int error, int flags, const char *words, size_t room, const char *expected)
{
	struct nl_msg *msg = verdict(type, error, flags, words);
	char why[64] = "old";

	assert_int_equal(szc_nic_netlink_verdict(nlmsg_hdr(msg), why, room), error);
	assert_string_equal(why, expected);
	nlmsg_free(msg);
}

static void the_kernels_words_are_kept(void **state)
{
	(void)state;
	heard(NLMSG_ERROR, -EINVAL, NLM_F_ACK_TLVS | NLM_F_CAPPED, "because", 64, "because");
	heard(NLMSG_DONE, -EOPNOTSUPP, NLM_F_ACK_TLVS, "no such thing", 64, "no such thing");
	heard(NLMSG_ERROR, -EINVAL, NLM_F_CAPPED, NULL, 64, "");
	heard(NLMSG_ERROR, 0, NLM_F_CAPPED, NULL, 64, "");
	/* The flag says whether there are any. */
	heard(NLMSG_ERROR, -EINVAL, NLM_F_CAPPED, "not to be read", 64, "");
	heard(NLMSG_ERROR, -EINVAL, NLM_F_ACK_TLVS | NLM_F_CAPPED, "much too long", 5, "much");
}

static void short_messages_are_survived(void **state)
{
	struct nl_msg *msg = verdict(NLMSG_ERROR, -EINVAL, NLM_F_ACK_TLVS | NLM_F_CAPPED, "because");
	struct nlmsghdr *head = nlmsg_hdr(msg);
	uint32_t whole = head->nlmsg_len;
	char why[64];

	(void)state;
	/* In a block of exactly that size, for the sanitizers' sake. */
	for (uint32_t length = NLMSG_HDRLEN; length <= whole; length++) {
		struct nlmsghdr *copy = malloc(length);
		int error;

		assert_non_null(copy);
		memcpy(copy, head, length);
		copy->nlmsg_len = length;
		error = szc_nic_netlink_verdict(copy, why, sizeof(why));
		assert_true(error == -EINVAL || (error == -EBADMSG && length < NLMSG_HDRLEN + sizeof(struct nlmsgerr)));
		free(copy);
	}
	nlmsg_free(msg);
}

static void numbers_of_any_length_are_read(void **state)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlmsghdr *head;
	struct nlattr *tb[7];

	(void)state;
	assert_non_null(msg);
	head = nlmsg_put(msg, 0, 0, NLMSG_MIN_TYPE, 0, 0);
	assert_non_null(head);
	nla_put_u8(msg, 1, 200);
	nla_put_u16(msg, 2, 60000);
	nla_put_u32(msg, 3, 4000000000);
	nla_put_u64(msg, 4, UINT64_MAX - 1);
	nla_put_flag(msg, 5);
	nla_put(msg, 6, 3, "abc");
	assert_int_equal(nlmsg_parse(nlmsg_hdr(msg), 0, tb, 6, NULL), 0);
	assert_int_equal(szc_nic_netlink_uint(tb[1]), 200);
	assert_int_equal(szc_nic_netlink_uint(tb[2]), 60000);
	assert_int_equal(szc_nic_netlink_uint(tb[3]), 4000000000);
	assert_true(szc_nic_netlink_uint(tb[4]) == UINT64_MAX - 1);
	assert_int_equal(szc_nic_netlink_uint(tb[5]), 0);
	assert_int_equal(szc_nic_netlink_uint(tb[6]), 0);
	nlmsg_free(msg);
}

static void families_are_found(void **state)
{
	struct szc_nic_netlink netlink;

	(void)state;
	assert_int_equal(szc_nic_netlink_open(&netlink, NETLINK_GENERIC), 0);
	assert_true(szc_nic_netlink_family(&netlink, "nlctrl") > 0);
	assert_int_equal(szc_nic_netlink_family(&netlink, "no such family"), -ENOENT);
	/* A name that is too long is refused in words. */
	assert_true(szc_nic_netlink_family(&netlink, "a name that is longer than any name of a family") < 0);
	szc_nic_netlink_close(&netlink);
}

static void opening_fails_with_a_sentence(void **state)
{
	char why[200];
	struct szc_nic_options options = {.size = sizeof(options), .error = why, .error_size = sizeof(why)};
	struct szc_nic *nic;

	(void)state;
	options.ifname = "no-such-nic";
	assert_int_equal(szc_nic_open(&nic, &options), -ENODEV);
	assert_null(nic);
	assert_non_null(strstr(why, "there is no interface no-such-nic"));
	options.ifname = "a name that is too long";
	assert_int_equal(szc_nic_open(&nic, &options), SZC_E_OPTION);
	assert_non_null(strstr(why, "is not the name"));
	options.ifname = "../x";
	assert_int_equal(szc_nic_open(&nic, &options), SZC_E_OPTION);
	options.ifname = NULL;
	assert_int_equal(szc_nic_open(&nic, &options), SZC_E_OPTION);
	options.size = 0;
	assert_int_equal(szc_nic_open(&nic, &options), SZC_E_OPTION);
	assert_int_equal(szc_nic_open(&nic, NULL), SZC_E_OPTION);
	szc_nic_close(NULL);
}

static void loopback_is_no_nic(void **state)
{
	char why[200] = "";
	struct szc_nic_options options = {.size = sizeof(options), .ifname = "lo", .error = why, .error_size = 200};
	struct szc_nic_prepare_options prepare = {.size = sizeof(prepare), .queue = 1, .dry_run = true};
	struct szc_nic_wire wire = {.size = sizeof(wire), .set = SZC_NIC_WIRE_LOSS, .loss = 1};
	const struct szc_nic_info *info;
	struct szc_nic *nic;

	(void)state;
	if (szc_nic_open(&nic, &options)) {
		print_message("# skip: %s\n", why);
		skip();
	}
	assert_int_equal(szc_nic_look(nic, &info), 0);
	assert_string_equal(info->ifname, "lo");
	assert_int_equal(info->ifindex, 1);
	assert_int_equal(info->rx_queues, 0);
	assert_int_equal(info->rss_entries, 0);
	assert_null(szc_nic_rule(nic, 0));
	assert_null(szc_nic_change(nic, 0));
	assert_int_equal(szc_nic_prepare(nic, &prepare), -EOPNOTSUPP);
	assert_non_null(strstr(szc_nic_last_error(nic), "it is no NIC for this"));
	prepare.size = 0;
	assert_int_equal(szc_nic_prepare(nic, &prepare), SZC_E_OPTION);
	assert_int_equal(szc_nic_set_wire(nic, &wire), -EOPNOTSUPP);
	assert_non_null(strstr(szc_nic_last_error(nic), "lo is not a port of szcnic"));
	szc_nic_close(nic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernels_words_are_kept),     cmocka_unit_test(short_messages_are_survived),
		cmocka_unit_test(numbers_of_any_length_are_read), cmocka_unit_test(families_are_found),
		cmocka_unit_test(opening_fails_with_a_sentence),  cmocka_unit_test(loopback_is_no_nic),
	};

	return cmocka_run_group_tests_name("nic_netlink", tests, NULL, NULL);
}
