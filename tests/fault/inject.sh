#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every call of the kernel and of malloc that a transfer makes is refused once: fault_transfer says what it looks for.
set -u
cd "${SZC_TMP:?}" || exit 1

if grep -q -e __asan_init -e __tsan_init "$SZC_BUILD/tests/fault_transfer"; then
	echo "1..0 # SKIP a sanitizer's malloc cannot be made to fail; the other builds' can"
	exit 0
fi
if ! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2>openssl.err; then
	sed 's/^/# /' openssl.err
	echo "Bail out! openssl made no certificate"
	exit 1
fi
LD_PRELOAD=$SZC_BUILD/tests/libfault_shim.so exec "$SZC_BUILD/tests/fault_transfer" cert.pem key.pem
