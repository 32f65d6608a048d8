# SPDX-License-Identifier: MIT
"""TLS 1.3 through the virtual NIC into registered memory, opened in place. Three parties must agree that nothing was
copied: the NIC (no payload outside net_iovs on the queue), the kernel (its copy statistics) and the library (its
ledger)."""
import concurrent.futures
import hashlib
import json
import os
import signal
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from scene import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

# IPv4 and TCP with timestamps: with this MTU a segment is a page.
MTU_PAGE = 4096 + 20 + 20 + 12
# Connections that have a sender of ours each.
FEW = 8
PATIENCE = 280 * (4 if DEBUG_KERNEL else 1)  # seconds for all that is sent
# Pages of 2 MiB: memory for the area of 64 connections in pieces as long as their buffers.
HUGE_PAGES = 256
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


def all_is_there(folder, connections, expected):
    names = sorted(os.listdir(folder))
    check(len(names) == connections, f"{len(names)} files from {connections} connections", *names)
    for name in names:
        check(sha256(os.path.join(folder, name)) == expected, f"{name} is not what was sent")
        os.remove(os.path.join(folder, name))


def reserve_huge_pages(count):
    with open("/proc/sys/vm/nr_hugepages", "w", encoding="ascii") as file:
        file.write(str(count))
    reserved = int(read_text("/proc/sys/vm/nr_hugepages"))
    check(reserved >= count, f"only {reserved} huge pages of {count} could be reserved")


def buffer_length():
    """The kernel's word on the queue's buffers: shorter ones would do, and a transfer alone would not tell."""
    nic = json.loads(must(SZC_NIC, "show", NEAR.name, "--json"))["interfaces"][0]
    return nic["queues"][QUEUE]["rx_buf_len"]


def prepare(size, mtu, buffer_kib, connections):
    """(bytes for each connection, a file of so many, a folder to receive into)"""
    set_mtu(mtu)
    reserve_huge_pages(HUGE_PAGES if buffer_kib > 4 else 0)
    share = size // connections
    folder = scratch(".d")
    os.mkdir(folder)
    return share, payload_file(share), folder


def streams(server, host, path, connections):
    """In the netns of the other port. Many at once are Python's, in one process: to start dozens takes longer than what they
    send."""
    context = ssl.create_default_context(cafile=CA.cert)
    with open(path, "rb") as file:
        data = file.read()

    def one(_):
        with socket.create_connection((host, server.port), HANDSHAKE) as plain, \
                context.wrap_socket(plain, server_hostname=host) as connection:
            connection.settimeout(SILENCE)
            connection.sendall(data)
            connection.unwrap()

    def work():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)
        with concurrent.futures.ThreadPoolExecutor(connections) as pool:
            list(pool.map(one, range(connections)))
        return 0

    status = os.waitstatus_to_exitcode(os.waitpid(traffic.in_child(PEER, work), 0)[1])
    check(status != -signal.SIGALRM, f"not everything was sent within {PATIENCE} s", *server.tail())
    check(status == 0, "the sender failed", *server.tail())


def send_all(server, path, connections, family):
    if connections > FEW:
        streams(server, NEAR.address(family), path, connections)
        return
    for sender in [peer_send(server, path) for _ in range(connections)]:
        sender.succeed(seconds=PATIENCE)


def transfer(size, mtu, buffer_kib, connections, impairments, family=4):
    share, path, folder = prepare(size, mtu, buffer_kib, connections)
    server = NicServer("recv", "--out", folder, "--json", "--buffer-size", f"{buffer_kib}K", "--max-connections",
                       connections, family=family)
    check(buffer_length() == buffer_kib * 1024, f"buffers have {buffer_length()} bytes")
    with Wire(**impairments):
        before = NEAR.counters()
        send_all(server, path, connections, family)
        server.stop()
        after = NEAR.counters()
    nothing_copied(before, after, server.json(), share * connections)
    expected = sha256(path)
    all_is_there(folder, connections, expected)
    check(not NEAR.violations(), NEAR.violations())
