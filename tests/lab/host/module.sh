#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The module as kernel developers would look at it: checkpatch, sparse, gcc's further warnings, and the way to DKMS.
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

# What checkpatch says of a patch, and not of a module that lives outside: Kconfig help, MAINTAINERS, versions. compat.h is
# the place for versions, and compares constants. Messages and op names stay greppable, so that a string may be longer than
# a line.
readonly ignored=LINUX_VERSION_CODE,FILE_PATH_CHANGES,SPLIT_STRING,CONSTANT_COMPARISON

source=$(kernel/lab/lab path source) && build=$(kernel/lab/lab path build) || exit
sparse=$(tests/lab/sparse.py "$source") || exit
project_files 'kernel/*.c' 'kernel/*.h' >"$SZC_TMP/files"

# The lab's folders of a kernel are named by its version and configuration; somebody's own source may be another one
# tomorrow.
clean=$(remembered module)
mapfile -t judged < <(cat "$SZC_TMP/files" && project_files 'kernel/Kbuild' 'kernel/Makefile' 'kernel/dkms.conf' include/szc/szc.h)
key=$({ echo "$source $build"; gcc --version; "$sparse" --version; } | cat - <(sha256sum "${BASH_SOURCE[0]}" "${judged[@]}" \
	"$source"/scripts/{checkpatch.pl,spelling.txt,const_structs.checkpatch}) | key_of)
[ -z "${SZC_LINUX-}" ] || key=''

# dkms_build SOURCES: as `dkms build` does, but for where it keeps them; and nothing may be said meanwhile.
dkms_build()
{
	local dkms_tree=$SZC_TMP/dkms/tree kernel_source_dir=$build folder said
	# shellcheck source=kernel/dkms.conf
	. "$1/dkms.conf"
	folder=$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION
	mkdir -p "$folder" && cp -r "$1" "$folder/build" || return
	said=$(MAKEFLAGS="s -j$(nproc)" eval "${MAKE[0]} W=1 C=2 CHECK=$sparse" 2>&1) || said+=" (make failed)"
	[ -z "$said" ] || { echo "$said"; return 1; }
	[ -e "$folder/build/${BUILT_MODULE_NAME[0]}.ko" ] || { echo "there is no ${BUILT_MODULE_NAME[0]}.ko"; return 1; }
	eval "$CLEAN" >/dev/null && [ ! -e "$folder/build/${BUILT_MODULE_NAME[0]}.ko" ]
}

look()
{
	local file dkms_sources dkms_tree
	check "there are sources" test -s "$SZC_TMP/files"
	while read -r file; do
		check "checkpatch $file" perl "$source/scripts/checkpatch.pl" --no-tree --strict --quiet --terse \
			--no-summary --max-line-length=120 --ignore "$ignored" --file "$file"
	done <"$SZC_TMP/files"
	check "versions are compared in compat.h alone" eval '! grep -l LINUX_VERSION_CODE kernel/*.[ch] | grep -v compat.h'
	dkms_sources=$SZC_TMP/dkms/usr/src
	check "sources for DKMS" make -s -C kernel dkms-sources DESTDIR="$SZC_TMP/dkms"
	dkms_tree=$(echo "$dkms_sources"/szcnic-*)
	check "  with the project's version" grep -q "^PACKAGE_VERSION=\"${dkms_tree##*-}\"\$" "$dkms_tree/dkms.conf"
	check "  build as its file says, and are cleaned up; gcc has nothing to say at W=1, nor has sparse" dkms_build "$dkms_tree"
}

if [ -n "$key" ] && [ -e "$clean/$key" ]; then
	cat "$clean/$key"
	tap_count=$(grep -c '^ok' "$clean/$key")
	done_testing
fi
look >"$SZC_TMP/tap"
cat "$SZC_TMP/tap"
[ -z "$key" ] || [ "$tap_failed" -ne 0 ] || cp "$SZC_TMP/tap" "$clean/$key"
done_testing
