#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every source says its licence in its first line, scripts in the one after the shebang.
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

licence_missing()
{
	local file line
	while read -r file; do
		line=$(head -n 1 "$file" | tr -d '\0')
		case $file in
		# The module is the kernel's: its licence, and its way to write it.
		kernel/*_uapi.h) [ "$line" = '/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */' ] || echo "$file" ;;
		# What programs that look at it include, too.
		kernel/szcnic_trips.h) [ "$line" = '/* SPDX-License-Identifier: GPL-2.0 OR MIT */' ] || echo "$file" ;;
		kernel/*.h) [ "$line" = '/* SPDX-License-Identifier: GPL-2.0 */' ] || echo "$file" ;;
		kernel/*.c) [ "$line" = '// SPDX-License-Identifier: GPL-2.0' ] || echo "$file" ;;
		*.c | *.h | *.cpp)
			[ "$line" = '/* SPDX-License-Identifier: MIT */' ] || echo "$file"
			;;
		*)
			[ "${line#\#!}" = "$line" ] || line=$(sed -n 2p "$file")
			[ "$line" = '# SPDX-License-Identifier: MIT' ] || sed -n 2p "$file" | grep -qx '# SPDX-License-Identifier: MIT' ||
				echo "$file"
			;;
		esac
	done
}

scripts()
{
	project_files '*' | while read -r file; do
		[ "$(head -c 2 "$file" | tr -d '\0')" != '#!' ] || echo "$file"
	done
}

missing=$({ project_files '*.c' '*.h' '*.cpp' '*.sh' '*.bash' '*.py' '*.cmake' '*CMakeLists.txt'; scripts; } | sort -u | licence_missing)
if [ -z "$missing" ]; then
	ok "every source names its licence"
else
	not_ok "every source names its licence" "$missing"
fi
done_testing
