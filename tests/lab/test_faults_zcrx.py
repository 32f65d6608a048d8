#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Faults on demand (kernel/fault.h) around a queue that receives without copies: while it is registered, while it is steered
to, while data comes, and when it is given back. Whoever asks is told, nothing of the area is left with the kernel, and the
port works afterwards."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from pools import page_pools  # pylint: disable=wrong-import-position
from transfer import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

PLENTY = 1_000_000
REGISTERING = ("RING_FREE", "RX_ALLOC", "AGG_ALLOC")
STEERING = ("VNIC_ALLOC", "VNIC_PLACE", "VNIC_CFG", "VNIC_UPDATE", "FILTER_ALLOC")
RESTARTING = ("VNIC_UPDATE", "RING_FREE", "RX_ALLOC", "AGG_ALLOC", "VNIC_CFG")


class Prepared:
    """The queue as a receiver wants it, so that the receiver changes nothing else of the NIC; and back."""

    def __enter__(self):
        must(SZC_NIC, "prepare", NEAR.name, "--queue", QUEUE)

    def __exit__(self, kind, *_):
        if kind:
            end_all()
        NEAR.ask("fw_refuse", "all", 0)
        NEAR.ask("alloc_fail", 0)
        NEAR.link("up")
        status, output = command(SZC_NIC, "restore", NEAR.name)
        if kind:
            return
        check(status == 0, "what was changed cannot be restored", output)
        wait_until(lambda: not [pool for pool in page_pools() if "io_uring" in pool], "the kernel still holds the area")
        works()


def refuse(op):
    NEAR.ask("fw_refuse", op, 1)


def was_refused():
    return NEAR.asked("fw_refuse").split()[1] == "0"


def cannot_begin(fault):
    """What zcrx-tls says that is told to use the queue or nothing."""
    receiver = Zcrx([ZCRX_TLS, "recv", "--ifname", NEAR.name, "--queue", QUEUE, "--backend", "zcrx", "--listen",
                     f"{NEAR.address()}:0", "--cert", NIC.cert, "--key", NIC.key])
    said = receiver.finish(SYSTEM, seconds=HANDSHAKE)
    check(fault(), f"it failed without the fault: {said}")
    return said


def refused_at_registration(op):
    with Prepared():
        before = NEAR.table("commands")
        refuse(op)
        cannot_begin(was_refused)
        after = NEAR.table("commands")
        # Whatever is steered to a queue before its memory is there lands in the kernel's.
        check(after["FILTER_ALLOC"] == before["FILTER_ALLOC"], "it steered before it had registered the queue")


def no_memory_at_registration():
    with Prepared():
        NEAR.ask("alloc_fail", PLENTY)
        said = cannot_begin(lambda: int(NEAR.asked("alloc_fail").split()[0]) < PLENTY)
        check("memory" in said, said)


def refused_at_steering(op):
    with Prepared():
        refuse(op)
        cannot_begin(was_refused)


def until_more_comes(sender):
    def came():
        return NEAR.counters()[f"rx{QUEUE}_payload_netmem"]

    before = came()
    wait_until(lambda: came() > before or not sender.running(), "nothing comes any more", 60)
    check(sender.running(), "the transfer was over too soon", *sender.tail())


def restarts_are_refused():
    """Each time the port closes by itself, and is opened: the stream goes on, into the same area."""
    size = 4 * MIB
    with Prepared():
        _, path, folder = prepare(size, 1500, 4, 1)
        server = NicServer("recv", "--out", folder, "--json")
        before = NEAR.counters()
        # So that it lasts while we look, which takes the debug kernel seconds.
        with Wire(rate="500kbit" if DEBUG_KERNEL else "2mbit"):
            sender = peer_send(server, path)
            for op in RESTARTING:
                until_more_comes(sender)
                refuse(op)
                check(NEAR.restart(QUEUE) is not None and was_refused(), f"a restart does without {op}")
                NEAR.up()
            until_more_comes(sender)
        sender.succeed(seconds=SILENCE)
        server.stop()
        nothing_copied(before, NEAR.counters(), server.json(), size)
        all_is_there(folder, 1, sha256(path))


def fault_at_the_end(ask, met):
    """The kernel takes no refusal: the port closes, and so the area is free."""
    with Prepared():
        server = NicServer("recv")
        ask()
        server.stop()
        wait_until(met, "the queue was given back without meeting the fault")
        wait_until(lambda: not NEAR.is_up(), "the port is still open")


def cases():
    chosen = LabCases(300)
    for op in REGISTERING:
        chosen.add(f"{op} is refused while the queue is registered", refused_at_registration, op)
    chosen.add("there is no memory for the queue's other ring", no_memory_at_registration)
    for op in STEERING:
        chosen.add(f"{op} is refused to the rule", refused_at_steering, op)
    chosen.add("restarts are refused under way", restarts_are_refused)
    for op in REGISTERING:
        chosen.add(f"{op} is refused when the queue is given back", fault_at_the_end, lambda op=op: refuse(op), was_refused)
    chosen.add("there is no memory when the queue is given back", fault_at_the_end,
               lambda: NEAR.ask("alloc_fail", PLENTY), lambda: int(NEAR.asked("alloc_fail").split()[0]) < PLENTY)
    return chosen


cases().run()
