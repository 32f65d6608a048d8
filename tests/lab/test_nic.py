#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""szc-nic and szc/nic.h on the virtual NIC: what they say they did is what ethtool and the kernel's own netlink client
(ynl) read, it is undone to the letter, and what is not ours stays."""
import ctypes
import errno
import fcntl
import json
import os
import re
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from scene import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from kernel_client import ynl, ynl_folder  # pylint: disable=wrong-import-position

CHANNELS = 4
PORT = 4433
SZC_E_STATE = -10000
SIOCOUTQ = 0x5411  # linux/sockios.h


# ---------------------------------------------------------------------------------------------- readings of others

def rings():
    return ynl("ethtool", "rings-get", header={"dev-name": NEAR.name})


def table():
    """The queues that the RSS table spreads over, as `ethtool -x` has them."""
    entries = []
    for line in must("ethtool", "-x", NEAR.name).splitlines():
        if line.startswith("RSS hash key"):
            break
        index, _, rest = line.partition(":")
        if index.strip().isdigit():
            entries += [int(entry) for entry in rest.split()]
    return entries


def ring():
    return int([line for line in must("ethtool", "-g", NEAR.name).splitlines() if line.startswith("RX:")][1].split()[1])


def rules():
    """By slot: what `ethtool -n` says of each, line by line."""
    found, slot = {}, None
    for line in must("ethtool", "-n", NEAR.name).splitlines():
        if line.startswith("Filter:"):
            slot = int(line.split()[1])
            found[slot] = []
        elif slot is not None and line.strip():
            found[slot].append(line.strip())
    return found


def everything():
    return [must("ethtool", option, NEAR.name) for option in ("-g", "-x", "-n", "-l", "-k")]


# ---------------------------------------------------------------------------------------------- szc-nic, szc/nic.h

def szc_nic(*args, status=0):
    """The object that szc-nic printed."""
    done = subprocess.run([SZC_NIC, *[str(arg) for arg in args], "--json"], capture_output=True, text=True, check=False,
                          timeout=60)
    check(done.returncode == status, f"exit code {done.returncode}, not {status}: {args}", done.stdout, done.stderr)
    said = json.loads(done.stdout)
    check(bool(said["error"]) == bool(status), said)
    return said


def changes(said):
    return {change["what"]: (change["before"], change["after"]) for change in said["changes"]}


def shown():
    return szc_nic("show", NEAR.name)["interfaces"][0]


class NicOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("ifname", ctypes.c_char_p), ("state_file", ctypes.c_char_p),
                ("error", ctypes.c_char_p), ("error_size", ctypes.c_size_t)]


class Flow(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("family", ctypes.c_int), ("port", ctypes.c_uint16),
                ("peer_port", ctypes.c_uint16), ("local", ctypes.c_char_p), ("peer", ctypes.c_char_p)]


class Prepare(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("queue", ctypes.c_uint), ("rx_ring", ctypes.c_uint),
                ("ports", ctypes.c_void_p), ("port_count", ctypes.c_size_t), ("leave_split", ctypes.c_bool),
                ("dry_run", ctypes.c_bool)]


class Handle:
    """A handle of the library's, closed with the block, and restored first."""

    library = ctypes.CDLL(os.path.join(os.environ["SZC_BUILD"], "lib", "libszc.so"))
    library.szc_nic_last_error.restype = ctypes.c_char_p

    def __enter__(self):
        self.nic = ctypes.c_void_p()
        options = NicOptions(ctypes.sizeof(NicOptions), NEAR.name.encode())
        error = self.library.szc_nic_open(ctypes.byref(self.nic), ctypes.byref(options))
        check(error == 0, f"szc_nic_open: {error}")
        return self

    def __exit__(self, *_):
        restored = self.call("restore")
        sentence = self.sentence()
        self.library.szc_nic_close(self.nic)
        check(restored == 0, f"szc_nic_restore: {restored}: {sentence}")

    def call(self, name, *args):
        return getattr(self.library, f"szc_nic_{name}")(self.nic, *args)

    def must(self, name, *args):
        result = self.call(name, *args)
        check(result >= 0, f"szc_nic_{name}: {result}: {self.sentence()}")
        return result

    def sentence(self):
        return self.library.szc_nic_last_error(self.nic).decode()

    def prepare(self, queue):
        self.must("prepare", ctypes.byref(Prepare(ctypes.sizeof(Prepare), queue)))

    def steer(self, family, port, peer_port=0, local=None, peer=None, queue=QUEUE):
        flow = Flow(ctypes.sizeof(Flow), family, port, peer_port, sockaddr(family, local), sockaddr(family, peer))
        return self.call("steer", ctypes.byref(flow), queue)


def sockaddr(family, text):
    """As bytes, whose zeros ctypes keeps; struct sockaddr_in, or sockaddr_in6 with its flow label."""
    if text is None:
        return None
    head = int(family).to_bytes(2, sys.byteorder) + bytes(2)
    if family == socket.AF_INET6:
        head += bytes(4)
    keep = ctypes.create_string_buffer(head + socket.inet_pton(family, text) + bytes(8))
    _kept.append(keep)
    return ctypes.cast(keep, ctypes.c_char_p)


_kept = []


# ---------------------------------------------------------------------------------------------- traffic

def packets(queue):
    return NEAR.counters()[f"rx{queue}_packets"]


def stream(family, port, source=0, seconds=20):
    """A TCP connection from the other port to us; what queue its payload came through, by the NIC's count."""
    host = NEAR.address(6 if family == socket.AF_INET6 else 4)
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        listener.settimeout(seconds)
        before = [packets(queue) for queue in range(CHANNELS)]
        sender = subprocess.Popen([*FAR.prefix, sys.executable, "-c", SENDER, host, str(port), str(source)])
        try:
            conn, _ = listener.accept()
            with conn:
                conn.settimeout(seconds)
                while conn.recv(65536):
                    pass
        finally:
            sender.kill()
            sender.wait()
    after = [packets(queue) for queue in range(CHANNELS)]
    came = [after[queue] - before[queue] for queue in range(CHANNELS)]
    return came.index(max(came)), came


SENDER = """
import socket, sys
host, port, source = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as out:
    out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if source:
        out.bind(("", source))
    out.connect((host, port))
    for _ in range(200):
        out.sendall(bytes(1000))
"""


# ---------------------------------------------------------------------------------------------- cases

def case_show():
    nic = shown()
    check(nic["kind"] == "szcnic" and nic["up"] and nic["rx_queues"] == CHANNELS, nic)
    check([queue["id"] for queue in nic["queues"]] == list(range(CHANNELS)), nic["queues"])
    check(all(queue["napi_id"] and queue["memory"] == "pool" and queue["in_rss"] for queue in nic["queues"]), nic)
    check(nic["rx_ring"] == ring() and nic["rss_entries"] == len(table()) and not nic["on_record"], nic)
    of_kernel = ynl("netdev", "queue-get", ifindex=nic["ifindex"], type="rx", id=QUEUE)
    check(of_kernel["napi-id"] == nic["queues"][QUEUE]["napi_id"], of_kernel, nic["queues"])
    # The payload of as many packets: at an MTU of 9000 each takes three pages, and rings double.
    check(nic["rx_ring_payload"] == ring(), nic)
    set_mtu(9000)
    try:
        check(shown()["rx_ring_payload"] == 4 * ring(), shown())
    finally:
        set_mtu(1500)


def case_dry_run():
    before = everything()
    planned = changes(szc_nic("prepare", NEAR.name, "--queue", QUEUE, "--rx-ring", 128, "--dry-run"))
    check(planned["receive ring"][1] == "128" and planned["RSS table"] == ("default", "queues 0,2-3"), planned)
    check(everything() == before and not shown()["on_record"], "a dry run changed something")
    real = changes(szc_nic("prepare", NEAR.name, "--queue", QUEUE, "--rx-ring", 128))
    check(real == planned, planned, real)
    szc_nic("restore", NEAR.name)


def case_prepare_and_restore():
    before, split = everything(), rings()
    said = changes(szc_nic("prepare", NEAR.name, "--queue", QUEUE, "--rx-ring", 128, "--port", PORT))
    now = rings()
    check(now["tcp-data-split"] == "enabled" and now["hds-thresh"] == 0 and now["rx"] == 128, now)
    check(ring() == 128 and set(table()) == {0, 2, 3}, ring(), table())
    check(said["header/data split"][1] == "on" and said["receive ring"] == (str(split["rx"]), "128"), said)
    check(said["RSS table"] == ("default", "queues 0,2-3"), said)
    nic = shown()
    check(nic["split"] == "on" and [queue["in_rss"] for queue in nic["queues"]] == [True, False, True, True], nic)
    check({change["what"] for change in nic["on_record"]} == set(said), nic["on_record"], said)
    again = szc_nic("prepare", NEAR.name, "--queue", QUEUE, "--rx-ring", 128)
    check(not again["changes"], "the second time changed something")

    undone = changes(szc_nic("restore", NEAR.name))
    check(undone == {what: (after, first) for what, (first, after) in said.items()}, said, undone)
    check(everything() == before and rings() == split, "not as it was")
    left = [name for name in os.listdir("/run/szc") if name.endswith(f"-{NEAR.name}")]
    check(not shown()["on_record"] and not left, left)


def case_threshold():
    """A threshold that was not 0 comes back."""
    ynl("ethtool", "rings-set", **{"header": {"dev-name": NEAR.name}, "hds-thresh": 100})
    try:
        said = changes(szc_nic("prepare", NEAR.name, "--queue", QUEUE))
        check(said["split threshold"] == ("100", "0") and rings()["hds-thresh"] == 0, said)
        szc_nic("restore", NEAR.name)
        check(rings()["hds-thresh"] == 100, rings())
    finally:
        ynl("ethtool", "rings-set", **{"header": {"dev-name": NEAR.name}, "hds-thresh": 0})


def case_threshold_on_the_wire():
    """Segments up to the threshold stay whole, longer ones are split: by the payload that the NIC put into either place."""
    count, threshold, headers = 10, 600, 14 + 20 + 32  # TCP with timestamps
    longest = threshold - headers

    def send():
        with socket.create_connection(place, 20) as sender:
            sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for length in (longest, longest + 1):
                for _ in range(count):
                    sender.sendall(bytes(length))
                    # The next one is a segment of its own.
                    wait_until(lambda: not struct.unpack("i", fcntl.ioctl(sender, SIOCOUTQ, bytes(4)))[0], "no answer")
        return 0

    def payload(where):
        return sum(value for name, value in NEAR.counters().items() if re.fullmatch(rf"rx\d+_{where}", name))

    ynl("ethtool", "rings-set", **{"header": {"dev-name": NEAR.name}, "tcp-data-split": "enabled",
                                   "hds-thresh": threshold})
    try:
        works()
        before = {where: payload(where) for where in ("whole", "split")}
        with socket.create_server((NEAR.address(4), 0)) as server:
            place = server.getsockname()
            _, status = os.waitpid(traffic.in_child(PEER, send), 0)
        check(not status, f"it could not be sent: {status}")
        # Some may have been sent twice.
        whole, split = (payload(where) - before[where] for where in ("whole", "split"))
        check(whole >= count * longest and whole % longest == 0, f"{whole} bytes whole, each time {longest}")
        check(split >= count * (longest + 1) and split % (longest + 1) == 0, f"{split} bytes split")
    finally:
        ynl("ethtool", "rings-set", **{"header": {"dev-name": NEAR.name}, "tcp-data-split": "unknown", "hds-thresh": 0})


def case_what_others_changed():
    szc_nic("prepare", NEAR.name, "--queue", QUEUE, "--rx-ring", 128)
    must("ethtool", "-X", NEAR.name, "equal", "1")
    said = szc_nic("restore", NEAR.name)
    notes = {change["what"] for change in said["changes"] if change["note"]}
    check(notes == {"RSS table"} and set(table()) == {0} and ring() != 128, said, table())
    must("ethtool", "-X", NEAR.name, "default")


def case_rules_of_others():
    """Ntuple filters that szc turned on stay on for a rule that somebody made since: turned off they lose it."""
    must("ethtool", "-K", NEAR.name, "ntuple", "off")
    try:
        said = changes(szc_nic("prepare", NEAR.name, "--queue", QUEUE, "--port", PORT))
        check(said["ntuple filters"] == ("off", "on"), said)
        must("ethtool", "-N", NEAR.name, "flow-type", "tcp4", "dst-port", 22, "action", 2)
        slots = list(rules())
        said = szc_nic("restore", NEAR.name)
        notes = {change["what"]: change["note"] for change in said["changes"] if change["note"]}
        check("rules that szc did not make" in notes.get("ntuple filters", ""), said)
        check(list(rules()) == slots and not shown()["on_record"], rules(), shown())
        for slot in slots:
            must("ethtool", "-N", NEAR.name, "delete", slot)
        must("ethtool", "-K", NEAR.name, "ntuple", "off")
        szc_nic("prepare", NEAR.name, "--queue", QUEUE, "--port", PORT)
        said = changes(szc_nic("restore", NEAR.name))
        check(said["ntuple filters"] == ("on", "off"), said)
    finally:
        must("ethtool", "-K", NEAR.name, "ntuple", "on")


def refused(sentence, *args, status=7):
    before = everything()
    said = szc_nic("prepare", NEAR.name, *args, status=status)
    check(sentence in said["error"], said["error"])
    check(everything() == before and not shown()["on_record"], "a refusal changed something")


def case_in_the_way():
    refused(f"has {CHANNELS} receive queues", "--queue", CHANNELS, status=2)
    refused("requested ring size exceeds maximum", "--queue", QUEUE, "--rx-ring", 1 << 30)
    must("ethtool", "-N", NEAR.name, "flow-type", "tcp4", "dst-port", PORT, "action", 2)
    slot = max(rules())
    refused(f"rule {slot} of {NEAR.name}", "--queue", QUEUE, "--port", PORT)
    must("ethtool", "-N", NEAR.name, "delete", slot)
    must("ethtool", "-X", NEAR.name, "context", "new", "start", QUEUE, "equal", 1)
    refused("RSS context 1 of", "--queue", QUEUE)
    must("ethtool", "-X", NEAR.name, "context", 1, "delete")
    must("ethtool", "-L", NEAR.name, "combined", 1)
    refused("has one receive queue", "--queue", 0, status=2)
    must("ethtool", "-L", NEAR.name, "combined", CHANNELS)


def case_damaged_record():
    """It hides who did what; the NIC is shown all the same, and nothing is changed."""
    state = scratch(".state")
    with open(state, "w", encoding="ascii") as out:
        out.write("hello\n")
    os.chmod(state, 0o600)
    nic = szc_nic("show", NEAR.name, "--state", state)["interfaces"][0]
    check(nic["rx_queues"] == CHANNELS and nic["rx_ring"] == ring(), nic)
    check([change["what"] for change in nic["on_record"]] == ["state file"], nic["on_record"])
    check("damaged" in nic["on_record"][0]["note"], nic["on_record"])
    said = szc_nic("prepare", NEAR.name, "--queue", QUEUE, "--state", state, status=6)
    check("damaged" in said["error"] and set(table()) == set(range(CHANNELS)), said)


def case_without_privilege():
    """Looking needs none; changing says what it needs."""
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    check(json.loads(must(*nobody, SZC_NIC, "show", NEAR.name, "--json"))["interfaces"], "nothing is shown")
    state = scratch(".state")
    os.chmod(TMP, 0o777)
    done = subprocess.run([*nobody, SZC_NIC, "prepare", NEAR.name, "--queue", str(QUEUE), "--state", state],
                          capture_output=True, text=True, check=False, timeout=60)
    check(done.returncode == 7 and "root or CAP_NET_ADMIN" in done.stderr, done)
    check(not os.path.exists(state), read_text(state) if os.path.exists(state) else "")


def case_down():
    """A NIC that is down can be prepared, and comes up prepared."""
    must("sysctl", "-qw", f"net.ipv6.conf.{NEAR.name}.keep_addr_on_down=1")
    must("ip", "link", "set", NEAR.name, "down")
    try:
        szc_nic("prepare", NEAR.name, "--queue", QUEUE)
    finally:
        must("ip", "link", "set", NEAR.name, "up")
    check(set(table()) == {0, 2, 3} and shown()["split"] == "on", table())
    szc_nic("restore", NEAR.name)
    check(set(table()) == set(range(CHANNELS)), table())


def case_steering(family):
    """By port, and by 4-tuple, which is more special; then as before."""
    number = 6 if family == socket.AF_INET6 else 4
    local, far = NEAR.address(number), FAR.address(number)
    must("ethtool", "-X", NEAR.name, "equal", 1)
    must("ethtool", "-N", NEAR.name, "flow-type", "udp4", "dst-port", "53", "action", 0)
    foreign = rules()
    try:
        with Handle() as nic:
            nic.must("steer_port", PORT, 1)
            check(len(rules()) == len(foreign) + 2, rules())
            queue, came = stream(family, PORT)
            check(queue == 1 and sum(came[2:]) == 0, came)
            # Of this handle's own rules the port's has the better slot, so another port.
            slot = nic.steer(family, PORT + 1, 40001, local, far, queue=2)
            check(slot >= 0, nic.sentence())
            check(any("Action: Direct to queue 2" in line for line in rules()[slot]), rules()[slot])
            queue, came = stream(family, PORT + 1, 40001)
            check(queue == 2, came)
            queue, came = stream(family, PORT + 1)
            check(queue == 0, came)
            check([rule["ours"] for rule in shown()["rules"]].count(True) == 3, shown()["rules"])
            nic.must("unsteer", slot)
            check(slot not in rules(), rules())
            check(nic.call("unsteer", max(foreign)) == SZC_E_STATE, "a rule of somebody else's was removed")
            check(nic.call("steer_port", PORT, 2) == -errno.EEXIST, "the port has two queues")
        check(rules() == foreign, foreign, rules())
    finally:
        for slot in foreign:
            must("ethtool", "-N", NEAR.name, "delete", slot)
        must("ethtool", "-X", NEAR.name, "default")


def case_two_holders():
    """Two handles on two queues; each takes what it needs, and the last one leaves the NIC as the first found it."""
    before = everything()
    for first_leaves_first in (True, False):
        one, two = Handle().__enter__(), Handle().__enter__()
        one.prepare(1)
        two.prepare(2)
        check(set(table()) == {0, 3}, table())
        leaves, stays = (one, two) if first_leaves_first else (two, one)
        leaves.__exit__()
        check(set(table()) == ({0, 1, 3} if first_leaves_first else {0, 2, 3}), table())
        check(shown()["split"] == "on", "the split that is still needed is gone")
        stays.__exit__()
        check(everything() == before, "not as it was")


def case_dead_holder():
    """What a process left behind that died is undone by szc-nic restore; while it lives, it is not."""
    before = everything()
    script = ("import sys; sys.argv[0] = '-'; sys.path.insert(0, sys.argv[1]); import test_nic, time\n"
              "nic = test_nic.Handle().__enter__(); nic.prepare(1); nic.must('steer_port', 4433, 1)\n"
              "print('ready', flush=True); time.sleep(60)\n")
    child = subprocess.Popen([sys.executable, "-c", script, os.path.dirname(os.path.realpath(__file__))],
                             stdout=subprocess.PIPE, text=True)
    try:
        check(child.stdout.readline() == "ready\n", "the other process failed")
        said = szc_nic("restore", NEAR.name, status=7)
        check(f"process {child.pid} still uses queue 1" in said["error"], said)
        check(len(rules()) == 2, rules())
    finally:
        child.kill()
        child.wait()
    check(len(rules()) == 2 and everything() != before, "it was undone by itself")
    szc_nic("restore", NEAR.name)
    check(everything() == before, "not as it was")


def case_receiver():
    """A queue that receives: who holds it is shown, nobody else gets it, and afterwards the NIC is as it was."""
    before = everything()
    server = NicServer("recv")
    nic = shown()
    queue = nic["queues"][QUEUE]
    check(queue["memory"] == "io_uring" and queue["rx_buf_len"] and not queue["in_rss"] and queue["pools"], queue)
    check([other["memory"] for other in nic["queues"]].count("pool") == CHANNELS - 1, nic["queues"])
    steered = [rule["rule"] for rule in nic["rules"] if rule["ours"]]
    check(steered == [f"tcp4 *:* {server.address} queue {QUEUE}"], nic["rules"])
    said = szc_nic("prepare", NEAR.name, "--queue", QUEUE, status=7)
    check(f"queue {QUEUE} of {NEAR.name} is in use already, by io_uring" in said["error"], said)
    said = szc_nic("restore", NEAR.name, status=7)
    check(f"process {server.pid} still uses queue {QUEUE}" in said["error"], said)
    server.stop()
    check(everything() == before and not shown()["on_record"], "not as it was", shown())


def case_killed_receiver():
    """Its queue is free a moment after it; szc-nic restore waits for that."""
    before = everything()
    server = NicServer("recv", "--backend", "zcrx")
    server.child.kill()
    server.child.wait()
    szc_nic("restore", NEAR.name)
    server.end()
    check(everything() == before and not shown()["on_record"], "not as it was", shown())


def listens(place, *args):
    """A server on the queue that listens at a place, and the rules that it made."""
    port_file = scratch(".port")
    server = Zcrx([ZCRX_TLS, "recv", "--ifname", NEAR.name, "--queue", QUEUE, "--listen", place, "--cert", NIC.cert,
                   "--key", NIC.key, "--port-file", port_file, *args])
    wait_until(lambda: os.path.exists(port_file) or not server.running(), "zcrx-tls does not listen", HANDSHAKE)
    return server, sorted(rule["rule"] for rule in shown()["rules"] if rule["ours"])


def case_filters_off():
    """Ntuple filters that are off are turned on for a receiver, and off again."""
    must("ethtool", "-K", NEAR.name, "ntuple", "off")
    try:
        before = everything()
        server = NicServer("recv", "--backend", "zcrx")
        check([rule["ours"] for rule in shown()["rules"]] == [True], shown()["rules"])
        server.stop()
        check(everything() == before and not shown()["on_record"], "not as it was", shown())
    finally:
        must("ethtool", "-K", NEAR.name, "ntuple", "on")


def case_listeners():
    """Only what the listener takes is steered."""
    four, six = NEAR.address(4), NEAR.address(6)
    both = [f"tcp4 *:* *:{PORT} queue {QUEUE}", f"tcp6 *:* *:{PORT} queue {QUEUE}"]
    for place, expected in ((f"[{six}]:{PORT}", [f"tcp6 *:* [{six}]:{PORT} queue {QUEUE}"]),
                            (f"[::ffff:{four}]:{PORT}", [f"tcp4 *:* {four}:{PORT} queue {QUEUE}"]),
                            (f"0.0.0.0:{PORT}", both[:1]), (f":{PORT}", both), (f"[::]:{PORT}", both)):
        server, steered = listens(place, "--backend", "zcrx")
        check(steered == expected, place, steered)
        server.child.send_signal(signal.SIGTERM)
        server.finish(DONE, seconds=120)
        check(not rules(), rules())


def case_steered_elsewhere():
    """A rule of somebody else's has the traffic: --backend zcrx fails, auto goes on without the queue and says so."""
    must("ethtool", "-N", NEAR.name, "flow-type", "tcp4", "dst-ip", NEAR.address(4), "dst-port", PORT, "action", 2)
    slot = max(rules())
    before = everything()
    try:
        server, _ = listens(f"{NEAR.address(4)}:{PORT}", "--backend", "zcrx")
        server.finish(7, seconds=120)
        check(f"rule {slot} of {NEAR.name}" in "".join(server.tail()), server.tail())
        check(everything() == before and not shown()["on_record"], "not as it was", shown())
        server, steered = listens(f"{NEAR.address(4)}:{PORT}", "--json")
        check(not steered and everything() == before and not shown()["on_record"], steered, shown())
        server.child.send_signal(signal.SIGTERM)
        server.finish(DONE, seconds=120)
        check("going on without the NIC's queue: rule" in "".join(server.tail()), server.tail())
        check(server.json()["backend"] != "zcrx", server.json())
    finally:
        must("ethtool", "-N", NEAR.name, "delete", slot)


def case_wire():
    wire = ("rate", "1Gbit", "delay", "1ms", "loss", "0.5%", "reorder", "0.1%", "duplicate", "2%", "corrupt", "0.0001%")
    must(SZC_NIC, "wire", f"{FAR.name}@{PEER}", *wire)
    try:
        nic = json.loads(must(SZC_NIC, "show", f"{FAR.name}@{PEER}", "--json"))["interfaces"][0]
        check(nic["wire"] == {"rate": 10**9, "delay_ns": 10**6, "loss": 0.005, "reorder": 0.001, "duplicate": 0.02,
                              "corrupt": 1e-06}, nic["wire"])
        check(shown()["wire"]["loss"] == 0, "the other direction changed too")
    finally:
        calm = [word for name in wire[::2] for word in (name, "0")]
        must(SZC_NIC, "wire", f"{FAR.name}@{PEER}", *calm)


def case_pair():
    """Names, namespaces, queues and both directions' wire; and what is said when it cannot be."""
    must(SZC_NIC, "pair", "szcx", f"szcy@{PEER}", "loss", "1%", "--queues", 8, "--mtu", 4000)
    try:
        here = json.loads(must(SZC_NIC, "show", "szcx", "--json"))["interfaces"][0]
        there = json.loads(must(SZC_NIC, "show", f"szcy@{PEER}", "--json"))["interfaces"][0]
        check(here["rx_queues_max"] == 8 and there["rx_queues_max"] == 8, here, there)
        check(here["wire"]["loss"] == 0.01 and there["wire"]["loss"] == 0.01, here, there)
        check(json.loads(must("ip", "-j", "link", "show", "szcx"))[0]["mtu"] == 4000, "the MTU")
        check(json.loads(must(*FAR.prefix, "ip", "-j", "link", "show", "szcy"))[0]["mtu"] == 4000, "the other MTU")
        said = szc_nic("pair", "szcx", "szcz", status=7)
        check("one of these names is taken" in said["error"], said)
    finally:
        must("ip", "link", "del", "szcx")
    said = szc_nic("pair", "szcx", "szcy@no-such-netns", status=7)
    check("there is no network namespace no-such-netns" in said["error"], said)


def case_psp():
    """Shown, enabled, rotated; what the kernel's own client says of it."""
    def shown(*arguments):
        return json.loads(must(SZC_NIC, "psp", NEAR.name, *arguments, "--json"))["devices"][0]

    everything = ["aes-gcm-128", "aes-gcm-256", "aes-gmac-128", "aes-gmac-256"]
    need_psp()
    before = shown()
    check(before["capable"] == everything and before["enabled"] == [], before)
    check(shown("--enable", "aes-gcm-256,aes-gmac-128")["enabled"] == ["aes-gcm-256", "aes-gmac-128"], "not as asked for")
    told = ynl("psp", "dev-get", id=before["id"])
    check(told["psp-versions-ena"] == {"hdr0-aes-gcm-256", "hdr0-aes-gmac-128"}, told)
    after = shown("--enable", "all", "--rotate")
    check(after["enabled"] == everything and after["rotations"] == before["rotations"] + 1, after)
    check(shown("--enable", "none")["enabled"] == [], "still enabled")
    status, output = command(SZC_NIC, "psp", "lo")
    check(status == 7 and "no PSP device" in output, output)
    check(NEAR.name in must(SZC_NIC, "psp") and FAR.name in must(SZC_NIC, "psp", f"{FAR.name}@{PEER}"), "not shown")


def main():
    must("ethtool", "-L", NEAR.name, "combined", CHANNELS)
    cases = Cases(seconds=240)
    cases.add("show tells what the kernel tells", case_show)
    cases.add("a dry run changes nothing, and foretells what is changed", case_dry_run)
    cases.add("prepare sets, reads back and says; restore undoes to the letter", case_prepare_and_restore)
    cases.add("a threshold that was set comes back", case_threshold)
    cases.add("up to the threshold frames stay whole", case_threshold_on_the_wire)
    cases.add("what others changed since is left alone", case_what_others_changed)
    cases.add("ntuple filters stay on for rules of others", case_rules_of_others)
    cases.add("what stands in the way is named, and nothing is changed", case_in_the_way)
    cases.add("a damaged record", case_damaged_record)
    cases.add("without privilege", case_without_privilege)
    cases.add("while the port is down", case_down)
    cases.add("steering: by port and by 4-tuple, IPv4; foreign rules stay", case_steering, socket.AF_INET)
    cases.add("steering: IPv6", case_steering, socket.AF_INET6)
    cases.add("two holders leave in either order", case_two_holders)
    cases.add("a holder that died is cleaned up after", case_dead_holder)
    cases.add("a queue that receives", case_receiver)
    cases.add("a receiver that was killed", case_killed_receiver)
    cases.add("a receiver where ntuple filters are off", case_filters_off)
    cases.add("a receiver's address decides what is steered", case_listeners)
    cases.add("a receiver whose traffic is steered elsewhere", case_steered_elsewhere)
    cases.add("the wire", case_wire)
    cases.add("a pair", case_pair)
    cases.add("PSP devices", case_psp)
    cases.run()


if __name__ == "__main__":
    main()
