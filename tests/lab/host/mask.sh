#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A device's DMA mask shows only on a machine with memory beyond 4 GiB, so this takes a guest of its own, and szcnic is
# loaded twice in it.
#
#     mask.sh [LAB-OPTION...]        --debug: on that kernel
# shellcheck source=tests/tap.bash
. "${SZC_SOURCE:?}/tests/tap.bash"
cd "$SZC_SOURCE" || exit 1

readonly memory=6144 # MiB
readonly program=$SZC_BUILD/tests/trap_mask
readonly options=("$@")

cat >"$SZC_TMP/guest" <<GUEST
kernel/lab/scene down && modprobe szcnic dma_bits=32 && kernel/lab/scene up || exit
$program springs >"$SZC_TMP/springs" 2>&1
echo \$? >>"$SZC_TMP/springs"
kernel/lab/scene again || exit
$program holds >"$SZC_TMP/holds" 2>&1
echo \$? >>"$SZC_TMP/holds"
GUEST

in_guest()
{
	kernel/lab/lab "${options[@]}" run -m "$memory" -t 1200 --scene -- sh "$SZC_TMP/guest" </dev/null
}

# came WHAT: the program said so.
came()
{
	cat "$SZC_TMP/$1"
	[ "$(tail -n 1 "$SZC_TMP/$1")" = 0 ] && grep '^ok 1' "$SZC_TMP/$1" | grep -qv SKIP
}

check "a guest with $memory MiB" in_guest
check "dma_mask without care: the area is refused" came springs
check "dma_mask with our care: the area is written in place" came holds
done_testing
