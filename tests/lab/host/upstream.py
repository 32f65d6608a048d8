#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/upstream/list leaves nothing out in silence: every program that the kernel's own selftests of network drivers
consist of is run or has a reason, nothing else is listed, and kernel/README.md tells of each."""
import fnmatch
import glob
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
    for number, (name, wrong) in enumerate(checks.items(), 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        print("".join(f"# {one}\n" for one in wrong), end="")
    print(f"1..{len(checks)}")
    return any(checks.values())


if __name__ == "__main__":
    sys.exit(main())
