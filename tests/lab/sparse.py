#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the path of a sparse that the kernel's Makefiles accept: this machine's, or one of a newer Debian release, which
the lab's private apt fetches into the lab's cache, with the C library that it wants.

    sparse.py KERNEL-SOURCE"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(REPOSITORY, "kernel", "lab"))

from host import cache, source  # noqa: E402

PACKAGES = ("sparse", "libc6")


def accepted(linux, sparse):
    said = subprocess.run([os.path.join(linux, "scripts", "checker-valid.sh"), sparse], capture_output=True, text=True,
                          check=False)
    return said.stdout.strip() == "1"


def fetch(folder):
    apt = source.Apt()
    apt.run("apt-get", "update", "-q")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as aside:
        for package in PACKAGES:
            _, said, status = apt.run("apt-get", "download", "-q", package, cwd=aside)
            if status:
                raise cache.Failure(f"{package} could not be fetched: {said.strip().splitlines()[-1:]}")
        for package in glob.glob(os.path.join(aside, "*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, os.path.join(aside, "unpacked")], check=True)
        (libc,) = glob.glob(os.path.join(aside, "unpacked", "usr", "lib", "*", "libc.so.6"))
        (loader,) = glob.glob(os.path.join(aside, "unpacked", "usr", "lib*", "ld-linux-*.so.*"))
        (program,) = glob.glob(os.path.join(aside, "unpacked", "usr", "bin", "sparse"))
        inside = [os.path.relpath(path, aside) for path in (loader, os.path.dirname(libc), program)]
        path = os.path.join(aside, "sparse")
        cache.write(path, '#!/bin/sh\nhere=$(dirname "$0")\n'
                    f'exec "$here/{inside[0]}" --library-path "$here/{inside[1]}" "$here/{inside[2]}" "$@"\n')
        os.chmod(path, 0o755)
        os.rename(aside, folder)
        os.mkdir(aside)


def get(linux):
    own = shutil.which("sparse")
    if own and accepted(linux, own):
        return own
    folder = os.path.join(cache.folder(), "sparse")
    with cache.lock(folder, "fetching sparse"):
        if not os.path.exists(folder):
            fetch(folder)
    fetched = os.path.join(folder, "sparse")
    if not accepted(linux, fetched):
        raise cache.Failure(f"{fetched} is still too old for {linux}")
    return fetched


if __name__ == "__main__":
    try:
        print(get(sys.argv[1]))
    except cache.Failure as failure:
        cache.say(failure)
        sys.exit(1)
