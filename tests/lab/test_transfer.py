#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""TLS 1.3 through the virtual NIC into registered memory, opened in place: every byte right, not one of them copied."""
import os
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from transfer import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position


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
    chosen = LabCases(1800 if FULL else 300)
    if not FULL:
        mib = 4 if DEBUG_KERNEL else 16
        chosen.add(f"{mib} MiB, MTU 1500, 4 KiB buffers, one connection", transfer, mib * MIB, 1500, 4, 1, {})
        chosen.add(f"{mib} MiB, MTU 9000, 32 KiB buffers, 8 connections", transfer, mib * MIB, 9000, 32, 8, {})
        chosen.add(f"{mib} MiB, MTU 9000, 64 KiB buffers, one connection", transfer, mib * MIB, 9000, 64, 1, {})
        chosen.add("echo of 4 MiB, sealed by the kernel", echo_is_sealed_by_the_kernel, 4 * MIB)
        chosen.add(f"{mib} MiB over IPv6, segments of a page", transfer, mib * MIB, MTU_PAGE + 20, 4, 1, {}, 6)
        chosen.add(f"{mib} MiB, 64 connections, everything wrong with the wire", transfer, mib * MIB, 1500, 4, 64,
                   WIRES["all"])
        return chosen
    chosen.add("echo of 16 MiB, sealed by the kernel", echo_is_sealed_by_the_kernel, 16 * MIB)
    chosen.add("32 MiB, MTU 9000, 64 KiB buffers, one connection", transfer, 32 * MIB, 9000, 64, 1, {})
    chosen.add("256 MiB, one connection", transfer, 256 * MIB, MTU_PAGE, 4, 1, {})
    return chosen


cases().run()
