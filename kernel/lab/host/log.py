# SPDX-License-Identifier: MIT
"""What in a kernel's log fails a run."""
import re

BAD = re.compile("|".join((
    r"\bWARNING: ", r"\bBUG: ", r"\bkernel BUG at ", r"\bOops\b", r"Kernel panic", r"\bKASAN\b.*: ", r"\bUBSAN: ",
    r"\bKCSAN: ", r"INFO: possible ", r"INFO: task .* blocked", r"INFO: lockdep",
    r"INFO: trying to register non-static", r"INFO: suspicious ", r"rcu:.*\bstall", r"self-detected stall",
    r"soft lockup", r"hard LOCKUP",
    r"suspicious RCU usage", r"general protection fault", r"unable to handle", r"stack-protector",
    r"stack guard page", r"double fault", r"unreferenced object", r"kmemleak: .*(?:new suspected|disabled)",
    r"page_pool_release_retry\(\) stalled", r"unregister_netdevice: waiting", r"ref_tracker: ", r"refcount_t: ",
    r"DMA-API: ", r"ODEBUG: ", r"sleeping function called", r"scheduling while atomic",
    r"list_(?:add|del) corruption", r"NETDEV WATCHDOG", r"Bad page state", r"page dumped because", r"Bad rss-counter",
    r"Out of memory: ", r"hw csum failure", r"szcnic: DMA to ", r"printk messages dropped",
)))
BENIGN = re.compile("|".join((
    r"\b0\.0+\] kmemleak: .* disabled",  # by the command line; later it is by a fault
    r"DMA-API: preallocated", r"DMA-API: debugging (?:enabled|disabled on kernel command line)", r"Command line: ",
)))
NOW = "lab: now "  # a test runner names what it begins
BEFORE, AFTER, MOST = 3, 40, 240


def is_bad(line):
    return bool(BAD.search(line)) and not BENIGN.search(line)


def complaints(text):
    """The lines that tell of something wrong, with what stands around them; none if all is well."""
    lines = text.replace("\r", "").split("\n")
    shown, now = set(), None
    for number, line in enumerate(lines):
        if NOW in line:
            now = number
        if is_bad(line):
            shown.update(range(max(0, number - BEFORE), min(len(lines), number + AFTER)))
            shown.update(() if now is None else (now,))
    return [lines[number] for number in sorted(shown)][:MOST]
