#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No file over 700 lines, no function over 80. In C and shell a function's body stands between braces in column 0."""
import ast
import os
import re
import subprocess
import sys

FILE_LINES = 700
FUNCTION_LINES = 80
BRACED = (".c", ".h", ".cpp", ".sh", ".bash")


def project_files():
    listing = subprocess.run(["bash", "-c", ". tests/lint/common.bash && project_files '*'"],
                             check=True, capture_output=True, text=True)
    return listing.stdout.splitlines()


def signature(lines, brace):
    """The first line of what stands above the brace: up to a blank line, a directive, or the end of what was before."""
    first = brace
    while first > 0 and not re.search(r"^\s*$|^#|^\}|;\s*$|\*/\s*$", lines[first - 1]):
        first -= 1
    return first


def braced_functions(lines):
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = signature(lines, number)
        elif line == "}" and start is not None:
            yield lines[start].strip(), start + 1, number - start + 1
            start = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def too_long(path):
    with open(path, encoding="utf-8") as source:
        text = source.read()
    lines = text.split("\n")[:-1]
    shebang = lines[0] if lines else ""
    if len(lines) > FILE_LINES:
        yield f"{path}: {len(lines)} lines, more than {FILE_LINES}"
    if path.endswith(".py") or "python" in shebang:
        functions = python_functions(text)
    else:
        functions = braced_functions(lines)
    for name, number, length in functions:
        if length > FUNCTION_LINES:
            yield f"{path}:{number}: {length} lines, more than {FUNCTION_LINES}: {name}"


def is_source(path):
    if path.endswith(BRACED + (".py",)):
        return True
    with open(path, "rb") as source:
        return source.read(2) == b"#!"


def main():
    os.chdir(os.environ["SZC_SOURCE"])
    sources = [path for path in project_files() if is_source(path)]
    complaints = [complaint for path in sources for complaint in too_long(path)]
    print("1..1")
    print("not ok" if complaints or not sources else "ok", f"1 - {len(sources)} files and their functions are short")
    for complaint in complaints:
        print("#", complaint)
    sys.exit(bool(complaints or not sources))


main()
