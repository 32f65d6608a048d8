/* SPDX-License-Identifier: MIT */
#include "tests/lab/pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPT_MS = 20000, /* never waited for by what succeeds */
	TUNNEL_TRIES = 100,
	BACKLOG = 64, /* attempts to connect that were given up wait in it, too */
};

void pair_tunnel(void)
{
	queue_run("ip link add trap0 type ipip local 192.0.2.1 remote 192.0.2.2 && "
		  "ip addr add 198.51.100.1/24 dev trap0 && ip link set trap0 up && "
		  "ip -n peer link add trap0 type ipip local 192.0.2.2 remote 192.0.2.1 && "
		  "ip -n peer addr add 198.51.100.2/24 dev trap0 && ip -n peer link set trap0 up");
}

void pair_no_tunnel(void)
{
	queue_run("ip link del trap0 && ip -n peer link del trap0");
}

/* The other end of `far`: attempts that were given up may wait before it. -1 if nothing came for so long. */
static int accept_far(int listener, int far, int patience_ms)
{
	struct pollfd waiting = {.fd = listener, .events = POLLIN};
	struct sockaddr_in own = {0}, peer = {0};
	socklen_t len = sizeof(own);
	int fd;

	assert_return_code(getsockname(far, (struct sockaddr *)&own, &len), errno);
	while (poll(&waiting, 1, patience_ms) > 0) {
		len = sizeof(peer);
		fd = accept(listener, (struct sockaddr *)&peer, &len);
		assert_return_code(fd, errno);
		if (peer.sin_port == own.sin_port)
			return fd;
		close(fd);
	}
	errno = ETIMEDOUT;
	return -1;
}

/*
 * A tunnel, and the port below it that was just prepared, take a moment until they carry anything. What ICMP says of it
 * meanwhile may end our half of a connection whose other half is established: it is not accepted then, ever.
 */
static struct pair connect_tunnel(int listener, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval second = {.tv_sec = 1};
	struct pair pair;
	int on = 1, tries;

	inet_pton(AF_INET, "198.51.100.1", &address.sin_addr);
	for (tries = 0;; tries++) {
		pair.far = queue_peer_socket(AF_INET);
		setsockopt(pair.far, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second)); /* of connect(), too */
		pair.near = connect(pair.far, (struct sockaddr *)&address, sizeof(address))
				    ? -1
				    : accept_far(listener, pair.far, 1000);
		if (pair.near >= 0)
			break;
		if (tries == TUNNEL_TRIES)
			fail_msg("nothing comes through the tunnel: %s", strerror(errno));
		close(pair.far);
		usleep(100000);
	}
	setsockopt(pair.far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return pair;
}

struct pair pair_connect(struct queue *queue, enum pair_way way, int receive_buffer, int segment)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t len = sizeof(any);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pair pair;

	assert_return_code(listener, errno);
	if (receive_buffer)
		assert_return_code(setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(int)),
				   errno);
	if (segment)
		assert_return_code(setsockopt(listener, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(int)), errno);
	assert_return_code(bind(listener, (struct sockaddr *)&any, sizeof(any)), errno);
	assert_return_code(listen(listener, BACKLOG), errno);
	assert_return_code(getsockname(listener, (struct sockaddr *)&any, &len), errno);
	queue->family = AF_INET;
	queue->port = ntohs(any.sin_port);
	if (way == STEERED && szc_nic_steer_port(queue->nic, queue->port, QUEUE) < 0)
		fail_msg("%s", szc_nic_last_error(queue->nic));
	if (way == TUNNELLED) {
		pair = connect_tunnel(listener, queue->port);
	} else {
		pair.far = queue_dial(queue);
		pair.near = accept_far(listener, pair.far, ACCEPT_MS);
		assert_return_code(pair.near, errno);
	}
	close(listener);
	return pair;
}

void pair_close(struct pair pair)
{
	close(pair.near);
	close(pair.far);
}
