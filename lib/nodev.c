/* SPDX-License-Identifier: MIT */
/* The `nodev` backend: zero-copy receive's interface without a NIC, for tests. */
#include "options.h"
#include "zcrx.h"

enum { COMPLETIONS = 4096 }; /* at most; a full ring is no loss */

static int nodev_open(struct szc_rx *rx)
{
	struct zcrx_state *state;
	int error = szc_zcrx_make(rx, rx->refill.count < COMPLETIONS ? rx->refill.count : COMPLETIONS);

	if (error)
		return error;
	state = rx->backend_state;
	error = szc_registration_nodev(rx, &state->ifq, &state->registration);
	if (error)
		szc_zcrx_close(rx);
	else
		szc_uring_forget_fd(&state->uring);
	return error;
}

const struct szc_backend_ops szc_backend_nodev = {
	.name = "nodev",
	.kernel_copies = true,
	.exclusive_buffers = false,
	.derive = szc_options_derive,
	.open = nodev_open,
	.close = szc_zcrx_close,
	.attach = szc_zcrx_attach,
	.receive = szc_zcrx_receive,
	.stop = szc_uring_stop,
	.want_write = szc_uring_want_write,
	.detach = szc_uring_detach,
	.recycle = szc_zcrx_recycle,
	.watch = szc_uring_watch,
	.unwatch = szc_uring_unwatch,
	.wait = szc_zcrx_wait,
	.submit = szc_zcrx_submit,
	.fd = szc_uring_fd,
};
