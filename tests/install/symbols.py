#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The symbols that a library exports, those its version map names, and those its headers declare are the same."""
import os
import re
import subprocess

SOURCE = os.environ["SZC_SOURCE"]
BUILD = os.environ["SZC_BUILD"]
LIBRARIES = (
    ("lib", "szc", "SZC_0.1", ("szc", "rx", "trips", "layer", "nic")),
    ("tls", "szc-tls", "SZC_TLS_0.1", ("tls", "upgrade")),
    ("psp", "szc-psp", "SZC_PSP_0.1", ("psp",)),
)

count = 0
failed = 0


def result(name, complaints):
    global count, failed
    count += 1
    failed += bool(complaints)
    print("not ok" if complaints else "ok", count, "-", name)
    for complaint in complaints:
        print("#", complaint)


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as text:
        return text.read()


def declared(header):
    text = re.sub(r"/\*.*?\*/", "", read(f"include/szc/{header}.h"), flags=re.S)
    return set(re.findall(r"^SZC_API\b[^;{]*?\b(szc_\w+)\s*\(", text, flags=re.M))


def mapped(path, version):
    text = read(path)
    body = re.search(re.escape(version) + r"\s*\{\s*global:(.*?)local:\s*\*;\s*\};", text, flags=re.S)
    return set(re.findall(r"(\w+);", body[1])) if body else set()


def symbols(*arguments):
    listing = subprocess.run(["nm", *arguments], check=True, capture_output=True, text=True)
    return [line.split()[-1] for line in listing.stdout.splitlines() if len(line.split()) == 3]


def differences(one, other, of_one, of_other):
    return [f"{name}: in {of_one}, not in {of_other}" for name in sorted(one - other)] + [
        f"{name}: in {of_other}, not in {of_one}" for name in sorted(other - one)
    ]


def soname(path):
    dump = subprocess.run(["objdump", "-p", path], check=True, capture_output=True, text=True)
    found = re.search(r"SONAME\s+(\S+)", dump.stdout)
    return found[1] if found else "none"


for folder, name, version, headers in LIBRARIES:
    shared = f"{BUILD}/{folder}/lib{name}.so"
    static = f"{BUILD}/{folder}/lib{name}.a"
    in_headers = set().union(*(declared(header) for header in headers))
    in_map = mapped(f"{folder}/{name}.map", version)
    exported = [symbol for symbol in symbols("-D", "--defined-only", shared) if symbol != version]
    expected = {f"{symbol}@@{version}" for symbol in in_map}

    result(f"lib{name}: headers and version map", differences(in_headers, in_map, "the headers", "the map"))
    result(f"lib{name}: version map and exports", differences(expected, set(exported), "the map", "the library"))
    result(f"lib{name}: exports something", [] if exported else ["it exports nothing"])
    result(f"lib{name}: SONAME", [] if soname(shared) == f"lib{name}.so.0" else [soname(shared)])
    # Whoever links statically gets every global name of ours.
    foreign = [symbol for symbol in symbols("-g", "--defined-only", static) if not symbol.startswith("szc_")]
    result(f"lib{name}: every global name begins with szc_", foreign)

known = {f"{header}.h" for library in LIBRARIES for header in library[3]}
strangers = set(os.listdir(os.path.join(SOURCE, "include/szc"))) - known
result("every public header belongs to a library here", sorted(strangers))
print(f"1..{count}")
raise SystemExit(1 if failed else 0)
