/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

/* Waits for a connect that is under way. 0 or its negative errno. */
static int finish_connect(int fd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0, ready;

	do {
		ready = poll(&poll_fd, 1, timeout_ms);
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready ? -errno : -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -errno;
	return -error;
}

static int connect_one(const struct szc_rx *rx, const struct addrinfo *address, int timeout_ms)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;

	if (fd < 0)
		return -errno;
	szc_rx_bound_socket(rx, fd);
	if (connect(fd, address->ai_addr, address->ai_addrlen))
		error = errno == EINPROGRESS ? finish_connect(fd, timeout_ms) : -errno;
	if (!error && fcntl(fd, F_SETFL, 0))
		error = -errno;
	if (!error)
		return fd;
	close(fd);
	return error;
}

int szc_rx_connect(struct szc_rx *rx, const char *address, int timeout_ms, struct szc_conn **conn)
{
	struct addrinfo *found, *at;
	int fd = -EADDRNOTAVAIL, error;
	char why[200];

	rx->error_text[0] = '\0';
	if (szc_address_resolve(address, false, &found, why, sizeof(why)))
		return szc_rx_fail(rx, SZC_E_ADDRESS, "%s", why);
	for (at = found; at && fd < 0; at = at->ai_next)
		fd = connect_one(rx, at, timeout_ms);
	freeaddrinfo(found);
	if (fd < 0)
		return szc_rx_fail(rx, fd, "cannot connect to %s: %s", address, strerror(-fd));
	error = szc_conn_open(rx, fd, conn);
	if (error)
		close(fd);
	return error;
}
