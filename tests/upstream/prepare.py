#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Readies the kernel's own selftests of network drivers for the lab's guest, and prints the folder they are in.

The tests are copied from the lab's kernel source, unmodified, and built by the kernel's own Makefiles, in the lab's
cache; the netlink specification beside them learns the name of szcnic's link kind. Two things a Debian release lacks are
fetched from newer ones by the lab's private apt configuration and unpacked beside: liburing with zero-copy receive
(Debian 12's lets the Makefile leave iou-zcrx out), and ethtool with JSON everywhere.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(REPOSITORY, "kernel", "lab"))

import host.cache as cache  # noqa: E402
import host.kernel as kernel  # noqa: E402
import host.source as source  # noqa: E402

SELFTESTS = os.path.join("tools", "testing", "selftests")
# Of the kernel source, what the tests are, what they import, and what their Makefiles include. The generator of netlink
# code looks for MAINTAINERS upwards to know where the source begins, and without it never ends.
PARTS = ("MAINTAINERS", "Makefile", "Documentation/netlink", "include/uapi", "scripts/Makefile.*", "scripts/*.include",
         "scripts/bpf_doc.py", "tools/arch", "tools/build", "tools/include", "tools/lib", "tools/net", "tools/scripts",
         f"{SELFTESTS}/*.h", f"{SELFTESTS}/*.mk", f"{SELFTESTS}/kselftest", f"{SELFTESTS}/net", f"{SELFTESTS}/drivers/net")
PACKAGES = ("liburing-dev", "ethtool")
SPACE_MIB = 200
# /usr/bin first: the tests want the release's python3, which has the release's yaml.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def copy(origin, tree):
    """Hidden files, too, as they are."""
    for part in PARTS:
        found = glob.glob(os.path.join(origin, part))
        if not found:
            raise cache.Failure(f"{origin} has no {part}, which the kernel's selftests need")
        for path in found:
            target = os.path.join(tree, os.path.relpath(path, origin))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.isdir(path):
                shutil.copytree(path, target, symlinks=True)
            else:
                shutil.copy(path, target)


def teach(tree):
    """The kernel's netlink specification cannot read links of a kind that it does not know, if they tell anything of
    themselves; a kind that it knows by name and no more is passed over."""
    path = os.path.join(tree, "Documentation", "netlink", "specs", "rt-link.yaml")
    formats = "    name: linkinfo-data-msg\n    formats:\n"
    text = cache.read(path)
    if text.count(formats) != 1:
        raise cache.Failure(f"{path} does not look as known, so kind szcnic cannot be added to it")
    cache.write(path, text.replace(formats, formats + "      -\n        value: szcnic\n"))


def fetch(folder):
    """The packages, unpacked into the folder."""
    apt = source.Apt()
    with tempfile.TemporaryDirectory(prefix="fetch.", dir=folder) as aside:
        errors = apt.run("apt-get", "update", "-q")[1]
        for package in PACKAGES:
            _, said, status = apt.run("apt-get", "download", "-q", package, cwd=aside)
            if status:
                raise cache.Failure(f"{package} could not be fetched: {(errors + said).strip().splitlines()[-1:]}")
        for package in glob.glob(os.path.join(aside, "*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    # Linked statically: the guest's root has the release's own shared one.
    for shared in glob.glob(os.path.join(folder, "usr", "lib", "*", "liburing*.so*")):
        os.unlink(shared)


def make(tree, fetched, headers, log):
    libraries = os.path.dirname(glob.glob(os.path.join(fetched, "usr", "lib", "*", "liburing.a"))[0])
    compiler = f"gcc -isystem {headers} -I{fetched}/usr/include -L{libraries}"
    os.makedirs(os.path.join(tree, "usr"))
    os.symlink(headers, os.path.join(tree, "usr", "include"))
    for folder in ("net/lib", "drivers/net", "drivers/net/hw"):
        # The Makefile asks for io_uring_register_ifq() with a shell and an order of linking that never finds it.
        argv = ["make", f"-j{os.cpu_count()}", "-C", os.path.join(tree, SELFTESTS, folder), f"CC={compiler}",
                "SHELL=/bin/bash", "HAS_IOURING_ZCRX=y"]
        with open(log, "a", encoding="utf-8") as file:
            made = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False, timeout=600,
                                  env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"})
        if made.returncode:
            raise cache.Failure(f"the kernel's selftests in {folder} do not build; the log: {log}")


def finish(folder, tree, fetched):
    """What runs in the guest is there and runs here; Python is compiled, which takes seconds at each start in TCG."""
    os.makedirs(os.path.join(folder, "bin"))
    shutil.copy(os.path.join(fetched, "usr", "sbin", "ethtool"), os.path.join(folder, "bin"))
    runs = subprocess.run([os.path.join(folder, "bin", "ethtool"), "--version"], capture_output=True, text=True, check=False)
    if runs.returncode:
        raise cache.Failure(f"the ethtool of a newer release does not run on this one: {runs.stderr.strip()}")
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", os.path.join(tree, "tools", "net"),
                    os.path.join(tree, SELFTESTS)], stdout=subprocess.DEVNULL, check=False)


def build(folder, origin, headers):
    cache.need_programs("make", "gcc", "clang", "dpkg-deb", "apt-get")
    cache.need_space(os.path.dirname(folder), SPACE_MIB, "the kernel's selftests")
    aside = folder + ".part"
    shutil.rmtree(aside, ignore_errors=True)
    tree, fetched = os.path.join(aside, "linux"), os.path.join(aside, "fetched")
    os.makedirs(fetched)
    cache.say("building the kernel's selftests of network drivers")
    copy(origin, tree)
    teach(tree)
    fetch(fetched)
    make(tree, fetched, headers, folder + ".log")
    finish(aside, tree, fetched)
    os.rename(aside, folder)


def prepare():
    """(folder, the kernel's image): in the folder are bin/, for PATH, and linux/tools/testing/selftests."""
    origin = source.get(None)
    built = kernel.Kernel(origin, False)
    built.ensure()
    with open(os.path.abspath(__file__), encoding="utf-8") as own:
        name = f"{origin.version}-{cache.digest(origin.name, own.read())}"
    folder = os.path.join(cache.folder("upstream"), name)
    with cache.lock(folder, "building the kernel's selftests"):
        if not os.path.isdir(folder):
            build(folder, origin.path, os.path.join(built.headers, "include"))
    return folder, built.image


if __name__ == "__main__":
    try:
        print(prepare()[0])
    except cache.Failure as failure:
        cache.say(failure)
        sys.exit(1)
