#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a port promises beside receiving without copies: many queues, merging, coalescing, limits on what is queued for
transmission, counters that never go back; and that it may go at any moment."""
import fcntl
import os
import re
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from pools import page_pools  # pylint: disable=wrong-import-position
from scene import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from kernel_client import ynl_family  # pylint: disable=wrong-import-position

# A header of destination options, with nothing in it.
PADDING = bytes((0, 0, 1, 4, 0, 0, 0, 0))
UDMABUF_CREATE = 0x40187542  # linux/udmabuf.h
OTHER, OTHER_PEER = "szcx", "szcy"
# Of Microsoft's specification of receive-side scaling.
TOEPLITZ_KEY = ("6d:5a:56:da:25:5b:0e:c2:41:67:25:3d:43:a3:8f:b0:d0:ca:2b:cb:"
                "ae:7b:30:b4:77:cb:2d:a3:80:30:f2:0c:6a:42:b6:3b:be:ac:01:fa")


def total(name):
    return sum(value for key, value in NEAR.counters().items() if key.startswith("rx") and key.endswith(f"_{name}"))


def interrupts(queue=".*"):
    """How many the near port's queues had, or one of them."""
    with open("/proc/interrupts", encoding="ascii") as file:
        lines = [line.split() for line in file]
    return sum(int(word) for words in lines if words and re.fullmatch(rf"{NEAR.name}-{queue}", words[-1])
               for word in words[1:] if word.isdigit())


# ---- merging

def merged(family):
    before, whole = total("gro_wire_packets"), total("gro_packets")
    transfer(4, 2, family)
    packets, merged_ones = total("gro_wire_packets") - before, total("gro_packets") - whole
    # A sender as slow as the debug kernel sends two at once, and says that no more come (PSH).
    least = 2 * merged_ones + (not DEBUG_KERNEL)
    check(merged_ones and packets >= least, f"IPv{family}: {packets} packets were merged into {merged_ones}")


def merging():
    """In pages, and where payload is split from headers; what is received is the same bytes."""
    NEAR.ethtool("-K", "rx-gro-hw", "on")
    NEAR.ethtool("-C", "rx-usecs", 5000)
    try:
        for family in (4, 6):
            merged(family)
        must(SZC_NIC, "prepare", NEAR.name, "--queue", QUEUE)
        for family in (4, 6):
            merged(family)
    finally:
        must(SZC_NIC, "restore", NEAR.name)
        NEAR.ethtool("-C", "rx-usecs", 0)
        NEAR.ethtool("-K", "rx-gro-hw", "off")
    before = total("gro_packets")
    transfer()
    check(total("gro_packets") == before, "something was merged though merging is off")


def merging_into_net_iovs():
    """Large buffers are filled, and nothing is copied."""
    NEAR.ethtool("-K", "rx-gro-hw", "on")
    NEAR.ethtool("-C", "rx-usecs", 5000)
    try:
        server = NicServer("recv", "--json", "--buffer-size", "32K")
        before = NEAR.counters()
        peer_send(server, payload_file(8 << 20)).succeed(seconds=100)
        server.stop()
        after = NEAR.counters()
        check(moved(before, after, f"rx{QUEUE}_gro_packets"), "nothing was merged")
        for place in ("payload_page", "payload_linear"):
            check(not moved(before, after, f"rx{QUEUE}_{place}"), place)
        summary = server.json()
        check(summary["bytes"] == 8 << 20 and not summary["bytes_user_copied"], summary)
    finally:
        NEAR.ethtool("-C", "rx-usecs", 0)
        NEAR.ethtool("-K", "rx-gro-hw", "off")


def long_buffers_are_fewer():
    """A ring takes as many bytes in long buffers as it does in pages, but never fewer buffers than packets."""
    NEAR.ethtool("-G", "rx", 64)
    set_mtu(9000)
    try:
        for size, posted in (("4K", 256), ("8K", 128), ("32K", 64)):
            server = NicServer("recv", "--buffer-size", size)
            (pool,) = [pool for pool in page_pools() if "io_uring" in pool and "detached" not in pool]
            server.stop()
            # The pool may have some more at hand.
            check(posted <= pool["inflight"] < posted + 64, f"of {size} there are {pool['inflight']}, not {posted}")
    finally:
        set_mtu(1500)
        NEAR.ethtool("-G", "rx", 256)


def ring_for_payload():
    """It goes with the packets' ring and the MTU, until a length is asked for, and again when the usual one is."""
    def length():
        return int(NEAR.ethtool("-g").rpartition("RX Jumbo:")[2].split()[0])

    try:
        for args, expected in ((("rx", 64), 64), (("rx", 256), 256), (("rx-jumbo", 1024), 1024), (("rx", 512), 1024)):
            NEAR.ethtool("-G", *args)
            check(length() == expected, f"-G {args}: {length()} buffers, not {expected}")
        transfer()
        for wrong in (32, 100, 16384):
            status, _ = NEAR.try_ethtool("-G", "rx-jumbo", wrong)
            check(status and length() == 1024, f"-G rx-jumbo {wrong}: {length()}")
    finally:
        NEAR.ethtool("-G", "rx", 256, "rx-jumbo", 256)
    set_mtu(9000)
    try:
        check(length() == 1024, f"MTU 9000: {length()} buffers")
    finally:
        set_mtu(1500)


# ---- coalescing

def interrupts_of(seconds, *setting):
    """(interrupts, packets, seconds) of paced datagrams."""
    NEAR.ethtool("-C", *setting)
    before, packets, begun = interrupts(), total("hw_packets"), time.monotonic()
    Traffic(traffic.udp, seconds).finish()
    return interrupts() - before, total("hw_packets") - packets, time.monotonic() - begun


def coalescing():
    """An interrupt waits so long, or for so many packets: never more than one each."""
    try:
        came, packets, seconds = interrupts_of(3, "rx-usecs", 50000, "rx-frames", 0)
        # Two queues may have been hit, and what the peer asks for or answers comes by itself.
        check(packets > 100 and 0 < came <= 2 * seconds / 0.05 + 20, f"{came} interrupts, {packets} packets, {seconds} s")
        for split in (False, True):
            if split:
                must(SZC_NIC, "prepare", NEAR.name, "--queue", QUEUE)
            came, packets, seconds = interrupts_of(3, "rx-usecs", 50000, "rx-frames", 8)
            by_time = 2 * seconds / 0.05 + 20
            check(came <= packets / 8 + by_time, f"split: {split}, {came} interrupts, {packets} packets, {seconds} s")
            # Where packets are many enough to tell: it does not wait for the time alone.
            check(packets < 16 * by_time or came > by_time,
                  f"split: {split}, {came} interrupts, {packets} packets, {seconds} s")
        said = NEAR.ethtool("-c").split()
        check(said[said.index("rx-usecs:") + 1] == "50000" and said[said.index("rx-frames:") + 1] == "8", said)
    finally:
        must(SZC_NIC, "restore", NEAR.name)
        NEAR.ethtool("-C", "rx-usecs", 0, "rx-frames", 0)


def interrupts_of_queue(queue):
    """(its interrupts, seconds) of paced datagrams to it."""
    port = free_port()
    rule = NEAR.ethtool("-N", "flow-type", "udp4", "dst-port", port, "action", queue).split()[-1]
    try:
        before, begun = interrupts(queue), time.monotonic()
        Traffic(traffic.udp, 3, port=port).finish()
        return interrupts(queue) - before, time.monotonic() - begun
    finally:
        NEAR.ethtool("-N", "delete", rule)


def coalescing_of_one_queue():
    """It keeps a value of its own, and leaves the others theirs."""
    def usecs():
        words = must("ethtool", "-Q", NEAR.name, "queue_mask", "0x3", "--show-coalesce").split()
        return [int(value) for name, value in zip(words, words[1:]) if name == "rx-usecs:"]

    before = usecs()
    try:
        must("ethtool", "-Q", NEAR.name, "queue_mask", "0x2", "--coalesce", "rx-usecs", 50000)
        patient, eager = (interrupts_of_queue(queue) for queue in (1, 0))
        check(0 < patient[0] <= patient[1] / 0.05 + 10 and patient[0] < eager[0],
              f"(interrupts, seconds): {patient}, and of the other {eager}")
        must("ethtool", "-Q", NEAR.name, "queue_mask", "0x2", "--coalesce", "rx-usecs", 700)
        check(before == [0, 0] and usecs() == [0, 700], before, usecs())
        NEAR.down_up()
        check(usecs() == [0, 700], "it forgets when the port is opened", usecs())
        NEAR.ethtool("-C", "rx-usecs", 5)
        check(usecs() == [5, 5], "what is set for all is not set for it", usecs())
    finally:
        # What all of them have already is not set again, whatever the one has.
        NEAR.ethtool("-C", "rx-usecs", 5)
        NEAR.ethtool("-C", "rx-usecs", 0)


# ---- transmit

def queue_limits():
    """Byte queue limits: what is queued is known while the wire is slow, and nothing is left when it is over."""
    folder = f"/sys/class/net/{FAR.name}/queues"
    script = f"cat {folder}/tx-*/byte_queue_limits/inflight"

    def inflight():
        return [int(word) for word in must(*FAR.prefix, "sh", "-c", script).split()]

    with Wire(rate="2mbit"):
        # A look takes the debug kernel seconds.
        load = Traffic(traffic.tcp, 4 if DEBUG_KERNEL else 1, 2)
        wait_until(lambda: any(inflight()) or not load.running(), "nothing was ever counted as queued", 60)
        check(load.running(), "the transfer was over before anything was seen")
        load.finish()
    wait_until(lambda: not any(inflight()), f"the wire is idle, and queues count {inflight()}", 10)


def send_with_options(address, port, data):
    with socket.create_connection((address, port), 60) as connection:
        connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, PADDING)
        connection.sendall(data)
    return 0


def headers_in_between():
    """What comes behind IPv6's options is whole, whoever cuts it into segments."""
    data, got = payload(1 << 20), b""
    before, address = NEAR.counters(), NEAR.address(6)
    with socket.create_server((address, 0), family=socket.AF_INET6) as server:
        server.settimeout(60)
        port = server.getsockname()[1]
        child = traffic.in_child(PEER, lambda: send_with_options(address, port, data))
        connection = server.accept()[0]
        with connection:
            connection.settimeout(60)
            while piece := connection.recv(1 << 16):
                got += piece
    check(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the sender failed")
    check(got == data, f"{len(got)} bytes of {len(data)} came, or other ones")
    check(NEAR.counters()["malformed"] == before["malformed"], "what came was malformed")


# ---- counters

def counters_never_go_back():
    path = f"/sys/class/net/{NEAR.name}/statistics/"
    names = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")

    def seen():
        return [int(read_text(path + name)) for name in names]

    last = seen()
    for change in (("-L", "combined", 8), ("-L", "combined", 1), ("-G", "rx", 64), ("-L", "combined", 2)):
        transfer()
        NEAR.ethtool(*change)
        now = seen()
        check(all(new >= old for new, old in zip(now, last)) and now[0] > last[0], change, last, now)
        last = now
    NEAR.ethtool("-G", "rx", 256)
    NEAR.down_up()
    check(seen()[0] >= last[0], last, seen())


# ---- many queues, and the end

class Pair:
    """Another pair of ports, addresses and all."""

    def __init__(self, *options, netns=PEER):
        must(SZC_NIC, "pair", OTHER, f"{OTHER_PEER}@{netns}", *options)
        must("ip", "addr", "add", "203.0.113.1/24", "dev", OTHER)
        must("ip", "link", "set", OTHER, "up")
        must("ip", "-n", netns, "addr", "add", "203.0.113.2/24", "dev", OTHER_PEER)
        must("ip", "-n", netns, "link", "set", OTHER_PEER, "up")

    @staticmethod
    def gone():
        return not os.path.exists(f"/sys/class/net/{OTHER}")


def many_queues():
    Pair("--queues", 128)
    try:
        must("ethtool", "-G", OTHER, "rx", 64, "tx", 64)
        must("ethtool", "-L", OTHER, "combined", 128)
        must(*FAR.prefix, "ethtool", "-L", OTHER_PEER, "combined", 128)
        # A key that is known to spread neighbouring ports; some that the kernel draws do not.
        must("ethtool", "-X", OTHER, "hkey", TOEPLITZ_KEY)
        check(traffic.tcp(PEER, "203.0.113.1", free_port(), 4, 32), "the streams did not arrive as they were sent")
        said = must("ethtool", "-S", OTHER)
        used = [line for line in said.splitlines() if "_hw_packets" in line and "rx" in line and line.split()[1] != "0"]
        check("rx127_packets" in said and len(used) > 16, f"{len(used)} queues had packets", *used)
        for queue in (0, 64, 127):
            bus = must("ethtool", "-i", OTHER).partition("bus-info: szcnic:")[2].split()[0]
            with open(f"/sys/kernel/debug/szcnic/{bus}/restart", "w", encoding="ascii") as file:
                file.write(str(queue))
    finally:
        must("ip", "link", "del", OTHER)


def under_traffic(netns, end):
    """A pair that goes while a queue of it receives without copies, and streams come."""
    if not Pair.gone():
        must("ip", "link", "del", OTHER)
    Pair(netns=netns)
    # Slow, so that it lasts until its end.
    must("ip", "netns", "exec", netns, SZC_NIC, "wire", OTHER_PEER, "rate", "40mbit")
    must("ethtool", "-L", OTHER, "combined", 4)
    port_file = scratch(".port")
    server = Zcrx([ZCRX_TLS, "recv", "--ifname", OTHER, "--queue", 1, "--backend", "zcrx", "--listen", "203.0.113.1:0",
                   "--cert", NIC.cert, "--key", NIC.key, "--port-file", port_file, "--out", scratch(".out")])
    wait_until(lambda: os.path.exists(port_file), "zcrx-tls does not listen", HANDSHAKE)
    sender = Zcrx(["ip", "netns", "exec", netns, ZCRX_TLS, "send", "--connect", f"203.0.113.1:{int(read_text(port_file))}",
                   "--insecure", payload_file(16 << 20)])
    counter = f"/sys/class/net/{OTHER}/statistics/rx_packets"
    wait_until(lambda: int(read_text(counter)) > 200 or not sender.running(), "no traffic comes", 60)
    check(sender.running() and server.running(), "the transfer was over too soon", *sender.tail(), *server.tail())
    end()
    wait_until(Pair.gone, "the pair is still there", 60)
    for process in (sender, server):
        process.child.kill()
        code = process.wait()
        check(code > 0 or code == -signal.SIGKILL, f"it ended with {code}", *process.tail())
    works()


def removed_under_traffic():
    under_traffic(PEER, lambda: must("ip", "link", "del", OTHER))


def namespace_ends_under_traffic():
    def end():
        must("ip", "netns", "del", "szcgone")
        # Processes keep a namespace alive.
        must("pkill", "-KILL", "-f", "connect 203.0.113.1")

    must("ip", "netns", "add", "szcgone")
    under_traffic("szcgone", end)


def dmabuf(size):
    memory = os.memfd_create("area", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, size)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    with open("/dev/udmabuf", "rb") as device:
        return fcntl.ioctl(device, UDMABUF_CREATE, bytearray(struct.pack("IIQQ", memory, 1, 0, size)))


def device_memory():
    """Bound to a queue until the client's socket is closed."""
    client = ynl_family("netdev")
    must(SZC_NIC, "prepare", NEAR.name, "--queue", QUEUE)
    ifindex = int(read_text(f"/sys/class/net/{NEAR.name}/ifindex"))
    area = dmabuf(4 << 20)
    client.do("bind-rx", {"ifindex": ifindex, "fd": area, "queues": [{"id": QUEUE, "type": "rx"}]})
    os.close(area)
    return client


def unloaded_under_traffic():
    """The last case: the scene is gone with the module. What device memory was mapped for has to be there when its owner
    ends, which is later; KASAN sees if it is not."""
    client = device_memory()
    load = Traffic(traffic.udp, 600)
    must("modprobe", "-r", "szcnic")
    check(not os.path.exists(f"/sys/class/net/{NEAR.name}"), "the port survived its driver")
    os.kill(load.child, signal.SIGKILL)
    client.sock.close()


def provider_leaves_a_closed_port():
    """... which has no memory to give for it."""
    server = NicServer("recv")
    check(NEAR.link("down")[0] == 0, "the port does not close")
    NEAR.ask("alloc_fail", 1000)
    try:
        server.stop()
        wait_until(lambda: NEAR.asked("alloc_fail").split()[0] != "1000", "nobody asked for memory")
    finally:
        NEAR.ask("alloc_fail", 0)
        NEAR.up()
    works()


def cases():
    chosen = LabCases(200)
    chosen.add("hardware GRO merges, in pages and split", merging)
    chosen.add("hardware GRO fills large buffers of an area", merging_into_net_iovs)
    chosen.add("long buffers are fewer", long_buffers_are_fewer)
    chosen.add("the ring for payload", ring_for_payload)
    chosen.add("interrupts are coalesced", coalescing)
    chosen.add("interrupts of one queue are coalesced its own way", coalescing_of_one_queue)
    chosen.add("byte queue limits", queue_limits)
    chosen.add("options between IPv6 and TCP", headers_in_between)
    chosen.add("counters never go back", counters_never_go_back)
    chosen.add("128 queues", many_queues)
    chosen.add("memory is short when a provider leaves a closed port", provider_leaves_a_closed_port)
    chosen.add("removed under traffic", removed_under_traffic)
    chosen.add("its peer's namespace ends under traffic", namespace_ends_under_traffic)
    chosen.add("the module is unloaded under traffic", unloaded_under_traffic)
    return chosen


cases().run()
