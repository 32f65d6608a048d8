#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clang-tidy on what is shipped and measured, a result a file.
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

if ! llvm_14 clang-tidy; then
	skip "clang-tidy" "clang-tidy 14 is not here, and other versions judge otherwise"
	done_testing
fi

mapfile -t sources < <(project_files 'lib/*.c' 'tls/*.c' 'tools/*.c' 'bench/*.c' 'examples/*.c')
mkdir -p "$SZC_TMP"/tidy/{lib/nic,tls,tools,bench,examples}
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -I{} bash -c '
	clang-tidy -p "$SZC_BUILD" --quiet --warnings-as-errors="*" "$1" >"$2" 2>&1 || touch "$2.bad"' \
	- {} "$SZC_TMP/tidy/{}.log" 2>/dev/null
for source in "${sources[@]}"; do
	if [ -e "$SZC_TMP/tidy/$source.log.bad" ]; then
		not_ok "clang-tidy $source" "$(grep -E '(error|warning|note): ' "$SZC_TMP/tidy/$source.log")"
	elif [ -e "$SZC_TMP/tidy/$source.log" ]; then
		ok "clang-tidy $source"
	else
		not_ok "clang-tidy $source" "it did not run"
	fi
done
done_testing
