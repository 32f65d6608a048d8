/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "failure.h"

int failure_set(struct failure *failure, int exit_code, const char *format, ...)
{
	va_list args;

	if (failure->exit_code)
		return failure->exit_code;
	failure->exit_code = exit_code;
	va_start(args, format);
	vsnprintf(failure->sentence, sizeof(failure->sentence), format, args);
	va_end(args);
	return exit_code;
}

static int kind_of(int error)
{
	switch (error) {
	case SZC_E_OPTION:
		return EXIT_USAGE;
	case SZC_E_TLS_VERSION:
	case SZC_E_TLS_HANDSHAKE:
	case SZC_E_TLS_VERIFY:
	case SZC_E_TLS_CIPHER:
	case SZC_E_TLS_ALERT:
	case SZC_E_PSP_PEER:
		return EXIT_TLS;
	case SZC_E_TRUNCATED:
	case SZC_E_TLS_RECORD:
	case SZC_E_TLS_MAC:
	case SZC_E_TLS_FLOOD:
	case SZC_E_TLS_KEY_LIMIT:
	case SZC_E_PSP_MESSAGE:
		return EXIT_DATA;
	case SZC_E_TLS_CONFIG:
		return EXIT_FILE;
	case SZC_E_ADDRESS:
	case SZC_E_TIMEOUT:
	case SZC_E_CLOSED:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -EPIPE:
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ENETDOWN:
	case -EADDRINUSE:
	case -EADDRNOTAVAIL:
	case -EACCES:
		return EXIT_NETWORK;
	default:
		return EXIT_SYSTEM;
	}
}

int failure_set_szc(struct failure *failure, int error, const char *what, const char *detail)
{
	if (detail && *detail)
		return failure_set(failure, kind_of(error), "%s", detail);
	return failure_set(failure, kind_of(error), "%s: %s", what, szc_strerror(error));
}

int failure_set_conn(struct failure *failure, int error, const char *peer, const struct szc_conn *conn)
{
	const char *detail = szc_conn_last_error(conn);
	/* Certificates were read before there was a connection: what cannot be had now is the kernel's. */
	int kind = error == SZC_E_TLS_CONFIG ? EXIT_SYSTEM : kind_of(error);

	return failure_set(failure, kind, "%s: %s", peer, *detail ? detail : szc_strerror(error));
}

int failure_set_file(struct failure *failure, int error, const char *what, const char *path)
{
	if (error == -EPIPE)
		return failure_set(failure, EXIT_FILE, "%s %s: its reader went away", what, path);
	if (error == -ENOSPC)
		return failure_set(failure, EXIT_FILE, "%s %s: the file system is full", what, path);
	return failure_set(failure, EXIT_FILE, "%s %s: %s", what, path, strerror(-error));
}
