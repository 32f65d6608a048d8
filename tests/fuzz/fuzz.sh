#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# fuzz.sh NAME SECONDS: runs a fuzzer, first over the seeds, over what earlier runs learned (build/corpus), and over what
# broke it in earlier runs (build/fuzz-findings): that fails until it is mended.
set -u
# shellcheck source=tests/tap.bash
. "${SZC_SOURCE:?}/tests/tap.bash"
name=$1 seconds=$2
corpus=$SZC_SOURCE/build/corpus/$name
seeds=$SZC_SOURCE/tests/fuzz/seeds/$name
findings=$SZC_SOURCE/build/fuzz-findings/$name
mkdir -p "$corpus" "$findings"
folders=("$corpus" "$findings")
[ ! -d "$seeds" ] || folders+=("$seeds")

export ASAN_OPTIONS=detect_stack_use_after_return=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
"$SZC_BUILD/tests/$name" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 \
	-artifact_prefix="$findings/" "${folders[@]}" >"$SZC_TMP/log" 2>&1
status=$?
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$SZC_TMP/log")
echo "# $name: ${runs:-0} runs"
if [ "$status" -eq 0 ]; then
	ok "$name found nothing in $seconds s"
else
	not_ok "$name found nothing in $seconds s" "exit status $status" "$(tail -n 100 "$SZC_TMP/log")"
fi
check "$name ran at all" test "${runs:-0}" -gt 100
done_testing
