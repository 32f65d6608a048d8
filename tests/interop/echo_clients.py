#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""zcrx-tls echo, talked to by OpenSSL's and GnuTLS's command lines: both directions of one connection, resumption, key
updates from the client, and record sizes that a client may ask us to keep to."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

# gnutls-cli takes its input in pieces; s_client looks for commands at the beginning of its own.
LETTERS = bytes(range(ord("a"), ord("j"))) + b"\n"


def letters(size):
    return (LETTERS * (size // len(LETTERS) + 1))[:size]


def openssl_client(server, *args, suite=None, commands=False, **more):
    flags = ("-quiet", "-no_ign_eof") if commands else ("-quiet", "-no_ign_eof", "-nocommands")
    need("openssl")
    return Process(["openssl", "s_client", "-connect", server.address, "-CAfile", CA.cert, "-verify_return_error",
                    "-servername", "localhost", "-tls1_3", *flags, *(("-ciphersuites", suite) if suite else ()), *args],
                   **more)


def echoed(server, start, data, *args, **more):
    """Says it all, hears it all, says goodbye."""
    talk = Conversation(start, server, *args, **more)
    talk.say(data)
    heard = talk.expect(len(data))
    talk.process.close_stdin()
    talk.process.succeed()
    heard = talk.heard()
    check(heard == data, f"{len(heard)} bytes came back, and not those that were sent ({len(data)})")
    discard(talk.process.out_path)


def all_sizes(start, make, backend, suite, family):
    # gnutls-cli takes 4096 bytes at a time, and its time.
    sizes = SIZES if start is openssl_client else (*SIZES[:-1], 300001)
    for size in sizes:
        server = Server("echo", "--once", "--json", "--backend", backend, family=family)
        echoed(server, start, make(size), suite=suite)
        server.finish(DONE)
        summary = server.json()
        check(summary["bytes"] == size and summary["bytes_opened_in_place"] == size, summary)
        check(summary["cipher"] == suite and summary["bytes_user_copied"] == 0, summary)


def large(start, make, backend):
    server = Server("echo", "--once", "--json", "--backend", backend)
    echoed(server, start, make(64 * MIB))
    server.finish(DONE)


def small_fragments(backend, length):
    """RFC 6066's max_fragment_length binds both sides: a server that agrees and sends more is refused."""
    server = Server("echo", "--once", "--json", "--backend", backend)
    echoed(server, openssl_client, payload(MIB), "-maxfraglen", str(length))
    server.finish(DONE)


def resumed(server, session):
    """What s_client says of a handshake with this session."""
    log = scratch(".log")
    talk = Conversation(lambda **more: Process(
        ["openssl", "s_client", "-connect", server.address, "-CAfile", CA.cert, "-verify_return_error", "-tls1_3",
         "-servername", "localhost", "-no_ign_eof", "-nocommands", "-sess_in", session, "-msg", "-msgfile", log],
        **more))
    talk.say(b"the second time\n")
    wait_until(lambda: b"the second time\n" in talk.heard() or not talk.process.running(),
               "no echo on a resumed session")
    talk.process.close_stdin()
    talk.process.succeed()
    return "\nReused, TLSv1.3" in talk.process.out


def openssl_resumption(backend):
    """The session that s_client stores came in a ticket; the second connection shows no certificate."""
    server = Server("echo", "--backend", backend)
    session = scratch(".session")
    echoed(server, openssl_client, b"the first time\n", "-sess_out", session)
    check(os.path.exists(session), "s_client got no ticket")
    for _ in range(3):
        check(resumed(server, session), "s_client says that its session was not resumed")
    server.stop()
    check(not [line for line in server.lines() if "failed" in line], *server.lines())


def resumption_after_restart(backend):
    """A ticket of a server that is no more is no ticket: a full handshake, no failure."""
    session = scratch(".session")
    server = Server("echo", "--once", "--backend", backend)
    echoed(server, openssl_client, b"the first time\n", "-sess_out", session)
    server.finish(DONE)
    server = Server("echo", "--once", "--backend", backend)
    check(not resumed(server, session), "a server cannot resume what it never saw")
    server.finish(DONE)


def gnutls_resumption(backend):
    """gnutls-cli --resume connects twice by itself."""
    server = Server("echo", "--backend", backend)
    need("gnutls-cli")
    log = scratch(".log")
    talk = Conversation(lambda **more: Process(
        ["gnutls-cli", "--resume", "--port", server.port, "--x509cafile", CA.cert, "--verify-hostname", "localhost",
         "--priority", gnutls_priority(), "--logfile", log, server.host], **more))
    talk.say(b"hello\n")
    talk.expect(len(b"hello\n"))
    talk.process.close_stdin()
    talk.process.succeed()
    check("This is a resumed session" in read_text(log) + talk.process.out, read_text(log))
    server.stop()


def openssl_key_updates(backend, letter):
    """`k`: new keys of s_client's. `K`: ours too."""
    messages = scratch(".msg")
    server = Server("echo", "--once", "--json", "--backend", backend)
    talk = Conversation(openssl_client, server, "-msg", "-msgfile", messages, commands=True)
    said = b""
    for number in range(20):
        line = f"line {number:03d}\n".encode() + letters(20000)
        talk.say(line)
        said += line
        talk.expect(len(said))
        command(talk.process, letter)
    command(talk.process, b"last line")
    talk.expect(len(said + b"last line\n"))
    talk.process.close_stdin()
    talk.process.succeed()
    check(talk.heard() == said + b"last line\n", "what came back is not what was sent")
    server.finish(DONE)
    check(server.json()["key_updates"] == 20, server.json())
    answers = len(re.findall("<<< .*KeyUpdate", read_text(messages)))
    check(answers == (20 if letter == b"K" else 0), f"{answers} key updates came back")


def gnutls_key_updates(backend, word):
    """^rekey1^: its own keys; ^rekey^: ours too."""
    server = Server("echo", "--once", "--json", "--backend", backend)
    talk = Conversation(gnutls_cli, server, "--inline-commands")
    said = b""
    # GnuTLS obeys eight a second.
    for number in range(6):
        line = f"line {number:03d}\n".encode()
        said += line
        command(talk.process, line[:-1])
        talk.expect(len(said))
        command(talk.process, word)
    said += b"last line\n"
    command(talk.process, b"last line")
    talk.expect(len(said))
    talk.process.close_stdin()
    talk.process.succeed()
    check(talk.heard() == said, talk.heard())
    server.finish(DONE)
    check(server.json()["key_updates"] == 6, server.json())


def many_at_once(backend):
    """Ten clients of two kinds on one engine, each with its own words."""
    server = Server("echo", "--json", "--backend", backend)
    talks = []
    for number in range(10):
        talk = Conversation(openssl_client if number % 2 else gnutls_cli, server)
        talk.data = payload(2 * MIB, number) if number % 2 else letters(200000 + number)
        talks.append(talk)
    for talk in talks:
        talk.say(talk.data)
    for talk in talks:
        talk.expect(len(talk.data))
        talk.process.close_stdin()
        talk.process.succeed()
        check(talk.heard() == talk.data, "one connection's bytes are not its own")
    wait_until(lambda: len(server.lines()) >= 10, server.lines())
    server.stop()
    check(server.json()["connections"] == 10 and server.json()["connections_failed"] == 0, server.json())


def own_sender(backend):
    """zcrx-tls at both ends."""
    for family in LOOPBACK:
        server = Server("echo", "--once", "--json", "--backend", backend, family=family)
        sender = send(server.address, payload_file(SIZES[-1]), "--json", "--backend", backend)
        sender.finish(DONE)
        server.finish(DONE)
        check(sender.json()["bytes_returned"] == SIZES[-1], sender.json())


def main():
    cases = Cases()
    for name, start, make in (("openssl s_client", openssl_client, payload), ("gnutls-cli", gnutls_cli, letters)):
        for backend in BACKENDS:
            for number, suite in enumerate(SUITES):
                family = (4, 6)[(number + BACKENDS.index(backend)) % 2]
                cases.add(f"{name}, {len(SIZES)} sizes, {suite}, IPv{family}, {backend}", all_sizes, start, make,
                          backend, suite, family)
    for backend in BACKENDS:
        cases.add(f"openssl s_client, 64 MiB, {backend}", large, openssl_client, payload, backend)
        cases.add(f"zcrx-tls send, IPv4 and IPv6, {backend}", own_sender, backend)
        for length in (512, 4096):
            cases.add(f"max_fragment_length of {length}, {backend}", small_fragments, backend, length)
        cases.add(f"openssl s_client resumes, {backend}", openssl_resumption, backend)
        cases.add(f"a ticket from before the server's restart, {backend}", resumption_after_restart, backend)
        cases.add(f"gnutls-cli resumes, {backend}", gnutls_resumption, backend)
        cases.add(f"openssl s_client changes its keys, {backend}", openssl_key_updates, backend, b"k")
        cases.add(f"openssl s_client changes its keys and asks for ours, {backend}", openssl_key_updates, backend, b"K")
        cases.add(f"gnutls-cli changes its keys, {backend}", gnutls_key_updates, backend, b"^rekey1^")
        cases.add(f"gnutls-cli changes its keys and asks for ours, {backend}", gnutls_key_updates, backend, b"^rekey^")
        cases.add(f"ten clients at once, {backend}", many_at_once, backend)
    cases.run()


main()
