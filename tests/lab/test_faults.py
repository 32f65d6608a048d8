#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Faults on demand (kernel/fault.h), each under traffic: nothing crashes, hangs or leaks, what is lost is counted, and
the port works afterwards. Leaks show in the guest's log, which the lab reads."""
import errno
import os
import random
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from port import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

QUEUE = 1
ROUNDS = 100 if FULL else 4
# Of several commands of the same kind which is refused.
WHICH = (0, 1) if FULL else (0,)
OPENING = ("PORT_UP", "PORT_MAC", "CP_ALLOC", "RX_ALLOC", "AGG_ALLOC", "TX_ALLOC", "VNIC_ALLOC", "VNIC_CFG", "VNIC_RSS",
           "VNIC_PLACE", "VNIC_UPDATE", "FILTER_ALLOC")
CLOSING = ("PORT_DOWN", "VNIC_UPDATE", "VNIC_FREE", "RING_FREE", "TX_FREE", "CP_FREE", "FILTER_FREE")
RESTARTING = ("VNIC_UPDATE", "RING_FREE", "RX_ALLOC", "AGG_ALLOC", "VNIC_RSS", "VNIC_CFG")


def refused(file, words, expected):
    try:
        NEAR.ask(file, words)
    except OSError as error:
        check(error.errno == expected, f"{file} '{words}': {error}")
        return
    raise Failed(f"{file} accepted '{words}'")


def words_are_checked():
    for file in ("alloc_fail", "fw_refuse", "fw_delay", "lose_irq", "stall", "restart", "mutate"):
        for words in ("x", "-1", "1 2 3 4", "a b c d", "\0", "9" * 70, " ", "0x1", "1.5", "18446744073709551617 1 1"):
            try:
                NEAR.ask(file, words)
            except OSError as error:
                check(error.errno in (errno.EINVAL, errno.ERANGE), f"{file} '{words!r}': {error}")
                continue
            raise Failed(f"{file} accepted '{words!r}'")
    refused("alloc_fail", "1000001", errno.ERANGE)
    refused("alloc_fail", "1 1000001", errno.ERANGE)
    refused("alloc_fail", "1 2 3", errno.EINVAL)
    refused("fw_refuse", "RX_ALLOC", errno.EINVAL)
    refused("fw_refuse", "NOTHING 1", errno.EINVAL)
    refused("fw_delay", "all 1", errno.EINVAL)
    refused("fw_delay", "all 1 60001", errno.ERANGE)
    refused("stall", "128 1", errno.ERANGE)
    refused("lose_irq", "0", errno.EINVAL)
    refused("restart", "127", errno.ERANGE)


def allocations_fail():
    before = NEAR.counters()
    load = Traffic(traffic.udp, 600)
    for _ in range(3):
        NEAR.ask("alloc_fail", 50)
        transfer()
    load.stop()
    NEAR.ask("alloc_fail", 0)
    after = NEAR.counters()
    failed = sum(after[name] - before[name] for name in after if name.endswith("_alloc_fail"))
    check(failed, "no allocation failed")
    works()


def without_memory(change, back, step):
    """The n-th allocation that a change needs fails, one n after the other, until there is none so late. All of them
    with a step of 1, else some. Buffers that a ring lacks are no failure: it is filled as they come."""
    failed = opened = 0
    skip = 0
    while True:
        NEAR.ask("alloc_fail", 1, skip)
        status, _ = change()
        left = int(NEAR.asked("alloc_fail").split()[0])
        NEAR.ask("alloc_fail", 0)
        failed += status != 0
        opened += status == 0
        back()
        if left:
            break
        skip += random.randint(min(step, 2), step)
    check(not status, "there was nothing left to fail, and it failed")
    return failed, opened


def open_without_memory():
    NEAR.ethtool("-G", "rx", 64, "tx", 64)
    NEAR.link("down")
    failed, opened = without_memory(lambda: NEAR.link("up"), lambda: NEAR.link("down"),
                                    1 if FULL else 40)
    NEAR.up()
    check(failed and opened > 1, f"{failed} openings failed, {opened} did with fewer buffers")
    works()


def reconfigure_without_memory():
    """Neither the new settings nor, at once afterwards, the old ones: the port closes by itself at worst."""
    sizes = [64, 128]
    load = Traffic(traffic.udp, 600)

    def other():
        sizes.reverse()
        return NEAR.try_ethtool("-G", "rx", sizes[0])

    # One failure may meet the traffic, and not the change.
    without_memory(other, NEAR.up, 10 if FULL else 80)
    failed = 0
    for skip in range(0, 400, 5 if FULL else 57):
        NEAR.ask("alloc_fail", 1000000, skip)
        status, _ = other()
        failed += status != 0
        NEAR.ask("alloc_fail", 0)
        NEAR.down_up()
    check(failed, "the rings changed without memory, and without the old ones")
    load.stop()
    works()
    NEAR.ethtool("-G", "rx", 256, "tx", 256)


def refused_at_open(op):
    NEAR.ask("fw_refuse", "all", 0)
    met = 0
    for skip in WHICH:
        NEAR.link("down")
        NEAR.ask("fw_refuse", op, 1, skip)
        status, _ = NEAR.link("up")
        met += status != 0
        # The address is set again when its port is open, and that may fail.
        check(status or op == "PORT_MAC" or NEAR.asked("fw_refuse").split()[1] == "1",
              f"{op} was refused, and the port opened")
        NEAR.ask("fw_refuse", "all", 0)
        NEAR.down_up()
    check(met, f"opening does without {op}")
    transfer()


def refused_at_close(op):
    NEAR.ask("fw_refuse", op, 1)
    NEAR.down_up()
    check(NEAR.asked("fw_refuse").split()[1] == "0", f"closing does without {op}")
    transfer()


def refused_at_restart(op):
    load = Traffic(traffic.udp, 600)
    met = 0
    for skip in WHICH:
        NEAR.ask("fw_refuse", op, 1, skip)
        error = NEAR.restart(QUEUE)
        met += error is not None
        NEAR.ask("fw_refuse", "all", 0)
        NEAR.down_up()
    check(met, f"a restart does without {op}")
    transfer()
    load.stop()


def keeps(what, change, show, op):
    """A setting that the firmware refuses fails, and nothing has changed."""
    before = NEAR.ethtool(*show)
    NEAR.ask("fw_refuse", op, 1)
    status, output = NEAR.try_ethtool(*change)
    left = NEAR.asked("fw_refuse").split()[1]
    NEAR.ask("fw_refuse", "all", 0)
    check(left == "0", f"{what} does without {op}")
    # Of rules older ethtool says so in words only.
    check(status or "Cannot" in output, f"{what} was refused, but ethtool does not say so", output)
    # That a feature was asked for is remembered by the kernel, who did not get it.
    after = NEAR.ethtool(*show).replace(" [requested on]", "")
    check(after == before, f"{what} was refused, and changed something", before, after)
    transfer()


def settings_stay():
    keeps("-G", ("-G", "rx", 512), ("-g",), "RX_ALLOC")
    keeps("-G", ("-G", "tx", 512), ("-g",), "TX_ALLOC")
    keeps("-L", ("-L", "combined", 1), ("-l",), "CP_ALLOC")
    keeps("-X", ("-X", "weight", 3, 1), ("-x",), "VNIC_RSS")
    keeps("-X", ("-X", "context", "new"), ("-x",), "VNIC_ALLOC")
    keeps("-N", ("-N", "flow-type", "tcp4", "dst-port", 7, "action", 0), ("-n",), "FILTER_ALLOC")
    keeps("-K", ("-K", "rx-gro-hw", "on"), ("-k",), "VNIC_PLACE")
    NEAR.ethtool("-K", "rx-gro-hw", "off")


def replies_late():
    load = Traffic(traffic.tcp, 2)
    NEAR.ask("fw_delay", "all", 4, 250)
    start = time.monotonic()
    error = NEAR.restart(QUEUE)
    check(error is None, error)
    check(time.monotonic() - start >= 1, "nothing was delayed")
    check(NEAR.asked("fw_delay").split()[1] == "0", NEAR.asked("fw_delay"))
    load.finish()
    transfer()


def restart():
    error = NEAR.restart(QUEUE)
    check(error is None, error)


def one_reply_late():
    """Of each command in turn, under traffic."""
    load = Traffic(traffic.udp, 600)
    for change, ops in ((restart, RESTARTING), (NEAR.down_up, dict.fromkeys(OPENING + CLOSING))):
        for op in ops:
            NEAR.ask("fw_delay", op, 1, 100)
            change()
            check(NEAR.asked("fw_delay").split()[1] == "0", f"{change.__name__} does without {op}")
    load.stop()
    transfer()


def interrupts_are_lost():
    before = NEAR.counters()
    load = Traffic(traffic.udp, 600)
    for queue in (0, QUEUE):
        NEAR.ask("lose_irq", queue, 20)
    transfer()
    load.stop()
    for queue in (0, QUEUE):
        NEAR.ask("lose_irq", queue, 0)
    after = NEAR.counters()
    missed = sum(after[name] - before[name] for name in after if name.endswith("_missed_irqs"))
    check(missed, "no interrupt was missed")
    transfer()


def queue_stalls():
    before = NEAR.counters()
    load = Traffic(traffic.udp, 600)
    for queue in (0, QUEUE):
        NEAR.ask("stall", queue, 2000)
    transfer()
    load.stop()
    after = NEAR.counters()
    check(sum(after[name] - before[name] for name in after if name.endswith("_drop_stalled")), "nothing was dropped")
    transfer()


def one_fault(dice):
    kind = dice.choice(("alloc_fail", "fw_refuse", "fw_delay", "lose_irq", "stall"))
    if kind == "alloc_fail":
        NEAR.ask(kind, dice.randrange(1, 50))
    elif kind == "fw_refuse":
        NEAR.ask(kind, dice.choice((*OPENING, *CLOSING, "all")), dice.randrange(1, 4), dice.randrange(6))
    elif kind == "fw_delay":
        NEAR.ask(kind, "all", dice.randrange(1, 10), dice.randrange(50))
    else:
        NEAR.ask(kind, dice.randrange(2), dice.randrange(1, 200))


def one_change(dice):
    """May fail."""
    change = dice.randrange(6)
    if change == 0:
        NEAR.link("down")
    elif change == 1:
        NEAR.try_ethtool("-G", "rx", dice.choice((64, 256, 1024)))
    elif change == 2:
        NEAR.try_ethtool("-L", "combined", dice.randrange(1, 5))
    elif change == 3:
        NEAR.try_ethtool("-X", "hkey", ":".join(f"{dice.randrange(256):02x}" for _ in range(40)))
    else:
        NEAR.restart(dice.randrange(2))


def anything_at_once():
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    load = Traffic(traffic.udp, 3600)
    try:
        for _ in range(ROUNDS):
            for _ in range(6):
                one_fault(dice)
                one_change(dice)
                NEAR.link("up")
            for queue in (0, 1):
                NEAR.ask("lose_irq", queue, 0)
                NEAR.ask("stall", queue, 0)
            NEAR.ask("fw_refuse", "all", 0)
            NEAR.ask("fw_delay", "all", 0, 0)
            NEAR.ask("alloc_fail", 0)
            NEAR.down_up()
            transfer()
    except Failed as failure:
        raise Failed(f"seed {seed}", *failure.args) from failure
    load.stop()
    NEAR.try_ethtool("-L", "combined", 2)
    NEAR.try_ethtool("-G", "rx", 256)
    works()


def with_a_rule(function, *args):
    said = NEAR.ethtool("-N", "flow-type", "udp4", "dst-port", 9, "action", QUEUE)
    try:
        function(*args)
    finally:
        NEAR.ethtool("-N", "delete", said.split()[-1])


def no_rule_broken():
    check(NEAR.violations() == BROKEN, BROKEN, NEAR.violations())


def cases():
    chosen = LabCases(1800 if FULL else 180)
    chosen.add("what cannot be understood is not accepted", words_are_checked)
    chosen.add("allocations fail under traffic", allocations_fail)
    chosen.add("memory is short while the port opens", open_without_memory)
    chosen.add("memory is short while its rings change, under traffic", reconfigure_without_memory)
    for op in OPENING:
        chosen.add(f"{op} is refused while the port opens", with_a_rule, refused_at_open, op)
    for op in CLOSING:
        chosen.add(f"{op} is refused while the port closes", with_a_rule, refused_at_close, op)
    for op in RESTARTING:
        chosen.add(f"{op} is refused while a queue restarts under traffic", refused_at_restart, op)
    chosen.add("settings that are refused leave the old ones running", settings_stay)
    chosen.add("the firmware takes its time", replies_late)
    chosen.add("of each command one takes its time", with_a_rule, one_reply_late)
    chosen.add("interrupts are lost", interrupts_are_lost)
    chosen.add("a queue stalls", queue_stalls)
    chosen.add(f"{ROUNDS} rounds of anything at once", anything_at_once)
    chosen.add("no rule of the firmware was broken", no_rule_broken)
    return chosen


BROKEN = NEAR.violations()
cases().run()
