# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# shellcheck source=tests/tap.bash
. "$SZC_SOURCE/tests/tap.bash"
cd "$SZC_SOURCE" || exit 1

# The files of the project that match the patterns: those of git and those about to be, or all where there is no git.
project_files()
{
	if [ -e .git ]; then
		git ls-files -co --exclude-standard -- "$@" | while read -r file; do [ ! -e "$file" ] || echo "$file"; done
	else
		local pattern tests=()
		for pattern; do tests+=(-o -path "./$pattern"); done
		find . -path ./build -prune -o -type f \( "${tests[@]:1}" \) -print | sed 's|^\./||'
	fi | sort
}

# What takes a minute and was found clean is remembered for a month in a folder, by a key of all that it was judged by.
# remembered NAME: the folder's path.
remembered()
{
	mkdir -p "$SZC_BUILD/$1"
	find "$SZC_BUILD/$1" -type f -mtime +30 -delete
	echo "$SZC_BUILD/$1"
}

# key_of: of what it reads.
key_of()
{
	sha256sum | cut -c 1-32
}

# What we are clean with is LLVM 14, of Debian 12: other versions format and judge otherwise.
llvm_14()
{
	command -v "$1" >/dev/null && "$1" --version | grep -q 'version 14\.'
}
