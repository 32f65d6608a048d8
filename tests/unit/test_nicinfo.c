/* SPDX-License-Identifier: MIT */
/* What an engine wants to know of a NIC: doubles of the library's own looking stand in front of it. */
#include "fixture.h"

#include <errno.h>
#include "lib/nicinfo.h"

static struct szc_nic_info told;
static struct szc_nic_queue told_queue = {.id = 3, .napi_id = 77};
static int error;

int szc_nic_open(struct szc_nic **nic, const struct szc_nic_options *options)
{
	(void)nic;
	(void)options;
	return error;
}

void szc_nic_close(struct szc_nic *nic)
{
	(void)nic;
}

int szc_nic_look(struct szc_nic *nic, const struct szc_nic_info **info)
{
	(void)nic;
	*info = &told;
	return 0;
}

const struct szc_nic_queue *szc_nic_queue(const struct szc_nic *nic, size_t index)
{
	(void)nic;
	return index ? NULL : &told_queue;
}

static void both_rings_are_passed_on(void **state)
{
	struct szc_nicinfo info;

	(void)state;
	told.rx_ring = 511;
	told.rx_ring_payload = 2044;
	assert_int_equal(szc_nicinfo_look(&info, "lo", 3), 0);
	assert_int_equal(info.napi_id, 77);
	assert_int_equal(info.ring, 511);
	assert_int_equal(info.ring_payload, 2044);
}

static void what_is_not_told_is_nothing(void **state)
{
	struct szc_nicinfo info;

	(void)state;
	assert_int_equal(szc_nicinfo_look(&info, "lo", 4), 0);
	assert_int_equal(info.napi_id, 0);
	error = -EOPNOTSUPP;
	assert_int_equal(szc_nicinfo_look(&info, "lo", 3), 0);
	assert_int_equal(info.ring, 0);
	error = 0;
	assert_int_equal(szc_nicinfo_look(&info, "szc-none0", 3), -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_rings_are_passed_on),
		cmocka_unit_test(what_is_not_told_is_nothing),
	};

	return cmocka_run_group_tests_name("nicinfo", tests, NULL, NULL);
}
