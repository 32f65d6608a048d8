#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""At full length only: with the MTU given (1500, 9000, or page, for segments of a page), every size of buffer, number of
connections and kind of wire."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from transfer import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

BUFFERS = (4, 32)
CONNECTIONS = (1, 8, 64)


def cases(mtu):
    chosen = Cases(1800)
    for buffer_kib in BUFFERS:
        for connections in CONNECTIONS:
            for name, impairments in WIRES.items():
                chosen.add(f"32 MiB, MTU {mtu}, {buffer_kib} KiB buffers, {connections} connections, wire: {name}",
                           transfer, 32 * MIB, mtu, buffer_kib, connections, impairments, 4)
    return chosen


cases({"1500": 1500, "page": MTU_PAGE, "9000": 9000}[sys.argv[1]]).run()
