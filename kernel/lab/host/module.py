# SPDX-License-Identifier: MIT
"""The module, built outside the tree for one of the lab's kernels, and the folder that is /lib/modules in the guest."""
import filecmp
import glob
import os
import shutil
import subprocess
import sys

import host.cache as cache

LINES_SHOWN = 60
SOURCES = os.path.join(cache.REPOSITORY, "kernel")


class Module:
    """szcnic for one kernel. Two checkouts have a folder each."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.folder = os.path.join(kernel.folder, "module-" + cache.digest(SOURCES))
        self.build = os.path.join(self.folder, "build")
        self.path = os.path.join(self.build, "szcnic.ko")
        self.modules = os.path.join(self.folder, "root", "lib", "modules")

    def sources(self):
        return [path for path in glob.glob(os.path.join(SOURCES, "*")) if path.endswith((".c", ".h", "Kbuild"))]

    def stale(self):
        try:
            built = os.path.getmtime(os.path.join(self.modules, "done"))
        except OSError:
            return True
        return any(os.path.getmtime(path) > built for path in [*self.sources(), self.kernel.stamp])

    def ensure(self, again=False):
        """Built and installed for the guest, once it returns."""
        if not os.path.exists(os.path.join(SOURCES, "Kbuild")):
            raise cache.Failure(f"{SOURCES} has no Kbuild, so there is no module to build")
        self.kernel.ensure()
        os.makedirs(self.build, exist_ok=True)
        with cache.lock(self.folder, f"building the module for Linux {self.kernel.name}"):
            if again or self.stale():
                self.compile()
                if not self.installed():
                    self.install()
                shutil.copystat(os.path.join(self.build, "started"), os.path.join(self.modules, "done"))

    def compile(self):
        # The time is taken before: what changes while make reads is built again next time.
        done = os.path.join(self.build, "started")
        cache.write(done, "")
        argv = ["make", "-s", "-C", self.kernel.source.path, f"O={self.kernel.build}", f"-j{os.cpu_count()}",
                f"M={SOURCES}", f"MO={self.build}", "modules"]
        made = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False)
        log = os.path.join(self.folder, "build.log")
        cache.write(log, made.stdout)
        lines = made.stdout.splitlines()
        print("\n".join(lines[:LINES_SHOWN]), end="\n" if lines else "", file=sys.stderr)
        if made.returncode or not os.path.exists(self.path):
            raise cache.Failure(f"the module does not build for Linux {self.kernel.name}; all that was said: {log}")

    def installed(self):
        """This very module, for this very kernel. Then all stays in its place: guests that start may be copying it."""
        copies = glob.glob(os.path.join(self.modules, "*", "extra", os.path.basename(self.path)))
        done = os.path.join(self.modules, "done")
        return (bool(copies) and os.path.exists(done) and os.path.getmtime(done) > os.path.getmtime(self.kernel.stamp)
                and all(filecmp.cmp(self.path, copy, shallow=False) for copy in copies))

    def install(self):
        aside = os.path.join(self.folder, "root.part")
        shutil.rmtree(aside, ignore_errors=True)
        modules = os.path.join(aside, "lib", "modules")
        shutil.copytree(self.kernel.modules, modules, symlinks=True)
        for version in os.listdir(self.kernel.modules):
            extra = os.path.join(modules, version, "extra")
            os.makedirs(extra)
            shutil.copy(self.path, extra)
            subprocess.run(["depmod", "-b", aside, version], check=True)
        cache.write(os.path.join(modules, "done"), "")
        shutil.rmtree(os.path.join(self.folder, "root"), ignore_errors=True)
        os.rename(aside, os.path.join(self.folder, "root"))
