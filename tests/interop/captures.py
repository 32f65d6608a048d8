#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""zcrx-tls capture, on captures made here of the packet that scapy's PSP layer publishes (key, clear and sealed): shown,
opened, told apart from others, and whatever is wrong with a file told in a sentence."""
import json
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

KEY, SPI = "ffeeddccbbaa99887766554433221100", 0x11223344
HEADER = bytes.fromhex("04010501112233440102030405060708")
INSIDE = bytes.fromhex("45000025000100004011" "7cc57f0000017f00000104d2162e0011a0c4") + b"A" * 9
SEALED = HEADER + INSIDE[:20] + bytes.fromhex("8e3e2b1345c76bf95cdac39b861762a0cfdffbbebbc6313a2b9de064759cdd71c9")
ETHERNET, RAW = 1, 101


def udp(payload, port=1000):
    return struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload


def ipv4(payload, fragment=0):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, fragment, 64, 17, 0, socket.inet_aton("192.0.2.2"),
                       socket.inet_aton("192.0.2.1")) + payload


def ipv6(payload):
    return struct.pack(">IHBB16s16s", 6 << 28, len(payload), 17, 64, socket.inet_pton(socket.AF_INET6, "2001:db8::2"),
                       socket.inet_pton(socket.AF_INET6, "2001:db8::1")) + payload


def ethernet(ip, vlan=False):
    kind = b"\x86\xdd" if ip[0] >> 4 == 6 else b"\x08\x00"
    return bytes(12) + (b"\x81\x00\x00\x07" if vlan else b"") + kind + ip


def capture(packets, link=ETHERNET, order="<", magic=0xa1b2c3d4):
    path = scratch(".pcap")
    with open(path, "wb") as file:
        file.write(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link))
        for number, packet in enumerate(packets):
            file.write(struct.pack(order + "IIII", 1700000000 + number, 500000, len(packet), len(packet)) + packet)
    return path


def show(path, *args):
    return Zcrx([ZCRX_TLS, "capture", *args, path])


def shown(path, *args, code=DONE):
    process = show(path, "--json", *args)
    process.finish(code)
    return process.json()


def everything_is_found():
    frames = [ethernet(ipv4(udp(SEALED))), ethernet(ipv6(udp(SEALED))), ethernet(ipv4(udp(SEALED)), vlan=True),
              ethernet(ipv4(udp(SEALED, 1001))), ethernet(ipv4(udp(SEALED), fragment=0x2000)), ethernet(ipv4(b"short"))]
    for order in "<>":
        for magic, apart in ((0xa1b2c3d4, 1), (0xa1b23c4d, 1)):
            found = shown(capture(frames, order=order, magic=magic))
            check(found["packets"] == 6 and found["packets_psp"] == 3 and found["packets_opened"] == 0, found)
            check(abs(found["psp"][1]["seconds"] - apart) < 1e-6, found)
    first = shown(capture(frames))["psp"][0]
    check(first["spi"] == SPI and first["version"] == "AES-GCM-128" and first["iv"] == "0102030405060708", first)
    check(first["bytes"] == len(INSIDE) and first["bytes_clear"] == 20 and first["protocol"] == 4, first)
    check(first["source"] == "192.0.2.2" and first["source_port"] == 40000 and first["plaintext"] is None, first)
    raw = shown(capture([ipv4(udp(SEALED)), ipv6(udp(SEALED))], RAW))
    check([one["target"] for one in raw["psp"]] == ["192.0.2.1", "2001:db8::1"], raw)


def the_right_key_opens():
    path = capture([ethernet(ipv4(udp(SEALED)))])
    found = shown(path, "--key", f"{SPI:x}:{KEY}")
    check(found["packets_opened"] == 1 and bytes.fromhex(found["psp"][0]["plaintext"]) == INSIDE, found)
    process = show(path, "--key", f"{SPI:x}:{KEY}")
    process.finish(DONE)
    check("AAAAA\n" in process.out and ": opened" in process.out, process.out)


def another_key_does_not():
    path = capture([ethernet(ipv4(udp(SEALED)))])
    found = shown(path, "--key", f"{SPI:x}:{KEY[::-1]}", code=DATA)
    check(found["packets_not_authentic"] == 1 and found["psp"][0]["plaintext"] is None, found)
    check(shown(path, "--key", f"{SPI + 1:x}:{KEY}")["packets_not_authentic"] == 0, "a key of another SPI was tried")
    check(shown(path, "--key", f"{SPI:x}:{KEY[::-1]}", "--key", f"{SPI:x}:{KEY}")["packets_opened"] == 1,
          "the second key was not tried")
    shown(path, "--device-key", KEY * 2, code=DATA)


def a_file_that_ends_too_soon():
    with open(capture([ethernet(ipv4(udp(SEALED)))]), "rb") as file:
        whole = file.read()
    for cut in list(range(0, 24, 5)) + list(range(25, len(whole), 9)):
        path = scratch(".pcap")
        with open(path, "wb") as file:
            file.write(whole[:cut])
        check(path in show(path).finish(FILE), "the sentence does not name the file")


def refused(*args):
    process = show("/dev/null", *args)
    check(process.wait(30) == USAGE and "key" in process.err, f"{args} is taken for a key", *process.tail())


def what_is_no_capture():
    show("/nonexistent").finish(FILE)
    show("/etc/passwd").finish(FILE)
    show(capture([], link=105)).finish(FILE)
    show(capture([b"x" * 300000])).finish(FILE)
    for argument in ("12:34", "xyz:" + KEY, ":" + KEY, "123456789:" + KEY, "1:" + KEY + "0", "1:" + "g" * 32):
        refused("--key", argument)
    refused("--device-key", KEY)


def cases():
    chosen = Cases()
    chosen.add("every packet of PSP is found, and nothing else", everything_is_found)
    chosen.add("the right key opens: scapy's packet", the_right_key_opens)
    chosen.add("another key does not", another_key_does_not)
    chosen.add("a file that ends too soon", a_file_that_ends_too_soon)
    chosen.add("what is no capture, and no key", what_is_no_capture)
    return chosen


cases().run()
