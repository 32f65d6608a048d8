#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The judges are judged: what must fail does fail, in tests/tap.py and in tests/lint/size.py.
# shellcheck source=tests/lint/common.bash
. "${SZC_SOURCE:?}/tests/lint/common.bash"

# judged NAME STATUS TAP EXPECTED: the first line of the verdict, and what else it has to say.
judged()
{
	local name=$1 status=$2 tap=$3 expected=$4 verdict
	printf '%b' "$tap" >"$SZC_TMP/tap"
	verdict=$(python3 tests/tap.py t "$SZC_TMP/tap" "$status" 9)
	# EXPECTED is a pattern.
	# shellcheck disable=SC2254
	case $verdict in
	$expected) ok "$name" ;;
	*) not_ok "$name" "expected: $expected" "verdict: $verdict" ;;
	esac
}

judged "passes" 0 '1..2\nok 1 - a\nok 2 - b\n' '2 0 0'
judged "a plan at the end" 0 'ok 1 - a\n1..1\n' '1 0 0'
judged "a failure" 1 '1..2\nok 1 - a\nnot ok 2 - b\n' $'1 1 0\nF\tt: b'
judged "a failure with exit status 0" 0 '1..1\nnot ok 1 - b\n' $'0 1 0\nF\tt: b'
judged "exit status without a failure" 3 '1..1\nok 1 - a\n' $'1 1 0\nF\tt: exit status 3*'
judged "a crash" 139 '1..2\nok 1 - a\n' $'1 2 0\nF\tt: killed by SIGSEGV*'
judged "a crash after everything" 134 '1..1\nok 1 - a\n' $'1 1 0\nF\tt: killed by SIGABRT'
judged "a hang" 124 '1..1\nok 1 - a\n' $'1 1 0\nF\tt: did not end within 9 s'
judged "no plan" 0 'ok 1 - a\n' $'1 1 0\nF\tt: printed no plan*'
judged "no output" 0 '' $'0 1 0\nF\tt: printed no plan*'
judged "could not start" 127 '' $'0 2 0\nF\tt: exit status 127*'
judged "fewer than planned" 0 '1..3\nok 1 - a\n' $'1 1 0\nF\tt: 3 tests planned, 1 ran'
judged "more than planned" 0 '1..1\nok 1 - a\nok 2 - b\n' $'2 1 0\nF\tt: 1 tests planned, 2 ran'
judged "an empty plan" 0 '1..0\n' $'0 1 0\nF\tt: ran nothing'
judged "a bail-out" 0 '1..1\nBail out! no disk\nok 1 - a\n' $'1 1 0\nF\tt: Bail out! no disk'
judged "a skip with its reason" 0 '1..1\nok 1 - a # SKIP no IPv6\n' $'0 0 1\nS\tt: a\tno IPv6'
judged "a skip without a reason" 0 '1..1\nok 1 - a # SKIP\n' $'0 1 0\nF\tt: a: skipped without a reason'
judged "a skip of all" 0 '1..0 # SKIP no IPv6\n' $'0 0 1\nS\tt: all of it\tno IPv6'
judged "a skip by cmocka 1.1.5" 0 '1..1\n# skip: no io_uring\nnot ok 1 # SKIP test_b\n' $'0 0 1\nS\tt: test_b\tno io_uring'
judged "a skip by a later cmocka" 0 '1..1\n# skip: no io_uring\nok 1 # SKIP test_b\n' $'0 0 1\nS\tt: test_b\tno io_uring'
judged "a skip by cmocka without a reason" 0 '1..1\nnot ok 1 # SKIP test_b\n' $'0 1 0\nF\tt: test_b: skipped*'
judged "a reason serves one skip" 0 '1..2\n# skip: x\nnot ok 1 # SKIP a\nnot ok 2 # SKIP b\n' \
	$'0 1 1\nF\tt: b: skipped without a reason\nS\tt: a\tx'
judged "a failed set-up in cmocka" 1 '1..1\nnot ok 1 - e Could not run test: Test setup failed\n' $'0 1 0\nF\tt: e Could*'

# A tree of one file, as size.py sees it.
size_of()
{
	mkdir -p "$SZC_TMP/tree/tests/lint"
	cp tests/tap.bash "$SZC_TMP/tree/tests"
	cp tests/lint/common.bash "$SZC_TMP/tree/tests/lint"
	SZC_SOURCE=$SZC_TMP/tree python3 tests/lint/size.py
}

long_function()
{
	mkdir -p "$SZC_TMP/tree"
	{
		printf '/* A comment. */\nstatic int f(int a,\n\t     int b)\n{\n'
		for ((i = 4; i <= $1; i++)); do echo "	a += b;"; done
		echo "}"
	} >"$SZC_TMP/tree/a.c"
	[ "$1" -le 700 ] || yes '/* */' | head -n "$1" >"$SZC_TMP/tree/a.c"
}

long_function 79
check "a function of 80 lines is short enough" size_of
long_function 80
check "a function of 81 lines is not" eval '! size_of'
long_function 701
check "a file of 701 lines is not" eval '! size_of'
done_testing
