/* SPDX-License-Identifier: MIT */
/* The same from C++: the engine connects to itself, and one end receives what the other sent. consumer CERT KEY */
#include <cstdio>
#include <memory>
#include <string>
#include <szc/szc.h>
#include <szc/tls.h>

namespace
{
struct Release {
	void operator()(szc_rx *rx) const
	{
		szc_rx_close(rx);
	}
	void operator()(szc_conn *conn) const
	{
		szc_conn_close(conn);
	}
	void operator()(szc_view *view) const
	{
		szc_view_release(view);
	}
	void operator()(szc_listener *listener) const
	{
		szc_listener_close(listener);
	}
	void operator()(szc_tls_ctx *ctx) const
	{
		szc_tls_ctx_close(ctx);
	}
};
template <typename T> using Owned = std::unique_ptr<T, Release>;

int fail(const char *what, const char *why)
{
	std::fprintf(stderr, "%s: %s\n", what, why);
	return 1;
}

Owned<szc_conn> accept_one(szc_rx *rx)
{
	for (;;) {
		szc_event event;

		if (szc_rx_wait(rx, &event, 1, 10000) != 1)
			return nullptr;
		if (event.type == SZC_EV_ACCEPTED)
			return Owned<szc_conn>(event.conn);
	}
}

std::string receive_all(szc_conn *conn)
{
	std::string all;
	szc_view *raw;

	while (szc_conn_recv(conn, &raw, 10000) == 1) {
		Owned<szc_view> view(raw);
		int count;
		const iovec *iov = szc_view_iov(view.get(), &count);

		for (int i = 0; i < count; i++)
			all.append(static_cast<const char *>(iov[i].iov_base), iov[i].iov_len);
	}
	return all;
}

int plain_receive(szc_rx *rx)
{
	const std::string sent(54321, 'z');
	szc_listener *raw_listener;
	szc_conn *raw_client;

	if (szc_rx_listen(rx, "127.0.0.1:0", nullptr, &raw_listener) != 0)
		return fail("szc_rx_listen", szc_rx_last_error(rx));
	Owned<szc_listener> listener(raw_listener);
	const std::string address = "127.0.0.1:" + std::to_string(szc_listener_port(listener.get()));
	if (szc_rx_connect(rx, address.c_str(), 10000, &raw_client) != 0)
		return fail("szc_rx_connect", szc_rx_last_error(rx));
	Owned<szc_conn> client(raw_client);
	Owned<szc_conn> server = accept_one(rx);
	if (!server)
		return fail("accept", "nothing came in");
	if (szc_conn_wait_ready(client.get(), 10000) != 0 ||
	    szc_conn_send_all(client.get(), sent.data(), sent.size(), 10000) != 0 ||
	    szc_conn_shutdown(client.get()) != 0)
		return fail("send", szc_conn_last_error(client.get()));
	if (receive_all(server.get()) != sent)
		return fail("receive", "what was received is not what was sent");
	std::printf("received %zu bytes over %s\n", sent.size(), szc_rx_backend(rx));
	return 0;
}
} // namespace

int main(int argc, char **argv)
{
	char error[256] = "";
	szc_rx_options options = {};
	szc_tls_options tls_options = {};
	szc_rx *raw_rx;
	szc_tls_ctx *raw_ctx;

	if (argc != 3)
		return fail("usage", "consumer CERT KEY");
	tls_options.size = sizeof(tls_options);
	tls_options.role = SZC_TLS_SERVER;
	tls_options.cert_file = argv[1];
	tls_options.key_file = argv[2];
	tls_options.error = options.error = error;
	tls_options.error_size = options.error_size = sizeof(error);
	if (szc_tls_ctx_open(&raw_ctx, &tls_options) != 0)
		return fail("szc_tls_ctx_open", error);
	Owned<szc_tls_ctx> ctx(raw_ctx);

	options.size = sizeof(options);
	options.backend = SZC_BACKEND_EPOLL;
	if (szc_rx_open(&raw_rx, &options) != 0)
		return fail("szc_rx_open", error);
	Owned<szc_rx> rx(raw_rx);
	return plain_receive(rx.get());
}
