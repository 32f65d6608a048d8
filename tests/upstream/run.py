#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one of the kernel's own selftests against szcnic, unmodified, in a guest with the lab's scene.

    run.py TEST [ARGUMENT...]

TEST is a path under drivers/net of the kernel's selftests that tests/upstream/list has; arguments are the test's own
(-t CASE), instead of those in the list. What it reports is judged against tests/upstream/expected and printed as TAP.
"""
import fnmatch
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import prepare  # noqa: E402
import host.accelerator as accelerator  # noqa: E402

LAB = os.path.join(prepare.REPOSITORY, "kernel", "lab", "lab")
RESULT = re.compile(r"^(not ok|ok) (\d+) (\S+)(?: # ?(SKIP|XFAIL)?:? ?(.*))?$")
EXPECTED = re.compile(r'^(\S+) (\S+) (skip|xfail|fail) "([^"]*)" (\S.*)$')
PLAN = re.compile(r"^1\.\.(\d+)$")
# The tests' patience is that of hardware. Where the guest is emulated its clock goes by the instructions it executes, so
# that it is its own work that takes time, and not that of others on the machine. One processor, because QEMU before 8.1
# lets a busy one starve the others for good when it counts instructions.
OWN_CLOCK = ["-c", "1", "--accel", "tcg,thread=single"]
PAIR = dict.fromkeys(("hw/irq.py", "hw/rss_input_xfrm.py"), ["-c", "2"])  # they move from one to the other
CLOCK = "--qemu=-icount shift=2"
# Hardware that merges packets waits for more of them as long as interrupts may wait: here, for a sender that is emulated,
# and for one that sends hundreds in between emulated four times as fast. It has one queue, since queues overtake each
# other.
MERGING = """ethtool -C "$NETIF" rx-usecs 90000 rx-frames 1 &&
ip netns exec "$REMOTE_ARGS" ethtool -L szc1 combined 1 &&
"""
# Their receiver, iou-zcrx, gives up when its completion ring of 1024 is full, and one call of it takes all that the sender's
# kernel has to send. That is less than the ring holds.
NARROW = """ip netns exec "$REMOTE_ARGS" sh -c 'echo 4096 16384 65536 >/proc/sys/net/ipv4/tcp_wmem' &&
"""
# It counts what the NIC drops. An emulated processor that sends does so for a while before the one that receives has its
# turn.
DEEP = 'ethtool -G "$NETIF" rx 1024 &&\n'
BEFORE_ONE = {"gro.py": MERGING, "hw/gro_hw.py": MERGING, "hw/iou-zcrx.py": NARROW,
              "hw/nk_qlease.py": NARROW, "hw/rss_ctx.py": DEEP}
CLOCK_ONE = {"hw/gro_hw.py": "--qemu=-icount shift=0"}
# What the tests take for granted: a NIC with queues to spare (there are as many as processors to begin with), addresses
# that are there again after down and up, and another end that knows the prefix that containers behind the NIC have. A
# driver that broke a rule of its firmware meanwhile has failed, whatever the test says.
BEFORE = """ethtool -L "$NETIF" combined 8 &&
echo 1 >"/proc/sys/net/ipv6/conf/$NETIF/keep_addr_on_down" &&
ip -6 -netns "$REMOTE_ARGS" route add "$LOCAL_PREFIX_V6" via "$LOCAL_V6" || exit 65
/usr/bin/python3 "$@"
status=$?
grep -H -v ' 0$' /sys/kernel/debug/szcnic/*/violations
case $? in 0) exit 64 ;; 1) exit $status ;; esac
exit 65
"""
# What kernel/lab/scene sets up.
SCENE = {"NETIF": "szc0", "LOCAL_V4": "192.0.2.1", "LOCAL_V6": "2001:db8::1", "REMOTE_V4": "192.0.2.2",
         "REMOTE_V6": "2001:db8::2", "REMOTE_TYPE": "netns", "REMOTE_ARGS": "peer",
         "LOCAL_PREFIX_V6": "2001:db8:2::0/64"}


def lines(path=os.path.join(HERE, "list")):
    with open(path, encoding="utf-8") as file:
        return [line.strip().split(maxsplit=2) for line in file if line.strip() and not line.startswith("#")]


def listed():
    """(set, test, the rest) of each test."""
    return [line for line in lines() if line[0] != "part"]


def parts():
    """{test: why only some of its cases are run}"""
    return {test: why for word, test, why in lines() if word == "part"}


class Expected:
    """A line of the reviewed list: that a case does not pass, in the test's own words, and why that is right."""

    def __init__(self, place, line):
        fields = EXPECTED.match(line)
        if not fields:
            sys.exit(f'{place}: wants TEST CASE skip|xfail|fail "WHAT THE TEST SAYS" REASON')
        self.test, self.case, self.verdict, self.says, self.reason = fields.groups()
        self.place, self.used = place, False

    def covers(self, case, verdict, said):
        return fnmatch.fnmatchcase(case, self.case) and verdict == self.verdict and self.says in said


def expectations(test):
    path = os.path.join(HERE, "expected")
    with open(path, encoding="utf-8") as file:
        lines = [Expected(f"{os.path.basename(path)}:{number}", line) for number, line in enumerate(file, 1)
                 if line.strip() and not line.startswith("#")]
    return [line for line in lines if line.test == test]


class Judge:
    """Turns what the test says into our TAP, with the list's word on what did not pass."""

    def __init__(self, test, expected, whole):
        self.test, self.expected, self.whole = test, expected, whole
        self.planned, self.count, self.failed = None, 0, False
        self.said = []

    def tell(self, passed, name, extra="", details=()):
        self.count += 1
        print(f"{'ok' if passed else 'not ok'} {self.count} - {name}{extra}")
        for line in details:
            print(f"# {line}")
        sys.stdout.flush()

    def line(self, text):
        plan, result = PLAN.match(text), RESULT.match(text)
        if plan:
            self.planned = int(plan[1])
        elif result:
            self.result(result)
            self.said = []
        else:
            self.said.append(text)

    def result(self, match):
        case = match[3].split(".", 1)[-1]
        verdict = match[4].lower() if match[4] else ("pass" if match[1] == "ok" else "fail")
        said = match[5] or "" if match[4] else "\n".join(self.said)
        self.failed = self.failed or verdict == "fail"
        if verdict == "pass":
            self.tell(True, case)
            return
        for line in self.expected:
            if line.covers(case, verdict, said):
                line.used = True
                self.tell(True, case, f" # SKIP {line.reason}")
                return
        why = f": {verdict} is not on the list: {said}" if match[4] else ""
        self.tell(False, case + why, details=self.said)

    def end(self, status):
        if self.planned is None or self.count != self.planned:
            self.tell(False, f"planned {self.planned} cases, reported {self.count}", details=self.said)
        if status and not (status == 1 and self.failed):
            self.tell(False, f"exit status {status}: 64, the driver broke rules of its firmware; 65, the scene is not as it was; "
                      "else see kernel/lab/lab --help", details=self.said)
        for line in self.expected:
            if self.whole and not line.used:
                self.tell(False, f"{line.place}: {line.case} did not {line.verdict} so, take the line off the list")
        print(f"1..{self.count}")


def run(test, by_hand):
    seconds, *arguments = next(rest.split() for chosen, name, rest in listed() if name == test and chosen != "out")
    arguments = by_hand or arguments
    folder, image = prepare.prepare()
    path = os.path.join(folder, "linux", prepare.SELFTESTS, "drivers", "net", test)
    environment = dict(SCENE, PATH=f"{folder}/bin:{prepare.PATH}", LC_ALL="C.UTF-8", HOME="/root",
                       PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1")
    settings = [f"{name}={value}" for name, value in environment.items()]
    clock = [*OWN_CLOCK, *PAIR.get(test, []), CLOCK_ONE.get(test, CLOCK)] if accelerator.choose(image)[0] != accelerator.KVM else []
    argv = [LAB, "run", "--scene", "-t", seconds, *clock, "--",
            "env", *settings, "sh", "-c", BEFORE_ONE.get(test, "") + BEFORE, "sh", path, *arguments]
    judge = Judge(test, expectations(test), not by_hand)
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                              errors="replace") as guest:
            # Whoever ends us ends the guest; what it said until then is judged.
            signal.signal(signal.SIGTERM, lambda *_: guest.terminate())
            for text in guest.stdout:
                sys.stderr.write(text)
                judge.line(text.rstrip("\n"))
        errors.seek(0)
        sys.stderr.write(errors.read())
    judge.end(guest.returncode)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in [name for chosen, name, _ in listed() if chosen != "out"]:
        sys.exit(__doc__)
    try:
        run(sys.argv[1], sys.argv[2:])
    except prepare.cache.Failure as failure:
        sys.exit(f"run.py: {failure}")
