# SPDX-License-Identifier: MIT
"""What the tests of tests/lab share: the standard scene (kernel/lab/scene) as Python sees it. szc0 is the port here, szc1
its other end in the netns `peer`; the wire towards us, and its impairments, belong to szc1.

Every figure about zero copy is the NIC's own (ethtool -S): what it put into net_iovs, pages and linear heads."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

NEAR, FAR, PEER = "szc0", "szc1", "peer"
IN_PEER = ("ip", "netns", "exec", PEER)
SZC_NIC = os.path.join(os.environ["SZC_BUILD"], "tools", "szc-nic")
# Of the queue that tests bind; traffic that is not theirs stays on the others.
QUEUE = 1


def run(*argv, peer=False, seconds=60):
    """The output of a command that must succeed."""
    argv = [str(arg) for arg in ((*IN_PEER, *argv) if peer else argv)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds)
    check(done.returncode == 0, f"exit code {done.returncode}: {' '.join(argv)}", *done.stderr.splitlines()[-8:])
    return done.stdout


def address(family=4, port=NEAR, peer=False):
    for one in json.loads(run("ip", "-j", "addr", "show", "dev", port, peer=peer))[0]["addr_info"]:
        if one["scope"] == "global" and one["family"] == ("inet6" if family == 6 else "inet"):
            return one["local"]
    raise Failed(f"{port} has no address of family {family}")


def counters(port=NEAR, peer=False):
    """What `ethtool -S` says, by name."""
    values = {}
    for line in run("ethtool", "-S", port, peer=peer).splitlines():
        name, _, value = line.partition(":")
        if value.strip().isdigit():
            values[name.strip()] = int(value)
    return values


def moved(before, after, name):
    return after[name] - before[name]


def debug_folder(port=NEAR):
    """Where the faults of a port are asked for."""
    top = "/sys/kernel/debug/szcnic"
    for name in os.listdir(top):
        if read_text(f"{top}/{name}/netdev").split()[0] == port:
            return f"{top}/{name}"
    raise Failed(f"{port} has no folder in {top}")


def violations(port=NEAR):
    """Rules of the firmware that were broken, with how often; {} is what there ought to be."""
    broken = {}
    for line in read_text(f"{debug_folder(port)}/violations").splitlines():
        rule, count = line.split()
        if int(count):
            broken[rule] = int(count)
    return broken


class Wire:
    """The wire towards us, impaired while the block lasts: Wire(loss="1%", delay="1ms")."""

    def __init__(self, **impairments):
        self.words = [word for name, value in impairments.items() for word in (name, value)]

    def __enter__(self):
        if self.words:
            run(SZC_NIC, "wire", FAR, *self.words, peer=True)

    def __exit__(self, *_):
        if self.words:
            names = self.words[::2]
            calm = [word for name in names for word in (name, "0")]
            run(SZC_NIC, "wire", FAR, *calm, peer=True)


def set_mtu(mtu):
    run("ip", "link", "set", NEAR, "mtu", mtu)
    run("ip", "link", "set", FAR, "mtu", mtu, peer=True)


class NicServer(Zcrx):
    """`zcrx-tls recv` or `echo` on a queue of the near port."""

    def __init__(self, command, *args, family=4, queue=QUEUE, **more):
        self.host = address(family)
        listen = f"[{self.host}]:0" if family == 6 else f"{self.host}:0"
        port_file = scratch(".port")
        super().__init__([ZCRX_TLS, command, "--ifname", NEAR, "--queue", queue, "--listen", listen, "--cert", NIC.cert,
                          "--key", NIC.key, "--port-file", port_file, *args], **more)
        wait_until(lambda: os.path.exists(port_file) or not self.running(), "zcrx-tls does not listen", 60)
        check(self.running(), "zcrx-tls did not start", *self.tail())
        self.port = int(read_text(port_file))
        self.address = f"[{self.host}]:{self.port}" if family == 6 else f"{self.host}:{self.port}"

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        return self.finish(DONE, seconds=60)


def peer_send(server, path, *args, **more):
    """`zcrx-tls send`, started in the netns of the other port."""
    return Zcrx([*IN_PEER, ZCRX_TLS, "send", "--connect", server.address, "--ca", CA.cert, *args, path], **more)


NIC = Identity("nic", authority=CA, alternative=f"DNS:localhost,IP:{address(4)},IP:{address(6)}")
