# SPDX-License-Identifier: MIT
"""Who talks in the soak: servers on our port, and what connects to them from the other. A peer's verdict is WHOLE if
all of it went well, BROKEN if something ended it and it knows so, WRONG if bytes were not what they had to be."""
import hashlib
import os
import random
import re
import signal
import socket
import ssl
import time

from harness import CA, DONE, Process, Zcrx, ZCRX_TLS, check, read_text, scratch
from port import NEAR, PEER
from scene import NIC
import traffic

WHOLE, BROKEN, WRONG = 0, 1, 2
SOAK_PLAIN = os.path.join(os.environ["SZC_BUILD"], "tests", "soak_plain")
# A flipped bit does not get past TCP's checksum: what fails authentication was damaged by us.
SPOILT = re.compile("bad.record.mac|decryption.failed|decrypt.error|failed authentication", re.I)
LIMIT = 500  # seconds in which a connection may stand still
ADDRESSES = {family: NEAR.address(family) for family in (4, 6)}


def place(family, port):
    return f"[{ADDRESSES[family]}]:{port}" if family == 6 else f"{ADDRESSES[family]}:{port}"


def with_port(kind, family, argv, port_file):
    """A server that writes its port to a file once it listens."""
    server = kind(argv)
    server.began = time.monotonic()
    server.family = family
    server.host = ADDRESSES[family]
    server.ready = lambda: os.path.exists(port_file)
    server.port = lambda: int(read_text(port_file))
    return server


def tls_server(what, queue, family, *options):
    port_file = scratch(".port")
    return with_port(Zcrx, family, [ZCRX_TLS, what, "--ifname", NEAR.name, "--queue", queue, "--backend", "zcrx",
                                    "--listen", place(family, 0), "--cert", NIC.cert, "--key", NIC.key, "--json",
                                    "--handshake-timeout", LIMIT, "--idle-timeout", LIMIT, "--port-file", port_file,
                                    *options], port_file)


def plain_server(queue, family):
    """soak_plain. Without a queue it is an ordinary receiver."""
    port_file = scratch(".port")
    where = [] if queue is None else [NEAR.name, queue]
    return with_port(Process, family, [SOAK_PLAIN, place(family, 0), port_file, *where], port_file)


def broken(sentence):
    return WRONG if SPOILT.search(sentence) else BROKEN, sentence


def clean_end(server):
    """As the summary of a server that ended says it: it was a NIC's queue, and nothing came from elsewhere."""
    server.finish(DONE)
    summary = server.json()
    check(summary["backend"] == "zcrx", summary)
    check(not summary["bytes_user_copied"], summary)
    check("still with the application" not in server.err, "views were left over", server.err)
    check(not SPOILT.search(server.err), "records were damaged", server.err)


class FileSender:
    """`zcrx-tls send`."""

    def __init__(self, server, size, chance):
        data = chance.randbytes(size)
        self.size, self.digest = size, hashlib.sha256(data).hexdigest()
        self.path = scratch(".payload")
        with open(self.path, "wb") as file:
            file.write(data)
        self.began = time.monotonic()
        self.process = Zcrx(["ip", "netns", "exec", PEER, ZCRX_TLS, "send", "--connect",
                             place(server.family, server.port()), "--ca", CA.cert, "--handshake-timeout", LIMIT,
                             "--idle-timeout", LIMIT, self.path])

    def running(self):
        return self.process.running()

    def verdict(self):
        os.remove(self.path)
        code = self.process.wait()
        if code == DONE:
            return WHOLE, ""
        said = self.process.lines()
        if code < 0 or not said:
            return WRONG, f"zcrx-tls send: exit code {code}, said {said}"
        return broken(said[-1])


class Child:
    """talk(socket, payload) in a process of its own, in the other port's namespace. It returns a sentence if bytes were
    wrong; what it raises broke the connection."""

    def __init__(self, server, size, chance):
        seed = chance.getrandbits(32)
        data = random.Random(seed).randbytes(size)
        self.size, self.digest = size, hashlib.sha256(data).hexdigest()
        self.began = time.monotonic()
        self.said = scratch(".said")
        address = (server.host, server.port())
        self.pid = os.fork()
        self.code = None
        if not self.pid:
            self.child(address, data)

    def child(self, address, data):
        code, sentence = WRONG, "?"
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            traffic.enter(PEER)
            with socket.create_connection(address, LIMIT) as connection:
                sentence = self.talk(connection, data)
                code = WRONG if sentence else WHOLE
        except OSError as error:
            code, sentence = BROKEN, f"{type(self).__name__}: {error}"
        except Exception as error:  # pylint: disable=broad-except
            sentence = f"{type(self).__name__}: {error!r}"
        finally:
            with open(self.said, "w", encoding="utf-8") as said:
                said.write(sentence or "")
            os._exit(code)

    def running(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is None

    def verdict(self):
        if self.code not in (WHOLE, BROKEN):
            return WRONG, read_text(self.said) if os.path.exists(self.said) else f"{self}: {self.code}"
        return (WHOLE, "") if self.code == WHOLE else broken(read_text(self.said))


class Sender(Child):
    """Without TLS. That all arrived is known when the other side ends, too."""

    def talk(self, connection, data):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return "something came back" if connection.recv(1) else None


class EchoClient(Child):
    """TLS by OpenSSL; all that is sent comes back."""

    def talk(self, connection, data):
        context = ssl.create_default_context(cafile=CA.cert)
        at = 0
        with context.wrap_socket(connection, server_hostname="localhost") as tls:
            while at < len(data):
                piece = data[at:at + random.randint(1, 60000)]
                tls.sendall(piece)
                back = b""
                while len(back) < len(piece):
                    more = tls.recv(65536)
                    if not more:
                        raise OSError("the echo ended early")
                    back += more
                if back != piece:
                    return f"what came back at {at} is not what was sent"
                at += len(piece)
        return None

