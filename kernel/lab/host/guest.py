# SPDX-License-Identifier: MIT
"""One run of the guest: QEMU, what it is given, and what comes back."""
import contextlib
import glob
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

import host.cache as cache
import host.clock as clock
import host.log as log

PROBLEM_IN_LOG, LAB_FAILED, TOO_LATE, INTERRUPTED = 97, 98, 124, 130
PORTS = ("control", "out", "err")
END_OF_LOG = "lab: end of the run"
LOGS_KEPT = 50
# no5lvl: identify_cpu() forgets for a moment, interrupts on, that page tables have five levels; KASAN then takes whatever
# an interrupt touches for a wild access.
KERNEL_OPTIONS = "console=ttyS0 panic=-1 oops=panic tsc=reliable fb_tunnels=none printk.devkmsg=on loglevel=8 no5lvl"
# QEMU's translator does its work again for code at another address: a third of all that emulated tests cost.
TRANSLATED_OPTIONS = "norandmaps"
BOOT_LIMIT = 600  # the debug kernel on a machine with much else to do
LOG_LIMIT = 60  # ... for the end of the kernel's log, once all output is here


def age(path):
    """Of a file that another run may be removing."""
    try:
        return os.path.getmtime(path)
    except FileNotFoundError:
        return 0


def new_log():
    """A file for this run's kernel log; the oldest ones go."""
    folder = cache.folder("logs")
    for old in sorted(glob.glob(os.path.join(folder, "*.log")), key=age)[:-LOGS_KEPT]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)
    return os.path.join(folder, time.strftime("%Y%m%d-%H%M%S-") + f"{os.getpid()}.log")


def initramfs():
    """Made once for each version of guest/init and busybox."""
    busybox, init = shutil.which("busybox"), os.path.join(cache.HERE, "guest", "init")
    size, changed = os.stat(busybox).st_size, os.stat(busybox).st_mtime_ns
    path = os.path.join(cache.folder("initramfs"), cache.digest(cache.read(init), f"{size} {changed}") + ".cpio")
    if os.path.exists(path):
        return path
    with tempfile.TemporaryDirectory(prefix="szc-lab.") as tree:
        os.makedirs(os.path.join(tree, "bin"))
        os.makedirs(os.path.join(tree, "dev"))
        shutil.copy(busybox, os.path.join(tree, "bin", "busybox"))
        shutil.copy(init, os.path.join(tree, "init"))
        names = b"\n".join((b".", b"bin", b"bin/busybox", b"dev", b"init")) + b"\n"
        with open(path + f".{os.getpid()}", "wb") as archive:
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=tree, input=names, stdout=archive,
                           check=True)
    os.replace(path + f".{os.getpid()}", path)
    return path


def need_tools():
    cache.need_programs("qemu-system-x86_64", "setpriv", "busybox", "cpio", "perl")


class Machine:
    """How the guest is built; what a run's options say."""

    def __init__(self, image, accelerator, memory, cpus, kernel_options="", more=()):
        self.image, self.accelerator, self.memory, self.cpus = image, accelerator, memory, cpus
        self.kernel_options, self.more = kernel_options, list(more)

    def bare(self, initrd, log_file):
        """No device but the one that takes the kernel's log."""
        return ["qemu-system-x86_64", "-accel", self.accelerator, "-machine", "q35", "-cpu", "max",
                "-smp", str(self.cpus), "-m", str(self.memory), "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", "-kernel", self.image, "-initrd", initrd,
                "-append", f"{KERNEL_OPTIONS} {self.translated()} {self.kernel_options}",
                "-chardev", f"file,id=log,path={comma(log_file)}", "-serial", "chardev:log"]

    def translated(self):
        """What a kernel that QEMU translates is told."""
        if not self.accelerator.startswith("tcg"):
            return ""
        # With -icount the counter is the guest's own, and goes by what it executes: measured right however busy we are.
        khz = None if "-icount" in self.more else clock.tsc_khz()
        return TRANSLATED_OPTIONS + (f" tsc_early_khz={khz}" if khz else "")

    def command(self, exports, log_file, sockets, interactive):
        argv = self.bare(initramfs(), log_file) + ["-device", "virtio-serial-pci,id=ports,max_ports=8"]
        for name in PORTS:
            argv += ["-chardev", f"socket,id={name},fd={sockets[name].fileno()}",
                     "-device", f"virtserialport,bus=ports.0,chardev={name},name={name}"]
        if interactive:
            argv += ["-chardev", "stdio,id=terminal,signal=off", "-device", "virtconsole,bus=ports.0,chardev=terminal"]
        for tag, mode, path in exports:
            argv += ["-fsdev", f"local,id={tag},path={comma(path)},security_model=none,multidevs=remap"
                     + (",readonly=on" if mode == "ro" else ""),
                     "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return argv + self.more


def comma(path):
    return path.replace(",", ",,")


class Run:
    """A command in a guest. `settings` go to guest/session."""

    def __init__(self, machine, command, settings, writable, modules, limit, log_file):
        self.machine, self.command, self.settings, self.modules = machine, command, settings, modules
        self.limit, self.log_file = limit, log_file
        self.interactive = bool(settings.get("interactive"))
        self.exports = [("root", "ro", "/")] + [(f"share{number}", "rw", path) for number, path in enumerate(writable)]
        self.words = b""
        self.started = self.failed = self.end = None
        self.received = {"out": 0, "err": 0}
        self.sinks = {"out": 1, "err": 2}

    def describe(self, folder):
        """All that the guest needs to know, as files."""
        def strings(name, values):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(b"".join(os.fsencode(value) + b"\0" for value in values))

        strings("command", self.command)
        strings("directory", [os.getcwd()])
        # Not os.environ: Python adds to it where the locale is C.
        shutil.copyfile("/proc/self/environ", os.path.join(folder, "environment"))
        with open(os.path.join(folder, "exports"), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{tag}\t{mode}\t{path}\n" for tag, mode, path in self.exports[1:])
        with open(os.path.join(folder, "settings"), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{name}={quoted(value)}\n" for name, value in self.settings.items())
        for name in ("session", "start"):
            shutil.copy(os.path.join(cache.HERE, "guest", name), folder)
        # A copy, because the module may be built again while the guest runs.
        shutil.copytree(self.modules, os.path.join(folder, "modules"), symlinks=True)

    def run(self):
        """The exit status of the run."""
        with terminal_kept(self.interactive), tempfile.TemporaryDirectory(prefix="szc-lab.") as folder:
            self.describe(folder)
            pairs = {name: socket.socketpair() for name in PORTS}
            theirs = {name: pair[1] for name, pair in pairs.items()}
            argv = self.machine.command(self.exports + [("run", "rw", folder)], self.log_file, theirs, self.interactive)
            with open(os.path.join(folder, "qemu"), "w+", encoding="utf-8", errors="replace") as said:
                # If we are killed, the guest goes too.
                qemu = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], stderr=said,
                                        stdin=None if self.interactive else subprocess.DEVNULL,
                                        stdout=None if self.interactive else subprocess.DEVNULL,
                                        start_new_session=not self.interactive,
                                        pass_fds=[end.fileno() for end in theirs.values()])
                try:
                    for end in theirs.values():
                        end.close()
                    return self.attend(qemu, {name: pair[0] for name, pair in pairs.items()}) or self.judge(said)
                finally:
                    qemu.kill()
                    qemu.wait()

    def attend(self, qemu, ports):
        """Passes on what the guest says until it ends. A status only if it did not end by itself."""
        with selectors.DefaultSelector() as selector:
            for name, end in ports.items():
                selector.register(end, selectors.EVENT_READ, name)
            deadline = time.monotonic() + BOOT_LIMIT
            was_started = None
            while selector.get_map() and not self.complete():
                if self.started and not was_started:
                    was_started, deadline = True, time.monotonic() + self.limit if self.limit else float("inf")
                left = deadline - time.monotonic()
                if left <= 0:
                    return self.late()
                for key, _ in selector.select(min(left, 3600)):
                    data = key.fileobj.recv(1 << 16)
                    if not data:
                        selector.unregister(key.fileobj)
                    else:
                        self.heard(key.data, data)
        if self.complete():
            self.wait_for_log()
        else:
            qemu.wait()
        return None

    def heard(self, name, data):
        if name != "control":
            self.received[name] += len(data)
            while data:
                data = data[os.write(self.sinks[name], data):]
            return
        self.words += data
        while b"\n" in self.words:
            line, self.words = self.words.split(b"\n", 1)
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "started":
                self.started = True
            elif word == "failed":
                self.failed = rest
            elif word == "end":
                self.end = [int(number) for number in rest.split()]

    def complete(self):
        return self.end and [self.received["out"], self.received["err"]] == self.end[1:]

    def wait_for_log(self):
        """The console may lag behind the ports. A log that is not all there is judged as one that is not."""
        deadline = time.monotonic() + LOG_LIMIT
        while END_OF_LOG not in cache.read(self.log_file, "") and time.monotonic() < deadline:
            time.sleep(0.02)

    def late(self):
        complains(self.log_file)
        if not self.started:
            cache.say(f"the guest was not ready within {BOOT_LIMIT} s; its log: {self.log_file}")
            return LAB_FAILED
        cache.say(f"the command did not end within {self.limit} s (-t SECONDS); the kernel's log: {self.log_file}")
        return TOO_LATE

    def judge(self, said):
        if complains(self.log_file):
            return PROBLEM_IN_LOG
        if not self.end:
            said.seek(0)
            print(said.read(), end="", file=sys.stderr)
            last_words(self.log_file)
            cache.say(f"the guest ended before the command did; its log: {self.log_file}")
            return LAB_FAILED
        if self.failed:
            cache.say(self.failed)
            return LAB_FAILED
        if not self.complete():
            cache.say(f"the guest ended before all output of the command was here; its log: {self.log_file}")
            return LAB_FAILED
        if END_OF_LOG not in cache.read(self.log_file, ""):
            cache.say(f"the end of the kernel's log did not come within {LOG_LIMIT} s: {self.log_file}")
            return LAB_FAILED
        return self.end[0]


def complains(log_file):
    """Whether the kernel did, after telling what of."""
    found = log.complaints(cache.read(log_file, ""))
    if found:
        cache.say("the kernel complained:")
        print("\n".join(f"    {line}" for line in found), file=sys.stderr, flush=True)
        cache.say(f"the run failed by what the kernel said; its whole log: {log_file}")
    return bool(found)


def last_words(log_file):
    last = cache.read(log_file, "").replace("\r", "").split("\n")[-12:]
    print("\n".join(f"    {line}" for line in last), file=sys.stderr)


@contextlib.contextmanager
def terminal_kept(ours):
    """QEMU makes the terminal raw, and has no chance to undo it when it is killed."""
    if not ours or not os.isatty(0):
        yield
        return
    modes, blocking = termios.tcgetattr(0), os.get_blocking(0)
    try:
        yield
    finally:
        os.set_blocking(0, blocking)
        termios.tcsetattr(0, termios.TCSANOW, modes)


def quoted(value):
    return "'" + str(value).replace("'", "'\\''") + "'"


def end_on_signals():
    """An interrupt or a termination unwinds, so that QEMU and the run's folder go."""
    def interrupted(number, frame):
        del frame
        sys.exit(INTERRUPTED if number == signal.SIGINT else 128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # by nohup, say
            signal.signal(number, interrupted)
