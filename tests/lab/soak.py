#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The soak: connections come and go on three queues that receive without copies, and on others, and everything that can
happen to a NIC happens meanwhile. In the lab, best under the debug kernel:

    kernel/lab/lab --debug run -t 4000 --scene -- tests/lab/soak.py 3600

    soak.py [SECONDS [SEED]]        a minute, if not told otherwise; longer where it is too slow to judge

At the end no byte was wrong or missing unnoticed, and every buffer is back, as the library and the kernel count them;
that nothing else was left behind is for the lab to see, which reads the kernel's log, unloads the module and looks for
leaks.

All of it is one loop over generators: each lane of traffic and the trouble yield whenever they wait."""
import collections
import hashlib
import json
import os
import random
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
os.environ.setdefault("SZC_SOURCE", SOURCE)
os.environ.setdefault("SZC_BUILD", os.path.join(SOURCE, "build", "dev"))
os.environ.setdefault("SZC_TMP", tempfile.mkdtemp(prefix="soak."))
sys.path.insert(0, os.path.join(SOURCE, "tests", "lab"))
import port  # pylint: disable=wrong-import-position
from port import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from soak_trouble import Trouble  # pylint: disable=wrong-import-position
import soak_peers as peers  # pylint: disable=wrong-import-position

PATIENCE = 600  # seconds for a server to begin or end, and for a transfer, all of which trouble may slow down
port.patience = PATIENCE  # of each command
TURN = 0.02
PROGRESS = 30
ENOUGH = 10  # transfers of each lane
CHANNELS = 6
MIXED, ECHO, PLAIN = 1, 2, 3  # queues
SIZES = (0, 1, 1000, 16384, 100_000, 700_000, 2_000_000, 5_000_000)


def say(what):
    print(f"# {what}", flush=True)


def until(condition, what, seconds=PATIENCE):
    """To be yielded from."""
    deadline = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < deadline, f"after {seconds} s: {what}")
        yield


class Lane:
    """Servers one after the other, some rounds of connections to each."""

    def __init__(self, name, soak):
        self.name, self.soak = name, soak
        self.count = collections.Counter()  # what became of servers and transfers
        self.bytes = 0
        self.random = random.Random(f"{name} {soak.seed}")

    def run(self):
        while not self.soak.over():
            yield from self.serve(self.random.choice((4, 6)))

    def started(self, server):
        """Whether it came up. If not it must have said why, and trouble must have given it a reason."""
        yield from until(lambda: server.ready() or not server.running(), f"{self.name}: the server does not begin")
        if server.running():
            self.count["servers"] += 1
            return True
        code = server.wait()
        check(code > 0 and server.err.strip(), f"{self.name}: the server ended with {code} and says nothing")
        self.soak.excuse(f"{self.name}: no server: {server.err.strip().splitlines()[-1]}", server.began)
        self.count["refused"] += 1
        return False

    def settle(self, peer):
        """A transfer came to an end, whole or reported as broken."""
        verdict, said = peer.verdict()
        check(verdict != peers.WRONG, f"{self.name}: {said}")
        self.count["ok" if verdict == peers.WHOLE else "broken"] += 1
        if verdict == peers.WHOLE:
            self.bytes += peer.size
        else:
            self.soak.excuse(f"{self.name}: {said}", peer.began)
        return verdict == peers.WHOLE

    def transfers(self, start, most):
        """Some at once; returns them when all are over."""
        begun = [start(self.random.choice(SIZES)) for _ in range(self.random.randint(1, most))]
        yield from until(lambda: not any(peer.running() for peer in begun), f"{self.name}: a transfer does not end")
        return begun

    def rounds(self):
        for _ in range(self.random.randint(1, 6)):
            if self.soak.over():
                return
            yield

    def ended(self, server):
        server.child.terminate()
        yield from until(lambda: not server.running(), f"{self.name}: the server does not end")


class Files(Lane):
    """`zcrx-tls recv` into files, `zcrx-tls send` from the other port."""

    def serve(self, family):
        folder = scratch(".d")
        os.mkdir(folder)
        size = self.random.choice(("4K", "4K", "8K", "32K"))
        server = peers.tls_server("recv", MIXED, family, "--out", folder, "--max-connections", 8, "--buffer-size", size)
        if not (yield from self.started(server)):
            return
        sent = []
        for _ in self.rounds():
            sent += yield from self.transfers(lambda size: peers.FileSender(server, size, self.random), 4)
        yield from self.ended(server)
        whole = collections.Counter(peer.digest for peer in sent if self.settle(peer))
        peers.clean_end(server)
        self.compare(folder, whole, {peer.digest for peer in sent})

    def compare(self, folder, whole, begun):
        """A file is there for each transfer that succeeded, and none that nobody sent, or only in part."""
        found = collections.Counter()
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[hashlib.sha256(file.read()).hexdigest()] += 1
            os.remove(path)
        check(set(found) <= begun, f"{self.name}: a file that nobody sent", found, begun)
        check(not whole - found, f"{self.name}: transfers that succeeded left no file", whole - found)
        os.rmdir(folder)


class Echo(Lane):
    """`zcrx-tls echo`, Python's OpenSSL at the other port."""

    def serve(self, family):
        server = peers.tls_server("echo", ECHO, family, "--max-connections", 8)
        if not (yield from self.started(server)):
            return
        for _ in self.rounds():
            for peer in (yield from self.transfers(lambda size: peers.EchoClient(server, size, self.random), 3)):
                self.settle(peer)
        yield from self.ended(server)
        peers.clean_end(server)


class Plain(Lane):
    """soak_plain, without TLS."""

    queue = PLAIN

    def serve(self, family):
        server = peers.plain_server(self.queue, family)
        if not (yield from self.started(server)):
            return
        sent = []
        for _ in self.rounds():
            sent += yield from self.transfers(lambda size: peers.Sender(server, size, self.random), 5)
        yield from self.ended(server)
        whole = collections.Counter(f"{peer.size} {peer.digest}" for peer in sent if self.settle(peer))
        check(server.wait() == 0, f"{self.name}: the server did not end as it should", server.err)
        lines = [line.partition(" ") for line in server.out.splitlines()]
        done = collections.Counter(rest for word, _, rest in lines if word == "done")
        for rest in (rest for word, _, rest in lines if word == "failed"):
            self.soak.excuse(f"{self.name}: the server: {rest}", server.began)
        check(set(done) <= {f"{peer.size} {peer.digest}" for peer in sent}, f"{self.name}: nobody sent that", done)
        check(not whole - done, f"{self.name}: transfers that succeeded were not received", whole - done)
        check(lines[-1][0] == "end" and lines[-1][2] == "0 0", f"{self.name}: buffers are not back: {lines[-1]}")


class Ordinary(Plain):
    """Sockets that nobody gave a queue: the rest of the NIC goes on."""

    queue = None


class Soak:
    def __init__(self, seconds, seed):
        self.seed, self.seconds = seed, seconds
        self.begin = time.monotonic()
        self.deadline = self.begin + seconds
        self.excused = collections.Counter()
        self.trouble = Trouble(self, CHANNELS, (MIXED, ECHO, PLAIN))
        self.lanes = [Files("files", self), Echo("echo", self), Plain("plain", self), Ordinary("ordinary", self)]
        self.shown = 0
        self.szc_nic = os.path.join(os.environ["SZC_BUILD"], "tools", "szc-nic")

    def over(self):
        """Where everything is slow it goes on, for three times as long at most, until there is something to judge by."""
        late = time.monotonic() - self.deadline
        return late > 2 * self.seconds or late > 0 and all(lane.count["ok"] >= ENOUGH for lane in self.lanes)

    def excuse(self, what, since):
        """Trouble broke something, which was reported. Without trouble it would be a fault."""
        check(self.trouble.had_since(since), "broken without a reason", what)
        self.excused["".join("#" if letter.isdigit() else letter for letter in what)] += 1

    def progress(self, always=False):
        now = time.monotonic()
        if not always and now < self.shown + PROGRESS:
            return
        self.shown = now
        parts = [f"{lane.name} {dict(lane.count)} {lane.bytes >> 20} MiB" for lane in self.lanes]
        say(f"{now - self.begin:6.0f} s: {'; '.join(parts)}; {self.trouble.told()}")

    def run(self):
        prepare()
        doing = [lane.run() for lane in self.lanes]
        trouble = self.trouble.run()
        while doing:
            for one in [*doing, *([trouble] if trouble else [])]:
                try:
                    next(one)
                except StopIteration:
                    if one is trouble:
                        trouble = None
                    else:
                        doing.remove(one)
            self.progress()
            time.sleep(TURN)
        self.judge()

    def judge(self):
        """When all is quiet."""
        self.progress(always=True)
        for what, count in self.excused.most_common():
            say(f"{count} times: {what}")
        broken = NEAR.violations()
        check(not broken, "the driver broke rules of its firmware", broken)
        works()
        for lane in self.lanes:
            check(lane.count["ok"] > lane.count["broken"] + lane.count["refused"],
                  f"{lane.name}: less than half worked", dict(lane.count))
            if lane.count["ok"] < ENOUGH:
                say(f"{lane.name}: few transfers to judge by: {lane.count['ok']}")
        for end in (NEAR, FAR):
            nothing_held(end)


def prepare():
    NEAR.ethtool("-L", "combined", CHANNELS)
    say(f"{os.uname().release}, {time.strftime('%H:%M:%S')}")


def nothing_held(end):
    """No pool but those of an open port's own, and none at all when it is closed."""
    ifindex = int(must(*end.prefix, "cat", f"/sys/class/net/{end.name}/ifindex"))

    def ours():
        pools = json.loads(must(*end.prefix, sys.executable, os.path.join(SOURCE, "tests", "lab", "pools.py")))
        return [pool for pool in pools if pool.get("ifindex") == ifindex]

    wait_until(lambda: not [pool for pool in ours() if "io_uring" in pool or "detached" in pool],
               f"{end.name}: page pools that are gone from it still hold memory, or a queue has still its provider", 60)
    say(f"{end.name}: {len(ours())} page pools, none of them detached or a provider's")
    check(end.link("down")[0] == 0, f"{end.name} does not close")
    wait_until(lambda: not ours(), f"{end.name}: page pools of a closed port still hold memory", 60)
    end.up()


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    cases = Cases(seconds + 2 * PATIENCE)
    cases.add(f"{seconds} s of traffic and trouble, seed {seed}", lambda: Soak(seconds, seed).run())
    cases.run()


if __name__ == "__main__":
    main()
