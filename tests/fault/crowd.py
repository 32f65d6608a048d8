#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A thousand connections to one zcrx-tls: some talk TLS, many are silent or talk rubbish. A real transfer succeeds
among them, and afterwards nothing is left."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from wire import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

CROWD = 1000
REAL = 250
TRANSFER = 32 * MIB
RUBBISH = (b"", b"\x16\3\1\0\x05", b"GET / HTTP/1.1\r\n\r\n", payload(300, 7))


def descriptors(wanted):
    got = raise_descriptor_limit(wanted)
    if got < wanted:
        raise Skipped(f"at most {got} descriptors a process, {wanted} are needed")


def open_descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def rabble(port, number):
    socks = []
    for index in range(number):
        sock = socket.create_connection((LOOPBACK[4], port), LIMIT)
        sock.sendall(RUBBISH[index % len(RUBBISH)])
        socks.append(sock)
    return socks


def settled(server, connections, failed):
    reports = Reports(server)
    wait_until(lambda: len(reports.poll()) == connections, "a report for each connection", 40)
    bad = [line for line in reports.lines if ": failed: " in line]
    check(len(bad) == failed, f"{len(bad)} failed, not {failed}", *bad[:5])


def all_at_once(backend, command):
    """Room for everybody."""
    descriptors(3 * CROWD)
    folder = scratch(".d")
    os.mkdir(folder)
    out = ("--out", folder) if command == "recv" else ()
    server = Server(command, *out, "--json", "--backend", backend, "--max-connections", CROWD + 10,
                    "--handshake-timeout", "3")
    idle_descriptors = open_descriptors(server)
    talkers = []
    socks = rabble(server.port, CROWD - REAL)
    for number in range(REAL):
        client = Client(server.port).handshake()
        client.write(payload(1000, number))
        talkers.append(client)
    begin = time.monotonic()
    sender = send(server.address, payload_file(TRANSFER))
    sender.finish(DONE)
    took = time.monotonic() - begin
    for number, client in enumerate(talkers):
        if command == "echo":
            check(client.read(1000) == payload(1000, number), f"the echo of connection {number}")
        client.farewell()
    for client in talkers:
        check(client.verdict() == "close_notify", "a talker was not answered")
    settled(server, CROWD + 1, CROWD - REAL)
    check(took < 30, f"the transfer took {took:.0f} s")
    for sock in socks:
        sock.close()
    wait_until(lambda: open_descriptors(server) == idle_descriptors, "descriptors are left open")
    server.stop()
    summary = server.json()
    check(summary["connections"] == CROWD + 1 and summary["connections_failed"] == CROWD - REAL, summary)
    check(summary["bytes"] == TRANSFER + REAL * 1000, summary)
    if command == "recv":
        sizes = sorted(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
        check(sizes == [1000] * REAL + [TRANSFER], f"{len(sizes)} files")


def few_slots(backend):
    """Room for eight: the others wait in the kernel, and the silent ones are shown out one time limit after another."""
    server = Server("recv", "--json", "--backend", backend, "--max-connections", "8", "--handshake-timeout", "1")
    socks = rabble(server.port, 40)
    sender = send(server.address, payload_file(TRANSFER), "--handshake-timeout", "30")
    sender.finish(DONE)
    settled(server, 41, 40)
    for sock in socks:
        sock.close()
    server.stop()


def few_descriptors(backend):
    """More peers than descriptors: they wait, nothing dies, and it works again when there is room."""
    server = Server("recv", "--json", "--backend", backend, "--max-connections", "200", "--handshake-timeout", "1",
                    before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    socks = rabble(server.port, 150)
    sender = send(server.address, payload_file(TRANSFER), "--handshake-timeout", "30")
    sender.finish(DONE)
    for sock in socks:
        sock.close()
    send(server.address, payload_file(1)).finish(DONE)
    server.stop()


def come_and_go(backend):
    """A thousand short lives one after the other leave no memory and no descriptor behind."""
    server = Server("echo", "--json", "--backend", backend)
    idle_descriptors = open_descriptors(server)

    def live(rounds):
        for number in range(rounds):
            client = Client(server.port)
            if number % 3:
                client.handshake().write(b"hello")
                check(client.read(5) == b"hello", "the echo")
            if number % 3 == 1:
                client.farewell()
                client.verdict()
            else:
                end(client.sock, RST)
    live(200)
    wait_until(lambda: len(server.lines()) == 200, "reports")
    before = vm_hwm(server.pid)
    live(1000)
    wait_until(lambda: len(server.lines()) == 1200, "reports")
    resident_at_most(vm_hwm(server.pid), before + MIB, "it grew with the connections")
    # A report comes a moment before its connection is closed.
    wait_until(lambda: open_descriptors(server) == idle_descriptors, "descriptors are left open")
    server.stop()


def main():
    cases = Cases(seconds=120)
    for backend in BACKENDS:
        for command in ("recv", "echo") if FULL or backend == "copy" else ("recv",):
            cases.add(f"{CROWD} connections at once, {command}, {backend}", all_at_once, backend, command)
        cases.add(f"more connections than slots, {backend}", few_slots, backend)
        cases.add(f"more connections than descriptors, {backend}", few_descriptors, backend)
        cases.add(f"1200 connections one after the other, {backend}", come_and_go, backend)
    cases.run()


main()
