/* SPDX-License-Identifier: MIT */
/* Expected figures: the number of trips and passes of each mode, as the table of modes counts them. */
#include "fixture.h"

#include <szc/trips.h>

enum { N = 1 << 20 };

static void near(double got, double want)
{
	if (got < want - 1e-9 || got > want + 1e-9)
		fail_msg("%f, not %f", got, want);
}

static void expect(const struct szc_trips *trips, double measured, double assumed, double passes)
{
	near(szc_trips_measured(trips), measured);
	near(szc_trips_assumed(trips), assumed);
	near(szc_trips_total(trips), measured + assumed);
	near(szc_trips_passes(trips), passes);
}

static void nothing_delivered_is_no_trip(void **state)
{
	struct szc_trips trips = {0};

	(void)state;
	expect(&trips, 0, 0, 0);
	/* A handshake alone. */
	trips.bytes_received = trips.bytes_kernel_copied = trips.bytes_handshake = 5000;
	expect(&trips, 0, 0, 0);
}

static void the_modes(void **state)
{
	(void)state;
	/* plain recv: the device's write is assumed, the kernel's copy measured */
	expect(&(struct szc_trips){.bytes = N, .bytes_received = N, .bytes_kernel_copied = N}, 1, 1, 0);
	/* plain zcrx */
	expect(&(struct szc_trips){.bytes = N, .bytes_received = N, .bytes_zero_copy = N}, 1, 0, 0);
	/* zcrx, opened in place */
	expect(&(struct szc_trips){.bytes = N,
				   .bytes_received = N,
				   .bytes_zero_copy = N,
				   .bytes_opened = N,
				   .bytes_opened_in_place = N},
	       1, 0, 1);
	/* the copying backends, opened in place */
	expect(&(struct szc_trips){.bytes = N,
				   .bytes_received = N,
				   .bytes_kernel_copied = N,
				   .bytes_opened = N,
				   .bytes_opened_in_place = N},
	       1, 1, 1);
	/* zcrx, each record copied out of the area and back */
	expect(&(struct szc_trips){.bytes = N,
				   .bytes_received = N,
				   .bytes_zero_copy = N,
				   .bytes_user_copied = 2 * N,
				   .bytes_opened = N},
	       3, 0, 1);
}

static void what_was_copied_beside_payload_counts(void **state)
{
	/* Framing is a part of what the kernel copied: measured rises by it. Assumed stays one for each byte delivered. */
	(void)state;
	expect(&(struct szc_trips){.bytes = N, .bytes_received = N + N / 64, .bytes_kernel_copied = N + N / 64},
	       1 + 1.0 / 64, 1, 0);
	/* Half of it came through the kernel. */
	expect(
		&(struct szc_trips){
			.bytes = N, .bytes_received = N, .bytes_kernel_copied = N / 2, .bytes_zero_copy = N / 2},
		1, 0.5, 0);
	/* A fourth was packed. */
	expect(&(struct szc_trips){.bytes = N, .bytes_received = N, .bytes_zero_copy = N, .bytes_user_copied = N / 4},
	       1.25, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_delivered_is_no_trip),
		cmocka_unit_test(the_modes),
		cmocka_unit_test(what_was_copied_beside_payload_counts),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
