# SPDX-License-Identifier: MIT
"""TLS, and from there PSP, through the virtual NIC into registered memory: the NIC decrypts, and nothing of ours touches a
byte. Who carried what is asked of four: the NIC's count of payload by place, PSP's own counters, and both ends' summaries."""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests", "lab"))
from transfer import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position


def psp(port, *options):
    """The port's PSP device, by szc-nic."""
    return json.loads(must(*port.prefix, SZC_NIC, "psp", port.name, *options, "--json"))["devices"][0]


class Versions:
    """Enabled on both ports while the block lasts."""

    def __init__(self, versions="all"):
        need_psp()
        self.versions = versions

    def __enter__(self):
        for port in (NEAR, FAR):
            psp(port, "--enable", self.versions)

    def __exit__(self, *_):
        for port in (NEAR, FAR):
            psp(port, "--enable", "none")


def carried_by_psp(before, after, summary, total):
    rx = f"rx{QUEUE}_"
    check(moved(before, after, rx + "payload_netmem") >= total, "the NIC put less than the payload into net_iovs")
    for place in ("payload_page", "payload_linear"):
        check(not moved(before, after, rx + place), f"{rx}{place}: {moved(before, after, rx + place)} bytes")
    check(summary["backend"] == "zcrx" and summary["psp"] == "AES-GCM-256", summary)
    check(summary["bytes"] == summary["bytes_psp"] == total and summary["bytes_tls"] == 0, summary)
    check(summary["bytes_opened"] == summary["bytes_kernel_copied"] == summary["bytes_user_copied"] == 0, summary)
    check(summary["passes"] == 0 and 1 <= summary["trips"] < 1.02, summary)


class Rotations:
    """Of both ports' keys in turn, in the background: the first at once, and each other one `apart` seconds after the one
    before, until it is closed."""

    def __init__(self, apart):
        self.apart, self.count, self.over, self.error = apart, 0, threading.Event(), None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.over.wait(self.apart if self.count else 0):
                psp((NEAR, FAR)[self.count % 2], "--rotate")
                self.count += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def close(self):
        self.over.set()
        self.thread.join()
        check(not self.error, f"a key could not be rotated: {self.error!r}")


def over_psp(size, mtu, buffer_kib, connections, impairments, family=4, apart=None):
    """`size` bytes in all, --psp=require on both ends; a rotation every `apart` seconds. Returns the longest move's."""
    share, path, folder = prepare(size, mtu, buffer_kib, connections)
    with Versions(), Wire(**impairments):
        server = NicServer("recv", "--out", folder, "--json", "--psp", "require", "--buffer-size", f"{buffer_kib}K",
                           "--max-connections", connections * (2 if apart else 1), family=family)
        before, opened = NEAR.counters(), psp(NEAR)
        senders = [peer_send(server, path, "--psp", "require", "--json") for _ in range(connections)]
        if apart:
            wait_until(lambda: psp(NEAR)["rx_bytes"] - opened["rx_bytes"] > size // 8, "the transfer does not begin", 200)
        rotations = Rotations(apart) if apart else None
        try:
            for sender in senders:
                sender.succeed(seconds=1200)
        finally:
            if rotations:
                rotations.close()
        for sender in senders:
            check(sender.json()["bytes_psp"] == share, sender.json())
        server.stop()
        after, later = NEAR.counters(), psp(NEAR)
    carried_by_psp(before, after, server.json(), share * connections)
    check(later["rx_bytes"] - opened["rx_bytes"] > size, "PSP's own counter saw less than the payload")
    all_is_there(folder, connections, sha256(path))
    check(not NEAR.violations(), NEAR.violations())
    if not apart:
        return None
    moves = sum(sender.json()["moves"] for sender in senders)
    longest = max(sender.json()["move_seconds"] for sender in senders)
    print(f"# {rotations.count} rotations {apart:.1f} s apart, {moves} moves, the longest of {longest:.2f} s", flush=True)
    check(moves and server.json()["moves"] == moves, f"{moves} moves", server.json())
    return longest


def rotated(size, mtu, buffer_kib, connections, impairments, family=4):
    """As fast as the issue has it: three times as long as a move takes, which is measured first."""
    longest = over_psp(size // 2, mtu, buffer_kib, connections, impairments, family, 1000)
    over_psp(size, mtu, buffer_kib, connections, impairments, family, 3 * longest)


def stays_on_tls(reason, receiver_options, sender_options, near_spis=None, versions="all"):
    """Both are asked to try, and one of them cannot: as safe as ever, and both tell why."""
    _, path, folder = prepare(2 * MIB, 1500, 4, 1)
    with Versions(versions):
        server = NicServer("recv", "--out", folder, "--json", *receiver_options)
        if near_spis is not None:
            NEAR.ask("psp_spis", near_spis)
        before = NEAR.counters()
        sender = peer_send(server, path, "--json", *sender_options)
        sender.succeed(seconds=120)
        server.stop()
        if near_spis is not None:
            psp(NEAR, "--rotate")
        summary = server.json()
        check(not moved(before, NEAR.counters(), f"rx{QUEUE}_payload_page"), "payload outside net_iovs")
    check(summary["psp"] is None and summary["bytes_psp"] == 0 and summary["bytes_tls"] == 2 * MIB, summary)
    check(summary["bytes_opened_in_place"] == 2 * MIB, summary)
    told = [text for text in (summary["psp_why_not"], sender.json()["psp_why_not"]) if text]
    check(any(reason in text for text in told), f"nobody says '{reason}'", *told)
    all_is_there(folder, 1, sha256(path))


def required_and_not_to_be_had():
    path = payload_file(1 * MIB)
    with Versions():
        server = NicServer("recv", "--once", "--psp", "require")
        sender = peer_send(server, path)
        # It goes on sending until it is told, and may find the connection gone before it reads why.
        sender.finish(TLS, NETWORK, seconds=120)
        said = server.finish(TLS, seconds=120)
    check("PSP is required" in said, said)


def add_small(chosen, function=over_psp):
    mib = 2 if DEBUG_KERNEL else 8
    chosen.add(f"{mib} MiB, MTU 1500, one connection", function, mib * MIB, 1500, 4, 1, {})
    chosen.add(f"{mib} MiB over IPv6, MTU 9000, 8 connections, everything wrong with the wire", function, mib * MIB, 9000, 16,
               8, WIRES["all"], 6)
    chosen.add(f"{2 * mib} MiB, and keys are rotated as fast as three moves take", rotated, 2 * mib * MIB, 1500, 4, 1, {})


def add_refusals(chosen):
    auto = ("--psp", "auto")
    chosen.add("a sender that knows nothing of PSP stays on TLS", stays_on_tls, "the peer knows no PSP", auto, ())
    chosen.add("a receiver that knows nothing of PSP stays on TLS", stays_on_tls, "the peer knows no PSP", (), auto)
    chosen.add("no version enabled: TLS", stays_on_tls, "no version of PSP", auto, auto, None, "none")
    chosen.add("only versions that do not encrypt: TLS", stays_on_tls, "no version of PSP", auto, auto, None,
               "aes-gmac-128,aes-gmac-256")
    chosen.add("no association left on the receiver's NIC: TLS", stays_on_tls, "no PSP association left", auto, auto, 0)
    chosen.add("PSP required, and the peer has none: an error at both ends", required_and_not_to_be_had)
