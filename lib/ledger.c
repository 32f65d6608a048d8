/* SPDX-License-Identifier: MIT */
#include <szc/trips.h>

static double per_byte(const struct szc_trips *trips, uint64_t moved)
{
	return trips->bytes ? (double)moved / (double)trips->bytes : 0.0;
}

double szc_trips_measured(const struct szc_trips *trips)
{
	return per_byte(trips, trips->bytes_zero_copy + trips->bytes_kernel_copied + trips->bytes_user_copied);
}

/* What the kernel copied to us some device wrote before, into the kernel's own buffers; on loopback not even that. The
 * slides' count gives it one trip for each byte delivered, and framing is not counted where nothing was measured. */
double szc_trips_assumed(const struct szc_trips *trips)
{
	uint64_t through_kernel = trips->bytes_kernel_copied;
	uint64_t received = trips->bytes_zero_copy + trips->bytes_kernel_copied;

	return trips->bytes && received ? (double)through_kernel / (double)received : 0.0;
}

double szc_trips_total(const struct szc_trips *trips)
{
	return szc_trips_measured(trips) + szc_trips_assumed(trips);
}

double szc_trips_passes(const struct szc_trips *trips)
{
	return per_byte(trips, trips->bytes_opened);
}
