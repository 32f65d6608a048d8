#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clang-tidy on what is shipped and measured, a result a file.
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

if ! llvm_14 clang-tidy; then
	skip "clang-tidy" "clang-tidy 14 is not here, and other versions judge otherwise"
	done_testing
fi

mkdir -p "$SZC_TMP/tidy"
# Of a file that several targets compile clang-tidy would look at each compilation; once is enough.
python3 - "$SZC_BUILD/compile_commands.json" >"$SZC_TMP/tidy/compile_commands.json" <<'END'
import json, sys
with open(sys.argv[1], encoding="utf-8") as commands:
    first = {entry["file"]: entry for entry in reversed(json.load(commands))}
json.dump(list(first.values()), sys.stdout)
END
# The analyser's own depth takes three times as long: at full length only.
depth=(--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=75000)
[ -z "${SZC_TEST_FULL-}" ] || depth=()

# Judged by: the source, the headers, how it is compiled, what is asked, and which clang-tidy.
clean=$(remembered tidy)
mapfile -t sources < <(project_files 'lib/*.c' 'tls/*.c' 'psp/*.c' 'tools/*.c' 'bench/*.c' 'examples/*.c')
mapfile -t headers < <(project_files '*.h')
common=$(cat .clang-tidy "$SZC_TMP/tidy/compile_commands.json" "${headers[@]}" <(clang-tidy --version; echo "${depth[*]}") | key_of)
printf '%s\n' "${sources[@]%/*}" | sort -u | (cd "$SZC_TMP/tidy" && xargs mkdir -p)

# key SOURCE: the name under which it is remembered.
key()
{
	{ echo "$1 $common" && cat "$1"; } | key_of
}

for source in "${sources[@]}"; do
	[ -e "$clean/$(key "$source")" ] || echo "$source"
done >"$SZC_TMP/new"
# shellcheck disable=SC2016 # the inner shell expands it
xargs -P "$(nproc)" -I{} bash -c '
	clang-tidy -p "$SZC_TMP/tidy" --quiet --warnings-as-errors="*" "${@:3}" "$1" >"$2" 2>&1 && touch "$2.clean"' \
	- {} "$SZC_TMP/tidy/{}.log" "${depth[@]}" 2>/dev/null <"$SZC_TMP/new"
for source in "${sources[@]}"; do
	[ ! -e "$SZC_TMP/tidy/$source.log.clean" ] || touch "$clean/$(key "$source")"
	if [ -e "$clean/$(key "$source")" ]; then
		ok "clang-tidy $source"
	elif [ -e "$SZC_TMP/tidy/$source.log" ]; then
		not_ok "clang-tidy $source" "$(grep -E '(error|warning|note): ' "$SZC_TMP/tidy/$source.log")"
	else
		not_ok "clang-tidy $source" "it did not run"
	fi
done
done_testing
