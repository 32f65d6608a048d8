#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of the lab that judge and choose: what counts in a kernel's log, the mirror, the source, the configuration,
a build that was interrupted, the clock."""
import contextlib
import io
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
SOURCE, TMP = os.environ["SZC_SOURCE"], os.environ["SZC_TMP"]
sys.path.insert(0, os.path.join(SOURCE, "kernel", "lab"))
os.environ["SZC_LAB_CACHE"] = os.path.join(TMP, "cache")
os.environ.pop("SZC_LINUX", None)

from host import accelerator, cache, clock, kernel, log, source  # noqa: E402

BAD = """\
WARNING: CPU: 1 PID: 77 at net/core/page_pool.c:1100 page_pool_put+0x10
WARNING: possible recursive locking detected
WARNING: suspicious RCU usage
BUG: KASAN: slab-use-after-free in x+0x1/0x2
BUG: kernel NULL pointer dereference, address: 0000000000000000
BUG: sleeping function called from invalid context at mm/slab.h:1
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!
Oops: 0000 [#1] SMP
Kernel panic - not syncing: Fatal exception
UBSAN: shift-out-of-bounds in a.c:1:2
INFO: task x:77 blocked for more than 120 seconds.
INFO: possible circular locking dependency detected
watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [x:77]
rcu: INFO: rcu_preempt self-detected stall on CPU
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
lab: kmemleak: unreferenced object 0xffff888001234567 (size 32):
page_pool_release_retry() stalled pool shutdown: id 3, 1 inflight 60 sec
unregister_netdevice: waiting for szc0 to become free. Usage count = 2
refcount_t: underflow; use-after-free.
ref_tracker: netdev@ff11 has 1/1 users at
DMA-API: szcnic szcnic.0: device driver frees DMA memory with wrong function
ODEBUG: free active (active state 0) object: 0 object type: timer_list
list_add corruption. prev->next should be next
BUG: scheduling while atomic: x/77/0x2
general protection fault, probably for non-canonical address 0xdead: 0000
NETDEV WATCHDOG: CPU: 0: transmit queue 1 timed out 5120 ms
szc0: hw csum failure
szcnic: DMA to 0x1000, 64 bytes: no memory there, nothing was written
** 17 printk messages dropped **
BUG: lab: the scene could not be taken down""".split("\n")
GOOD = """\
Command line: console=ttyS0 panic=-1 oops=panic
kasan: KernelAddressSanitizer initialized
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
kmemleak: Kernel memory leak detector initialized (mem pool available: 59425)
DMA-API: preallocated 65536 debug entries
DMA-API: debugging enabled by kernel config
DMA-API: debugging disabled on kernel command line
szcnic: loading out-of-tree module taints kernel.
debug: ignoring loglevel setting
rcu: Hierarchical RCU implementation.
kmemleak: Kernel memory leak detector disabled
lab: now lab/test_oops.py""".split("\n")

count = failures = 0


def check(name, passed, *details):
    global count, failures
    count += 1
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {count} - {name}")
    for detail in () if passed else details:
        print(f"# {detail}")


def refused(function, *args):
    """The sentence of the failure; empty if there was none."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            function(*args)
        return ""
    except cache.Failure as failure:
        return str(failure)


def file(name, text):
    path = os.path.join(TMP, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def test_log():
    for line in BAD:
        check(f"complains about: {line[:50]}", log.complaints(f"[    1.000000] {line}\r\n"))
    for line in GOOD:
        check(f"does not about: {line[:50]}", not log.complaints(f"[    0.000000] {line}\r\n"))
    for given_up in ("kmemleak: Kernel memory leak detector disabled", "DMA-API: debugging out of memory - disabling"):
        check(f"complains about a check that is given up: {given_up}", log.complaints(f"[   10.000000] {given_up}"))
    long = "\n".join(["lab: now lab/first", "lab: now lab/second", *["quiet"] * 500, BAD[0], *["trace"] * 500])
    shown = log.complaints(long)
    check("who was at it is shown, and no more than what tells", shown[0] == "lab: now lab/second" and
          BAD[0] in shown and "lab: now lab/first" not in shown and len(shown) <= log.MOST, *shown[:5])


def test_mirror():
    release = file("os-release", 'NAME="X"\nVERSION_CODENAME=bookworm\n')
    other = "deb https://other.invalid/x bookworm contrib\ndeb-src https://src.invalid/debian bookworm main\n"
    file("one/sources.list", f"{other}deb [arch=amd64 signed-by=/k.gpg] http://a.invalid/debian bookworm main # x\n")
    found = source.mirror(os.path.join(TMP, "one"), release)
    check("one-line format", found == (["http://a.invalid/debian"], "/k.gpg"), found)
    file("new/sources.list.d/x.sources", "Types: deb\nURIs: http://off.invalid/\nSuites: bookworm\nComponents: main\n"
         "Enabled: no\n\n# Suites: none\nTypes: deb deb-src\nURIs: http://b.invalid/d http://c.invalid/d\n"
         "Suites: bookworm bookworm-updates\nComponents: main non-free\nSigned-By:\n -----BEGIN\n .\n AAAA\n")
    uris, key = source.mirror(os.path.join(TMP, "new"), release)
    check("deb822 format, several mirrors, a key in place", uris == ["http://b.invalid/d", "http://c.invalid/d"]
          and key.split() == ["-----BEGIN", ".", "AAAA"], uris, key)
    file("none/sources.list", other)
    sentence = refused(source.mirror, os.path.join(TMP, "none"), release)
    check("no archive of Debian's: a sentence", "SZC_LINUX" in sentence, sentence)


def test_choice():
    both = {"7.2": "7.2.9-1", "7.3": "7.3.4-1", "7.4": "7.4.1-1"}
    check("the newest that is supported", source.choose(both, None, "") == "7.3")
    check("the one asked for", source.choose(both, "7.2", "") == "7.2")
    check("only the older one is offered", source.choose({"7.2": "7.2.9-1", "6.1": "6.1.5-1"}, None, "") == "7.2")
    with contextlib.redirect_stderr(io.StringIO()) as said:
        taken = source.choose({"7.10": "7.10-1", "7.4": "7.4.1-1"}, None, "")
    check("only newer ones: the nearest, with a warning", taken == "7.4" and "7.4" in said.getvalue(), said.getvalue())
    sentence = refused(source.choose, {}, None, "E: Could not resolve 'x.invalid'\n")
    check("nothing: a sentence with apt's own", "resolve" in sentence and "SZC_LINUX" in sentence, sentence)


class Mirror:
    """What a mirror offers, without apt; and what was fetched from it."""

    def __init__(self, *offered):
        self.offered, self.fetched = offered, []

    def run(self, *_):
        return "", "", 0

    def offers(self):
        return {series: f"{series}.1-1" for series in self.offered}

    def download(self, _, series, name, target):
        self.fetched.append(series)
        file(os.path.join(target, name, "Makefile"), f"VERSION = 7\nPATCHLEVEL = {series[2:]}\nSUBLEVEL = 1\n")


def test_source():
    """Each source is fetched once, and one that --linux asked for is not taken for the newest."""
    def get(mirror, series=None):
        source.Apt, source.download = (lambda: mirror), mirror.download
        with contextlib.redirect_stderr(io.StringIO()):
            return source.get(series).version

    mirror = Mirror("7.2", "7.4")
    check("the older one that was asked for", get(mirror, "7.2") == "7.2.1")
    check("... is no reason to do without the newest", get(Mirror("7.3", "7.2")) == "7.3.1")
    check("... which is then here", get(Mirror()) == "7.3.1" and get(Mirror(), "7.2") == "7.2.1")
    for only in ("7.2", "7.4"):
        os.environ["SZC_LAB_CACHE"] = os.path.join(TMP, f"only-{only}")
        mirror = Mirror(only)
        versions = [get(mirror), get(mirror), get(Mirror())]
        check(f"{only} where the mirror has nothing else, fetched once", versions == [f"{only}.1"] * 3 and
              mirror.fetched == [only], versions, mirror.fetched)
    os.environ["SZC_LAB_CACHE"] = os.path.join(TMP, "cache")


def test_given_source():
    os.environ["SZC_LINUX"] = os.path.dirname(file("mine/Makefile", "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 9\n"))
    check("SZC_LINUX is the source", source.get(None).version == "7.3.9" and source.get("7.3").path.endswith("/mine"))
    sentence = refused(source.get, "7.2")
    check("... but not one of another series", "7.3.9" in sentence and "7.2" in sentence, sentence)
    os.environ["SZC_LINUX"] = TMP
    sentence = refused(source.get, None)
    check("... nor what is no source", TMP in sentence and "version" in sentence, sentence)
    del os.environ["SZC_LINUX"]


def test_programs():
    sentence = refused(cache.need_programs, "sh", "no-such-compiler", "no-such-tool")
    check("every program that is missing is named", "no-such-compiler" in sentence and "no-such-tool" in sentence and
          " sh" not in sentence, sentence)


def test_accelerator():
    """KVM is for who has seen it boot. The QEMU here is a script of ours."""
    seen, path = os.path.join(TMP, "boots"), os.environ["PATH"]
    refuses, patience = accelerator.device_refuses, accelerator.TRIAL_SECONDS
    os.environ["PATH"] = f"{os.path.join(TMP, 'bin')}:{path}"
    accelerator.TRIAL_SECONDS = 1

    def chosen(image, qemu):
        os.chmod(file("bin/qemu-system-x86_64", f"#!/bin/sh\necho boot >>{seen}\n{qemu}\n"), 0o755)
        with contextlib.redirect_stderr(io.StringIO()):
            return accelerator.choose(image)

    try:
        accelerator.device_refuses = lambda: "/dev/kvm: No such file or directory"
        check("no KVM: the translator, without a trial", chosen("a", "exit 1") == (accelerator.TCG, "/dev/kvm: No such "
              "file or directory") and not os.path.exists(seen))
        accelerator.device_refuses = lambda: None
        check("KVM that boots a kernel is used", chosen("b", "echo Kernel panic - no root")[0] == accelerator.KVM)
        check("... and is not tried again", chosen("b", "exit 1")[0] == accelerator.KVM and
              cache.read(seen).count("boot") == 1)
        accel, why = chosen("c", "echo no such CPU >&2; exit 1")
        check("KVM that fails is not, and it is said why", accel == accelerator.TCG and "no such CPU" in why, why)
        accel, why = chosen("d", "exec sleep 10")
        check("nor is KVM that hangs", accel == accelerator.TCG and "did not end" in why, why)
    finally:
        accelerator.device_refuses, accelerator.TRIAL_SECONDS = refuses, patience
        os.environ["PATH"] = path


class Small(kernel.Kernel):
    """A kernel whose source is a Makefile of ours, with four objects that take their time."""

    def configure(self):
        cache.write(os.path.join(self.build, ".szc-configured"), "")

    def make(self, *targets):
        return ["make", "-C", self.source.path, f"O={self.build}", *targets]


MAKEFILE = """\
VERSION = 7
PATCHLEVEL = 3
SUBLEVEL = 99
objects := $(foreach n,1 2 3 4,$(O)/$(n).o)
bzImage modules: $(objects) ;
$(O)/%.o:
\t@echo '  CC      $*.o'; readlink /proc/self/fd/* >$(O)/open; test ! -e $(O)/stop.$* && touch $@
prepare headers_install modules_install: ;
"""


def test_build():
    file("linux/Makefile", MAKEFILE)
    small = Small(source.Source(os.path.join(TMP, "linux"), "small"), False)
    os.makedirs(small.build)
    with open(os.path.join(small.build, "stop.3"), "w", encoding="utf-8"):
        pass
    check("a build that breaks off: a sentence, and no kernel", "does not build" in refused(small.ensure) and
          not small.complete)
    os.unlink(os.path.join(small.build, "stop.3"))
    left = small.left_to_compile()
    with contextlib.redirect_stderr(io.StringIO()) as said:
        small.ensure()
    check("goes on where it stopped", left == 2 and "of 2 objects" in said.getvalue() and small.complete,
          left, said.getvalue())
    check("... and tells how far it is, and how long it takes", re.search(r" \d+ %, 1 of 2 objects, \d+:\d\d min left",
                                                                          said.getvalue()), said.getvalue())
    check("make keeps the lock, so that nobody else begins while it runs", f"{small.stamp}.lock" in
          cache.read(os.path.join(small.build, "open")).split("\n"), cache.read(os.path.join(small.build, "open")))
    check("is built once", small.left_to_compile() == 0)
    need = kernel.SPACE_MIB[False]
    kernel.SPACE_MIB[False] = 1 << 40
    other = Small(source.Source(os.path.join(TMP, "linux"), "other"), False)
    check("no room: a sentence", "SZC_LAB_CACHE" in refused(other.ensure))
    kernel.SPACE_MIB[False] = need
    test_no_compiler(other)


def test_no_compiler(small):
    path = os.environ["PATH"]
    os.environ["PATH"] = os.path.dirname(file("poor/make", ""))
    sentence = refused(small.ensure)
    check("no compiler: a sentence", "gcc" in sentence and "tools/setup" in sentence, sentence)
    for name in ("make", "gcc", "ld", "bc", "flex", "bison", "perl", "rsync", "depmod"):
        os.chmod(file(f"poor/{name}", "#!/bin/sh\nexit 1\n"), 0o755)
    sentence = refused(small.ensure)
    check("no headers of a library: its package is named", "libelf-dev" in sentence, sentence)
    os.environ["PATH"] = path


def test_configuration():
    small = Small(source.Source(os.path.join(TMP, "linux"), "small"), True)
    os.makedirs(small.build, exist_ok=True)
    small.configs = [file("plain.config", "CONFIG_A=y\nCONFIG_B=y\nCONFIG_N=8\n# CONFIG_C is not set\n"),
                     file("over.config", "CONFIG_B=m\n")]
    cache.write(os.path.join(small.build, ".config"), "CONFIG_A=y\nCONFIG_B=m\nCONFIG_N=8\n# CONFIG_D is not set\n")
    check("a configuration that came out", not refused(small.check))
    cache.write(os.path.join(small.build, ".config"), "CONFIG_B=y\nCONFIG_N=64\nCONFIG_C=y\n")
    sentence = refused(small.check)
    check("each option that did not is named", all(name in sentence for name in
                                                  ("CONFIG_A=y", "CONFIG_B=m", "CONFIG_N=8", "CONFIG_C=n")), sentence)


def test_key():
    """Another version or another option is another kernel; another comment is not."""
    def name(version, config):
        mine = os.path.join(TMP, "configs")
        file("configs/kernel.config", config)
        file("configs/debug.config", "")
        kept, cache.HERE = cache.HERE, mine
        try:
            return kernel.Kernel(source.Source(os.path.join(TMP, "linux"), version), False).name
        finally:
            cache.HERE = kept

    first = name("one", "CONFIG_A=y\n")
    check("a kernel is kept by its version", name("two", "CONFIG_A=y\n") != first)
    check("... and configuration", name("one", "CONFIG_A=m\n") != first and
          name("one", "# why\nCONFIG_A=y\n") == first)


def test_lock():
    path = os.path.join(cache.folder(), "thing")
    program = f"import sys; sys.path.insert(0, {os.path.join(SOURCE, 'kernel', 'lab')!r})\nfrom host import cache\n" \
              f"with cache.lock({path!r}, 'the thing'): print('mine', flush=True)"
    held = contextlib.ExitStack()
    held.enter_context(cache.lock(path, "the thing"))
    with subprocess.Popen([sys.executable, "-B", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as second:
        waits = second.stderr.readline()
        check("a second one waits and says so", "the thing" in waits and second.poll() is None, waits)
        held.close()
        check("and goes on", second.stdout.readline() == "mine\n")


def test_clock():
    """On processors with more to do than they can."""
    alone = clock.tsc_khz()
    if alone is None:
        check("no counter to measure: the kernel is left to itself", clock.counter() is None)
        return
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * os.cpu_count())]
    rates = [clock.tsc_khz() for _ in range(5)]
    for one in busy:
        one.kill()
        one.wait()
    check("the rate of the processor's counter, to a thousandth", all(abs(rate - alone) < alone / 1000 for rate in rates),
          alone, rates)


for test in (test_log, test_mirror, test_choice, test_source, test_given_source, test_programs, test_accelerator, test_build,
             test_configuration, test_key, test_lock, test_clock):
    test()
print(f"1..{count}")
sys.exit(bool(failures))
