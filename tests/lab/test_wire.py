#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the wire does to frames is what it was told to, and counted; what it damages, the receiving port finds."""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from scene import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

DATAGRAMS = 200
SIZE = 512
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
EXPERIMENTAL = 0x88b5  # EtherType for local experiments, IEEE 802
QUIET = 1.0  # seconds after which nothing more comes
BEFORE_QUEUES = ("csum_dropped", "malformed", "not_for_us", "link_down", "no_vnic", "filtered")


def send(count, port):
    address = (NEAR.address(), port)

    def work():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for number in range(count):
                out.sendto(number.to_bytes(4, "big") * (SIZE // 4), address)
        return 0

    child = traffic.in_child(PEER, work)
    check(os.waitpid(child, 0)[1] == 0, "the sender failed")


def know_each_other():
    """Nobody has to be asked for, on a wire that damages what has no checksum, like ARP."""
    for port, other in ((NEAR, FAR), (FAR, NEAR)):
        link = must(*other.prefix, "cat", f"/sys/class/net/{other.name}/address").strip()
        must(*port.prefix, "ip", "neigh", "replace", other.address(), "lladdr", link, "dev", port.name, "nud", "permanent")


class Exchange:
    """Datagrams through an impaired wire: the numbers in those that arrived, and what both ports counted."""

    def __init__(self, count=DATAGRAMS, **impairments):
        self.numbers, self.times = [], []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
            inbox.setsockopt(socket.SOL_SOCKET, traffic.SO_RCVBUFFORCE, 8 << 20)
            inbox.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            inbox.bind((NEAR.address(), 0))
            inbox.settimeout(QUIET)
            near, far = counted_by_both()
            with Wire(**impairments):
                send(count, inbox.getsockname()[1])
                self.receive(inbox)
        self.near, self.far = ({name: value - before[name] for name, value in after.items()}
                               for before, after in zip((near, far), counted_by_both()))

    def receive(self, inbox):
        while True:
            try:
                data, told, _, _ = inbox.recvmsg(SIZE, 64)
            except TimeoutError:
                return
            check(len(data) == SIZE and data == data[:4] * (SIZE // 4), "a damaged datagram was delivered")
            self.numbers.append(int.from_bytes(data[:4], "big"))
            seconds, nanoseconds = struct.unpack("qq", told[0][2])
            self.times.append(seconds + nanoseconds / 1e9)

    def count(self, name):
        """Over the queues of the near port."""
        return sum(value for key, value in self.near.items() if key.startswith("rx") and key.endswith(f"_{name}"))


def loss():
    seen = Exchange(loss="20%")
    lost = seen.far["wire_lost"]
    check(0 < lost < DATAGRAMS, f"{lost} of {DATAGRAMS} frames were lost")
    check(0 < DATAGRAMS - len(seen.numbers) <= lost, f"{len(seen.numbers)} arrived, {lost} were lost")
    all_lost = Exchange(loss="100%")
    check(not all_lost.numbers and all_lost.far["wire_lost"] >= DATAGRAMS, all_lost.numbers, all_lost.far["wire_lost"])


def duplicates():
    count = DATAGRAMS // 2  # so many that a ring holds them all
    seen = Exchange(count, duplicate="100%")
    check(sorted(seen.numbers) == sorted(2 * list(range(count))), len(seen.numbers))
    check(seen.far["wire_duplicated"] >= count, seen.far["wire_duplicated"])


def reorder():
    # Overtaking takes frames that are under way for a while.
    seen = Exchange(reorder="20%", delay="50ms")
    check(sorted(seen.numbers) == list(range(DATAGRAMS)), len(seen.numbers))
    check(seen.numbers != sorted(seen.numbers) and seen.far["wire_reordered"], "nothing was overtaken")


def corruption():
    """Every frame has a wrong bit. It can be in a length, an address or a port; nowhere it goes unnoticed."""
    seen = Exchange(corrupt="100%")
    check(not seen.numbers, f"{len(seen.numbers)} datagrams arrived though all were damaged")
    check(seen.far["wire_corrupted"] >= DATAGRAMS, seen.far["wire_corrupted"])
    check(seen.near["csum_bad"] > DATAGRAMS // 2, f"csum_bad {seen.near['csum_bad']}")
    check(not seen.near["csum_dropped"], "nothing is split, so the stack shall judge")


def corruption_where_it_splits():
    """Where payload cannot be read nobody can sum it later: the port drops what is wrong itself."""
    must(SZC_NIC, "prepare", NEAR.name, "--queue", QUEUE)
    try:
        seen = Exchange(corrupt="100%")
    finally:
        must(SZC_NIC, "restore", NEAR.name)
    check(not seen.numbers, f"{len(seen.numbers)} datagrams arrived though all were damaged")
    check(seen.near["csum_dropped"] > DATAGRAMS // 2, f"csum_dropped {seen.near['csum_dropped']}")
    before = sum(seen.near[name] for name in BEFORE_QUEUES)
    drops = sum(seen.count(name) for name in DROPS)
    arrived = seen.count("hw_packets")
    sent = sum(value for name, value in seen.far.items() if name.endswith("_hw_packets") and name.startswith("tx"))
    check(sent == before + drops + arrived, f"{sent} sent, {arrived} arrived, {before} and {drops} dropped")


def one_bit_of_each():
    """Frames that nobody has a checksum for, nor splits, come as the wire leaves them."""
    addresses = [bytes.fromhex(must(*port.prefix, "cat", f"/sys/class/net/{port.name}/address").replace(":", ""))
                 for port in (NEAR, FAR)]
    frame = b"".join(addresses) + struct.pack("!H", EXPERIMENTAL) + bytes(range(256))

    def work():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((FAR.name, 0))
            for _ in range(DATAGRAMS):
                out.send(frame)
        return 0

    came = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EXPERIMENTAL)) as inbox:
        inbox.bind((NEAR.name, EXPERIMENTAL))
        inbox.settimeout(QUIET)
        with Wire(corrupt="100%"):
            check(os.waitpid(traffic.in_child(PEER, work), 0)[1] == 0, "the sender failed")
            try:
                while True:
                    came.append(inbox.recv(2048))
            except TimeoutError:
                pass
    wrong = [(int.from_bytes(one, "big") ^ int.from_bytes(frame, "big")).bit_count() for one in came]
    check(len(came) > DATAGRAMS // 2 and set(wrong) == {1}, f"{len(came)} frames came, with so many wrong bits: {wrong}")
    check(len(set(came)) > 10, "it is always the same bit")


def rate():
    """No faster than told; how much slower is the machine's affair."""
    seen = Exchange(count=100, rate="400kbit")
    took = seen.times[-1] - seen.times[0]
    check(len(seen.numbers) == 100 and seen.numbers == sorted(seen.numbers), seen.numbers)
    # The first may come late, which is not the wire's doing.
    check(took >= 0.9 * 99 * SIZE * 8 / 400e3, f"between the first and the last of 100 times {SIZE} bytes: {took} s")


def delay():
    with Wire(delay="200ms"):
        said = must(*FAR.prefix, "ping", "-c", "3", NEAR.address())
    least = float(said.rpartition("= ")[2].split("/")[0])
    check(least >= 200, f"a round trip took {least} ms")


def cases():
    chosen = LabCases(120)
    for one in (loss, duplicates, reorder, corruption, corruption_where_it_splits, one_bit_of_each, rate, delay):
        chosen.add(one.__name__.replace("_", " "), one)
    chosen.add("and afterwards the wire is as good as new", works)
    return chosen


know_each_other()
cases().run()
