#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The module as kernel developers would look at it: checkpatch, from the kernel source that the lab works with.
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

# What checkpatch says of a patch, and not of a module that lives outside: Kconfig help, MAINTAINERS, versions. compat.h is
# the place for versions. Messages and op names stay greppable, so that a string may be longer than a line.
readonly ignored=LINUX_VERSION_CODE,FILE_PATH_CHANGES,SPLIT_STRING,CONSTANT_COMPARISON

source=$(kernel/lab/lab path source 2>/dev/null)
if [ ! -e "$source/scripts/checkpatch.pl" ]; then
	skip "checkpatch" "no kernel source is here yet: kernel/lab/lab build"
	done_testing
fi
project_files 'kernel/*.c' 'kernel/*.h' >"$SZC_TMP/files"
while read -r file; do
	check "checkpatch $file" perl "$source/scripts/checkpatch.pl" --no-tree --strict --quiet --terse \
		--no-summary --max-line-length=120 --ignore "$ignored" --file "$file"
done <"$SZC_TMP/files"
done_testing
