# SPDX-License-Identifier: MIT
"""The lab's kernels: configured, built, and where their parts are."""
import os
import re
import shutil
import subprocess
import sys
import time

import host.cache as cache

SPACE_MIB = {False: 1000, True: 2500}
COMPILED = re.compile(r"(?:^|['\"]) +(?:CC|AS)(?: \[M\])? +\S")
TELLING = re.compile(r"error[: ]|Error |\*\*\*|No space left|undefined reference")
CONFIGS = ("kernel.config", "debug.config")


class Kernel:
    """One version with one configuration; everything about it is in one folder of the cache."""

    def __init__(self, source, debug):
        self.source, self.debug = source, debug
        self.held = None
        self.configs = [os.path.join(cache.HERE, name) for name in CONFIGS[:1 + debug]]
        key = cache.digest(source.name, *(str(sorted(options(cache.read(path)).items())) for path in self.configs))
        self.name = f"{source.version}-{key}" + ("-debug" if debug else "")
        self.folder = cache.folder("kernel", self.name)
        self.build = os.path.join(self.folder, "build")
        self.image = os.path.join(self.build, "arch", "x86", "boot", "bzImage")
        self.headers = os.path.join(self.folder, "headers")
        self.modules = os.path.join(self.folder, "modules", "lib", "modules")
        self.log = os.path.join(self.folder, "build.log")
        self.stamp = os.path.join(self.folder, "complete")

    @property
    def complete(self):
        return os.path.exists(self.stamp)

    def make(self, *targets):
        return ["make", "-C", self.source.path, f"O={self.build}", f"-j{os.cpu_count()}", *targets]

    def lock(self):
        """For whoever works in the folder: where the lab is killed nobody else begins before they have ended."""
        return [self.held.fileno()] if self.held and not self.held.closed else []

    def ensure(self, again=False):
        """Built, once it returns. What an interrupted build left is used."""
        if self.complete and not again:
            return
        with cache.lock(self.stamp, f"building Linux {self.name}") as self.held:
            if self.complete and not again:
                return
            need_tools()
            os.makedirs(self.build, exist_ok=True)
            cache.need_space(self.folder, SPACE_MIB[self.debug], "a kernel build")
            kind = "debug" if self.debug else "plain"
            cache.say(f"building the {kind} kernel {self.source.version} in {self.build}")
            started = time.monotonic()
            if not os.path.exists(os.path.join(self.build, ".szc-configured")):
                self.configure()
            self.compile()
            self.quiet("headers_install", f"INSTALL_HDR_PATH={self.headers}")
            self.quiet("modules_install", f"INSTALL_MOD_PATH={self.folder}/modules")
            cache.write(self.stamp, "")
            cache.say(f"the kernel is built, in {duration(time.monotonic() - started)}")

    # ---- configuration

    def configure(self):
        self.quiet("tinyconfig")
        merge = [os.path.join(self.source.path, "scripts", "kconfig", "merge_config.sh"), "-m", "-O", self.build,
                 os.path.join(self.build, ".config"), *self.configs]
        self.logged(merge, "the configuration could not be merged", cwd=self.build)
        self.quiet("olddefconfig")
        self.check()
        cache.write(os.path.join(self.build, ".szc-configured"), "")

    def check(self):
        """Each option that our files name has the value they give it: a later file's word counts."""
        wanted = {}
        for path in self.configs:
            wanted.update(options(cache.read(path)))
        came = options(cache.read(os.path.join(self.build, ".config")))
        wrong = [f"{name}={value} (is {came.get(name, 'n')})" for name, value in wanted.items()
                 if came.get(name, "n") != value]
        if wrong:
            raise cache.Failure(f"Linux {self.source.version} does not take these options of kernel/lab/*.config, "
                                f"because they or what they depend on are not there: {', '.join(wrong)}")

    # ---- compilation

    def compile(self):
        self.quiet("prepare")
        total = self.left_to_compile()
        progress = Progress(total)
        with open(self.log, "a", encoding="utf-8", errors="replace") as log, \
                subprocess.Popen(self.make("bzImage", "modules"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, text=True, errors="replace",
                                 pass_fds=self.lock()) as make:
            try:
                for line in make.stdout:
                    log.write(line)
                    if COMPILED.search(line):
                        progress.step()
            finally:
                progress.end()
                make.terminate()
        if make.returncode:
            self.explain("the kernel does not build")

    def left_to_compile(self):
        """Of a dry run, how many objects make would compile: what is there already does not count."""
        dry = subprocess.run(self.make("-n", "bzImage", "modules"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, errors="replace", check=False)
        return sum(1 for line in dry.stdout.split("\n") if COMPILED.search(line))

    def quiet(self, *targets):
        self.logged(self.make("-s", *targets), f"make {targets[0]} failed")

    def logged(self, argv, complaint, cwd=None):
        with open(self.log, "a", encoding="utf-8") as log:
            if subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd, check=False,
                              pass_fds=self.lock()).returncode:
                self.explain(complaint)

    def explain(self, complaint):
        lines = cache.read(self.log).split("\n")
        telling = [line for line in lines if TELLING.search(line)]
        print("\n".join(f"    {line}" for line in (telling or lines)[-12:]), file=sys.stderr)
        raise cache.Failure(f"{complaint}; the whole log: {self.log}")


def options(text):
    """{CONFIG_X: value}, n for what is not set."""
    found = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.M))
    found.update((name, "n") for name in re.findall(r"^# (CONFIG_\w+) is not set$", text, re.M))
    return found


def need_tools():
    cache.need_programs("make", "gcc", "ld", "bc", "flex", "bison", "perl", "rsync", "depmod")
    for header, package in (("gelf.h", "libelf-dev"), ("openssl/evp.h", "libssl-dev")):
        test = subprocess.run(["gcc", "-E", "-"], input=f"#include <{header}>\n", text=True, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        if test.returncode:
            raise cache.Failure(f"{header} is missing ({package}); tools/setup installs what the lab needs")


def duration(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


class Progress:
    """A line that is rewritten on a terminal; elsewhere a line for each tenth."""

    def __init__(self, total):
        self.total, self.done, self.shown = total, 0, -1
        self.started = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def step(self):
        self.done += 1
        percent = min(99, self.done * 100 // max(self.total, 1))
        if percent == self.shown or (not self.terminal and percent // 10 == self.shown // 10):
            return
        self.shown = percent
        spent = time.monotonic() - self.started
        left = spent / self.done * max(self.total - self.done, 0)
        text = f"lab: {percent:3d} %, {self.done} of {self.total} objects, {duration(left)} left"
        width = shutil.get_terminal_size().columns - 1
        if self.terminal:
            text = f"\r{text[:width]:{width}}"
        print(text, end="" if self.terminal else "\n", file=sys.stderr, flush=True)

    def end(self):
        if self.terminal and self.shown >= 0:
            print(file=sys.stderr, flush=True)
