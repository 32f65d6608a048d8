#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The example of the README, built against an installed copy, receives a file from `openssl s_client`.
set -u
# shellcheck source=tests/tap.bash
. "${SZC_SOURCE:?}/tests/tap.bash"
cd "${SZC_TMP:?}" || exit 1
receiver=

stop_receiver()
{
	[ -z "$receiver" ] || kill "$receiver" 2>/dev/null
}
trap stop_receiver EXIT

check "cmake --install" cmake --install "$SZC_BUILD" --prefix "$SZC_TMP/prefix" || done_testing
libdir=$(dirname "$(find prefix -name libszc.so -print -quit)")

compile_example()
{
	# shellcheck disable=SC2046 # pkg-config prints words
	cc -std=c17 -Wall -Wextra -Werror -O2 -o receive "$SZC_SOURCE/examples/receive.c" \
		$(PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config --cflags --libs szc-tls)
}
check "the example compiles against the installed copy" compile_example || done_testing
check "the example has 30 lines or so" test "$(wc -l <"$SZC_SOURCE/examples/receive.c")" -le 40
check "a certificate" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem

# Digits only: s_client takes what it reads for a command if that begins with Q, R, K or k.
head -c 1500000 /dev/urandom | od -An -v -tu1 | tr -d ' \n' >sent
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
LD_LIBRARY_PATH=$libdir ./receive cert.pem key.pem "127.0.0.1:$port" >received 2>receive.err &
receiver=$!

# It listens at once or never: wait for the port, not for a time.
listening()
{
	for _ in {1..100}; do
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
		kill -0 "$receiver" || return 1
		sleep 0.05
	done
	return 1
}

send_file()
{
	timeout 60 openssl s_client -connect "127.0.0.1:$port" -tls1_3 -quiet -no_ign_eof -CAfile cert.pem \
		-verify_return_error -servername localhost <sent
}

all_there()
{
	for _ in {1..200}; do
		[ "$(stat -c %s received)" -lt "$(stat -c %s sent)" ] || break
		sleep 0.05
	done
	cmp sent received
}

check "the example listens" listening
check "openssl s_client sends a file" send_file
check "every byte arrived" all_there || sed 's/^/# receive: /' receive.err
check "the example still runs" kill -0 "$receiver"
done_testing
