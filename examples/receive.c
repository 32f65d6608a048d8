/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <szc/tls.h>

int main(int argc, char **argv) /* receive cert.pem key.pem [ADDR:PORT] >payload */
{
	struct szc_tls_options tls = {.size = sizeof(tls), .role = SZC_TLS_SERVER};
	struct szc_tls_ctx *ctx;
	struct szc_event ev;
	struct szc_rx *rx;
	int error, n;

	tls.cert_file = argc > 1 ? argv[1] : "cert.pem";
	tls.key_file = argc > 2 ? argv[2] : "key.pem";
	if ((error = szc_tls_ctx_open(&ctx, &tls)) || (error = szc_rx_open(&rx, NULL)) ||
	    (error = szc_rx_listen(rx, argc > 3 ? argv[3] : ":4433", NULL, NULL)))
		return fprintf(stderr, "receive: %s\n", szc_strerror(error)), 1;
	while (szc_rx_wait(rx, &ev, 1, -1) == 1)
		if (ev.type == SZC_EV_DATA) {
			const struct iovec *iov = szc_view_iov(ev.view, &n);
			if (writev(1, iov, n) != (ssize_t)szc_view_size(ev.view))
				return perror("receive: cannot write"), 1;
			szc_view_release(ev.view);
		} else if (ev.type == SZC_EV_SENT || ev.type == SZC_EV_ERROR ||
			   (ev.type == SZC_EV_ACCEPTED && szc_tls_attach(ev.conn, ctx, NULL)) ||
			   (ev.type == SZC_EV_EOF && szc_conn_shutdown(ev.conn))) {
			fprintf(stderr, "receive: closed. %s\n", szc_conn_last_error(ev.conn));
			szc_conn_close(ev.conn);
		}
}
