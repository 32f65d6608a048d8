/* SPDX-License-Identifier: MIT */
/*
 * szc: secure zero-copy receive.
 *
 * Conventions of every function of the library, written once:
 *
 *  - Names are szc_<noun>_<verb>. Handles are opaque; a handle is valid from the call that returned it until the call
 *    that closes, releases or frees it.
 *  - Options structs begin with `size_t size`, set to sizeof the struct by the caller, so that they can grow. A zero in
 *    any other member means "the default". A NULL options pointer means "all defaults".
 *  - 0 or a positive count is success; failure is a negative `enum szc_error` or a negative errno value. Both kinds are
 *    turned into a sentence by szc_strerror(); szc_rx_last_error() and szc_conn_last_error() give the detail.
 *  - An engine and its connections belong to the thread that opened the engine. Only szc_view_retain(),
 *    szc_view_release() and the getters of a view may be called from any thread.
 *  - NULL handles are a caller's mistake, but for the functions that free or release: those ignore NULL.
 *  - Sizes are bytes, times are milliseconds, unless the name says otherwise.
 *  - There is no global state, and no thread that the caller did not start.
 *  - Memory behind a `const char *` that is returned belongs to the handle that was asked and lives until the next call
 *    on that handle, unless the function says otherwise.
 */
#ifndef SZC_SZC_H
#define SZC_SZC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SZC_VERSION_MAJOR 0
#define SZC_VERSION_MINOR 1
#define SZC_VERSION_PATCH 0

#if defined(__GNUC__)
#define SZC_API __attribute__((visibility("default")))
#else
#define SZC_API
#endif

/* Errors of our own lie below every errno value, so that the two never meet. */
enum szc_error {
	SZC_E_STATE = -10000,         /* the call does not fit the handle's state (not ready, shut down, closed) */
	SZC_E_OPTION = -10001,        /* an option's value is out of range or contradicts another */
	SZC_E_ADDRESS = -10002,       /* an address could not be parsed or resolved */
	SZC_E_BACKEND = -10003,       /* the backend that was asked for cannot run here */
	SZC_E_LIMIT = -10004,         /* the engine has as many connections as its area can feed */
	SZC_E_VIEWS_OUT = -10005,     /* views of this engine are still with the application */
	SZC_E_TIMEOUT = -10006,       /* a handshake or idle time limit passed */
	SZC_E_CLOSED = -10007,        /* the peer closed while more was expected of it */
	SZC_E_TRUNCATED = -10008,     /* TCP ended without close_notify: data may be missing */
	SZC_E_TLS_VERSION = -10009,   /* the peer does not speak TLS 1.3 */
	SZC_E_TLS_HANDSHAKE = -10010, /* the handshake failed; the detail says why */
	SZC_E_TLS_VERIFY = -10011,    /* the peer's certificate was not accepted */
	SZC_E_TLS_CIPHER = -10012,    /* no cipher suite in common, or one that this library does not open */
	SZC_E_TLS_RECORD = -10013,    /* a record breaks the protocol: length, type or order */
	SZC_E_TLS_MAC = -10014,       /* a record failed authentication (bad_record_mac) */
	SZC_E_TLS_ALERT = -10015,     /* the peer sent a fatal alert; the detail names it */
	SZC_E_TLS_FLOOD = -10016,     /* more empty records, key updates or post-handshake bytes than allowed */
	SZC_E_TLS_KEY_LIMIT = -10017, /* a key reached the limit of records it may protect, and no update came */
	SZC_E_TLS_CONFIG = -10018,    /* certificate, key or trust file could not be used; the detail says which */
	SZC_E_PSP_DEVICE = -10019,    /* the connection goes through no device that does PSP */
	SZC_E_PSP_VERSION = -10020,   /* no version of PSP that encrypts is enabled, or known to both ends */
	SZC_E_PSP_LIMIT = -10021,     /* the device has no association left */
	SZC_E_PSP_SOCKET =
		-10022, /* the socket has no TCP timestamps, or what excludes PSP: a kernel TLS, or PSP already */
	SZC_E_PSP_PEER = -10023,    /* the peer knows no PSP, or cannot now */
	SZC_E_PSP_MESSAGE = -10024, /* what the peer says in the upgrade, or under PSP, breaks the protocol */
	SZC_E_PSP_EXPIRED =
		-10025, /* the NIC's key was rotated twice: what is sealed by the key of this connection is lost */
};

/*
 * A sentence for any value a function of this library returned, without a full stop. Never NULL. Static memory for
 * `enum szc_error`; for errno values the C library's text, valid until the thread asks for the next one. Any thread.
 */
SZC_API const char *szc_strerror(int error);

/* The version of the library that was loaded, as "major.minor.patch". Static memory; any thread. */
SZC_API const char *szc_version(void);

#ifdef __cplusplus
}
#endif
#endif
