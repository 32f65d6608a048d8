/* SPDX-License-Identifier: MIT */
#include "seal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "bench/common.h"

static int refused(const char *what, int error)
{
	errno = -error;
	return complain(what);
}

static int find_device(struct seal *seal, const char *ifname)
{
	struct szc_psp_device devices[SZC_PSP_DEVICES_MAX];
	int count = szc_psp_devices(&seal->psp, devices);
	int error = count < 0 ? count : -ENODEV;

	for (int i = 0; i < count; i++) {
		if (ifname && devices[i].ifindex != if_nametoindex(ifname))
			continue;
		seal->device = devices[i].id;
		error = szc_psp_enable(&seal->psp, seal->device, devices[i].capable);
		break;
	}
	return error ? refused("PSP device", error) : 0;
}

int seal_begin(struct seal *seal, const char *ifname, int fd, uint8_t *message)
{
	struct szc_psp_key key;
	int error;

	*seal = (struct seal){0};
	error = szc_psp_open(&seal->psp);
	if (error)
		return refused("PSP", error);
	if (find_device(seal, ifname))
		return -1;
	error = szc_psp_receive_key(&seal->psp, fd, seal->device, SZC_PSP_AES_GCM_128, &key);
	if (error)
		return refused("the PSP key to receive with", error);
	key.spi = htonl(key.spi);
	memcpy(message, &key.spi, 4);
	memcpy(message + 4, key.key, SEAL_MESSAGE - 4);
	return 0;
}

bool seal_complete(const struct seal *seal)
{
	return seal->got == SEAL_MESSAGE;
}

int seal_take(struct seal *seal, int fd, const uint8_t *bytes, size_t len)
{
	struct szc_psp_key key = {.size = SEAL_MESSAGE - 4};
	int error;

	if (len > SEAL_MESSAGE - seal->got)
		len = SEAL_MESSAGE - seal->got;
	memcpy(seal->theirs + seal->got, bytes, len);
	seal->got += len;
	if (!len || !seal_complete(seal))
		return (int)len;
	memcpy(&key.spi, seal->theirs, 4);
	key.spi = ntohl(key.spi);
	memcpy(key.key, seal->theirs + 4, key.size);
	error = szc_psp_send_key(&seal->psp, fd, seal->device, SZC_PSP_AES_GCM_128, &key);
	return error ? refused("the PSP key to send with", error) : (int)len;
}

void seal_close(struct seal *seal)
{
	szc_psp_close(&seal->psp);
}

static int exchange(struct seal *seal, const char *ifname, int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	uint8_t message[SEAL_MESSAGE];

	if (seal_begin(seal, ifname, fd, message))
		return -1;
	if (send(fd, message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
		return complain("send");
	while (!seal_complete(seal)) {
		ssize_t n;

		if (poll(&readable, 1, -1) < 0 && errno != EINTR)
			return complain("poll");
		n = recv(fd, message, SEAL_MESSAGE - seal->got, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return complain("the other end's PSP key");
		if (seal_take(seal, fd, message, (size_t)n) < 0)
			return -1;
	}
	return 0;
}

int seal_socket(const char *ifname, int fd)
{
	struct seal seal;
	int error = exchange(&seal, ifname, fd);

	seal_close(&seal);
	return error;
}
