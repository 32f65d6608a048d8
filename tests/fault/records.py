#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records that somebody between the two drops, repeats, swaps or adds: an attacker without keys must achieve nothing
but an error. Payload before the fault is delivered, nothing after it, and the receiver tells its peer why."""
import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from wire import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

PIECES = tuple(payload(size, seed) for seed, size in enumerate((16384, 1, 16384, 7000, 16384, 300)))
FIRST = 2  # ClientHello and Finished come before; change_cipher_spec is not counted
CUT_AT = 3
BEFORE = b"".join(PIECES[:CUT_AT])

MAC = "failed authentication"
PROTOCOL = "unprotected|header out of bounds|breaks the protocol"
TRUNCATED = "without close_notify"
TOLD = ("unexpected_message",)


class Change:
    """Does something to the one record that carries payload piece `CUT_AT`."""

    def __init__(self, act, at=FIRST + CUT_AT):
        self.act, self.at, self.past = act, at, []

    def __call__(self, index, whole):
        self.past.append(whole)
        return self.act(self, whole) if index == self.at else whole


def insert(extra):
    return lambda change, whole: extra + whole


def replay(back):
    return lambda change, whole: change.past[-1 - back] + whole


def drop(_change, _whole):
    return b""


class Swap(Change):
    """This record after the next one."""

    def __init__(self):
        super().__init__(None)

    def __call__(self, index, whole):
        if index == self.at:
            self.past.append(whole)
            return b""
        return whole + self.past.pop() if self.past else whole


def retype(kind):
    return lambda change, whole: bytes([kind]) + whole[1:]


def reversion(version):
    return lambda change, whole: whole[:1] + struct.pack(">H", version) + whole[3:]


def relength(by):
    def act(_change, whole):
        size = struct.unpack(">H", whole[3:5])[0] + by
        return whole[:3] + struct.pack(">H", size) + whole[HEADER:]
    return act


def splice(_change, whole):
    """One record's body in two records, as somebody would who takes TLS for a stream."""
    body = whole[HEADER:]
    return record(APPLICATION, body[:3000]) + record(APPLICATION, body[3000:])


def truncate_then_forge(_change, whole):
    """The truncation attack: what is missing is hidden behind a farewell that nobody can have sealed."""
    del whole
    return record(ALERT, b"\x01\x00"), FIN


# What is done, to whom it must be told by which alerts, and the sentence.
FAULTS = (
    ("dropped", drop, ("bad_record_mac",), MAC),
    ("preceded by the first one again", replay(CUT_AT), ("bad_record_mac",), MAC),
    ("preceded by the one before it again", replay(1), ("bad_record_mac",), MAC),
    ("preceded by our own Finished again", lambda change, whole: change.past[1] + whole, ("bad_record_mac",), MAC),
    ("preceded by the ClientHello again", lambda change, whole: change.past[0] + whole, TOLD, PROTOCOL),
    ("preceded by unprotected payload", insert(record(APPLICATION, b"plain")), ("bad_record_mac",), MAC),
    ("preceded by 100 random bytes as a record", insert(record(APPLICATION, payload(100))), ("bad_record_mac",), MAC),
    ("preceded by an empty record", insert(record(APPLICATION, b"")), ("bad_record_mac", "decode_error",
                                                                      "unexpected_message"), f"{MAC}|{PROTOCOL}"),
    ("preceded by an unprotected KeyUpdate", insert(record(HANDSHAKE, b"\x18\0\0\1\1")), TOLD, PROTOCOL),
    ("preceded by an unprotected close_notify", insert(record(ALERT, b"\1\0")), TOLD, PROTOCOL),
    ("preceded by an unprotected fatal alert", insert(record(ALERT, b"\2\x14")), TOLD, PROTOCOL),
    ("preceded by change_cipher_spec", insert(record(CCS, b"\1")), TOLD, PROTOCOL),
    ("preceded by a record of unknown type", insert(record(99, b"hello")), TOLD, PROTOCOL),
    ("preceded by garbage", insert(payload(64)), ("unexpected_message", "decode_error", "record_overflow"), PROTOCOL),
    ("preceded by HTTP", insert(b"GET / HTTP/1.1\r\n\r\n"), TOLD, PROTOCOL),
    ("preceded by a header of 16641 bytes", insert(record(APPLICATION, b"", length=16641)),
     ("record_overflow",), PROTOCOL),
    ("preceded by a header of 65535 bytes", insert(record(APPLICATION, b"", length=65535)),
     ("record_overflow",), PROTOCOL),
    ("with the type of a handshake record", retype(HANDSHAKE), ("unexpected_message", "record_overflow"), PROTOCOL),
    ("with the type of an alert", retype(ALERT), ("unexpected_message", "record_overflow"), PROTOCOL),
    ("with version 2.0", reversion(0x0200), ("protocol_version", "decode_error", "unexpected_message"), PROTOCOL),
    ("with version 3.1", reversion(0x0301), ("bad_record_mac", "protocol_version"), f"{MAC}|{PROTOCOL}"),
    ("one byte shorter by its header", relength(-1), ("bad_record_mac",), MAC),
    ("one byte longer by its header", relength(1), ("bad_record_mac",), MAC),
    ("cut in two records", splice, ("bad_record_mac",), MAC),
    ("replaced by an unprotected farewell and FIN", truncate_then_forge, TOLD, PROTOCOL),
)


def deliver(port, stream):
    client, _ = transmit(port, PIECES, stream)
    return client.verdict()


def judge(backend, make, alerts, sentence, delivered=BEFORE):
    """Once into a file, for what is left of it; once into a pipe, for what was delivered."""
    received = scratch(".received")
    for out in (received, "-"):
        server = Server("recv", "--once", "--json", "--out", out, "--backend", backend)
        verdict = deliver(server.port, make())
        said = server.finish(DATA)
        check(re.search(sentence, said), f"does not say /{sentence}/: {said}")
        check(verdict in alerts, f"the peer was told {verdict}, not one of {alerts}")
        if out == "-":
            with open(server.out_path, "rb") as file:
                got = file.read()
            check(got == delivered, f"{len(got)} bytes were delivered, {len(delivered)} were whole before the fault")
        else:
            no_trace(received)
        check(server.json()["bytes"] == len(delivered), server.json())


def fault(backend, act, alerts, sentence):
    judge(backend, lambda: Records(Change(act)), alerts, sentence)


def repeated(backend):
    """The first copy is the real one."""
    judge(backend, lambda: Records(Change(lambda change, whole: whole + whole)), ("bad_record_mac",), MAC,
          BEFORE + PIECES[CUT_AT])


def swapped(backend):
    judge(backend, lambda: Records(Swap()), ("bad_record_mac",), MAC)


def first_record(backend):
    """The very first after the handshake, at the hand-over."""
    judge(backend, lambda: Records(Change(drop, FIRST)), ("bad_record_mac",), MAC, b"")
    judge(backend, lambda: Records(Change(insert(record(CCS, b"\1")), FIRST)), ("unexpected_message",), PROTOCOL, b"")


def last_record(backend):
    """The farewell is dropped, and TCP ends as if nothing were missing."""
    judge(backend, lambda: Records(Change(drop, FIRST + len(PIECES))), ("nothing",), TRUNCATED, b"".join(PIECES))


def in_handshake(backend):
    """Before any key: plaintext where the Finished should be, an alert, payload."""
    forged_finished = record(HANDSHAKE, b"\x14\0\0\x20" + bytes(32))
    for extra in (record(APPLICATION, b"early"), record(ALERT, b"\2\x28"), forged_finished, record(99, b"x"),
                  record(HANDSHAKE, b""), payload(64)):
        received = scratch(".received")
        server = Server("recv", "--once", "--json", "--out", received, "--backend", backend, "--handshake-timeout", "2")
        deliver(server.port, Records(Change(insert(extra), 1)))
        server.finish(TLS, DATA)
        no_trace(received)
        check(server.json()["bytes"] == 0, server.json())


def tolerated(backend):
    """RFC 8446 5 and D.4: up to its Finished a client may send change_cipher_spec as it likes; versions are ignored."""
    server = Server("recv", "--once", "--json", "--backend", backend)

    def change(index, whole):
        if index == 1:
            return 3 * record(CCS, b"\1") + whole
        return whole[:1] + b"\3\1" + whole[3:] if index == 0 else whole
    verdict = deliver(server.port, Records(change))
    server.finish(DONE)
    check(verdict == "close_notify" and server.json()["bytes"] == sum(map(len, PIECES)), verdict, server.json())


def after_farewell(backend):
    """What follows a close_notify is nobody's business (6.1), and spoils nothing."""
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend)
    deliver(server.port, Records(Change(lambda change, whole: whole + payload(3000), FIRST + len(PIECES))))
    server.finish(DONE)
    with open(received, "rb") as file:
        check(file.read() == b"".join(PIECES), "not what was sent")


def main():
    cases = Cases()
    for backend in BACKENDS:
        for name, act, alerts, sentence in FAULTS:
            cases.add(f"a record {name}, {backend}", fault, backend, act, alerts, sentence)
        cases.add(f"a record repeated at once, {backend}", repeated, backend)
        cases.add(f"two records swapped, {backend}", swapped, backend)
        cases.add(f"the first record after the handshake, {backend}", first_record, backend)
        cases.add(f"the farewell dropped, {backend}", last_record, backend)
        cases.add(f"records inserted in the handshake, {backend}", in_handshake, backend)
        cases.add(f"change_cipher_spec and versions that are allowed, {backend}", tolerated, backend)
        cases.add(f"bytes after the farewell, {backend}", after_farewell, backend)
    cases.run()


main()
