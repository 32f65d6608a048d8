# SPDX-License-Identifier: MIT
"""What is here, what is missing, and what the lab would do."""
import os
import shutil
import subprocess

import host.accelerator as accelerator
import host.cache as cache
import host.guest as guest
from host.kernel import Kernel, need_tools
from host.module import Module
import host.source as source


def first_line(*argv):
    if not shutil.which(argv[0]):
        return "missing; tools/setup installs it"
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).split("\n")[0]


def size(path):
    done = subprocess.run(["du", "-sDm", path], capture_output=True, text=True, check=False)
    return done.stdout.split("\t")[0] or "0"


def attempt(what):
    try:
        return what() or "complete"
    except cache.Failure as failure:
        return str(failure)


def kernels(found):
    for debug in (False, True):
        kernel = Kernel(found, debug)
        state = kernel.build if kernel.complete else "not built yet: lab" + (" --debug" if debug else "") + " build"
        yield "debug kernel" if debug else "plain kernel", state
        if kernel.complete:
            module = Module(kernel)
            state = "older than its sources, " if module.stale() else ""
            yield "  its module", state + module.path if os.path.exists(module.path) else "not built yet"


def tell(options):
    found = None
    rows = [("repository", cache.REPOSITORY),
            ("cache", f"{cache.root()}: {size(cache.root())} MiB used, "
                      f"{shutil.disk_usage(cache.folder()).free // cache.MIB} MiB free"),
            ("qemu", first_line("qemu-system-x86_64", "--version")), ("compiler", first_line("gcc", "--version")),
            ("tools to boot", attempt(guest.need_tools)),
            ("tools to build", attempt(need_tools))]
    try:
        found = source.find(options.linux)
        rows.append(("source", f"Linux {found.name} in {found.path}" if found else
                     f"none yet; lab build gets one from {' '.join(source.mirror()[0])}"))
    except cache.Failure as failure:
        rows.append(("source", str(failure)))
    if found:
        rows += kernels(found)
        image = Kernel(found, options.debug).image
        if os.path.exists(image) and shutil.which("qemu-system-x86_64"):
            accel, why = accelerator.choose(image)
            rows.append(("accelerator", f"{accel} ({why})"))
    for name, value in rows:
        print(f"{name + ':':16}{value}")
