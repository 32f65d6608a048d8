# SPDX-License-Identifier: MIT
"""Runs modes in a guest on the lab's kernel, watched by the plugin."""
import concurrent.futures
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

from capsule import OURS, Capsule, Missing

HERE = os.path.dirname(os.path.realpath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
LAB = os.path.join(REPOSITORY, "kernel", "lab", "lab")
# All processors in one thread, time by instructions, always the same day, no chance: what happens is the same each time.
EMULATED = ("--accel", "tcg,thread=single")
REPEATED = "-icount shift=1,sleep=off -rtc base=2026-01-01,clock=vm -seed 1"
# The kernel's AES-GCM, all of it that runs over payload.
CIPHER = re.compile(r"aes_gcm_(precompute|aad_update|enc_update|dec_update|enc_final|dec_final)_\w+$")
# Seconds for a whole run: what does not depend on the payload, and bytes a second at worst.
LIMIT, SLOWEST = 600, 50000
PARTS = 20  # at most (PARTS_MAX of receiver.c)


class Failure(Exception):
    """A sentence about what went wrong."""


_before = ""


def say_of_all(text):
    """What stands before all that is said from now on."""
    global _before  # pylint: disable=global-statement
    _before = text


def say(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{_before if text else ''}{text}")
        sys.stderr.flush()


def said():
    say("")


class Unsupported(Failure):
    """A sentence about why it cannot be had here."""


# Of QEMU, whose plugins are of the version that ours is.
KNOWN = ((6, 0), (8, 1))


def need_qemu():
    try:
        said = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(f"qemu-system-x86_64 does not run: {error}") from None
    found = re.search(r"version (\d+)\.(\d+)", said)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if not KNOWN[0] <= version <= KNOWN[1]:
        raise Unsupported(f"this is QEMU {version[0]}.{version[1]}, and the plugin is for 6.0 to 8.1 (version 1 of its "
                          "plugin interface), as Debian 12 has it")


class Build:
    """Our programs, and the kernel's."""

    def __init__(self):
        self.folder = os.environ.get("SZC_BUILD") or os.path.join(REPOSITORY, "build", "release")
        self.plugin = os.path.join(self.folder, "bench", "szc-trips-plugin.so")

    def ensure(self):
        need_qemu()
        if "SZC_BUILD" not in os.environ:
            say("building")
            if not os.path.exists(os.path.join(self.folder, "build.ninja")):
                self.command("cmake", "--preset", "release")
            self.command("cmake", "--build", "--preset", "release", "--target", "trips-receive", "trips-send",
                         "szc-trips-plugin")
            said()
        if not os.path.exists(self.plugin):
            raise Failure(f"{self.plugin} is not there: build the target szc-trips-plugin")
        # It tells its own progress: the first time it builds a kernel.
        if subprocess.run([LAB, "build"], stdout=subprocess.DEVNULL, check=False).returncode:
            raise Failure("the lab's kernel cannot be built; kernel/lab/lab doctor says what is missing")
        identity(self)

    @staticmethod
    def command(*argv):
        done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            said()
            raise Failure(f"{' '.join(argv)} failed:\n" + (done.stdout + done.stderr)[-2000:])

    @staticmethod
    def kernels(what):
        """A path of the lab's."""
        found = subprocess.run([LAB, "path", what], capture_output=True, text=True, check=False)
        if found.returncode:
            raise Failure(found.stderr.strip())
        return found.stdout.strip()

    def ciphers(self):
        """Ranges of kernel addresses."""
        with open(os.path.join(self.kernels("build"), "System.map"), encoding="ascii") as file:
            symbols = sorted((int(line.split()[0], 16), line.split()[2]) for line in file)
        ranges = []
        for (start, name), (end, _) in zip(symbols, symbols[1:]):
            if not CIPHER.match(name):
                continue
            if ranges and ranges[-1][1] == start:
                start = ranges.pop()[0]
            ranges.append((start, end))
        if not ranges:
            raise Failure("the kernel has no AES-GCM that is known here")
        return ranges


def identity(build):
    """The folder of cert.pem and key.pem, made once: others would be of another length, and take other instructions."""
    folder = os.path.join(build.folder, "bench", "trips-identity")
    if os.path.exists(f"{folder}/cert.pem"):
        return folder
    os.makedirs(folder, exist_ok=True)
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                           "-days", "36500", "-subj", "/CN=localhost", "-keyout", f"{folder}/key.pem", "-out",
                           f"{folder}/cert.pem.part"], capture_output=True, text=True, check=False)
    if made.returncode:
        raise Failure(f"openssl could not make a certificate: {made.stderr.strip()}")
    os.rename(f"{folder}/cert.pem.part", f"{folder}/cert.pem")
    return folder


def pack(build, settings, modes, folder):
    """The guest's files. Returns the initramfs."""
    arguments = os.path.join(folder, "arguments")
    with open(arguments, "w", encoding="ascii") as file:
        file.write(" ".join(str(value) for value in (settings.mtu, settings.message, settings.warm, settings.bytes,
                                                     settings.ring, settings.buffer_size, settings.area_size,
                                                     settings.recycle, settings.hold, *modes)))
    capsule = Capsule()
    try:
        capsule.add_tools()
        for name in ("trips-receive", "trips-send"):
            capsule.add_program(os.path.join(build.folder, "bench", name), f"{OURS}/{name}")
        for name in ("cert.pem", "key.pem"):
            capsule.add(os.path.join(identity(build), name), f"{OURS}/{name}")
        capsule.add(os.path.join(HERE, "init"), "/init")
        capsule.add(os.path.join(HERE, "guest"), f"{OURS}/guest")
        capsule.add(os.path.join(REPOSITORY, "kernel", "lab", "scene"), f"{OURS}/scene")
        capsule.add(arguments, f"{OURS}/arguments")
        capsule.add_tree(build.kernels("modules"), "/lib/modules")
    except Missing as missing:
        raise Failure(missing) from None
    path = os.path.join(folder, "initramfs")
    capsule.write(path)
    return path


def plugin_options(build, folder, caches):
    options = [build.plugin, f"out={folder}/figures"]
    options += ["llc=" + ":".join(str(value) for value in cache) for cache in caches]
    options += [f"cipher={start:x}-{end:x}" for start, end in build.ciphers()]
    if any("," in option for option in options):
        raise Failure(f"QEMU takes no commas in paths: {build.plugin}, {folder}")
    return shlex.quote(",".join(options))


class Progress:
    """Of all guests together."""

    def __init__(self, modes):
        self.begun, self.modes = 0, len(modes)

    def begins(self, mode):
        self.begun += 1
        say(f"counting, {self.begun} of {self.modes}: {mode}")


def watch(guest, progress):
    """(ledgers, what else it says, whether it came to its end)"""
    ledgers, rest, complete = [], [], False
    for line in guest.stdout:
        word, _, value = line.strip().removeprefix("trips: ").partition(" ")
        if not line.startswith("trips: "):
            rest.append(line)
        elif word == "now":
            progress.begins(value)
        elif word == "ledger":
            ledgers.append(json.loads(value))
        elif word == "complete":
            complete = True
    return ledgers, rest, complete


def run_guest(build, settings, modes, progress, guests):
    """(ledger, counts) of each of these modes, in one guest, which is added to `guests` while it runs."""
    with tempfile.TemporaryDirectory(prefix="szc-trips.") as folder:
        limit = LIMIT + (settings.warm + PARTS * settings.bytes) * len(modes) // SLOWEST
        argv = [LAB, "boot", "--initrd", pack(build, settings, modes, folder), "-t", str(limit), *EMULATED,
                f"--qemu={REPEATED} -plugin {plugin_options(build, folder, settings.caches)}"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", cwd=REPOSITORY) as guest:
            guests.append(guest)
            ledgers, rest, complete = watch(guest, progress)
        if guest.returncode or not complete:
            raise Failure(f"the guest ended too soon (status {guest.returncode}):\n{''.join(rest[-20:])}")
        if not os.path.exists(f"{folder}/figures"):
            raise Failure("the emulator saw no marker: were the programs built for x86-64?")
        with open(f"{folder}/figures", encoding="ascii") as file:
            counts = [json.loads(line) for line in file]
    if len(counts) != len(modes) or len(ledgers) != len(modes):
        raise Failure(f"{len(modes)} modes ran, {len(ledgers)} left a ledger, and the emulator counted {len(counts)}")
    return dict(zip(modes, zip(ledgers, counts)))


def end(guests):
    for guest in guests:
        guest.terminate()


def run(build, settings, modes):
    """(ledger, counts) of each mode. An emulated guest takes one processor: so there are two, always with the same modes."""
    progress, guests, found = Progress(modes), [], {}
    # Whoever ends us ends the guests, and their folders go as usual.
    signal.signal(signal.SIGTERM, lambda *_: end(guests))
    say("starting the guests")
    shares = [share for share in (modes[::2], modes[1::2]) if share]
    with concurrent.futures.ThreadPoolExecutor(len(shares)) as pool:
        try:
            for part in [pool.submit(run_guest, build, settings, share, progress, guests) for share in shares]:
                found.update(part.result())
        except BaseException:
            end(guests)
            raise
        finally:
            said()
    if len({ledger["sum"] for ledger, _ in found.values()}) != 1:
        raise Failure("the modes did not read the same payload")
    return [found[mode] for mode in modes]
