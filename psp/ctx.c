/* SPDX-License-Identifier: MIT */
#include "psp/ctx.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "psp/message.h"
#include "psp/upgrade.h"

enum { LOOK_MS = 50 };

enum { ENCRYPT = 1 << SZC_PSP_AES_GCM_128 | 1 << SZC_PSP_AES_GCM_256 };

/* ---- where a connection goes */

static bool same_address(const struct sockaddr *one, const struct sockaddr_storage *other)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)other;
	const struct in_addr *four = &((const struct sockaddr_in *)other)->sin_addr;

	if (!one)
		return false;
	/* A socket for both families has addresses of the older one inside the newer's. */
	if (other->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		four = (const struct in_addr *)&six->sin6_addr.s6_addr[12];
	else if (other->ss_family == AF_INET6)
		return one->sa_family == AF_INET6 && !memcmp(&((const struct sockaddr_in6 *)one)->sin6_addr,
							     &six->sin6_addr, sizeof(struct in6_addr));
	return one->sa_family == AF_INET && !memcmp(&((const struct sockaddr_in *)one)->sin_addr, four, sizeof(*four));
}

/* The interface that has the connection's own address; 0: none. */
static unsigned interface_of(int fd)
{
	struct sockaddr_storage own = {0};
	socklen_t len = sizeof(own);
	struct ifaddrs *all, *at;
	unsigned ifindex = 0;

	if (getsockname(fd, (struct sockaddr *)&own, &len) || getifaddrs(&all))
		return 0;
	for (at = all; at && !ifindex; at = at->ifa_next) {
		if (same_address(at->ifa_addr, &own))
			ifindex = if_nametoindex(at->ifa_name);
	}
	freeifaddrs(all);
	return ifindex;
}

/* Without, an old packet could be taken for a new one once 2^32 bytes went by: PSP leaves that to TCP. */
static bool has_timestamps(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) && info.tcpi_options & TCPI_OPT_TIMESTAMPS;
}

static uint32_t wanted(const struct szc_psp_ctx *ctx)
{
	return ctx->options.gcm_256_only ? 1 << SZC_PSP_AES_GCM_256 : ENCRYPT;
}

/* The lock is held. */
static int find(struct szc_psp_ctx *ctx, int fd, struct szc_psp_place *place)
{
	struct szc_psp_device device;
	int error = szc_psp_device(&ctx->psp, interface_of(fd), &device);
	uint32_t more;

	if (error)
		return error == -ENODEV ? SZC_E_PSP_DEVICE : error;
	more = device.capable & wanted(ctx) & ~device.enabled;
	if (ctx->options.enable && more && !szc_psp_enable(&ctx->psp, device.id, device.enabled | more))
		device.enabled |= more;
	*place = (struct szc_psp_place){.device = device.id, .versions = device.enabled & wanted(ctx)};
	return place->versions ? 0 : SZC_E_PSP_VERSION;
}

int szc_psp_ctx_place(struct szc_psp_ctx *ctx, int fd, struct szc_psp_place *place)
{
	int error;

	*place = (struct szc_psp_place){0};
	if (!ctx->has_family)
		return SZC_E_PSP_DEVICE;
	if (!has_timestamps(fd))
		return SZC_E_PSP_SOCKET;
	pthread_mutex_lock(&ctx->lock);
	error = find(ctx, fd, place);
	pthread_mutex_unlock(&ctx->lock);
	return error;
}

/* ---- keys */

static int sort(int error)
{
	switch (error) {
	case -ENOSPC:
		return SZC_E_PSP_LIMIT;
	case -EOPNOTSUPP:
		return SZC_E_PSP_VERSION;
	case -ENODEV:
		return SZC_E_PSP_DEVICE;
	case -EINVAL:
		return SZC_E_PSP_SOCKET;
	default:
		return error;
	}
}

int szc_psp_ctx_receive_key(struct szc_psp_ctx *ctx, int fd, const struct szc_psp_place *place,
			    enum szc_psp_version version, struct szc_psp_key *key)
{
	int error;

	pthread_mutex_lock(&ctx->lock);
	error = szc_psp_receive_key(&ctx->psp, fd, place->device, version, key);
	pthread_mutex_unlock(&ctx->lock);
	return error == -EBUSY ? SZC_E_PSP_SOCKET : sort(error);
}

int szc_psp_ctx_send_key(struct szc_psp_ctx *ctx, int fd, const struct szc_psp_place *place,
			 enum szc_psp_version version, const struct szc_psp_key *key)
{
	int error;

	pthread_mutex_lock(&ctx->lock);
	error = szc_psp_send_key(&ctx->psp, fd, place->device, version, key);
	pthread_mutex_unlock(&ctx->lock);
	return error == -EBUSY ? SZC_E_PSP_MESSAGE : sort(error);
}

/* ---- rotations */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Of a device; of more than fit the last ones share a place, and streams move more often than they must. */
static struct szc_psp_rotations *rotations_of(struct szc_psp_ctx *ctx, uint32_t device)
{
	struct szc_psp_rotations *at = ctx->rotations;

	while (at->device != device && at->count && at < &ctx->rotations[SZC_PSP_DEVICES_MAX - 1])
		at++;
	return at;
}

static void count_rotation(uint32_t device, void *arg)
{
	struct szc_psp_rotations *rotations = rotations_of(arg, device);

	rotations->device = device;
	rotations->count++;
}

unsigned szc_psp_ctx_rotations(struct szc_psp_ctx *ctx, uint32_t device, bool fresh)
{
	unsigned rotations;
	uint64_t now = now_ms();

	pthread_mutex_lock(&ctx->lock);
	if (ctx->options.moves && (fresh || now - ctx->looked_ms >= LOOK_MS)) {
		ctx->looked_ms = now;
		szc_psp_rotated(&ctx->notices, count_rotation, ctx);
	}
	rotations = rotations_of(ctx, device)->count;
	pthread_mutex_unlock(&ctx->lock);
	return rotations;
}

/* ---- streams */

void szc_psp_ctx_list(struct szc_psp_ctx *ctx, struct szc_psp_conn *psp)
{
	pthread_mutex_lock(&ctx->lock);
	psp->next = ctx->streams;
	if (psp->next)
		psp->next->link = &psp->next;
	ctx->streams = psp;
	psp->link = &ctx->streams;
	pthread_mutex_unlock(&ctx->lock);
}

void szc_psp_ctx_unlist(struct szc_psp_ctx *ctx, struct szc_psp_conn *psp)
{
	pthread_mutex_lock(&ctx->lock);
	if (psp->link)
		*psp->link = psp->next;
	if (psp->link && psp->next)
		psp->next->link = psp->link;
	psp->link = NULL;
	pthread_mutex_unlock(&ctx->lock);
}

struct szc_psp_conn *szc_psp_ctx_listed(struct szc_psp_ctx *ctx, const struct szc_rx *rx, const uint8_t *id)
{
	struct szc_psp_conn *psp;

	pthread_mutex_lock(&ctx->lock);
	for (psp = ctx->streams; psp; psp = psp->next) {
		if (szc_conn_rx(psp->conn) == rx && !memcmp(psp->id, id, sizeof(psp->id)))
			break;
	}
	pthread_mutex_unlock(&ctx->lock);
	return psp;
}

/* ---- life */

static int fail(const struct szc_psp_options *options, int error, const char *sentence)
{
	if (options->error && options->error_size)
		snprintf(options->error, options->error_size, "%s", sentence);
	return error;
}

static int build(struct szc_psp_ctx *ctx)
{
	int error = szc_psp_open(&ctx->psp);

	ctx->has_family = !error;
	if (error && error != -ENOENT)
		return fail(&ctx->options, error, strerror(-error));
	if (error && ctx->options.policy == SZC_PSP_REQUIRE)
		return fail(&ctx->options, SZC_E_PSP_DEVICE, SZC_PSP_NO_KERNEL);
	if (ctx->has_family && ctx->options.moves) {
		error = szc_psp_listen(&ctx->notices);
		if (error)
			return fail(&ctx->options, error, strerror(-error));
	}
	if (pthread_mutex_init(&ctx->lock, NULL))
		return -ENOMEM;
	ctx->upgrade = szc_psp_upgrade_ops;
	ctx->upgrade.config = ctx;
	ctx->options.error = NULL;
	return 0;
}

int szc_psp_ctx_open(struct szc_psp_ctx **out, const struct szc_psp_options *given)
{
	struct szc_psp_options options = {0};
	struct szc_psp_ctx *ctx;
	int error;

	*out = NULL;
	if (given && given->size < sizeof(given->size))
		return SZC_E_OPTION;
	if (given)
		memcpy(&options, given, given->size < sizeof(options) ? given->size : sizeof(options));
	if (options.policy != SZC_PSP_AUTO && options.policy != SZC_PSP_REQUIRE)
		return fail(&options, SZC_E_OPTION, "options->policy is neither SZC_PSP_AUTO nor SZC_PSP_REQUIRE");
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return fail(&options, -ENOMEM, "no memory for a PSP configuration");
	ctx->options = options;
	error = build(ctx);
	if (error) {
		szc_psp_close(&ctx->psp);
		szc_psp_close(&ctx->notices);
		free(ctx);
		return error;
	}
	*out = ctx;
	return 0;
}

void szc_psp_ctx_close(struct szc_psp_ctx *ctx)
{
	if (!ctx)
		return;
	szc_psp_close(&ctx->psp);
	szc_psp_close(&ctx->notices);
	pthread_mutex_destroy(&ctx->lock);
	free(ctx);
}

const struct szc_tls_upgrade *szc_psp_upgrade(const struct szc_psp_ctx *ctx)
{
	return &ctx->upgrade;
}
