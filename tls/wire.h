/* SPDX-License-Identifier: MIT */
/* TLS 1.3 on the wire: RFC 8446 sections 5 (records), 6 (alerts), 4 (handshake messages). Numbers and limits. */
#ifndef SZC_TLS_WIRE_H
#define SZC_TLS_WIRE_H

enum {
	SZC_RECORD_HEADER = 5,                   /* type, legacy_record_version, length */
	SZC_RECORD_TAG = 16,                     /* all three suites */
	SZC_RECORD_NONCE = 12,                   /* all three suites */
	SZC_RECORD_PLAIN_MAX = 1 << 14,          /* TLSPlaintext.fragment, and content of TLSInnerPlaintext */
	SZC_RECORD_INNER_MAX = (1 << 14) + 1,    /* content, type byte and padding together (5.4) */
	SZC_RECORD_CIPHER_MAX = (1 << 14) + 256, /* TLSCiphertext.length (5.2) */
	SZC_RECORD_OVERHEAD = SZC_RECORD_HEADER + 1 + SZC_RECORD_TAG,
	SZC_RECORD_WIRE_MAX = SZC_RECORD_HEADER + SZC_RECORD_CIPHER_MAX,
	SZC_HANDSHAKE_HEADER = 4, /* msg_type, uint24 length */
};

enum szc_content_type {
	SZC_CONTENT_CCS = 20,
	SZC_CONTENT_ALERT = 21,
	SZC_CONTENT_HANDSHAKE = 22,
	SZC_CONTENT_APPLICATION = 23,
};

enum szc_handshake_type {
	SZC_HANDSHAKE_NEW_SESSION_TICKET = 4,
	SZC_HANDSHAKE_KEY_UPDATE = 24,
};

enum szc_alert_level { SZC_ALERT_WARNING = 1, SZC_ALERT_FATAL = 2 };

enum szc_alert {
	SZC_ALERT_CLOSE_NOTIFY = 0,
	SZC_ALERT_UNEXPECTED_MESSAGE = 10,
	SZC_ALERT_BAD_RECORD_MAC = 20,
	SZC_ALERT_RECORD_OVERFLOW = 22,
	SZC_ALERT_BAD_CERTIFICATE = 42,
	SZC_ALERT_DECODE_ERROR = 50,
	SZC_ALERT_ILLEGAL_PARAMETER = 47,
	SZC_ALERT_INSUFFICIENT_SECURITY = 71,
	SZC_ALERT_INTERNAL_ERROR = 80,
	SZC_ALERT_USER_CANCELED = 90,
	SZC_ALERT_CERTIFICATE_REQUIRED = 116,
};

#endif
