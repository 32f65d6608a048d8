#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every rule of the firmware model (kernel/fw.h) bites: the driver is made to break it, one queue is restarted, and the
refusal is counted and logged. Afterwards the driver keeps to the rules again, and the port works."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from port import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

QUEUE = 1
RULES = ("free-reachable", "mru-dead-ring", "doorbell-dead", "agg-first", "napi-dead", "early-free", "geometry",
         "double-stop")
COMMANDS = ("free-reachable", "mru-dead-ring", "agg-first", "geometry", "double-stop")  # these rules are about
# Mutations that break a rule another way than the one of its name.
OTHER_WAYS = {"geometry-agg": "geometry", "napi-unacked": "napi-dead", "free-unacked": "early-free"}


def keeps_the_rules():
    """Without a mutation nothing is refused: what the other cases see is the mutation's doing."""
    check(set(NEAR.table("violations")) == set(RULES), NEAR.table("violations"))
    before = NEAR.violations()
    for queue in (0, QUEUE):
        error = NEAR.restart(queue)
        check(error is None, f"queue {queue} does not restart: {error}")
    works()
    check(NEAR.violations() == before, before, NEAR.violations())


def bites(rule, mutation=None):
    log = Log()
    before = NEAR.table("violations")
    mutation = mutation or rule
    NEAR.ask("mutate", mutation)
    check(NEAR.asked("mutate").strip() == mutation, NEAR.asked("mutate"))
    # So that what tells of a freed ring is not read at once: the queue is looked after again some milliseconds later.
    NEAR.ask("lose_irq", QUEUE, 100)
    try:
        error = NEAR.restart(QUEUE)
    finally:
        NEAR.ask("lose_irq", QUEUE, 0)
        NEAR.ask("mutate", "none")
    broken = NEAR.table("violations")
    check(broken[rule] > before[rule], f"rule {rule} was not broken; the restart said: {error}", before, broken)
    check(error or rule not in COMMANDS, f"rule {rule}: the command was counted as refused, and the restart succeeded")
    others = [other for other in RULES if other != rule and broken[other] != before[other]]
    check(not others, f"other rules were broken, too: {others}")
    lines = [line for line in log.lines() if f"(rule {rule})" in line]
    check(lines, "the log does not name the rule", *log.lines())

    NEAR.down_up()
    error = NEAR.restart(QUEUE)
    check(error is None, f"afterwards the queue does not restart: {error}")
    works()
    check(NEAR.table("violations") == broken, "rules were broken without a mutation", broken, NEAR.violations())


def bites_where_a_rule_leads(rule):
    """What reaches the queue is not a table, but a VNIC of its own."""
    number = NEAR.ethtool("-N", "flow-type", "tcp4", "dst-port", 7, "action", QUEUE).split()[-1]
    try:
        NEAR.ethtool("-X", "equal", 1)
        bites(rule)
    finally:
        NEAR.try_ethtool("-N", "delete", number)
        NEAR.try_ethtool("-X", "default")


def bites_where_a_context_leads(rule):
    context = NEAR.ethtool("-X", "context", "new", "start", QUEUE, "equal", 1).split()[-1]
    try:
        NEAR.ethtool("-X", "equal", 1)
        bites(rule)
    finally:
        NEAR.try_ethtool("-X", "context", context, "delete")
        NEAR.try_ethtool("-X", "default")


def unknown_names():
    for name in ("", "nothing", "agg-first agg-first", "x" * 100):
        try:
            NEAR.ask("mutate", name)
        except OSError:
            continue
        raise Failed(f"a mutation '{name}' was accepted")


def cases():
    must("sysctl", "-qw", "net.core.message_cost=0")  # each refusal is logged
    chosen = LabCases(120)
    chosen.add("a driver that keeps the rules is not refused", keeps_the_rules)
    for rule in RULES:
        chosen.add(f"rule {rule} is enforced", bites, rule)
    for mutation, rule in OTHER_WAYS.items():
        chosen.add(f"rule {rule} is enforced against {mutation}", bites, rule, mutation)
    for rule in ("free-reachable", "mru-dead-ring"):
        chosen.add(f"rule {rule} is enforced where a rule leads to the queue", bites_where_a_rule_leads, rule)
        chosen.add(f"rule {rule} is enforced where a context leads to the queue", bites_where_a_context_leads, rule)
    chosen.add("no other mutation is accepted", unknown_names)
    return chosen


cases().run()
