# SPDX-License-Identifier: MIT
"""What the scripts of tests/interop and tests/fault share: cases that print TAP, processes that always end, zcrx-tls
as a server and as a client, throw-away certificates, payloads.

A case is a function; it fails by raising. What it started is ended after it, by process id. Nothing waits without a
limit."""
import atexit
import filecmp
import fcntl
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import traceback

TMP = os.environ["SZC_TMP"]
FULL = os.environ.get("SZC_TEST_FULL") == "1"
ZCRX_TLS = os.path.join(os.environ["SZC_BUILD"], "tools", "zcrx-tls")

# Exit codes of zcrx-tls by kind (its man page).
DONE, USAGE, NETWORK, TLS, DATA, FILE, SYSTEM = 0, 2, 3, 4, 5, 6, 7

SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
BACKENDS = ("copy", "epoll")
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
KIB, MIB = 1024, 1024 * 1024
PIECE = 64 * MIB
# Around one record's payload, and several records.
SIZES = (0, 1, 16383, 16384, 16385, 3 * MIB + 7)

with open(ZCRX_TLS, "rb") as program:
    # AddressSanitizer's own memory says nothing about ours.
    SANITIZED = b"__asan_init" in program.read()


class Failed(Exception):
    """What a case expected and did not find. Every argument is a line of the diagnostics."""


class Skipped(Exception):
    """Why a case cannot run here."""


def check(condition, *lines):
    if not condition:
        raise Failed(*(str(line) for line in lines))


# ---------------------------------------------------------------------------------------------- cases

class Cases:
    """Numbered in the order they were added. `seconds` bounds each one."""

    def __init__(self, seconds=60):
        self.seconds = seconds
        self.cases = []

    def add(self, name, function, *args):
        self.cases.append((name, function, args))

    def run(self):
        print(f"1..{len(self.cases)}", flush=True)
        signal.signal(signal.SIGALRM, on_alarm)
        failed = 0
        for number, (name, function, args) in enumerate(self.cases, 1):
            begun = time.monotonic()
            line, details = self.judge(name, function, args)
            failed += bool(details)
            print(("not ok" if details else "ok"), number, "-", line)
            for detail in details:
                print("\n".join("# " + part for part in str(detail).splitlines() or [""]))
            print(f"# {time.monotonic() - begun:.1f} s")
            sys.stdout.flush()
        sys.exit(1 if failed else 0)

    def judge(self, name, function, args):
        signal.alarm(self.seconds)
        try:
            function(*args)
        except Skipped as reason:
            return f"{name} # SKIP {reason}", []
        except Failed as failure:
            return name, list(failure.args) or ["failed"]
        except Exception:  # pylint: disable=broad-except
            return name, [traceback.format_exc()]
        finally:
            signal.alarm(0)
            end_all()
        return name, []


def on_alarm(_signal, _frame):
    raise Failed("the case did not end within its time")


# ---------------------------------------------------------------------------------------------- processes

_live = []
_names = 0


def end_all():
    for process in _live[:]:
        process.end()


def _on_term(_signal, _frame):
    sys.exit(143)


atexit.register(end_all)
signal.signal(signal.SIGTERM, _on_term)


def scratch(suffix=""):
    """A path in our private folder that nothing has yet."""
    global _names
    _names += 1
    return os.path.join(TMP, f"{_names:05d}{suffix}")


def discard(*paths):
    for path in paths:
        if os.path.exists(path):
            os.remove(path)


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def wait_until(condition, what, seconds=20):
    """Polls: returns the condition's first true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < deadline, f"after {seconds} s: {what}")
        time.sleep(0.005)


class Process:
    """A child whose standard output and error go to files, so that it never waits for us."""

    def __init__(self, argv, stdin=subprocess.DEVNULL, stdout=None, env=None, before=None, pass_fds=()):
        self.argv = [str(arg) for arg in argv]
        self.out_path, self.err_path = scratch(".out"), scratch(".err")
        self.stdout = stdout
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.child = subprocess.Popen(self.argv, stdin=stdin, stdout=out if stdout is None else stdout, stderr=err,
                                          env=dict(os.environ, **(env or {})), preexec_fn=before, pass_fds=pass_fds)
        _live.append(self)

    @property
    def pid(self):
        return self.child.pid

    @property
    def err(self):
        return read_text(self.err_path)

    @property
    def out(self):
        return read_text(self.out_path)

    def running(self):
        return self.child.poll() is None

    def wait(self, seconds=30):
        """The exit code; negative for a signal."""
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise Failed(f"did not end within {seconds} s: {' '.join(self.argv)}", *self.tail()) from None
        _live.remove(self)
        self.close_stdin()
        return code

    def succeed(self, seconds=30):
        code = self.wait(seconds)
        check(code == 0, f"exit code {code}: {' '.join(self.argv)}", *self.tail())

    def close_stdin(self):
        if self.child.stdin and not self.child.stdin.closed:
            try:
                self.child.stdin.close()
            except BrokenPipeError:
                pass

    def end(self):
        if self in _live:
            _live.remove(self)
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.close_stdin()

    def tail(self):
        return self.err.splitlines()[-12:]


class Zcrx(Process):
    """zcrx-tls."""

    def lines(self):
        """What it said in sentences."""
        return [line for line in self.err.splitlines() if line.startswith("zcrx-tls: ") and "listening on" not in line]

    def finish(self, *codes, seconds=30):
        """Waits; the exit code must be one of `codes`. Returns its last sentence, which a failure must have."""
        code = self.wait(seconds)
        check(code in (codes or (DONE,)), f"zcrx-tls {self.argv[1]}: exit code {code}, not one of {codes or (DONE,)}",
              *self.tail())
        said = self.lines()
        if code != DONE:
            check(said and len(said[-1]) > len("zcrx-tls: ") + 10, f"exit code {code} without a sentence", *self.tail())
        return said[-1][len("zcrx-tls: "):] if said else ""

    def json(self):
        """The object of --json, on standard output or, with payload there, on standard error."""
        for text in (self.err, self.out if self.stdout is None else ""):
            for line in reversed(text.splitlines()):
                if line.startswith("{"):
                    return json.loads(line)
        raise Failed("zcrx-tls printed no JSON object", *self.tail())


class Server(Zcrx):
    """`zcrx-tls recv` or `echo`, listening on loopback."""

    def __init__(self, command, *args, family=4, cert=None, **more):
        need_family(family)
        identity = cert or SERVER
        port_file = scratch(".port")
        host = LOOPBACK[family]
        self.host = host
        self.listen = f"[{host}]:0" if family == 6 else f"{host}:0"
        super().__init__([ZCRX_TLS, command, "--listen", self.listen, "--cert", identity.cert, "--key", identity.key,
                          "--port-file", port_file, *args], **more)
        wait_until(lambda: os.path.exists(port_file) or not self.running(), "zcrx-tls does not listen")
        check(self.running(), "zcrx-tls did not start", *self.tail())
        self.port = int(read_text(port_file))
        self.address = f"[{host}]:{self.port}" if family == 6 else f"{host}:{self.port}"

    def stop(self):
        """SIGTERM, which is a clean end for a server without --once."""
        self.child.send_signal(signal.SIGTERM)
        return self.finish(DONE)


def send(address, path, *args, **more):
    """`zcrx-tls send`, started."""
    return Zcrx([ZCRX_TLS, "send", "--connect", address, "--ca", CA.cert, *args, path], **more)


def vm_hwm(pid):
    """Peak resident memory, bytes."""
    return int(re.search(r"VmHWM:\s*(\d+) kB", read_text(f"/proc/{pid}/status"))[1]) * KIB


def resident_at_most(resident, limit, *lines):
    check(resident <= limit or SANITIZED, f"{resident} bytes resident, more than {limit}", *lines)


# ---------------------------------------------------------------------------------------------- other programs

def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skipped(f"{program} is not here")


def need_family(family):
    try:
        with socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET) as probe:
            probe.bind((LOOPBACK[family], 0))
    except OSError:
        raise Skipped(f"{LOOPBACK[family]} cannot be had here") from None


def free_port(family=4):
    """A port nobody listens on now, for programs that cannot tell which one they took. Below those that the kernel gives
    to clients, one of which could have it before the program does."""
    need_family(family)
    ephemeral = int(read_text("/proc/sys/net/ipv4/ip_local_port_range").split()[0])
    for _ in range(1000):
        with socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET) as probe:
            try:
                probe.bind((LOOPBACK[family], random.randrange(10000, ephemeral) if ephemeral > 11000 else 0))
                return probe.getsockname()[1]
            except OSError:
                pass
    raise Failed("no free port")


def is_listening(port):
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table) and re.search(rf":{port:04X} [0-9A-F]+:0000 0A ", read_text(table)):
            return True
    return False


def started(process, port):
    """Waits until a program that is not ours listens, without spending one of its connections."""
    wait_until(lambda: is_listening(port) or not process.running(), f"nobody listens on port {port}")
    check(process.running(), f"did not start: {' '.join(process.argv)}", *process.tail(),
          *process.out.splitlines()[-5:])
    return process


def s_client(address, *args, ca=None, **more):
    """openssl s_client, verifying, that sends its standard input as it is and ends after it."""
    need("openssl")
    return Process(["openssl", "s_client", "-connect", address, "-CAfile", ca or CA.cert, "-verify_return_error",
                    "-quiet", "-no_ign_eof", "-nocommands", *args], **more)


# What GnuTLS calls the suites.
GNUTLS_CIPHER = dict(zip(SUITES, ("AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305")))


def gnutls_priority(suite=None, extra=""):
    cipher = f":-CIPHER-ALL:+{GNUTLS_CIPHER[suite]}" if suite else ""
    return f"NORMAL:-VERS-ALL:+VERS-TLS1.3{cipher}{extra}"


def gnutls_cli(server, *args, suite=None, extra="", **more):
    """gnutls-cli, verifying; payload alone on its standard output."""
    need("gnutls-cli")
    return Process(["gnutls-cli", "--logfile", scratch(".log"), "--port", server.port, "--x509cafile", CA.cert,
                    "--verify-hostname", "localhost", "--priority", gnutls_priority(suite, extra), *args, server.host],
                   **more)


def unread(pipe):
    """How many bytes are in it now; from either end."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def command(process, line):
    """A line that the program must read alone, since it looks for commands at the beginning of what it reads."""
    pipe = process.child.stdin
    pipe.write(line + b"\n")
    pipe.flush()
    wait_until(lambda: not unread(pipe) or not process.running(), f"{line} was not read: {' '.join(process.argv)}")


class Conversation:
    """A client with pipes at both ends: what is said, and what came back so far."""

    def __init__(self, start, *args, **more):
        self.process = start(*args, stdin=subprocess.PIPE, **more)

    def say(self, data):
        self.process.child.stdin.write(data)
        self.process.child.stdin.flush()

    def heard(self):
        with open(self.process.out_path, "rb") as file:
            return file.read()

    def expect(self, size, seconds=20):
        """Waits until so many bytes came back, and returns them all."""
        wait_until(lambda: os.path.getsize(self.process.out_path) >= size or not self.process.running(),
                   f"{os.path.getsize(self.process.out_path)} of {size} bytes came back", seconds)
        heard = self.heard()
        check(len(heard) >= size, f"{len(heard)} of {size} bytes came back", *self.process.tail())
        return heard


# ---------------------------------------------------------------------------------------------- certificates

class Identity:
    """A certificate and its key. Without `authority` it is one itself."""

    def __init__(self, name, subject="localhost", alternative="DNS:localhost,IP:127.0.0.1,IP:::1", authority=None,
                 key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        self.cert, self.key = os.path.join(TMP, name + ".pem"), os.path.join(TMP, name + ".key")
        argv = ["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", "2", "-subj", f"/CN={subject}",
                "-keyout", self.key, "-out", self.cert]
        if authority:
            argv += ["-CA", authority.cert, "-CAkey", authority.key, "-addext", "basicConstraints=critical,CA:FALSE"]
            argv += ["-addext", f"subjectAltName={alternative}"]
        made = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        if made.returncode:
            raise RuntimeError(f"openssl req: {made.stderr}")


CA = Identity("ca", subject="szc test authority")
SERVER = Identity("server", authority=CA)


# ---------------------------------------------------------------------------------------------- payloads

_payloads = {}


def payload(size, seed=1):
    """Random bytes, the same for the same size and seed."""
    source = random.Random(seed * 1000003 + size)
    # In pieces: Python draws at most 2^31 bits at once.
    return b"".join(source.randbytes(min(PIECE, size - at)) for at in range(0, size, PIECE))


def payload_file(size):
    """A file of payload(size), made once."""
    if size not in _payloads:
        path = scratch(f".payload-{size}")
        with open(path, "wb") as file:
            file.write(payload(size))
        _payloads[size] = path
    return _payloads[size]


def same_files(received, sent):
    check(os.path.exists(received), f"{received} was not created")
    check(filecmp.cmp(received, sent, shallow=False), f"what was received ({os.path.getsize(received)} bytes) is not "
          f"what was sent ({os.path.getsize(sent)} bytes)")


def no_trace(path):
    """Neither the file nor what it was written to aside."""
    folder, name = os.path.split(path)
    left = [entry for entry in os.listdir(folder) if entry.startswith(name)]
    check(not left, f"left behind: {left}")


def honest_ledger(summary, size, backend, framing=0.02):
    """One kernel copy, no copy of ours, everything opened in place. `framing` is what records may add to the bytes."""
    check(summary["error"] is None, summary)
    check(summary["backend"] == backend, f"backend {summary['backend']}, not {backend}")
    check(summary["bytes"] == summary["bytes_opened"] == summary["bytes_opened_in_place"] == size, summary)
    check(summary["bytes_user_copied"] == 0 and summary["bytes_zero_copy"] == 0, summary)
    check(summary["bytes_kernel_copied"] == summary["bytes_received"] > size, summary)
    if size >= MIB:
        check(1 <= summary["trips_measured"] <= 1 + framing and summary["trips_assumed"] == 1, summary)
        check(summary["passes"] == 1, summary)


def raise_descriptor_limit(wanted):
    """As far as we may; for us and the children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
