/* SPDX-License-Identifier: MIT */
#include "sendq.h"

#include <errno.h>
#include <linux/tls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_TLS
#define SOL_TLS 282 /* include/linux/socket.h; older C libraries lack it */
#endif

enum { CHUNK = 128 * 1024 - 64 };

static struct szc_chunk *append(struct szc_sendq *sendq, enum szc_chunk_kind kind, size_t len)
{
	struct szc_chunk *chunk = sendq->spare;
	size_t cap = len < CHUNK ? CHUNK : len;

	if (kind != SZC_CHUNK_BYTES)
		cap = len;
	if (chunk && kind == SZC_CHUNK_BYTES && chunk->cap >= len) {
		sendq->spare = NULL;
	} else {
		chunk = malloc(sizeof(*chunk) + cap);
		if (!chunk)
			return NULL;
		chunk->cap = cap;
	}
	chunk->next = NULL;
	chunk->kind = kind;
	chunk->record_type = 0;
	chunk->off = chunk->len = 0;
	if (sendq->tail)
		sendq->tail->next = chunk;
	else
		sendq->head = chunk;
	sendq->tail = chunk;
	return chunk;
}

uint8_t *szc_sendq_reserve(struct szc_sendq *sendq, size_t len)
{
	struct szc_chunk *tail = sendq->tail;

	if (!tail || tail->kind != SZC_CHUNK_BYTES || tail->cap - tail->len < len)
		tail = append(sendq, SZC_CHUNK_BYTES, len);
	return tail ? tail->data + tail->len : NULL;
}

void szc_sendq_commit(struct szc_sendq *sendq, size_t len)
{
	sendq->tail->len += len;
	sendq->bytes += len;
}

int szc_sendq_typed(struct szc_sendq *sendq, uint8_t record_type, const void *data, size_t len)
{
	struct szc_chunk *chunk = append(sendq, SZC_CHUNK_TYPED, len);

	if (!chunk)
		return -ENOMEM;
	chunk->record_type = record_type;
	memcpy(chunk->data, data, len);
	szc_sendq_commit(sendq, len);
	return 0;
}

int szc_sendq_hook(struct szc_sendq *sendq)
{
	return append(sendq, SZC_CHUNK_HOOK, 0) ? 0 : -ENOMEM;
}

static ssize_t send_plain(int fd, const struct iovec *iov, int iovcnt)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)iovcnt};
	ssize_t done;

	do {
		done = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

static ssize_t send_typed(int fd, const struct iovec *iov, uint8_t record_type)
{
	union {
		char room[CMSG_SPACE(1)];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	ssize_t done;

	memset(&control, 0, sizeof(control));
	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = record_type;
	msg.msg_controllen = cmsg->cmsg_len;
	do {
		done = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

void szc_sendq_pass(struct szc_sendq *sendq)
{
	struct szc_chunk *chunk = sendq->head;

	sendq->head = chunk->next;
	if (!sendq->head)
		sendq->tail = NULL;
	sendq->bytes -= chunk->len - chunk->off;
	if (chunk->kind == SZC_CHUNK_BYTES && !sendq->spare && chunk->cap == CHUNK)
		sendq->spare = chunk;
	else
		free(chunk);
}

int szc_sendq_flush(struct szc_sendq *sendq, int fd, uint64_t *sent)
{
	while (sendq->head) {
		struct szc_chunk *chunk = sendq->head;
		struct iovec iov = {chunk->data + chunk->off, chunk->len - chunk->off};
		ssize_t done;

		if (chunk->kind == SZC_CHUNK_HOOK)
			return SZC_SENDQ_AT_HOOK;
		if (iov.iov_len) {
			done = chunk->kind == SZC_CHUNK_TYPED ? send_typed(fd, &iov, chunk->record_type)
							      : send_plain(fd, &iov, 1);
			if (done == -EAGAIN)
				return SZC_SENDQ_BLOCKED;
			if (done < 0)
				return (int)done;
			chunk->off += (size_t)done;
			sendq->bytes -= (size_t)done;
			*sent += (uint64_t)done;
		}
		if (chunk->off == chunk->len)
			szc_sendq_pass(sendq);
	}
	return SZC_SENDQ_EMPTY;
}

ssize_t szc_sendq_direct(struct szc_sendq *sendq, int fd, const struct iovec *iov, int iovcnt)
{
	ssize_t done;

	if (sendq->head)
		return 0;
	done = send_plain(fd, iov, iovcnt);
	return done == -EAGAIN ? 0 : done;
}

void szc_sendq_clear(struct szc_sendq *sendq)
{
	while (sendq->head)
		szc_sendq_pass(sendq);
	free(sendq->spare);
	sendq->spare = NULL;
}
