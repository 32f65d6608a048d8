# SPDX-License-Identifier: MIT
"""Traffic from a network namespace to this one, bounded in time, checked byte by byte.

tcp(): connections one beside the other, each with a stream of its own. udp(): datagrams of 512 bytes, paced, until
their time is over or SIGTERM comes; what sent and what received is counted by the sockets. Both fork: a process that
has threads must not call them."""
import concurrent.futures
import ctypes
import hashlib
import os
import random
import selectors
import signal
import socket
import sys
import time

CLONE_NEWNET = 0x40000000
# There everything takes ten times as long: a quarter of the work has to do, in four times the time.
DEBUG_KERNEL = os.path.exists("/proc/lockdep")
SO_RCVBUFFORCE = 33
CHUNK = 65536
STREAM_LIMIT = 120  # seconds for all of a transfer; without loss it takes a few
DATAGRAM = 512
# Seconds between two. Under the debug kernel it would leave no time for anything else.
PAUSE = 0.005 if DEBUG_KERNEL else 0.0005


def enter(netns):
    with open(f"/run/netns/{netns}", "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"namespace {netns}")


def in_child(netns, work):
    """A process that runs work() in the namespace, the result being its exit status."""
    child = os.fork()
    if not child:
        os._exit(status_of(netns, work))
    return child


def status_of(netns, work):
    """Also says what went wrong: to be used by a process that ends with this status."""
    try:
        if netns:
            enter(netns)
        status = work()
    except Exception as error:  # pylint: disable=broad-except
        print(f"traffic: {error!r}", file=sys.stderr, flush=True)
        status = 1
    sys.stdout.flush()
    return status


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def stream(number):
    """A block that differs for every connection; it is sent over and over, each time its counter first."""
    return random.Random(number).randbytes(CHUNK - 8)


def send_streams(address, port, size, connections):
    def one(number):
        block = stream(number)
        with socket.create_connection((address, port), STREAM_LIMIT) as connection:
            connection.sendall(number.to_bytes(8, "big"))
            for count in range(size // CHUNK):
                connection.sendall(count.to_bytes(8, "big") + block)

    # Threads: under the debug kernel a fork of Python takes longer than the transfer.
    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        list(pool.map(one, range(connections)))
    return 0


class Receiver:
    def __init__(self, connection, size):
        self.connection, self.size = connection, size
        self.got, self.digest, self.number = 0, hashlib.sha1(), b""

    def read(self):
        data = self.connection.recv(4 * CHUNK)
        missing = 8 - len(self.number)
        self.number += data[:missing]
        self.digest.update(data[missing:])
        self.got += len(data[missing:])
        return bool(data)

    def right(self):
        number = int.from_bytes(self.number, "big")
        expected, block = hashlib.sha1(), stream(number)
        for count in range(self.size // CHUNK):
            expected.update(count.to_bytes(8, "big") + block)
        if self.got == self.size and self.digest.digest() == expected.digest():
            return True
        print(f"traffic: connection {number}: {self.got} bytes of {self.size}, or other ones", file=sys.stderr)
        return False


def tcp(netns, address, port, mib, connections=4):
    """True if every stream arrived as it was sent."""
    size = int(mib * 1024 * 1024) // connections // CHUNK * CHUNK
    done = []
    with socket.create_server((address, port), family=family(address), backlog=128) as server, \
            selectors.DefaultSelector() as selector:
        server.setblocking(False)
        selector.register(server, selectors.EVENT_READ)
        child = in_child(netns, lambda: send_streams(address, port, size, connections))
        deadline = time.monotonic() + STREAM_LIMIT
        while len(done) < connections:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                print(f"traffic: {len(done)} of {connections} streams ended within {STREAM_LIMIT} s", file=sys.stderr)
                break
            for key, _ in selector.select(1):
                if key.fileobj is server:
                    connection, _ = server.accept()
                    selector.register(connection, selectors.EVENT_READ, Receiver(connection, size))
                elif not key.data.read():
                    selector.unregister(key.fileobj)
                    done.append(key.data)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status == 0 and len(done) == connections and all([receiver.right() for receiver in done])


def send_datagrams(address, port, seconds, count_to):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    sent = 0
    end = time.monotonic() + seconds
    with socket.socket(family(address), socket.SOCK_DGRAM) as out:
        while not stopped and time.monotonic() < end:
            out.sendto(bytes(DATAGRAM), (address, port))
            sent += 1
            time.sleep(PAUSE)
    os.write(count_to, str(sent).encode())
    return 0


def udp(netns, address, port, seconds):
    """Prints what was sent and received; true if the sender had no error."""
    read_end, write_end = os.pipe()
    received = 0
    with socket.socket(family(address), socket.SOCK_DGRAM) as inbox:
        inbox.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        inbox.bind((address, port))
        inbox.settimeout(0.5)
        child = in_child(netns, lambda: send_datagrams(address, port, seconds, write_end))
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        os.close(write_end)
        os.set_blocking(read_end, False)
        sent = b""
        while True:
            try:
                inbox.recv(DATAGRAM)
                received += 1
            except TimeoutError:
                if sent:
                    break
            try:
                sent = sent or os.read(read_end, 32)
            except BlockingIOError:
                pass
    print(f"sent {int(sent)} received {received}")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
