#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peers that do not speak TLS, say nothing, or take their time; and servers of that kind before zcrx-tls send. Each
costs a bounded time and a sentence, and harms nobody else."""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from wire import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

SIZE = 200000
SSLV2_HELLO = bytes.fromhex("802e0103010015000000100000040000080000050000390000350000160000130000") + payload(16)
STRANGERS = (
    ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    ("an SSL 2 hello", SSLV2_HELLO),
    ("zeros", bytes(1000)),
    ("random bytes", payload(5000, 9)),
    ("a ClientHello of random bytes", record(HANDSHAKE, b"\1\0\1\0" + payload(256))),
    ("a ClientHello that says it is 16 MiB", record(HANDSHAKE, b"\1\xff\xff\xff" + bytes(16000))),
    ("a ServerHello", record(HANDSHAKE, b"\2\0\0\x26\3\3" + payload(32) + b"\0\x13\1\0")),
    ("an alert", record(ALERT, b"\2\x28")),
    ("change_cipher_spec", record(CCS, b"\1")),
    ("100 change_cipher_spec", 100 * record(CCS, b"\1")),
    ("payload", record(APPLICATION, payload(100))),
    ("an empty handshake record", record(HANDSHAKE, b"")),
)


def raw(port, data=b""):
    sock = socket.create_connection((LOOPBACK[4], port), LIMIT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(data)
    return sock


def drain(sock):
    """Until the server's end of whatever kind; how long that took."""
    begin = time.monotonic()
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    except socket.timeout:
        raise Failed(f"the server keeps a stranger for more than {LIMIT:.0f} s") from None
    sock.close()
    return time.monotonic() - begin


def stranger_once(backend, data):
    """--once: its fate is the exit code, and there is no file."""
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend, "--handshake-timeout", "1")
    drain(raw(server.port, data))
    server.finish(NETWORK, TLS, DATA)
    no_trace(received)
    check(server.json()["bytes"] == 0 and server.json()["error"], server.json())


def strangers_together(backend, command):
    """All of them at a server that goes on, with a real transfer between them."""
    folder = scratch(".d")
    os.mkdir(folder)
    server = Server(command, "--json", *(("--out", folder) if command == "recv" else ()), "--backend", backend,
                    "--handshake-timeout", "1")
    strangers = [raw(server.port, data) for _, data in STRANGERS]
    silent = [raw(server.port) for _ in range(5)]
    for _ in range(5):
        raw(server.port).close()
        end(raw(server.port, b"\x16\3\1"), RST)
    sender = send(server.address, payload_file(SIZE))
    sender.finish(DONE)
    for sock in strangers + silent:
        drain(sock)
    reports, count = Reports(server), len(STRANGERS) + 5 + 10 + 1
    wait_until(lambda: len(reports.poll()) == count, f"{count} reports")
    good = [line for line in reports.lines if "failed" not in line]
    check(len(good) == 1, *good)
    server.stop()
    if command == "recv":
        check(len(os.listdir(folder)) == 1, os.listdir(folder))
        same_files(os.path.join(folder, os.listdir(folder)[0]), payload_file(SIZE))
    check(server.json()["connections"] == count and server.json()["connections_failed"] == count - 1, server.json())


def silent_once(backend, data):
    """Connects, says a little or nothing, and waits: the limit ends it, not before and not much later."""
    received = scratch(".received")
    server = Server("recv", "--once", "--out", received, "--backend", backend, "--handshake-timeout", "1")
    took = drain(raw(server.port, data))
    said = server.finish(NETWORK)
    check("handshake" in said, said)
    check(0.8 <= took <= 8, f"{took:.1f} s, with a limit of 1 s")
    no_trace(received)


def slow_hello(backend):
    """Slowloris: a byte now and then is a sign of life, but no handshake."""
    server = Server("recv", "--once", "--backend", backend, "--handshake-timeout", "1")
    client = Client(server.port)
    try:
        client.tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello, begin = client.outgoing.read(), time.monotonic()
    try:
        for at in range(len(hello)):
            client.raw(hello[at:at + 1])
            if readable(client.sock, 0.05) and not client.sock.recv(1000):
                break
    except ConnectionError:
        pass
    check(time.monotonic() - begin < 8, "a slow handshake is not limited")
    check("handshake" in server.finish(NETWORK), server.err)
    client.close()


def half_a_record(backend, pace):
    """After the handshake: half a record, then nothing (or a byte now and then, which is no payload)."""
    received = scratch(".received")
    server = Server("recv", "--once", "--out", received, "--backend", backend, "--idle-timeout", "1")
    client = Client(server.port).handshake()
    client.write(payload(100))
    client.tls.write(payload(16384))
    half, begin = client.outgoing.read()[:8000], time.monotonic()
    client.raw(half[:4000])
    try:
        for at in range(4000, 8000):
            if readable(client.sock, 0.05) and not client.sock.recv(65536):
                break
            if pace:
                client.raw(half[at:at + 1])
            check(time.monotonic() - begin < 8, "half a record is not limited")
    except ConnectionError:
        pass
    said = server.finish(NETWORK)
    check("idle" in said, said)
    no_trace(received)
    client.close()


def slow_but_steady(backend):
    """What is slower than one would like, but moves, is left alone."""
    received = scratch(".received")
    server = Server("recv", "--once", "--out", received, "--backend", backend, "--idle-timeout", "1",
                    "--handshake-timeout", "1")
    client = Client(server.port).handshake()
    for number in range(5):
        client.write(payload(1000, number))
        time.sleep(0.4)
    client.farewell()
    check(client.verdict() == "close_notify", "not answered")
    server.finish(DONE)
    check(os.path.getsize(received) == 5000, os.path.getsize(received))


def handshake_only(backend):
    """A peer that says hello and goodbye has sent an empty file; one that just goes has sent none."""
    for farewell in (True, False):
        received = scratch(".received")
        server = Server("recv", "--once", "--out", received, "--backend", backend)
        client = Client(server.port).handshake()
        if farewell:
            client.farewell()
        check((client.verdict() == "close_notify") == farewell, "the server's end")
        if farewell:
            server.finish(DONE)
            check(os.path.getsize(received) == 0, "not empty")
        else:
            check("close_notify" in server.finish(DATA), server.err)
            no_trace(received)


# ---------------------------------------------------------------------------------------------- before zcrx-tls send

def strange_server(answer, codes, sentence):
    """A listener that answers every connection with `answer` and waits, or closes at once if that is None."""
    listener = socket.create_server((LOOPBACK[4], 0))
    sender = send(f"localhost:{listener.getsockname()[1]}", payload_file(SIZE), "--json", "--handshake-timeout", "1")
    listener.settimeout(LIMIT)
    sock, _ = listener.accept()
    if answer is None:
        sock.close()
    else:
        sock.sendall(answer)
    said = sender.finish(*codes)
    check(re.search(sentence, said), f"does not say /{sentence}/: {said}")
    check(sender.json()["error"] == said, sender.json())
    sock.close()
    listener.close()


def main():
    cases = Cases()
    for backend in BACKENDS:
        for name, data in STRANGERS:
            cases.add(f"{name} instead of TLS, {backend}", stranger_once, backend, data)
        for command in ("recv", "echo"):
            cases.add(f"all of them at once and a real transfer, {command}, {backend}", strangers_together, backend,
                      command)
        cases.add(f"a silent peer, {backend}", silent_once, backend, b"")
        cases.add(f"a peer silent after three bytes, {backend}", silent_once, backend, b"\x16\3\1")
        cases.add(f"a hello of one byte now and then, {backend}", slow_hello, backend)
        cases.add(f"half a record and silence, {backend}", half_a_record, backend, False)
        cases.add(f"half a record and a byte now and then, {backend}", half_a_record, backend, True)
        cases.add(f"slow but steady, {backend}", slow_but_steady, backend)
        cases.add(f"a handshake and nothing else, {backend}", handshake_only, backend)
    for name, answer, codes, sentence in (
            ("is silent", b"", (NETWORK,), "handshake"), ("closes at once", None, (NETWORK,), "handshake|reset|closed"),
            ("speaks HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", (TLS, DATA), "TLS"),
            ("speaks SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n", (TLS, DATA), "TLS"),
            ("sends an alert", record(ALERT, b"\2\x28"), (TLS,), "handshake_failure"),
            ("sends payload", record(APPLICATION, payload(100)), (TLS, DATA), "."),
            ("sends random bytes", payload(3000, 5), (TLS, DATA), "TLS")):
        cases.add(f"a server that {name}", strange_server, answer, codes, sentence)
    cases.run()


main()
