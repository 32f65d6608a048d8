#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What zcrx-tls refuses before it talks to anybody: exit codes by kind, one sentence that names what is wrong, no
litter."""
import os
import re
import resource
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from wire import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

LISTEN = ("--listen", "127.0.0.1:0", "--cert", SERVER.cert, "--key", SERVER.key)
RECV, ECHO = ("recv", *LISTEN), ("echo", *LISTEN)
FILE_TO_SEND = payload_file(1)
SEND = ("send", "--connect", "127.0.0.1:1", "--ca", CA.cert)
NOWHERE = os.path.join(TMP, "nowhere", "x")

# Arguments, exit code, and what the sentence must name.
REFUSED = (
    ((), USAGE, "command"),
    (("frobnicate",), USAGE, "frobnicate"),
    (("recv",), USAGE, "--"),
    (("recv", "--listen", "127.0.0.1:0"), USAGE, "--cert"),
    (("recv", "--cert", SERVER.cert, "--key", SERVER.key), USAGE, "--listen"),
    ((*RECV, "--frobnicate"), USAGE, "frobnicate"),
    ((*RECV, "surplus"), USAGE, "surplus"),
    ((*RECV, "--out", ""), USAGE, "--out"),
    ((*RECV, "--backend", "magic"), USAGE, "backend=magic"),
    ((*RECV, "--sending", "magic"), USAGE, "sending=magic"),
    ((*RECV, "--area-size", "big"), USAGE, "area-size=big"),
    ((*RECV, "--area-size", "4K"), USAGE, "area_size|area-size"),
    ((*RECV, "--buffer-size", "5000"), USAGE, "5000"),
    ((*RECV, "--max-connections", "0"), USAGE, "max-connections=0"),
    ((*RECV, "--idle-timeout", "soon"), USAGE, "idle-timeout=soon"),
    ((*RECV, "--handshake-timeout", "-1"), USAGE, "handshake-timeout=-1"),
    ((*RECV, "--ciphersuites", "TLS_AES_128_CCM_SHA256"), USAGE, "TLS_AES_128_CCM_SHA256"),
    ((*RECV, "--ciphersuites", "nonsense"), USAGE, "nonsense"),
    ((*RECV, "--alpn", ",,"), USAGE, "alpn"),
    (("send", FILE_TO_SEND), USAGE, "--connect"),
    (SEND, USAGE, "FILE"),
    ((*SEND, FILE_TO_SEND, FILE_TO_SEND), USAGE, "one file too many"),
    ((*SEND, "--insecure", FILE_TO_SEND), USAGE, "--insecure"),
    ((*SEND, "--cert", SERVER.cert, FILE_TO_SEND), USAGE, "--key"),
    ((*SEND, FILE_TO_SEND), NETWORK, "refused"),
    (("send", "--connect", "nonsense", FILE_TO_SEND), NETWORK, "nonsense.*port"),
    (("send", "--connect", "127.0.0.1:65537", FILE_TO_SEND), NETWORK, "65537|port"),
    (("send", "--connect", "::1:4433", FILE_TO_SEND), NETWORK, "brackets"),
    (("recv", "--listen", "127.0.0.1", *LISTEN[2:]), NETWORK, "port"),
    (("recv", "--listen", "192.0.2.1:0", *LISTEN[2:]), NETWORK, "192.0.2.1"),
    ((*RECV[:3], "--cert", NOWHERE, "--key", SERVER.key), FILE, NOWHERE),
    ((*RECV[:3], "--cert", SERVER.cert, "--key", NOWHERE), FILE, NOWHERE),
    ((*RECV[:3], "--cert", SERVER.key, "--key", SERVER.key), FILE, SERVER.key),
    ((*RECV[:3], "--cert", SERVER.cert, "--key", CA.key), FILE, "key"),
    ((*RECV, "--client-ca", NOWHERE), FILE, NOWHERE),
    ((*RECV, "--once", "--out", NOWHERE), FILE, NOWHERE),
    ((*RECV, "--out", NOWHERE), FILE, os.path.dirname(NOWHERE)),
    ((*RECV, "--port-file", NOWHERE), FILE, NOWHERE),
    ((*SEND, NOWHERE), FILE, NOWHERE),
    ((*SEND, TMP), FILE, "directory"),
    ((*SEND[:4], NOWHERE, FILE_TO_SEND), FILE, NOWHERE),
    ((*RECV, "--area-size", "1000000G"), USAGE, "area"),
)


def refused(args, code, names):
    before = set(os.listdir(TMP))
    process = Zcrx([ZCRX_TLS, *args])
    check(process.wait(10) == code, f"exit code {process.child.returncode}, not {code}", *process.tail())
    check(process.out == "", "something on standard output", process.out)
    lines = [line for line in process.err.splitlines() if line.startswith("zcrx-tls") and "listening on" not in line]
    check(len(lines) == 1 and re.search(names, lines[0]), f"does not name /{names}/ in one sentence", *process.tail())
    left = set(os.listdir(TMP)) - before - {os.path.basename(process.out_path), os.path.basename(process.err_path)}
    check(not left, f"left behind: {left}")


def shown(args):
    return " ".join(os.path.basename(arg) if os.sep in arg else arg or "''" for arg in args) or "nothing"


def taken_port():
    server = Server("recv")
    process = Zcrx([ZCRX_TLS, "recv", "--listen", server.address, *LISTEN[2:]])
    said = process.finish(NETWORK)
    check(server.address in said and "in use" in said, said)
    check(server.running(), "the first one died")


def little_memory():
    if SANITIZED:
        raise Skipped("AddressSanitizer does not start with so little address space")
    process = Zcrx([ZCRX_TLS, *RECV, "--area-size", "2G"],
                   before=lambda: resource.setrlimit(resource.RLIMIT_AS, (1024 * MIB, 1024 * MIB)))
    check("area" in process.finish(SYSTEM), process.err)


def few_descriptors():
    process = Zcrx([ZCRX_TLS, *RECV], before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4)))
    process.finish(FILE, SYSTEM)


def json_of_a_failure():
    process = Zcrx([ZCRX_TLS, *SEND, "--json", FILE_TO_SEND])
    said = process.finish(NETWORK)
    summary = process.json()
    check(summary["error"] == said and summary["bytes"] == 0 and summary["cipher"] is None, summary)


def helps():
    for line in ("--help", "recv --help", "send --help", "echo --help", "--version", "recv --usage"):
        args = line.split()
        process = Zcrx([ZCRX_TLS, *args])
        process.succeed()
        check("zcrx-tls" in process.out and process.err == "", args, process.out, process.err)
    check("Exit codes" in read_text(process_out("send", "--help")), "exit codes are not told")


def process_out(*args):
    process = Process([ZCRX_TLS, *args])
    process.succeed()
    return process.out_path


def verbose():
    """Which backend runs, and why not a better one."""
    for backend in BACKENDS:
        server = Server("recv", "--verbose", "--backend", backend)
        check(backend in server.err, server.err)
        server.stop()


def main():
    cases = Cases()
    for args, code, names in REFUSED:
        cases.add(f"exit code {code}: {shown(args)}"[:110].replace("#", ""), refused, args, code, names)
    cases.add("a port that is taken", taken_port)
    cases.add("no memory for the area", little_memory)
    cases.add("no descriptors", few_descriptors)
    cases.add("--json of a failure", json_of_a_failure)
    cases.add("--help, --usage, --version", helps)
    cases.add("--verbose", verbose)
    cases.run()


main()
