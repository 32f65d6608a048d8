/* SPDX-License-Identifier: MIT */
/*
 * Stands before the C library and liburing (LD_PRELOAD) and lets one call fail, as if the kernel had refused it. What the C
 * library does inside of itself does not come by here, but for its allocations.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define EXPORT __attribute__((visibility("default")))

static struct {
	const char *name;
	int error;
	long at;
	long calls;
	void *from; /* the refused allocation's return address */
} armed;

static atomic_long live;

EXPORT void shim_arm(const char *name, int error, long at)
{
	armed.name = NULL;
	armed.error = error;
	armed.at = at;
	armed.calls = 0;
	armed.from = NULL;
	armed.name = name;
}

EXPORT long shim_calls(void)
{
	return armed.calls;
}

EXPORT const char *shim_refused(void)
{
	Dl_info info;

	return armed.from && dladdr(armed.from, &info) ? info.dli_fname : "";
}

EXPORT long shim_live(void)
{
	return atomic_load(&live);
}

/* Whether this call is the one; errno is set then. */
static bool refused(const char *name)
{
	if (!armed.name || strcmp(armed.name, name) != 0 || ++armed.calls != armed.at)
		return false;
	errno = armed.error;
	return true;
}

/* ---- memory: by the names that the C library keeps for this purpose */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static void *counted(void *memory)
{
	if (memory)
		atomic_fetch_add(&live, 1);
	return memory;
}

static bool no_memory(void *from)
{
	if (!refused("malloc"))
		return false;
	armed.from = from;
	return true;
}

EXPORT void *malloc(size_t size)
{
	return no_memory(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

EXPORT void *calloc(size_t count, size_t size)
{
	return no_memory(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, size));
}

EXPORT void *realloc(void *old, size_t size)
{
	void *memory;

	if (no_memory(__builtin_return_address(0)))
		return NULL;
	memory = __libc_realloc(old, size);
	if (!old)
		counted(memory);
	else if (!size && !memory)
		atomic_fetch_sub(&live, 1);
	return memory;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return no_memory(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(alignment, size));
}

EXPORT int posix_memalign(void **memory, size_t alignment, size_t size)
{
	if (no_memory(__builtin_return_address(0)))
		return ENOMEM;
	*memory = counted(__libc_memalign(alignment, size));
	return *memory ? 0 : ENOMEM;
}

EXPORT void free(void *memory)
{
	if (memory)
		atomic_fetch_sub(&live, 1);
	__libc_free(memory);
}

/* ---- the rest: the next one in line */

#define NEXT(name) ((__typeof__(&(name)))next(#name))

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

#define FAIL_AS(type, name, failure, parameters, arguments)                                                            \
	EXPORT type name parameters                                                                                    \
	{                                                                                                              \
		static __typeof__(&(name)) real;                                                                       \
                                                                                                                       \
		if (refused(#name))                                                                                    \
			return failure;                                                                                \
		if (!real)                                                                                             \
			real = NEXT(name);                                                                             \
		return real arguments;                                                                                 \
	}

FAIL_AS(int, socket, -1, (int domain, int type, int protocol), (domain, type, protocol))
FAIL_AS(int, bind, -1, (int fd, const struct sockaddr *address, socklen_t len), (fd, address, len))
FAIL_AS(int, listen, -1, (int fd, int backlog), (fd, backlog))
FAIL_AS(int, connect, -1, (int fd, const struct sockaddr *address, socklen_t len), (fd, address, len))
FAIL_AS(int, accept4, -1, (int fd, struct sockaddr *address, socklen_t *len, int flags), (fd, address, len, flags))
FAIL_AS(int, getsockname, -1, (int fd, struct sockaddr *address, socklen_t *len), (fd, address, len))
FAIL_AS(int, getpeername, -1, (int fd, struct sockaddr *address, socklen_t *len), (fd, address, len))
FAIL_AS(int, setsockopt, -1, (int fd, int level, int name, const void *value, socklen_t len),
	(fd, level, name, value, len))
FAIL_AS(ssize_t, recv, -1, (int fd, void *to, size_t len, int flags), (fd, to, len, flags))
FAIL_AS(ssize_t, sendmsg, -1, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))
FAIL_AS(int, epoll_create1, -1, (int flags), (flags))
FAIL_AS(int, epoll_wait, -1, (int fd, struct epoll_event *events, int max, int timeout), (fd, events, max, timeout))
FAIL_AS(int, eventfd, -1, (unsigned count, int flags), (count, flags))
FAIL_AS(int, timerfd_create, -1, (clockid_t clock, int flags), (clock, flags))
FAIL_AS(int, timerfd_settime, -1, (int fd, int flags, const struct itimerspec *value, struct itimerspec *old),
	(fd, flags, value, old))
FAIL_AS(void *, mmap, MAP_FAILED, (void *at, size_t len, int protection, int flags, int fd, off_t offset),
	(at, len, protection, flags, fd, offset))
FAIL_AS(int, madvise, -1, (void *at, size_t len, int advice), (at, len, advice))
FAIL_AS(int, getaddrinfo, EAI_MEMORY,
	(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found),
	(host, service, hints, found))
FAIL_AS(int, io_uring_queue_init_params, -errno,
	(unsigned entries, struct io_uring *ring, struct io_uring_params *params), (entries, ring, params))
FAIL_AS(int, io_uring_ring_dontfork, -errno, (struct io_uring * ring), (ring))
FAIL_AS(int, io_uring_register_buf_ring, -errno, (struct io_uring * ring, struct io_uring_buf_reg *reg, unsigned flags),
	(ring, reg, flags))
FAIL_AS(int, io_uring_submit, -errno, (struct io_uring * ring), (ring))
FAIL_AS(int, io_uring_submit_and_wait, -errno, (struct io_uring * ring, unsigned count), (ring, count))
FAIL_AS(int, io_uring_submit_and_get_events, -errno, (struct io_uring * ring), (ring))
FAIL_AS(int, io_uring_submit_and_wait_timeout, -errno,
	(struct io_uring * ring, struct io_uring_cqe **cqe, unsigned count, struct __kernel_timespec *ts,
	 sigset_t *mask),
	(ring, cqe, count, ts, mask))

/* Only what takes memory: to change or to end an interest does not, and is not refused. */
EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && refused("epoll_ctl"))
		return -1;
	return NEXT(epoll_ctl)(epfd, op, fd, event);
}
