/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* setns() */
#include "tests/lab/queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const queue_near = "szc0", *const queue_far = "szc1";

/* ---- namespaces */

static __thread int here = -1; /* each thread has a namespace of its own */

static void enter_peer(void)
{
	int fd = open("/run/netns/peer", O_RDONLY | O_CLOEXEC);

	assert_return_code(fd, errno);
	if (here < 0)
		here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_return_code(here, errno);
	assert_return_code(setns(fd, CLONE_NEWNET), errno);
	close(fd);
}

static void leave_peer(void)
{
	assert_return_code(setns(here, CLONE_NEWNET), errno);
}

static void need_scene(void)
{
	if (if_nametoindex(queue_near) && !access("/run/netns/peer", F_OK))
		return;
	printf("# skip: this is not the lab's scene: no %s, or no netns peer\n", queue_near);
	skip();
}

/* ---- the NIC */

static void ask(const char *ifname, unsigned long request, void *argument)
{
	struct ifreq ifr = {.ifr_data = argument};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_return_code(fd, errno);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	assert_return_code(ioctl(fd, request, &ifr), errno);
	close(fd);
}

uint64_t queue_counter(const char *name)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_gstrings *names;
	struct ethtool_stats *values;
	uint64_t found = 0;
	uint32_t i;
	int hits = 0;

	ask(queue_near, SIOCETHTOOL, &info);
	names = calloc(1, sizeof(*names) + (size_t)info.n_stats * ETH_GSTRING_LEN);
	values = calloc(1, sizeof(*values) + info.n_stats * sizeof(uint64_t));
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = info.n_stats;
	values->cmd = ETHTOOL_GSTATS;
	values->n_stats = info.n_stats;
	ask(queue_near, SIOCETHTOOL, names);
	ask(queue_near, SIOCETHTOOL, values);
	for (i = 0; i < info.n_stats; i++) {
		if (strncmp((char *)names->data + (size_t)i * ETH_GSTRING_LEN, name, ETH_GSTRING_LEN))
			continue;
		found = values->data[i];
		hits++;
	}
	free(names);
	free(values);
	if (hits != 1)
		fail_msg("the NIC has %d counters named %s", hits, name);
	return found;
}

static struct szc_nic *open_nic(const char *ifname)
{
	char why[400] = "";
	struct szc_nic_options options = {
		.size = sizeof(options), .ifname = ifname, .error = why, .error_size = sizeof(why)};
	struct szc_nic *nic;

	if (szc_nic_open(&nic, &options))
		fail_msg("%s: %s", ifname, why);
	return nic;
}

void queue_huge_pages(unsigned count)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r+");
	unsigned reserved;

	assert_non_null(file);
	assert_true(fprintf(file, "%u", count) > 0);
	assert_int_equal(fflush(file), 0);
	rewind(file);
	assert_int_equal(fscanf(file, "%u", &reserved), 1);
	assert_true(reserved >= count);
	fclose(file);
}

uint64_t queue_buffer_length(const struct queue *queue)
{
	const struct szc_nic_info *info;

	assert_int_equal(szc_nic_look(queue->nic, &info), 0);
	return szc_nic_queue(queue->nic, QUEUE)->rx_buf_len;
}

void queue_prepare(struct queue *queue)
{
	struct szc_nic_prepare_options options = {.size = sizeof(options), .queue = QUEUE, .rx_ring = QUEUE_RING};

	need_scene();
	*queue = (struct queue){.nic = open_nic(queue_near)};
	if (szc_nic_prepare(queue->nic, &options))
		fail_msg("%s", szc_nic_last_error(queue->nic));
}

void queue_restore(struct queue *queue)
{
	int tries = 100;

	/* The kernel gives a closed engine's queue back a moment later. */
	while (szc_nic_restore(queue->nic) && tries--)
		usleep(20000);
	if (tries < 0)
		fail_msg("%s", szc_nic_last_error(queue->nic));
	szc_nic_close(queue->nic);
}

void queue_wire(struct szc_nic_wire wire)
{
	struct szc_nic *nic;
	int error;

	wire.size = sizeof(wire);
	enter_peer();
	nic = open_nic(queue_far);
	error = szc_nic_set_wire(nic, &wire);
	leave_peer();
	if (error)
		fail_msg("%s", szc_nic_last_error(nic));
	szc_nic_close(nic);
}

static void set_mtu(const char *ifname, int mtu)
{
	struct ifreq ifr = {.ifr_mtu = mtu};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	assert_return_code(ioctl(fd, SIOCSIFMTU, &ifr), errno);
	close(fd);
}

void queue_mtu(int mtu)
{
	set_mtu(queue_near, mtu);
	enter_peer();
	set_mtu(queue_far, mtu);
	leave_peer();
}

void queue_up(bool up)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char keep[96];
	FILE *file;

	/* Else the IPv6 addresses are gone when it comes up again. */
	snprintf(keep, sizeof(keep), "/proc/sys/net/ipv6/conf/%s/keep_addr_on_down", queue_near);
	file = fopen(keep, "w");
	assert_non_null(file);
	assert_true(fputs("1", file) >= 0);
	assert_int_equal(fclose(file), 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", queue_near);
	assert_return_code(ioctl(fd, SIOCGIFFLAGS, &ifr), errno);
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	assert_return_code(ioctl(fd, SIOCSIFFLAGS, &ifr), errno);
	close(fd);
}

void queue_ask(const char *file, const char *words)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	const char *number;
	char path[128];
	int fd;

	ask(queue_near, SIOCETHTOOL, &info);
	number = strrchr(info.bus_info, ':');
	assert_non_null(number);
	snprintf(path, sizeof(path), "/sys/kernel/debug/szcnic/%s/%s", number + 1, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_return_code(fd, errno);
	assert_int_equal(write(fd, words, strlen(words)), strlen(words));
	close(fd);
}

void queue_run(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("exit status %d: %s", WEXITSTATUS(status), command);
}

/* ---- engine and connections */

int queue_engine(struct queue *queue, struct szc_rx_options options, char *why, size_t size)
{
	options.size = sizeof(options);
	options.backend = SZC_BACKEND_ZCRX;
	if (!options.share) {
		options.ifname = queue_near;
		options.queue = QUEUE;
	}
	options.error = why;
	options.error_size = size;
	return szc_rx_open(&queue->rx, &options);
}

static socklen_t near_address(int family, struct sockaddr_storage *address)
{
	struct ifaddrs *all, *at;
	socklen_t len = 0;

	assert_return_code(getifaddrs(&all), errno);
	for (at = all; at && !len; at = at->ifa_next) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at->ifa_addr;

		if (!at->ifa_addr || at->ifa_addr->sa_family != family || strcmp(at->ifa_name, queue_near))
			continue;
		if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
			continue;
		len = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
		memcpy(address, at->ifa_addr, len);
	}
	freeifaddrs(all);
	assert_true(len);
	return len;
}

void queue_listen(struct queue *queue, struct szc_rx *rx, int family)
{
	struct sockaddr_storage address;
	char host[64], text[96];

	assert_true(near_address(family, &address));
	if (family == AF_INET6)
		inet_ntop(family, &((struct sockaddr_in6 *)&address)->sin6_addr, host, sizeof(host));
	else
		inet_ntop(family, &((struct sockaddr_in *)&address)->sin_addr, host, sizeof(host));
	snprintf(text, sizeof(text), family == AF_INET6 ? "[%s]:0" : "%s:0", host);
	if (szc_rx_listen(rx, text, NULL, &queue->listener))
		fail_msg("%s", szc_rx_last_error(rx));
	queue->port = (uint16_t)szc_listener_port(queue->listener);
	queue->family = family;
	if (szc_nic_steer_port(queue->nic, queue->port, QUEUE) < 0)
		fail_msg("%s", szc_nic_last_error(queue->nic));
}

void queue_open(struct queue *queue, int family, struct szc_rx_options options)
{
	char why[400];

	queue_prepare(queue);
	if (queue_engine(queue, options, why, sizeof(why)))
		fail_msg("%s", why);
	assert_string_equal(szc_rx_backend(queue->rx), "zcrx");
	queue_listen(queue, queue->rx, family);
}

void queue_close(struct queue *queue)
{
	sink_finish(queue->rx);
	queue_restore(queue);
}

int queue_peer_socket(int family)
{
	int fd;

	enter_peer();
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	leave_peer();
	assert_return_code(fd, errno);
	return fd;
}

static int dial(const struct queue *queue, int fd)
{
	struct sockaddr_storage address;
	socklen_t len = near_address(queue->family, &address);
	int on = 1;

	((struct sockaddr_in *)&address)->sin_port = htons(queue->port); /* at the same place in both families */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (queue->segment)
		assert_return_code(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &queue->segment, sizeof(int)), errno);
	return connect(fd, (struct sockaddr *)&address, len);
}

int queue_dial(const struct queue *queue)
{
	int fd = queue_peer_socket(queue->family);

	assert_return_code(dial(queue, fd), errno);
	return fd;
}

int queue_dial_begin(const struct queue *queue)
{
	int fd = queue_peer_socket(queue->family);

	assert_return_code(fcntl(fd, F_SETFL, O_NONBLOCK), errno);
	if (dial(queue, fd))
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

int queue_connect(struct queue *queue, struct sink *sink, unsigned seed)
{
	int fd = queue_dial(queue), tries;

	memset(sink, 0, sizeof(*sink));
	sink->seed = seed;
	for (tries = 0; tries < SINK_MS / SINK_TURN_MS && !sink->conn; tries++)
		sink->conn = sink_accept(queue->rx, sink);
	assert_non_null(sink->conn);
	return fd;
}

static void too_long(int signal)
{
	(void)signal;
	if (system("exec >&2; echo '# stuck in:'; cat /proc/$PPID/stack; ss -tan; ip netns exec peer ss -tan;"
		   "ethtool -S szc0 | grep -v ': 0$'; dmesg | tail -n 20"))
		fprintf(stderr, "# more is not known\n");
	_exit(EXIT_FAILURE);
}

void queue_limit(unsigned seconds)
{
	struct sigaction action = {.sa_handler = too_long};

	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
}
