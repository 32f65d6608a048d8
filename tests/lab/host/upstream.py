#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/upstream/list leaves nothing out in silence: every program that the kernel's own selftests of network drivers
consist of is run or has a reason, nothing else is listed, and kernel/README.md tells of each. And what is not on the
list of what may be skipped has failed."""
import contextlib
import fnmatch
import glob
import io
import os
import re
import sys

sys.dont_write_bytecode = True
SOURCE = os.environ["SZC_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "upstream"))

import run  # noqa: E402

SETS = ("quick", "must", "all", "out")
PROGRAMS = re.compile(r"^TEST_PROGS(?:_EXTENDED)? *[:+]?= *((?:.*\\\n)*.*)", re.M)


def programs(folder):
    """By the Makefiles, paths below the folder."""
    for makefile in glob.glob(os.path.join(folder, "**", "Makefile"), recursive=True):
        with open(makefile, encoding="utf-8") as file:
            text = file.read()
        for match in PROGRAMS.finditer(text):
            for word in re.sub(r"#.*", "", match[1]).replace("\\\n", " ").split():
                yield os.path.relpath(os.path.join(os.path.dirname(makefile), word), folder)


def is_folder(folder, pattern):
    """Not every folder has a Makefile."""
    return pattern.endswith("/*") and os.path.isdir(os.path.join(folder, pattern[:-2]))


def judged(said, status=0):
    """The names of those that passed, of those that were skipped, and of failures."""
    place = "expected:1"
    expected = [run.Expected(place, 'x.py tun* skip "no tunnels" szcnic has none'),
                run.Expected(place, 'x.py flaky xfail "known" it is')]
    judge = run.Judge("x.py", expected, True)
    with contextlib.redirect_stdout(io.StringIO()) as told:
        for line in said:
            judge.line(line)
        judge.end(status)
    lines = [line for line in told.getvalue().splitlines() if " - " in line]
    return [[line.split(" - ", 1)[1].split(" # SKIP")[0] for line in lines if kind(line)] for kind in
            (lambda line: line.startswith("ok") and "# SKIP" not in line,
             lambda line: line.startswith("ok") and "# SKIP" in line,
             lambda line: line.startswith("not ok"))]


GOOD = ["1..3", "ok 1 x.plain", "ok 2 x.tun4 # SKIP Test requires no tunnels", "ok 3 x.flaky # XFAIL known"]


def the_judge():
    """Nothing but what the list says, in the words it gives, is skipped."""
    def but(number, line, status=0):
        return judged([line if at == number else one for at, one in enumerate(GOOD)], status)

    yield "what the list has is skipped", judged(GOOD) == [["plain"], ["tun4", "flaky"], []]
    yield "another case that is skipped has failed", "plain" in str(but(1, "ok 1 x.plain # SKIP no tunnels")[2])
    yield "so has one that is skipped for another reason", "tun4" in str(but(2, "ok 2 x.tun4 # SKIP no memory")[2])
    yield "... or with another verdict", "tun4" in str(but(2, "ok 2 x.tun4 # XFAIL no tunnels")[2])
    yield "one that failed has failed", "plain" in str(but(1, "not ok 1 x.plain", 1)[2])
    yield "a line of the list that is not needed is a failure", "flaky" in str(but(3, "ok 3 x.flaky")[2])
    yield "cases that were planned and not run are a failure", "planned 3" in str(judged(GOOD[:3])[2])
    yield "no plan is a failure", "planned None" in str(judged(GOOD[1:])[2])
    yield "an exit status that no failure explains is a failure", "status 4" in str(judged(GOOD, 4)[2])


def main():
    origin = run.prepare.source.get(None)
    folder = os.path.join(origin.path, run.prepare.SELFTESTS, "drivers", "net")
    listed = [test for _, test, _ in run.listed()]
    found = sorted(set(programs(folder)))
    with open(os.path.join(SOURCE, "kernel", "README.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| (\S+) \| ", file.read(), re.M)
    checks = {
        f"the Makefiles name tests: {len(found)}": [] if len(found) > 30 else found,
        "each is run or left out with a reason": [name for name in found if not any(
            fnmatch.fnmatchcase(name, pattern) for pattern in listed)],
        "none is listed that is not there": [pattern for pattern in listed if not fnmatch.filter(found, pattern)
                                             and not is_folder(folder, pattern)],
        "each is in a set that there is": [f"{chosen} {test}" for chosen, test, _ in run.listed() if chosen not in SETS],
        "none is listed twice": sorted({name for name in listed if listed.count(name) > 1}),
        "kernel/README.md has a row for each": [name for name in listed if name not in rows],
    }
    checks.update({name: [] if right else [name] for name, right in the_judge()})
    for number, (name, wrong) in enumerate(checks.items(), 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        print("".join(f"# {one}\n" for one in wrong), end="")
    print(f"1..{len(checks)}")
    return any(checks.values())


if __name__ == "__main__":
    sys.exit(main())
