#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# That a run under the debug kernel lost no memory is worth something only if one that does fails. The kernel has a module
# that loses some on purpose.
# shellcheck disable=SC2016 # what stands in single quotes is for eval
# shellcheck source=tests/tap.bash
. "${SZC_SOURCE:?}/tests/tap.bash"
cd "$SZC_SOURCE" || exit 1

if [ -z "${SZC_TEST_FULL-}" ]; then
	echo "1..0 # SKIP the debug kernel is part of tests/run all"
	exit
fi
kernel/lab/lab --debug run --one-thread -- modprobe kmemleak-test >"$SZC_TMP/out" 2>&1 </dev/null
status=$?
check "lost memory fails the run" test "$status" -eq 97
check "  and is shown" eval 'grep -q "unreferenced object 0x.* (size 32)" "$SZC_TMP/out" || { tail -n 30 "$SZC_TMP/out"; false; }'
done_testing
