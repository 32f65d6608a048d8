#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every exported function and every program has a man page, and every page is well formed. Functions may share a page
# through a .so link.
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

exported()
{
	sed -n 's/^\t\(szc_[a-z0-9_]*\);$/\1/p' lib/szc.map tls/szc-tls.map psp/szc-psp.map
}

# The page that describes it: itself, or where its .so leads.
page_of()
{
	local target
	target=$(sed -n '1s/^\.so //p' "$1")
	echo "${target:+man/${target#man3/}}" | grep . || echo "$1"
}

function_is_described()
{
	local page=man/$1.3
	[ -e "$page" ] || { echo "there is no $page"; return 1; }
	page=$(page_of "$page")
	[ -e "$page" ] || { echo "man/$1.3 leads to $page, which is not there"; return 1; }
	grep -q '^\.S[hH] SYNOPSIS' "$page" || { echo "$page has no SYNOPSIS"; return 1; }
	sed -n '/^\.S[hH] SYNOPSIS/,/^\.S[hH] DESCRIPTION/p' "$page" | grep -q "\\b$1\\b" ||
		{ echo "$page does not have it in its SYNOPSIS"; return 1; }
}

page_is_well_formed()
{
	local complaints
	complaints=$(MAN_DISABLE_SECCOMP=1 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null)
	[ -z "$complaints" ] || { echo "$complaints"; return 1; }
}

for function in $(exported); do
	check "man page of $function()" function_is_described "$function"
done

while read -r program; do
	check "man page of the program $program" test -s "man/$program.1"
done < <(find "$SZC_BUILD/tools" -maxdepth 1 -type f -executable -printf '%f\n')

for page in man/*.[137]; do
	[ -e "$page" ] || continue
	name=$(basename "$page" .3)
	case $page in
	man/szc_*.3) check "$page is about something exported" grep -qx "	$name;" lib/szc.map tls/szc-tls.map psp/szc-psp.map ;;
	esac
	if [ "$(page_of "$page")" != "$page" ]; then
		continue
	elif ! command -v man >/dev/null || ! command -v groff >/dev/null; then
		skip "$page is well formed" "man-db and groff are not here"
	else
		check "$page is well formed" page_is_well_formed "$page"
	fi
done
done_testing
