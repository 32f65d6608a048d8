#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

# The module keeps to the style of the kernel: tests/lab/host/module.sh.
mapfile -t sources < <(project_files '*.c' '*.h' | grep -v '^kernel/')
if ! llvm_14 clang-format; then
	skip "C sources are formatted" "clang-format 14 is not here, and other versions format otherwise"
else
	check "C sources are formatted" clang-format --dry-run -Werror "${sources[@]}"
fi
done_testing
