# SPDX-License-Identifier: MIT
"""Zero-copy receive by zcrx-tls in the standard scene: a server on a queue of the near port, senders at the far one,
and the wire between them. Every figure about zero copy is the NIC's own (ethtool -S): what it put into net_iovs, pages
and linear heads."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from port import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

SZC_NIC = os.path.join(os.environ["SZC_BUILD"], "tools", "szc-nic")
# Of the queue that tests bind; traffic that is not theirs stays on the others.
QUEUE = 1
# Seconds for a handshake, and for silence, with dozens of connections at once on an emulated processor.
HANDSHAKE, SILENCE = 120, 240


def moved(before, after, name):
    return after[name] - before[name]


class Wire:
    """The wire towards us, impaired while the block lasts: Wire(loss="1%", delay="1ms"). Chances that came up nowhere,
    though they had to, are a failure: what got through was not put to the test."""
    COUNTED = {"loss": "wire_lost", "reorder": "wire_reordered", "duplicate": "wire_duplicated",
               "corrupt": "wire_corrupted"}

    def __init__(self, **impairments):
        self.impairments = impairments
        self.chances = {self.COUNTED[name]: float(value.rstrip("%")) / 100 for name, value in impairments.items()
                        if name in self.COUNTED}
        self.before = {}

    def __enter__(self):
        self.before = FAR.counters() if self.chances else {}
        self.set(self.impairments)

    def __exit__(self, kind, *_):
        self.set({name: "0" for name in self.impairments})
        if kind or not self.chances:
            return
        after = FAR.counters()
        frames = sum(moved(self.before, after, name) for name in after if re.fullmatch(r"tx\d+_hw_packets", name))
        for name, chance in self.chances.items():
            check(chance * frames < 30 or moved(self.before, after, name), f"{name} did not move in {frames} frames")

    @staticmethod
    def set(values):
        if values:
            must(*FAR.prefix, SZC_NIC, "wire", FAR.name, *(word for pair in values.items() for word in pair))


def need_psp():
    if not os.path.exists(os.path.join(NEAR.folder, "psp_spis")):
        raise Skipped("szcnic is no PSP device on this kernel")


def set_mtu(mtu):
    for port in (NEAR, FAR):
        status, output = port.link("mtu", mtu)
        check(status == 0, f"{port.name}: MTU {mtu} is refused", output)


class NicServer(Zcrx):
    """`zcrx-tls recv` or `echo` on a queue of the near port."""

    def __init__(self, command, *args, family=4, queue=QUEUE, **more):
        host = NEAR.address(family)
        place = f"[{host}]" if family == 6 else host
        port_file = scratch(".port")
        super().__init__([ZCRX_TLS, command, "--ifname", NEAR.name, "--queue", queue, "--listen", f"{place}:0",
                          "--cert", NIC.cert, "--key", NIC.key, "--port-file", port_file, "--handshake-timeout",
                          HANDSHAKE, *args], **more)
        wait_until(lambda: os.path.exists(port_file) or not self.running(), "zcrx-tls does not listen", HANDSHAKE)
        check(self.running(), "zcrx-tls did not start", *self.tail())
        self.port = int(read_text(port_file))
        self.address = f"{place}:{self.port}"

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        return self.finish(DONE, seconds=120)


def peer_send(server, path, *args, **more):
    """`zcrx-tls send`, started in the netns of the other port."""
    return Zcrx([*FAR.prefix, ZCRX_TLS, "send", "--connect", server.address, "--ca", CA.cert, "--handshake-timeout",
                 HANDSHAKE, "--idle-timeout", SILENCE, *args, path], **more)


NIC = Identity("nic", authority=CA, alternative=f"DNS:localhost,IP:{NEAR.address(4)},IP:{NEAR.address(6)}")
