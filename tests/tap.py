#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges what one test program printed.

    tap.py NAME LOG STATUS SECONDS

LOG is the program's standard output (TAP), STATUS its exit status as the shell saw it, SECONDS the time limit it was
given. Prints a line `passed failed skipped`, then a line a failure, `F<tab>what`, and a line a skip,
`S<tab>what<tab>reason`. A program that did not say what it was to do, or did not do it all, has failed.

cmocka prints a skipped test as `not ok N # SKIP name` (1.1.5) or `ok N # SKIP name` (later), without a reason; the test
prints the reason before it skips, as a line `# skip: reason`.
"""
import re
import signal
import sys

RESULT = re.compile(r"^(not ok|ok)\b *(\d*) *(?:- *)?(.*)$")
SKIP = re.compile(r"^(.*?) *#\s*skip\S*\s*(.*)$", re.IGNORECASE)
PLAN = re.compile(r"^1\.\.(\d+)(?: *#\s*skip\S*\s*(.*))?$", re.IGNORECASE)
REASON = re.compile(r"^# skip: *(.*)$")


class Verdict:
    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.ran = 0
        self.planned = None
        self.reason = ""
        self.failures = []
        self.skips = []

    def fail(self, what):
        self.failures.append(f"{self.name}: {what}")

    def skip(self, what, reason):
        what = what or "all of it"
        if reason:
            self.skips.append(f"{self.name}: {what}\t{reason}")
        else:
            self.fail(f"{what}: skipped without a reason")

    def plan(self, match):
        self.planned = (self.planned or 0) + int(match[1])
        if match[2] is not None and match[1] == "0":
            self.skip("", match[2])

    def result(self, match):
        self.ran += 1
        skip = SKIP.match(match[3])
        if skip:
            # cmocka puts the test's name where TAP has the reason.
            by_cmocka = not skip[1]
            self.skip(skip[2] if by_cmocka else skip[1], self.reason if by_cmocka else skip[2] or self.reason)
        elif match[1] == "ok":
            self.passed += 1
        else:
            self.fail(match[3] or f"test {match[2]}")
        self.reason = ""

    def line(self, line):
        if match := PLAN.match(line):
            self.plan(match)
        elif match := RESULT.match(line):
            self.result(match)
        elif match := REASON.match(line):
            self.reason = match[1]
        elif line.startswith("Bail out!"):
            self.fail(line)

    def end(self, status, limit):
        not_ok = bool(self.failures)
        if status == 124:
            self.fail(f"did not end within {limit} s")
        elif status == 137:
            self.fail(f"killed by SIGKILL: deaf after {limit} s, or out of memory")
        elif status > 128:
            try:
                self.fail(f"killed by {signal.Signals(status - 128).name}")
            except ValueError:
                self.fail(f"exit status {status}")
        elif status and not not_ok:
            self.fail(f"exit status {status}, though no test failed")
        if self.planned is None:
            self.fail("printed no plan (1..N)")
        elif self.ran != self.planned:
            self.fail(f"{self.planned} tests planned, {self.ran} ran")
        elif self.planned == 0 and not self.skips:
            self.fail("ran nothing")


def main():
    name, log, status, limit = sys.argv[1:5]
    verdict = Verdict(name)
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            verdict.line(line.rstrip("\n"))
    verdict.end(int(status), limit)
    print(verdict.passed, len(verdict.failures), len(verdict.skips))
    for what in verdict.failures:
        print(f"F\t{what}")
    for what in verdict.skips:
        print(f"S\t{what}")


main()
