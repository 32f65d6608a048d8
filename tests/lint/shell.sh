#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

if ! command -v shellcheck >/dev/null; then
	skip "shell scripts" "shellcheck is not here"
	done_testing
fi
project_files '*' >"$SZC_TMP/files"
while read -r script; do
	if head -n 1 "$script" | tr -d '\0' | grep -qE '^#!.*\b(ba)?sh$' || [ "${script%.bash}" != "$script" ]; then
		# SC2317: functions that `check` calls look unreachable to it.
		check "shellcheck $script" shellcheck -x -e SC2317 "$script"
	fi
done <"$SZC_TMP/files"
done_testing
