#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A byte stream that ends, breaks or is damaged anywhere: in the handshake, in a header, in a body, between records.
What was delivered is a prefix of the truth, a file that is not whole never gets its name, and the reason is told."""
import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from wire import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

PIECES = (payload(16384, 1), payload(16384, 2), payload(1, 3), payload(5000, 4))
WHOLE = b"".join(PIECES)
STEP = 1 if FULL else 7


class Layout:
    """Where what stands in the stream that the client sends; the same in every run."""

    def __init__(self, port):
        client, _ = transmit(port, PIECES)
        check(client.verdict() == "close_notify", "an undisturbed run failed")
        self.size = len(client.sent)
        self.records = []  # offset, size
        at = 0
        while at < self.size:
            size = HEADER + struct.unpack(">H", client.sent[at + 3:at + 5])[0]
            self.records.append((at, size))
            at += size
        # ClientHello, change_cipher_spec, Finished; then payload; then close_notify.
        self.payload_at = self.records[3][0]
        self.farewell_at = self.records[-1][0]

    def interesting(self):
        """Every byte around every boundary, and one here and there between them."""
        offsets = set(range(0, self.size, 2011))
        for at, size in self.records:
            for edge in (at, at + HEADER, at + size):
                offsets.update(range(edge - 2, edge + 3))
        return sorted(offset for offset in offsets if 0 <= offset < self.size)


class Receiver:
    """A server that takes many connections into a folder, its reports, and what its client sends."""

    def __init__(self, backend):
        self.folder = scratch(".d")
        os.mkdir(self.folder)
        self.server = Server("recv", "--json", "--out", self.folder, "--backend", backend, "--handshake-timeout", "1",
                             "--idle-timeout", "2")
        self.reports = Reports(self.server)
        self.layout = Layout(self.server.port)
        self.expect_whole("an undisturbed run")

    def expect_whole(self, what):
        report = self.reports.next()
        check("failed" not in report, f"{what}: {report}")
        path = report.rsplit(", ", 1)[1]
        with open(path, "rb") as file:
            check(file.read() == WHOLE, f"{what}: the file is not what was sent")
        os.remove(path)

    def expect_failure(self, what, *reasons):
        report = self.reports.next()
        check(any(re.search(": failed: .*" + reason, report) for reason in reasons), f"{what}: {report}",
              f"expected one of: {reasons}")
        check(not os.listdir(self.folder), f"{what}: left behind {os.listdir(self.folder)}")

    def end(self):
        """It has seen everything, and still works."""
        client, _ = transmit(self.server.port, PIECES)
        check(client.verdict() == "close_notify", "the server does not work any more")
        self.expect_whole("at the end")
        self.server.stop()


CLOSED, TRUNCATED = "during the handshake", "without close_notify"
BROKEN = f"reset|sending failed|{TRUNCATED}|{CLOSED}"
DAMAGED = f"authentication|header|unprotected|breaks the protocol|{TRUNCATED}"


def cut_everywhere(backend, how):
    receiver = Receiver(backend)
    layout = receiver.layout
    for at in layout.interesting():
        client, ended = transmit(receiver.server.port, PIECES, Cut(at, how))
        check(ended, f"{how} at {at}: the server ended first")
        if how == RST:
            receiver.expect_failure(f"RST at {at}", BROKEN)
        else:
            check(client.verdict() != "close_notify", f"FIN at {at}: answered as if it were an end")
            receiver.expect_failure(f"FIN at {at}", CLOSED if at < layout.payload_at else TRUNCATED)
    receiver.end()


def flip(receiver, at):
    """Whole, or nothing and a reason. Only the version of an unprotected record's header is nobody's business."""
    client, _ = transmit(receiver.server.port, PIECES, Flip(at, 1 << at % 8))
    verdict = client.verdict()
    report = receiver.reports.next()
    if "failed" not in report:
        harmless = any(start + 1 <= at <= start + 2 for start, _ in receiver.layout.records[:3])
        check(harmless, f"bit {at % 8} of byte {at} inverted, and nobody noticed: {report}")
        os.remove(report.rsplit(", ", 1)[1])
        return verdict
    check(len(report.split(": failed: ", 1)[1]) > 10, f"no reason: {report}")
    check(not os.listdir(receiver.folder), f"byte {at}: left behind {os.listdir(receiver.folder)}")
    return report


def flip_in_handshake(backend):
    receiver = Receiver(backend)
    for at in range(0, receiver.layout.payload_at, STEP):
        flip(receiver, at)
    receiver.end()


def flip_in_payload(backend):
    """Headers byte by byte, bodies and tags at their ends and here and there."""
    receiver = Receiver(backend)
    layout = receiver.layout
    offsets = {at for at in layout.interesting() if at >= layout.payload_at}
    for at, _ in layout.records[3:]:
        offsets.update(range(at, at + HEADER))
    for at in sorted(offsets):
        report = flip(receiver, at)
        in_header = any(start <= at < start + HEADER for start, _ in layout.records)
        if not in_header:
            check("failed authentication" in report, f"byte {at} of a body: {report}")
        else:
            check(re.search(DAMAGED, report),
                  f"byte {at} of a header: {report}")
    receiver.end()


# ---------------------------------------------------------------------------------------------- other programs' streams

SIZE = 300000


def openssl_sender(address):
    with open(payload_file(SIZE), "rb") as file:
        return s_client(address, "-tls1_3", stdin=file)


def own_sender(address):
    return send(address, payload_file(SIZE), "--idle-timeout", "2")


def once(backend, sender, stream, codes, sentence, _least=0):
    """--once through a proxy that damages: exit code by kind, a sentence, and no file."""
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend, "--handshake-timeout", "1",
                    "--idle-timeout", "2")
    proxy = Proxy(server.port, stream)
    process = sender(proxy.address)
    said = server.finish(*codes)
    check(re.search(sentence, said), f"does not say /{sentence}/: {said}")
    no_trace(received)
    if isinstance(process, Zcrx):
        process.finish(NETWORK, TLS, DATA)
    else:
        process.wait()
    proxy.close()


def prefix(backend, sender, stream, codes, sentence, least=0):
    """The same to standard output: what came out is a prefix of the truth, and all that arrived whole before."""
    server = Server("recv", "--json", "--out", "-", "--backend", backend, "--handshake-timeout", "1",
                    "--idle-timeout", "2")
    proxy = Proxy(server.port, stream)
    process = sender(proxy.address)
    said = server.finish(*codes)
    check(re.search(sentence, said), f"does not say /{sentence}/: {said}")
    with open(server.out_path, "rb") as file:
        delivered = file.read()
    check(payload(SIZE).startswith(delivered) and len(delivered) < SIZE, f"{len(delivered)} bytes, not a prefix")
    check(len(delivered) >= least, f"{len(delivered)} bytes, though more than {least} arrived")
    check(server.json()["bytes"] == len(delivered), server.json(), len(delivered))
    process.wait()
    proxy.close()


def through_proxy(backend, sender, judge):
    for at in (0, 3, 100):
        judge(backend, sender, lambda at=at: Cut(at, FIN), (NETWORK,), CLOSED)
    for at in (4000, 9000, 100000, SIZE):
        least = max(0, at - 20000)  # the handshake, and a record that is not whole
        judge(backend, sender, lambda at=at: Cut(at, FIN), (DATA,), TRUNCATED, least)
        judge(backend, sender, lambda at=at: Cut(at, RST), (NETWORK, DATA), BROKEN)
        judge(backend, sender, lambda at=at: Flip(at, 0x10), (DATA,), DAMAGED, least)


def damage_to_sender(backend):
    """The other direction: a sender must not take a damaged or missing answer for a receiver's consent."""
    for stream, codes in ((lambda: Cut(0, FIN), (NETWORK,)), (lambda: Cut(500, FIN), (NETWORK,)),
                          (lambda: Cut(500, RST), (NETWORK,)), (lambda: Flip(70, 1), (TLS, DATA)),
                          (lambda: Flip(300, 1), (TLS, DATA)), (lambda: Flip(900, 1), (TLS, DATA))):
        server = Server("recv", "--once", "--backend", backend, "--handshake-timeout", "1", "--idle-timeout", "2")
        proxy = Proxy(server.port, down=stream)
        sender = send(proxy.address, payload_file(SIZE), "--idle-timeout", "2", "--handshake-timeout", "2", "--json")
        sender.finish(*codes)
        check(sender.json()["error"], sender.json())
        server.wait()
        proxy.close()


def no_farewell_to_sender(backend):
    """Everything after our handshake but the farewell: the last record is held back."""
    last = []

    def keep(index, whole):
        last.append(index)
        return b"" if len(whole) == HEADER + 2 + 1 + 16 else whole
    server = Server("recv", "--once", "--backend", backend)
    proxy = Proxy(server.port, down=lambda: Records(keep))
    sender = send(proxy.address, payload_file(SIZE))
    said = sender.finish(DATA)
    check(re.search("close_notify|did not confirm", said), said)
    server.finish(DONE)


def main():
    cases = Cases(seconds=120)
    for backend in BACKENDS:
        for how in (FIN, RST):
            cases.add(f"{how} at every kind of place, {backend}", cut_everywhere, backend, how)
        cases.add(f"one bit inverted in the handshake, {backend}", flip_in_handshake, backend)
        cases.add(f"one bit inverted in records, {backend}", flip_in_payload, backend)
        for name, sender in (("openssl s_client", openssl_sender), ("zcrx-tls send", own_sender)):
            for what, judge in (("exit codes", once), ("prefix", prefix)):
                cases.add(f"{name} through a proxy that cuts and damages, {what}, {backend}", through_proxy, backend,
                          sender, judge)
        cases.add(f"zcrx-tls send gets a damaged answer, {backend}", damage_to_sender, backend)
        cases.add(f"zcrx-tls send gets no farewell, {backend}", no_farewell_to_sender, backend)
    cases.run()


main()
