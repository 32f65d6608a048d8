#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The README shows the receiver that the tests build and run, to the letter, and it stays below 30 lines.
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

# shellcheck disable=SC2016 # back-quotes of the README, not of the shell
shown=$(sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d')
check "README shows examples/receive.c" diff <(printf '%s\n' "$shown") examples/receive.c
check "the example has fewer than 30 lines" test "$(tail -n +2 examples/receive.c | wc -l)" -lt 30
done_testing
