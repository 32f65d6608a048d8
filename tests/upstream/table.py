#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of kernel/README.md: what became of each of the kernel's own tests when `tests/run all` ran last.

    table.py [FOLDER]           of TAP logs, build/test-logs if not told otherwise
    table.py --check [FOLDER]   whether kernel/README.md has just that, as TAP
"""
import collections
import difflib
import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import run  # noqa: E402

REPOSITORY = os.path.dirname(os.path.dirname(HERE))
LOGS = os.path.join(REPOSITORY, "build", "test-logs")
README = os.path.join(REPOSITORY, "kernel", "README.md")
HEAD = "| test | cases passed | others, and why |\n|---|---|---|"
WORDS = {"skip": "skipped", "xfail": "expected to fail", "fail": "fails, reviewed", "FAILED": "FAILED"}
RESULT = re.compile(r"^(not ok|ok) \d+ - (\S+)(?: # SKIP (.*))?")


def read(folder, test):
    """(cases that passed, {reason: cases that did not}) of a test's log; None if it did not run."""
    path = os.path.join(folder, f"upstream.{test.replace('/', '.')}.tap")
    if not os.path.exists(path):
        return None
    passed, others = 0, collections.defaultdict(list)
    expected = run.expectations(test)
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            result = RESULT.match(line)
            if result and result[1] == "ok" and not result[3]:
                passed += 1
            elif result:
                verdict = next((line.verdict for line in expected if line.reason == result[3]), "FAILED")
                others[f"{WORDS[verdict]}: {result[3] or '?'}"].append(result[2])
    return passed, others


def row(folder, test):
    found = read(folder, test)
    if found is None:
        return f"| {test} | not run | |"
    passed, others = found
    why = "; ".join([f"{len(cases)} {reason}" for reason, cases in others.items()] +
                    [f"the other cases left out: {why}" for name, why in run.parts().items() if name == test])
    return f"| {test} | {passed} | {why} |"


def table(folder):
    return [f"| {test} | left out | {rest} |" if chosen == "out" else row(folder, test)
            for chosen, test, rest in run.listed()]


def check(folder):
    with open(README, encoding="utf-8") as file:
        told = file.read().partition(HEAD)[2].partition("\n\n")[0].splitlines()[1:]
    wrong = list(difflib.unified_diff(told, table(folder), "kernel/README.md", "this run", lineterm="", n=0))
    print(f"{'not ok' if wrong else 'ok'} 1 - kernel/README.md tells what became of each test\n1..1")
    print("".join(f"# {line}\n" for line in wrong), end="")
    return bool(wrong)


def main():
    words = sys.argv[1:]
    checks = words[:1] == ["--check"]
    folder = (words[checks:] or [LOGS])[0]
    if checks:
        sys.exit(check(folder))
    print(HEAD, *table(folder), sep="\n")


if __name__ == "__main__":
    main()
