#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Readers that do not read, and streams that arrive a byte a segment: the slow one stalls itself and nobody else,
memory stays bounded, nothing is lost."""
import hashlib
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from wire import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

DRIBBLED = 1 * MIB if FULL else 200 * KIB
LARGE = 64 * MIB
AREA = 4 * MIB
OVERHEAD = 16 * MIB


class SlowReader:
    """A TLS server that accepts one connection and reads when told to."""

    def __init__(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(SERVER.cert, SERVER.key)
        self.listener = socket.create_server((LOOPBACK[4], 0))
        self.address = f"localhost:{self.listener.getsockname()[1]}"
        self.ready, self.may_read = threading.Event(), threading.Event()
        self.digest, self.size, self.context = hashlib.sha256(), 0, context
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        sock, _ = self.listener.accept()
        sock.settimeout(LIMIT)
        try:
            tls = self.context.wrap_socket(sock, server_side=True)
            self.ready.set()
            self.may_read.wait(LIMIT)
            while data := tls.recv(65536):
                self.digest.update(data)
                self.size += len(data)
            tls.unwrap()
        except OSError:
            pass
        sock.close()


def sender_gives_up(backend):
    """A receiver that never reads: the sender's limit ends it, and it never held much of the file."""
    reader = SlowReader()
    sender = send(reader.address, payload_file(LARGE), "--json", "--backend", backend, "--area-size", AREA,
                  "--idle-timeout", "1")
    check(reader.ready.wait(LIMIT), "no handshake", *sender.tail())
    said = sender.finish(NETWORK)
    check("idle" in said or "took nothing" in said, said)
    resident_at_most(sender.json()["peak_rss_bytes"], AREA + OVERHEAD, sender.json())
    reader.may_read.set()


def sender_waits(backend):
    """A receiver that reads late gets everything."""
    reader = SlowReader()
    sender = send(reader.address, payload_file(LARGE), "--json", "--backend", backend, "--area-size", AREA)
    check(reader.ready.wait(LIMIT), "no handshake", *sender.tail())
    time.sleep(0.5)
    check(sender.running(), "ended before anybody read", *sender.tail())
    reader.may_read.set()
    sender.finish(DONE)
    reader.thread.join(LIMIT)
    check(reader.size == LARGE and reader.digest.digest() == hashlib.sha256(payload(LARGE)).digest(), reader.size)
    resident_at_most(sender.json()["peak_rss_bytes"], AREA + OVERHEAD, sender.json())


def push(client, data, seconds):
    """Sends what is taken while somebody takes it; returns how much that was."""
    client.sock.setblocking(False)
    done, still = 0, time.monotonic()
    while done < len(data) and time.monotonic() - still < seconds:
        try:
            done += client.sock.send(data[done:done + 65536])
            still = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    client.sock.settimeout(LIMIT)
    return done


def echo_to_a_deaf_client(backend):
    """It talks and does not listen, until its own sending is stopped. Another client is served meanwhile; then it
    listens, and has lost nothing."""
    server = Server("echo", "--json", "--backend", backend, "--max-connections", "4", "--area-size", AREA)
    client = Client(server.port).handshake()
    data = payload(LARGE)
    for at in range(0, len(data), 16384):
        client.tls.write(data[at:at + 16384])
    cipher = client.outgoing.read()
    done = push(client, cipher, 1)
    check(done < len(cipher), f"all of {len(cipher)} bytes were taken from a client that reads nothing")
    resident_at_most(vm_hwm(server.pid), AREA + OVERHEAD)
    other = Client(server.port).handshake()
    other.write(data[:MIB // 2])
    check(other.read(MIB // 2) == data[:MIB // 2], "the other client's echo")
    other.farewell()
    check(other.verdict() == "close_notify", "the other client's farewell")

    rest = threading.Thread(target=lambda: client.sock.sendall(cipher[done:]), daemon=True)
    rest.start()
    check(client.read(LARGE) == data, "what came back is not what was sent")
    rest.join(LIMIT)
    client.farewell()
    check(client.verdict() == "close_notify", "no farewell")
    reports = Reports(server)
    check("failed" not in reports.next() + reports.next(), *server.lines())
    server.stop()


def dribble(backend, *args):
    """A byte a segment, each in a buffer of its own, while a large transfer passes on the same engine."""
    folder = scratch(".d")
    os.mkdir(folder)
    server = Server("recv", "--json", "--out", folder, "--backend", backend, *args)
    proxy = Proxy(server.port, piece=1)
    with open(payload_file(DRIBBLED), "rb") as file:
        slow = s_client(proxy.address, "-tls1_3", "-servername", "localhost", stdin=file)
    wait_until(lambda: os.listdir(folder), "no connection")
    send(server.address, payload_file(LARGE)).finish(DONE)
    reports = Reports(server)
    first = reports.next()
    slow.succeed()
    second = reports.next()
    check("failed" not in first + second, first, second)
    same_files(os.path.join(folder, "000001"), payload_file(DRIBBLED))
    same_files(os.path.join(folder, "000002"), payload_file(LARGE))
    proxy.close()
    server.stop()
    resident_at_most(server.json()["peak_rss_bytes"], 64 * 8 * 64 * KIB + OVERHEAD, server.json())


def dribbled_answers(backend):
    """The client's side of it: the server's handshake, tickets and farewell a byte a segment."""
    server = Server("echo", "--once", "--backend", backend)
    proxy = Proxy(server.port, piece=1)
    sender = send(proxy.address, payload_file(20000), "--json", "--backend", backend)
    sender.finish(DONE)
    server.finish(DONE)
    check(sender.json()["bytes_returned"] == 20000, sender.json())
    proxy.close()


def main():
    cases = Cases(seconds=120)
    for backend in BACKENDS:
        cases.add(f"zcrx-tls send to a reader that never reads, {backend}", sender_gives_up, backend)
        cases.add(f"zcrx-tls send to a reader that reads late, {backend}", sender_waits, backend)
        cases.add(f"zcrx-tls echo to a client that reads late, {backend}", echo_to_a_deaf_client, backend)
        cases.add(f"a byte a segment beside a large transfer, {backend}", dribble, backend)
        cases.add(f"a byte a segment in little memory, {backend}", dribble, backend, "--max-connections", "2",
                  "--buffer-size", "4K")
        cases.add(f"a byte a segment to zcrx-tls send, {backend}", dribbled_answers, backend)
    cases.run()


main()
