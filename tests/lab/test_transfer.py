#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""TLS 1.3 through the virtual NIC into registered memory, opened in place: every byte right, not one of them copied.
Three parties must agree on that: the NIC (no payload outside net_iovs on the queue), the kernel (its copy statistics)
and the library (its ledger)."""
import hashlib
import json
import os
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from scene import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

# IPv4 and TCP with timestamps: with this MTU a segment is a page.
MTU_PAGE = 4096 + 20 + 20 + 12
MTUS = (1500, MTU_PAGE, 9000)
BUFFERS = (4, 32)
# Pages of 2 MiB: memory for the area of 64 connections in pieces as long as their buffers.
HUGE_PAGES = 256
CONNECTIONS = (1, 8, 64)
WIRES = {
    "clean": {},
    "loss": {"loss": "0.5%"},
    "reorder": {"reorder": "2%"},
    "corrupt": {"corrupt": "0.5%"},
    "all": {"loss": "0.2%", "reorder": "1%", "duplicate": "1%", "corrupt": "0.2%", "delay": "100us"},
}


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(file.read()).hexdigest()


def nothing_copied(before, after, summary, total):
    """`total`: payload of all connections together."""
    rx = f"rx{QUEUE}_"
    split = moved(before, after, rx + "payload_netmem")
    check(split >= total, f"the NIC put {split} bytes into net_iovs, fewer than the {total} of the payload")
    for place in ("payload_page", "payload_linear"):
        check(not moved(before, after, rx + place), f"{rx}{place}: {moved(before, after, rx + place)} bytes")
    check(summary["backend"] == "zcrx", summary)
    check(summary["bytes"] == summary["bytes_opened_in_place"] == total, summary)
    check(summary["bytes_kernel_copied"] == 0 and summary["bytes_user_copied"] == 0, summary)
    check(summary["bytes_zero_copy"] == summary["bytes_received"] > total, summary)


def reserve_huge_pages(count):
    with open("/proc/sys/vm/nr_hugepages", "w", encoding="ascii") as file:
        file.write(str(count))
    reserved = int(read_text("/proc/sys/vm/nr_hugepages"))
    check(reserved >= count, f"only {reserved} huge pages of {count} could be reserved")


def buffer_length():
    """The kernel's word on the queue's buffers: shorter ones would do, and a transfer alone would not tell."""
    nic = json.loads(must(SZC_NIC, "show", NEAR.name, "--json"))["interfaces"][0]
    return nic["queues"][QUEUE]["rx_buf_len"]


def transfer(size, mtu, buffer_kib, connections, impairments, family=4):
    set_mtu(mtu)
    reserve_huge_pages(HUGE_PAGES if buffer_kib > 4 else 0)
    share = size // connections
    path = payload_file(share)
    folder = scratch(".d")
    os.mkdir(folder)
    server = NicServer("recv", "--out", folder, "--json", "--buffer-size", f"{buffer_kib}K", "--max-connections",
                       connections, family=family)
    check(buffer_length() == buffer_kib * 1024, f"buffers have {buffer_length()} bytes")
    with Wire(**impairments):
        before = NEAR.counters()
        senders = [peer_send(server, path) for _ in range(connections)]
        for sender in senders:
            sender.succeed(seconds=280)
        server.stop()
        after = NEAR.counters()
    nothing_copied(before, after, server.json(), share * connections)
    expected = sha256(path)
    names = sorted(os.listdir(folder))
    check(len(names) == connections, f"{len(names)} files from {connections} connections", *names)
    for name in names:
        check(sha256(os.path.join(folder, name)) == expected, f"{name} is not what was sent")
        os.remove(os.path.join(folder, name))
    check(not NEAR.violations(), NEAR.violations())


def echo_client(host, port, total, piece=1 << 16):
    context = ssl.create_default_context(cafile=CA.cert)
    with socket.create_connection((host, port), HANDSHAKE) as plain, \
            context.wrap_socket(plain, server_hostname=host) as connection:
        for number in range(total // piece):
            sent = os.urandom(piece)
            connection.sendall(sent)
            back = b""
            while len(back) < piece:
                got = connection.recv(piece - len(back))
                check(got, f"it ended after {number} pieces")
                back += got
            check(back == sent, f"piece {number} came back as another")
        connection.unwrap()
    return 0


def echo_is_sealed_by_the_kernel(total):
    """Both ways at once on a NIC's queue: opened in place, and sealed by the kernel."""
    set_mtu(1500)
    server = NicServer("echo", "--once", "--json")
    host = NEAR.address(4)
    child = traffic.in_child(PEER, lambda: echo_client(host, server.port, total))
    check(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the client failed", *server.tail())
    server.finish(DONE, seconds=120)
    summary = server.json()
    check(summary["backend"] == "zcrx" and summary["sending"] == "ktls", summary)
    check(summary["bytes"] == summary["bytes_opened_in_place"] == total, summary)
    check(summary["bytes_kernel_copied"] == 0, summary)


def cases():
    chosen = Cases(1800 if FULL else 300)
    if not FULL:
        chosen.add("32 MiB, MTU 1500, 4 KiB buffers, one connection", transfer, 32 * MIB, 1500, 4, 1, {})
        chosen.add("32 MiB, MTU 9000, 32 KiB buffers, 8 connections", transfer, 32 * MIB, 9000, 32, 8, {})
        chosen.add("16 MiB, MTU 9000, 64 KiB buffers, one connection", transfer, 16 * MIB, 9000, 64, 1, {})
        chosen.add("echo of 4 MiB, sealed by the kernel", echo_is_sealed_by_the_kernel, 4 * MIB)
        chosen.add("32 MiB over IPv6, segments of a page", transfer, 32 * MIB, MTU_PAGE + 20, 4, 1, {}, 6)
        chosen.add("16 MiB, 64 connections, everything wrong with the wire", transfer, 16 * MIB, 1500, 4, 64,
                   WIRES["all"])
        return chosen
    chosen.add("echo of 16 MiB, sealed by the kernel", echo_is_sealed_by_the_kernel, 16 * MIB)
    chosen.add("32 MiB, MTU 9000, 64 KiB buffers, one connection", transfer, 32 * MIB, 9000, 64, 1, {})
    chosen.add("256 MiB, one connection", transfer, 256 * MIB, MTU_PAGE, 4, 1, {})
    for mtu in MTUS:
        for buffer_kib in BUFFERS:
            for connections in CONNECTIONS:
                for name, impairments in WIRES.items():
                    chosen.add(f"32 MiB, MTU {mtu}, {buffer_kib} KiB buffers, {connections} connections, wire: {name}",
                               transfer, 32 * MIB, mtu, buffer_kib, connections, impairments, 4)
    return chosen


cases().run()
