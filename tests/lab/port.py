# SPDX-License-Identifier: MIT
"""The two ports of the scene (kernel/lab/scene), their counters, and the faults that szcnic has on demand
(kernel/fault.h). NEAR is here; FAR is the other end of its wire, in a network namespace of its own."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
import traffic  # pylint: disable=wrong-import-position
from traffic import DEBUG_KERNEL  # pylint: disable=wrong-import-position

DROPS = ("drop_no_buffer", "drop_no_completion", "drop_mru", "drop_stalled", "drop_dma")

# Seconds for a command. Who burdens the machine on purpose gives it more.
patience = 120


def command(*argv, seconds=None):
    """Exit status, and output with errors."""
    done = subprocess.run([str(arg) for arg in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=seconds or patience)
    return done.returncode, done.stdout


def must(*argv, seconds=None):
    status, output = command(*argv, seconds=seconds)
    check(status == 0, f"exit status {status}: {' '.join(str(arg) for arg in argv)}", output)
    return output


class Port:
    def __init__(self, name, netns=None):
        self.name = name
        self.netns = netns
        self.prefix = ("ip", "netns", "exec", netns) if netns else ()
        bus = [line for line in self.ethtool("-i").splitlines() if line.startswith("bus-info:")][0]
        # A port that closes, also by itself, keeps its addresses.
        must(*self.prefix, "sysctl", "-qw", f"net.ipv6.conf.{self.name}.keep_addr_on_down=1")
        self.folder = f"/sys/kernel/debug/szcnic/{bus.rpartition(':')[2].strip()}"

    def ethtool(self, option, *args):
        return must(*self.prefix, "ethtool", option, self.name, *args)

    def try_ethtool(self, option, *args):
        return command(*self.prefix, "ethtool", option, self.name, *args)

    def link(self, *words):
        return command(*self.prefix, "ip", "link", "set", self.name, *words)

    def is_up(self):
        return bool(must(*self.prefix, "ip", "link", "show", "dev", self.name, "up").strip())

    def up(self):
        status, output = self.link("up")
        check(status == 0, "the port does not open", output)

    def down_up(self):
        status, output = self.link("down")
        check(status == 0, "the port does not close", output)
        self.up()

    def address(self, family=4):
        output = must(*self.prefix, "ip", "-o", f"-{family}", "addr", "show", "dev", self.name, "scope", "global")
        return output.split()[3].partition("/")[0]

    def counters(self):
        """What `ethtool -S` says, by name."""
        lines = [line.partition(":") for line in self.ethtool("-S").splitlines()]
        return {name.strip(): int(value) for name, _, value in lines if value.strip().isdigit()}

    # ---- debugfs

    def ask(self, file, *words):
        """Writes to a file of faults: OSError if the driver refuses."""
        descriptor = os.open(os.path.join(self.folder, file), os.O_WRONLY)
        try:
            os.write(descriptor, " ".join(str(word) for word in words).encode())
        finally:
            os.close(descriptor)

    def asked(self, file):
        with open(os.path.join(self.folder, file), encoding="ascii") as content:
            return content.read()

    def table(self, file):
        return {name: int(value) for name, value in (line.split() for line in self.asked(file).splitlines())}

    def violations(self):
        return {rule: count for rule, count in self.table("violations").items() if count}

    def restart(self, queue):
        """None, or the error."""
        try:
            self.ask("restart", queue)
        except OSError as error:
            return error
        return None


NEAR, FAR = Port("szc0"), Port("szc1", "peer")
PEER = FAR.netns


def counted_by_both():
    """What either port has counted, at a moment when nothing is under way between them: the kernel asks for neighbours and
    routers whenever it likes, and a frame that one port has counted and the other not yet spoils the sums."""
    seen = []

    def still():
        seen.append((NEAR.counters(), FAR.counters()))
        return len(seen) > 1 and seen[-1] == seen[-2]

    wait_until(still, "the ports never rest", 60)
    return seen[-1]


# ---- traffic from the peer to us

_last_port = 20000


def free_port():
    global _last_port  # pylint: disable=global-statement
    _last_port += 1
    return _last_port


def received():
    with open(f"/sys/class/net/{NEAR.name}/statistics/rx_packets", encoding="ascii") as content:
        return int(content.read())


class Traffic:
    """Of traffic.py, in the background. It flows when this returns, unless it was over by then."""

    live = []

    def __init__(self, function, amount, *more, port=None, family=4):
        before = received()
        self.log = scratch(".traffic")
        address = NEAR.address(family)
        self.status = None

        def work():
            with open(self.log, "w", encoding="utf-8") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            return not function(PEER, address, port or free_port(), amount, *more)

        self.child = traffic.in_child(None, work)
        Traffic.live.append(self)
        # A few packets are neighbour discovery.
        wait_until(lambda: received() > before + 20 or not self.running(), "no traffic comes", 60)

    def running(self):
        if self.status is None:
            child, status = os.waitpid(self.child, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if child else None
        return self.status is None

    def stop(self):
        os.kill(self.child, signal.SIGTERM)
        return self.finish()

    def finish(self, seconds=150):
        """What it said."""
        wait_until(lambda: not self.running(), "traffic does not end", seconds)
        check(self.status == 0, "traffic failed", read_text(self.log))
        return read_text(self.log)


class LabCases(Cases):
    """Nothing of a case's traffic outlives it."""

    def __init__(self, seconds):
        super().__init__(seconds * (4 if DEBUG_KERNEL else 1))

    def judge(self, name, function, args):
        try:
            return super().judge(name, function, args)
        finally:
            for one in Traffic.live:
                if one.running():
                    os.kill(one.child, signal.SIGKILL)
                    os.waitpid(one.child, 0)
            Traffic.live.clear()


def transfer(mib=0.25 if DEBUG_KERNEL else 1, connections=4, family=4):
    """TCP from the peer, checked."""
    check(traffic.tcp(PEER, NEAR.address(family), free_port(), mib, connections),
          f"{connections} streams over IPv{family} did not arrive as they were sent")


def works():
    for family in (4, 6):
        transfer(family=family)


# ---- the kernel's log

class Log:
    """What the kernel says from now on."""

    def __init__(self):
        with open("/dev/kmsg", "w", encoding="ascii") as kmsg:
            self.mark = f"szc test: {time.monotonic_ns()}"
            kmsg.write(self.mark)

    def lines(self):
        return must("dmesg").rpartition(self.mark)[2].splitlines()
