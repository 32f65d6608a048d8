#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A queue is restarted over and over, under load. Queues that share no VNIC with it lose not one packet; where a VNIC
is shared, what is lost is counted, and TCP loses nothing."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from port import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

RESTARTS = 1000 if FULL else 40 if DEBUG_KERNEL else 150
LOAD = 16 if FULL else 2 if DEBUG_KERNEL else 8  # MiB a stream
ENOUGH = 11  # where a restart under load takes long, the load comes again
QUEUE = 1
OTHERS = (0, 2, 3)  # reached by the table, by a rule, and by a context
CHANNELS = 4
BROKEN = NEAR.violations()


class Steering:
    """Queue 0 alone takes what no rule steers; a rule to queue 1 and to queue 2, which so have VNICs of their own, and an RSS
    context of queue 3."""

    def __init__(self, tcp_port, udp_ports):
        self.tcp_port, self.udp_ports = tcp_port, udp_ports
        self.locations, self.context = [], None

    def rule(self, protocol, port, *where):
        self.locations.append(NEAR.ethtool("-N", "flow-type", protocol, "dst-port", port, *where).split()[-1])

    def __enter__(self):
        NEAR.ethtool("-X", "equal", 1)
        self.context = NEAR.ethtool("-X", "context", "new", "start", 3, "equal", 1).split()[-1]
        self.rule("tcp4", self.tcp_port, "action", QUEUE)
        self.rule("udp4", self.udp_ports[2], "action", 2)
        self.rule("udp4", self.udp_ports[3], "context", self.context)

    def __exit__(self, *_):
        for location in self.locations:
            NEAR.try_ethtool("-N", "delete", location)
        NEAR.try_ethtool("-X", "context", self.context, "delete")
        NEAR.try_ethtool("-X", "default")


def restart_often(busy):
    for number in range(RESTARTS):
        error = NEAR.restart(QUEUE)
        check(error is None, f"restart {number}: {error}")
    check(all(traffic.running() for traffic in busy), "the load ended before the restarts did")


def dropped(before, after, queues):
    return {name: after[name] - before[name] for queue in queues for name in (f"rx{queue}_{drop}" for drop in DROPS)
            if after[name] != before[name]}


def others_undisturbed():
    """Datagrams to the other queues, and TCP to the one that restarts."""
    ports = {queue: 21000 + queue for queue in OTHERS}
    with Steering(21001, ports):
        before = NEAR.counters()
        datagrams = {queue: Traffic(traffic.udp, 600, port=ports[queue]) for queue in OTHERS}
        streams = []
        try:
            streams.append(Traffic(traffic.tcp, min(LOAD, 8), 2, port=21001))
            restart_often(datagrams.values())
            streams[0].finish()
        finally:
            said = {queue: traffic.stop() for queue, traffic in datagrams.items()}
        after = NEAR.counters()
    for queue in OTHERS:
        sent, received = (int(word) for word in said[queue].split()[1::2])
        arrived = after[f"rx{queue}_packets"] - before[f"rx{queue}_packets"]
        # Where no rule leads is also what the kernel asks for by itself.
        check(sent == received and (sent == arrived or not queue and sent < arrived),
              f"queue {queue}: {sent} sent, {arrived} arrived, {received} received")
        check(sent > RESTARTS, f"queue {queue} had only {sent} datagrams")
    check(not dropped(before, after, OTHERS), dropped(before, after, OTHERS))


def in_all(counters, name, kind):
    return sum(counters[f"{kind}{queue}_{name}"] for queue in range(CHANNELS))


def shared_counted():
    """All queues in one VNIC: every packet that left the other port was received here, or is counted as dropped."""
    before, sent = counted_by_both()
    restarts = 0
    while restarts < ENOUGH:
        load = Traffic(traffic.tcp, LOAD, 8)
        while load.running() and restarts < RESTARTS:
            error = NEAR.restart(QUEUE)
            check(error is None, f"restart {restarts}: {error}")
            restarts += 1
        load.finish()
    after, sent_after = counted_by_both()
    sent = in_all(sent_after, "hw_packets", "tx") - in_all(sent, "hw_packets", "tx")
    arrived = in_all(after, "hw_packets", "rx") - in_all(before, "hw_packets", "rx")
    lost = sum(dropped(before, after, range(CHANNELS)).values())
    lost += sum(after[name] - before[name] for name in ("csum_bad", "malformed", "not_for_us", "link_down", "no_vnic",
                                                        "filtered"))
    check(sent == arrived + lost, f"{sent} packets were sent, {arrived} arrived, {lost} were counted as dropped")
    check(lost, "nothing was dropped: the restarts did not meet any traffic")


def prepare():
    for port in (NEAR, FAR):
        port.ethtool("-L", "combined", CHANNELS)
    # An emulated processor may be away for a quarter of a second while the sender's is not.
    NEAR.ethtool("-G", "rx", 1024)
    works()


def no_rule_broken():
    check(NEAR.violations() == BROKEN, BROKEN, NEAR.violations())


def cases():
    chosen = LabCases(900 if FULL else 200)
    chosen.add("four channels work", prepare)
    chosen.add(f"{RESTARTS} restarts lose nothing on queues that share no VNIC", others_undisturbed)
    chosen.add("restarts of a queue of a shared VNIC are counted, and TCP loses nothing", shared_counted)
    chosen.add("no rule of the firmware was broken", no_rule_broken)
    return chosen


cases().run()
