#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `lab run` promises: the command runs as if here, and what goes wrong in the kernel does not go unseen.
# shellcheck disable=SC2016 # what stands in single quotes is for eval or for the guest's shell
# shellcheck source=tests/tap.bash
. "${SZC_SOURCE:?}/tests/tap.bash"
cd "$SZC_SOURCE" || exit 1

readonly lab=kernel/lab/lab out=$SZC_TMP/out err=$SZC_TMP/err

# run STATUS LAB-ARGUMENT...: the lab must end with this status; its streams go to $out and $err.
run()
{
	local expected=$1 status
	shift
	"$lab" run "$@" >"$out" 2>"$err" </dev/null
	status=$?
	[ "$status" -eq "$expected" ] || { echo "status $status, not $expected:"; tail -n 20 "$err"; return 1; }
}

# A boot costs seconds, so one guest answers many questions: each file in $SZC_TMP/seen is an answer.
mkdir -p build "$SZC_TMP/seen" "$SZC_TMP/here is \$HOME"
head -c 3000001 /dev/urandom >"$SZC_TMP/bytes"
cat >"$SZC_TMP/look" <<'GUEST'
cd_seen=$(pwd)
seen=$SZC_TMP/seen
printf '%s' "$cd_seen" >"$seen/directory"
cat /proc/$$/environ >"$seen/environment"
printf '%s\0' "$@" >"$seen/arguments"
uname -r >"$seen/kernel"
touch "$SZC_SOURCE/build/.lab-was-here" && echo yes >"$seen/repository"
mount -o remount,rw / && echo yes >"$seen/remounted"
{ touch /etc/szc-lab || touch /usr/szc-lab || touch "$HOME/szc-lab"; } 2>"$seen/root" && echo written >>"$seen/root"
echo kept >/tmp/szc-lab.$$ && cat /tmp/szc-lab.$$ >"$seen/tmp"
echo $$ >"$seen/number"
sleep 1000 &
cat "$SZC_TMP/bytes"
{ printf 'no line end: '; head -c 100000 "$SZC_TMP/bytes"; } >&2
exit 43
GUEST

arguments=('' ' ' $'a\nb' "it's" '$HOME' '*' $'\xff\xfe' -x)
readonly environment=(PATH="$PATH" HOME="$HOME" SZC_TMP="$SZC_TMP" SZC_SOURCE="$SZC_SOURCE" LANG=C
	SZC_LAB_CACHE="$("$lab" path cache)" EMPTY= QUOTES="it's \"here\"" LINES_=$'one\ntwo\n' BYTES=$'\xff\x01'
	'odd.name%=1' 'BASH_FUNC_f%%=() { :; }')

look()
{
	cd "$SZC_TMP/here is \$HOME" || return
	env -i "${environment[@]}" "$SZC_SOURCE/$lab" run -- bash "$SZC_TMP/look" "${arguments[@]}" \
		>"$out" 2>"$err" </dev/null
}

# Compared with what a Python program sees here, because `python3` may be a wrapper that adds something.
same_environment()
{
	cd "$SZC_TMP/here is \$HOME" || return
	env -i "${environment[@]}" python3 -c 'import shutil, sys
shutil.copyfileobj(open("/proc/self/environ", "rb"), sys.stdout.buffer)' | sort -z |
		cmp - <(sort -z "$SZC_TMP/seen/environment")
}

(look)
status=$?
check "the exit status is the command's" test "$status" -eq 43
check "standard output, to the byte" cmp "$SZC_TMP/bytes" "$out"
check "standard error, to the byte, and nothing of the lab's in it" \
	cmp <(printf 'no line end: '; head -c 100000 "$SZC_TMP/bytes") "$err"
check "arguments, odd ones too" cmp <(printf '%s\0' "${arguments[@]}") "$SZC_TMP/seen/arguments"
check "the working directory" test "$(cat "$SZC_TMP/seen/directory")" = "$SZC_TMP/here is \$HOME"
check "the environment, odd names and bytes too, and nothing else" eval '(same_environment)'
check "another kernel" test "$(cat "$SZC_TMP/seen/kernel")" != "$(uname -r)"
check "the repository can be written" rm "$SZC_SOURCE/build/.lab-was-here"
check "the root cannot, not even by who mounts it anew" \
	eval '[ -e "$SZC_TMP/seen/remounted" ] && ! grep -q written "$SZC_TMP/seen/root" && [ ! -e /etc/szc-lab ]'
check "/tmp is the guest's own" \
	eval '[ "$(cat "$SZC_TMP/seen/tmp")" = kept ] && [ ! -e "/tmp/szc-lab.$(cat "$SZC_TMP/seen/number")" ]'

check "a signal" run $((128 + 15)) -- bash -c 'kill $$'
check "no such command" run 127 -- ./no-such-command
check "  with a sentence" grep -q no-such-command "$err"
check "a time limit" run 124 -t 3 -- sleep 100
check "  with a sentence" grep -q 'within 3 s' "$err"

check "a warning of the kernel fails the run" run 97 -- bash -c 'echo "WARNING: CPU: 0 PID: 1 at nowhere" >/dev/kmsg'
check "  and is shown" grep -q 'at nowhere' "$err"
check "a panic too" run 97 -- bash -c 'echo c >/proc/sysrq-trigger; sleep 100'
check "  and is shown" grep -q 'sysrq triggered crash' "$err"
check "a guest that is switched off is no success" run 98 -- bash -c 'echo o >/proc/sysrq-trigger; sleep 100'

check "memory and processors" run 0 -m 512 -c 1 -- bash -c \
	'[ "$(nproc)" = 1 ] && [ "$(sed -n "s/MemTotal: *\([0-9]*\) kB/\1/p" /proc/meminfo)" -lt 524288 ]'

# Eight seconds in the guest, less what a line may take to come here.
time_passes()
{
	local line begin=0 passed=0
	while read -r line; do
		case $line in
		begin) begin=${EPOCHREALTIME/[.,]/} ;;
		end) passed=$((begin ? ${EPOCHREALTIME/[.,]/} - begin : 0)) ;;
		esac
	done < <("$lab" run -- bash -c 'echo begin; sleep 8; echo end' 2>"$err" </dev/null)
	[ "$passed" -gt 5000000 ]
}
check "time does not pass faster than here" time_passes

# Nothing may stay behind when the lab is ended from outside, even by SIGKILL.
survivor()
{
	local signal=$1 lab_pid qemu i
	"$lab" run -- sleep 100 >"$out" 2>"$err" </dev/null &
	lab_pid=$!
	for ((i = 0; i < 300; i++)); do
		qemu=$(ps -o pid= --ppid "$lab_pid" | tr -d ' ')
		[ -z "$qemu" ] || ! grep -q qemu "/proc/$qemu/comm" || break
		sleep 0.1
	done
	kill "-$signal" "$lab_pid"
	wait "$lab_pid"
	[ -n "$qemu" ] || { echo "the guest was never seen"; return 1; }
	for ((i = 0; i < 50; i++)); do
		[ -e "/proc/$qemu" ] || return 0
		sleep 0.1
	done
	echo "process $qemu goes on"
	return 1
}
check "ended by SIGTERM it leaves no guest behind" survivor TERM
check "nor by SIGKILL" survivor KILL

# On a terminal of its own, typed into once the prompt is there.
a_shell()
{
	local i pid status
	mkfifo "$SZC_TMP/keys"
	SHELL=/bin/sh script -qefc "$lab shell" /dev/null <"$SZC_TMP/keys" >"$out" 2>&1 &
	pid=$!
	exec 8>"$SZC_TMP/keys"
	for ((i = 0; i < 300; i++)); do
		! grep -q '^# ' "$out" || break
		sleep 0.2
	done
	echo 'echo $((40 + 2)) on $(tty) of $(uname -r); exit 7' >&8
	wait "$pid"
	status=$?
	exec 8>&-
	grep -q '42 on /dev/.* of 7\.' "$out" && [ "$status" -eq 7 ] && return
	echo "status $status"
	tail -n 20 "$out"
	return 1
}
check "a shell on this terminal" a_shell

cleaned()
{
	mkdir -p "$SZC_TMP/made/source/7.3"
	SZC_LAB_CACHE=$SZC_TMP/made "$lab" clean 2>"$err" && [ ! -e "$SZC_TMP/made" ] && grep -q made "$err"
}
check "clean removes the cache" cleaned

# A PATH with all but QEMU.
mkdir "$SZC_TMP/no-qemu"
for folder in ${PATH//:/ }; do
	find "$folder" -maxdepth 1 ! -type d ! -name qemu-system-x86_64 -exec ln -st "$SZC_TMP/no-qemu" {} + 2>/dev/null
done
before_a_build()
{
	PATH=$SZC_TMP/no-qemu SZC_LAB_CACHE=$SZC_TMP/nothing "$lab" run -- true >"$out" 2>&1
	[ $? -eq 98 ] && grep -q "missing: qemu-system-x86_64" "$out" && [ ! -e "$SZC_TMP/nothing/kernel" ]
}
check "what a guest takes is asked for before a kernel is built" before_a_build
check "the doctor does without QEMU" \
	eval 'PATH=$SZC_TMP/no-qemu "$lab" doctor >"$out" && grep -q "^tools to boot: *missing: qemu" "$out"'

check "help" eval '"$lab" --help | grep -q "exit status"'
check "the doctor" eval '"$lab" doctor | grep -q "^plain kernel: */"'
check "a series that nobody offers is refused with a sentence" \
	eval 'env SZC_LINUX=/ "$lab" run -- true 2>&1 | grep -q "holds no Linux source"'
done_testing
