#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""zcrx-tls --psp: from TLS to PSP through the virtual NIC, and back to TLS where one end cannot."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from sealed import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

LOSSY = {"loss": "0.2%", "reorder": "1%"}


def cases():
    chosen = LabCases(1800 if FULL else 300)
    add_refusals(chosen)
    add_small(chosen)
    if FULL:
        chosen.add("256 MiB, MTU 1500, one connection", over_psp, 256 * MIB, 1500, 4, 1, {})
        chosen.add("256 MiB over IPv6, MTU 9000, one connection", over_psp, 256 * MIB, 9000, 16, 1, {}, 6)
        chosen.add("64 MiB, 64 connections, loss and reorder", over_psp, 64 * MIB, 1500, 4, 64, LOSSY)
        chosen.add("64 MiB over IPv6, MTU 9000, 64 connections, loss and reorder", over_psp, 64 * MIB, 9000, 16, 64, LOSSY, 6)
        chosen.add("256 MiB, keys rotated as fast as three moves take", rotated, 256 * MIB, 1500, 4, 1, {})
        chosen.add("256 MiB, 64 connections, keys rotated, loss and reorder", rotated, 256 * MIB, 9000, 16, 64, LOSSY)
    return chosen


cases().run()
