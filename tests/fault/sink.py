#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the payload goes fails, or the program is ended in the middle: no file under the final name that is not
whole, no litter, a sentence. And the memory that a stream into a pipe takes, however long it is."""
import fcntl
import hashlib
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from wire import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

SIZE = 4 * MIB
STREAM = 1024 * MIB if FULL else 256 * MIB
OVERHEAD = 16 * MIB
OLD = b"what was there before\n"


def openssl_sender(server, size=SIZE):
    with open(payload_file(size), "rb") as file:
        return s_client(server.address, "-tls1_3", stdin=file)


def refuse(server, sentence, codes=(FILE,)):
    """s_client sends; the receiver fails with its own trouble and says so."""
    client = openssl_sender(server)
    said = server.finish(*codes)
    check(re.search(sentence, said), f"does not say /{sentence}/: {said}")
    client.wait()


def full_device(backend):
    refuse(Server("recv", "--once", "--json", "--out", "/dev/full", "--backend", backend), "full")
    with open("/dev/full", "wb") as full:
        refuse(Server("recv", "--json", "--out", "-", "--backend", backend, stdout=full), "standard output.*full")


def full_device_of_many(backend):
    """Without --once the connections fail, the server does not."""
    server = Server("recv", "--json", "--out", "/dev/full", "--backend", backend)
    for _ in range(3):
        send(server.address, payload_file(SIZE)).finish(NETWORK, TLS, DATA)
    reports = Reports(server)
    for _ in range(3):
        check("full" in reports.next(), *server.lines())
    server.stop()


def file_limit(backend, existed):
    """A file that may not grow further, as a full disk: what was there stays, what is new goes."""
    received = scratch(".received")
    if existed:
        with open(received, "wb") as file:
            file.write(OLD)
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend,
                    before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)))
    refuse(server, "cannot write to")
    if existed:
        with open(received, "rb") as file:
            check(file.read() == OLD, "the file that was there is damaged")
        discard(received)
    no_trace(received)


def reader_goes(backend):
    """zcrx-tls recv --out - | head -c 1000"""
    server = Server("recv", "--out", "-", "--backend", backend, stdout=subprocess.PIPE)
    client = openssl_sender(server)
    check(server.child.stdout.read(1000) == payload(SIZE)[:1000], "not what was sent")
    server.child.stdout.close()
    said = server.finish(FILE)
    check("standard output" in said and "reader" in said, said)
    client.wait()


def folder_goes(backend):
    """The finished file cannot get its name."""
    folder = scratch(".d")
    os.mkdir(folder)
    server = Server("recv", "--once", "--out", os.path.join(folder, "received"), "--backend", backend)
    client = Client(server.port).handshake()
    client.write(payload(1000))
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    os.rmdir(folder)
    client.farewell()
    said = server.finish(FILE)
    check("rename" in said, said)
    client.close()


def replaced(backend):
    """A transfer that succeeds replaces what was there, through a symbolic link, and keeps its mode."""
    received, link = scratch(".received"), scratch(".link")
    with open(received, "wb") as file:
        file.write(OLD)
    os.chmod(received, 0o640)
    os.symlink(received, link)
    server = Server("recv", "--once", "--out", link, "--backend", backend)
    openssl_sender(server).succeed()
    server.finish(DONE)
    check(os.path.islink(link), "the link was replaced, not the file")
    same_files(received, payload_file(SIZE))
    check(os.stat(received).st_mode & 0o777 == 0o640, oct(os.stat(received).st_mode))


def named_pipe(backend):
    path = scratch(".fifo")
    os.mkfifo(path)
    reader = Process(["cat", path])
    server = Server("recv", "--once", "--out", path, "--backend", backend)
    openssl_sender(server).succeed()
    server.finish(DONE)
    reader.succeed()
    same_files(reader.out_path, payload_file(SIZE))


# ---------------------------------------------------------------------------------------------- ended in the middle

def half_way(server, watched):
    """A client in the middle of its payload, half of which is written."""
    client = Client(server.port).handshake()
    for at in range(0, MIB, 16384):
        client.write(payload(MIB)[at:at + 16384])
    folder, name = os.path.split(watched)
    wait_until(lambda: [part for part in os.listdir(folder) if part.startswith(name) and
                        os.path.getsize(os.path.join(folder, part)) >= MIB // 2], "nothing is written")
    check(not os.path.exists(watched), "half a file under the final name")
    return client


def interrupted(backend, number):
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend)
    client = half_way(server, received)
    server.child.send_signal(number)
    said = server.finish(128 + number)
    check("interrupted" in said, said)
    no_trace(received)
    client.close()


def interrupted_server(backend):
    """Without --once SIGTERM is a clean end, but for those it interrupts."""
    folder = scratch(".d")
    os.mkdir(folder)
    server = Server("recv", "--json", "--out", folder, "--backend", backend)
    openssl_sender(server).succeed()
    client = half_way(server, os.path.join(folder, "000002"))
    server.stop()
    check(os.listdir(folder) == ["000001"], os.listdir(folder))
    check("interrupted" in server.lines()[-1], *server.lines())
    client.close()


def interrupted_in_write(backend, capacity):
    """A pipe that nobody drains does not hold the program. The small one takes part of a write, and then no more."""
    server = Server("recv", "--out", "-", "--backend", backend, stdout=subprocess.PIPE)
    fcntl.fcntl(server.child.stdout, fcntl.F_SETPIPE_SZ, capacity)
    client = openssl_sender(server)
    held = -1
    while held != unread(server.child.stdout) or not held:
        held = unread(server.child.stdout)
        time.sleep(0.2)
    server.child.send_signal(signal.SIGTERM)
    said = server.finish(128 + signal.SIGTERM)
    check("interrupted while writing" in said, said)
    server.child.stdout.close()
    client.wait()


def killed(backend):
    """What cannot be caught can leave the file it wrote aside, and nothing under the final name."""
    received = scratch(".received")
    server = Server("recv", "--once", "--out", received, "--backend", backend)
    client = half_way(server, received)
    server.child.kill()
    check(server.wait() == -signal.SIGKILL, "not killed")
    check(not os.path.exists(received), "half a file under the final name")
    client.close()


def sender_killed(backend):
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend)
    sender = send(server.address, "-", stdin=subprocess.PIPE)
    sender.child.stdin.write(payload(MIB))
    sender.child.stdin.flush()
    folder, name = os.path.split(received)
    wait_until(lambda: [part for part in os.listdir(folder) if part.startswith(name) and
                        os.path.getsize(os.path.join(folder, part)) >= MIB // 2], "nothing arrives")
    sender.child.kill()
    server.finish(DATA, NETWORK)
    no_trace(received)


def receiver_killed(backend):
    """And the sender is told."""
    received = scratch(".received")
    server = Server("recv", "--once", "--out", received, "--backend", backend)
    sender = send(server.address, "-", "--json", stdin=subprocess.PIPE)
    sender.child.stdin.write(payload(MIB))
    sender.child.stdin.flush()
    wait_until(lambda: os.path.exists(received) or [part for part in os.listdir(TMP) if part.startswith(
        os.path.basename(received))], "nothing arrives")
    server.child.kill()
    server.wait()
    sender.close_stdin()
    sender.finish(NETWORK, DATA)
    check(sender.json()["error"], sender.json())


# ---------------------------------------------------------------------------------------------- memory

def bounded_memory(backend, area, suite):
    """zcrx-tls recv --out - | sha256sum: at most the area and 16 MiB resident, however much passes."""
    need("sha256sum")
    server = Server("recv", "--json", "--out", "-", "--backend", backend, "--area-size", area, stdout=subprocess.PIPE)
    summer = Process(["sha256sum"], stdin=server.child.stdout)
    server.child.stdout.close()
    block = payload(MIB)
    client = s_client(server.address, "-tls1_3", "-ciphersuites", suite, stdin=subprocess.PIPE)
    digest = hashlib.sha256()
    for _ in range(STREAM // len(block)):
        digest.update(block)
        client.child.stdin.write(block)
    client.close_stdin()
    client.succeed()
    server.finish(DONE)
    summer.succeed()
    check(summer.out.split()[0] == digest.hexdigest(), "what came out is not what was sent")
    summary = server.json()
    check(summary["bytes"] == STREAM, summary)
    resident_at_most(summary["peak_rss_bytes"], area + OVERHEAD, summary)


def main():
    cases = Cases(seconds=120)
    for backend in BACKENDS:
        cases.add(f"a full device, {backend}", full_device, backend)
        cases.add(f"a full device, many connections, {backend}", full_device_of_many, backend)
        cases.add(f"a file that may not grow, {backend}", file_limit, backend, False)
        cases.add(f"a file that may not grow in place of another, {backend}", file_limit, backend, True)
        cases.add(f"the pipe's reader goes away, {backend}", reader_goes, backend)
        cases.add(f"the folder goes away, {backend}", folder_goes, backend)
        cases.add(f"a file is replaced, {backend}", replaced, backend)
        cases.add(f"a named pipe, {backend}", named_pipe, backend)
        for number in (signal.SIGTERM, signal.SIGINT):
            cases.add(f"{number.name} in the middle, {backend}", interrupted, backend, number)
        cases.add(f"SIGTERM of a server of many, {backend}", interrupted_server, backend)
        for capacity in (4096, 65536):
            cases.add(f"SIGTERM while a pipe of {capacity} is full, {backend}", interrupted_in_write, backend, capacity)
        cases.add(f"SIGKILL in the middle, {backend}", killed, backend)
        cases.add(f"the sender is killed, {backend}", sender_killed, backend)
        cases.add(f"the receiver is killed, {backend}", receiver_killed, backend)
    for backend, area, suite in (("copy", 4, SUITES[0]), ("epoll", 4, SUITES[1]), ("copy", 64, SUITES[2])):
        cases.add(f"memory for {STREAM // MIB} MiB into sha256sum, area {area} MiB, {backend}", bounded_memory, backend,
                  area * MIB, suite)
    cases.run()


main()
