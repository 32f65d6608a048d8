#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""zcrx-tls send, received by OpenSSL's and GnuTLS's command lines, which also talk back."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

TEXT_LINES = 40000


def host_port(family, port):
    return f"[{LOOPBACK[family]}]:{port}" if family == 6 else f"{LOOPBACK[family]}:{port}"


def s_server(*args, family=4, quiet=True, stdin=subprocess.PIPE):
    """openssl s_server for one connection. Its input is a pipe that stays open: at an end of it, it would spin."""
    need("openssl")
    port = free_port(family)
    address = host_port(family, port)
    server = Process(["openssl", "s_server", "-accept", address, "-cert", SERVER.cert, "-key", SERVER.key,
                      "-naccept", "1", *(("-quiet",) if quiet else ()), *args], stdin=stdin)
    return started(server, port), address


def send_summary(address, path, *args):
    sender = send(address, path, "--json", *args)
    sender.finish(DONE)
    return sender.json()


def transfer(size, backend, suite, family, *server_args):
    server, address = s_server("-tls1_3", *(("-ciphersuites", suite) if suite else ()), *server_args, family=family)
    summary = send_summary(address, payload_file(size), "--backend", backend)
    server.succeed()
    same_files(server.out_path, payload_file(size))
    check(summary["bytes"] == size and summary["error"] is None and summary["backend"] == backend, summary)
    check(summary["bytes_sent"] > size, summary)
    if suite:
        check(summary["cipher"] == suite, f"cipher {summary['cipher']}, not {suite}")
    discard(server.out_path)
    return summary


def all_sizes(backend, suite, family):
    for size in SIZES:
        transfer(size, backend, suite, family)


def from_standard_input(backend):
    server, address = s_server("-tls1_3")
    with open(payload_file(SIZES[-1]), "rb") as file:
        sender = send(address, "-", "--backend", backend, stdin=file)
    sender.finish(DONE)
    server.succeed()
    same_files(server.out_path, payload_file(SIZES[-1]))


def text_file():
    path = scratch(".txt")
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"line {number:08d}\n" for number in range(TEXT_LINES))
    return path


def reversing(backend, *server_args):
    """s_server -rev sends every line back: two directions at once, and a client that receives what it does not keep."""
    path = text_file()
    server, address = s_server("-tls1_3", "-rev", *server_args)
    summary = send_summary(address, path, "--backend", backend)
    server.succeed()
    size = os.path.getsize(path)
    check(summary["bytes"] == size and summary["bytes_returned"] == size, summary)
    check(summary["bytes_opened_in_place"] == size and summary["bytes_user_copied"] == 0, summary)
    return summary


def padded(backend):
    plain, much = reversing(backend), reversing(backend, "-record_padding", "512")
    check(much["bytes_received"] > plain["bytes_received"] * 2, "s_server did not pad", plain, much)


def tickets(backend, number):
    """They come after the hand-over, as many as the server likes."""
    plain = transfer(SIZES[2], backend, None, 4, "-num_tickets", "0")
    many = transfer(SIZES[2], backend, None, 4, "-num_tickets", str(number))
    check(many["records"] - plain["records"] == number, f"{number} tickets", plain, many)


def retried_hello(backend):
    messages = scratch(".msg")
    transfer(SIZES[-1], backend, None, 4, "-groups", "P-384", "-msg", "-msgfile", messages)
    hellos = len(re.findall(r"<<< .*ClientHello", read_text(messages)))
    check(hellos == 2, f"{hellos} ClientHello, not 2: there was no HelloRetryRequest")


def key_updates(backend, letter):
    """s_server takes `k` (new keys of its own) and `K` (ours too) as commands; the payload goes on around them."""
    messages = scratch(".msg")
    server, address = s_server("-tls1_3", "-msg", "-msgfile", messages, quiet=False)
    talk = Conversation(lambda **more: send(address, "-", "--json", "--backend", backend, **more))
    expected = []
    for round_number in range(4):
        for number in range(100):
            expected.append(f"line {round_number}.{number:03d}")
        talk.say(("\n".join(expected[-100:]) + "\n").encode())
        wait_until(lambda: expected[-1] in server.out, f"s_server did not get {expected[-1]}")
        command(server, letter)
        # What it says back is sealed under its new key.
        command(server, b"back")
    talk.process.close_stdin()
    talk.process.finish(DONE)
    server.succeed()
    check(re.findall(r"line \d\.\d{3}", server.out) == expected, "payload is missing or out of order")
    answers = len(re.findall("<<< .*KeyUpdate", read_text(messages)))
    check(answers == (4 if letter == b"K" else 0), f"{answers} key updates came back")
    summary = talk.process.json()
    check(summary["key_updates"] == 4 and summary["bytes_returned"] == 4 * len("back\n"), summary)


def gnutls_server(family, suite=None, *args, extra=""):
    need("gnutls-serv")
    port = free_port(family)
    server = Process(["gnutls-serv", "--port", port, "--x509certfile", SERVER.cert, "--x509keyfile", SERVER.key,
                      "--disable-client-cert", "--priority", gnutls_priority(suite, extra), *args])
    return started(server, port), host_port(family, port)


def gnutls_echo(backend, suite, family, extra=""):
    """gnutls-serv in its echo mode is made for lines."""
    server, address = gnutls_server(family, suite, "--echo", extra=extra)
    path = text_file()
    size = os.path.getsize(path)
    summary = send_summary(address, path, "--backend", backend)
    check(summary["bytes"] == size and summary["bytes_returned"] == size, summary)
    if suite:
        check(summary["cipher"] == suite, f"cipher {summary['cipher']}, not {suite}")
    server.end()


def main():
    cases = Cases()
    for backend in BACKENDS:
        for suite in SUITES:
            for family in LOOPBACK:
                cases.add(f"{len(SIZES)} sizes to openssl s_server, {suite}, IPv{family}, {backend}", all_sizes,
                          backend, suite,
                          family)
                cases.add(f"to gnutls-serv and back, {suite}, IPv{family}, {backend}", gnutls_echo, backend, suite,
                          family)
        cases.add(f"64 MiB to openssl s_server, {backend}", transfer, 64 * MIB, backend, None, 4)
        cases.add(f"from standard input, {backend}", from_standard_input, backend)
        cases.add(f"openssl s_server answers every line, {backend}", reversing, backend)
        cases.add(f"openssl s_server pads its records, {backend}", padded, backend)
        cases.add(f"openssl s_server sends 20 tickets, {backend}", tickets, backend, 20)
        cases.add(f"HelloRetryRequest of openssl s_server, {backend}", retried_hello, backend)
        cases.add(f"HelloRetryRequest of gnutls-serv, {backend}", gnutls_echo, backend, None, 4,
                  ":-GROUP-ALL:+GROUP-SECP521R1")
        cases.add(f"openssl s_server changes its keys, {backend}", key_updates, backend, b"k")
        cases.add(f"openssl s_server changes its keys and asks for ours, {backend}", key_updates, backend, b"K")
    cases.run()


main()
