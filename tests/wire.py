# SPDX-License-Identifier: MIT
"""TLS with the wire in our hands: filters that damage a byte stream, a proxy that puts one between two programs, and a
client (Python's ssl module on memory) whose every byte passes through one.

A filter has feed(data) -> (what goes on, how it ends or None) and rest() -> what it held back when the stream ended.
"""
import select
import socket
import ssl
import struct
import threading
import weakref

from harness import CA, Failed, LOOPBACK, check, wait_until

FIN, RST = "FIN", "RST"
CCS, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23
HEADER = 5
LIMIT = 10.0  # seconds that any single socket operation may take


def record(kind, body, version=0x0303, length=None):
    return struct.pack(">BHH", kind, version, len(body) if length is None else length) + body


# ---------------------------------------------------------------------------------------------- filters

class Untouched:
    def feed(self, data):
        return data, None

    def rest(self):
        return b""


class Cut(Untouched):
    """Ends after `at` bytes."""

    def __init__(self, at, how):
        self.left, self.how = at, how

    def feed(self, data):
        if len(data) < self.left:
            self.left -= len(data)
            return data, None
        return data[:self.left], self.how


class Flip(Untouched):
    """Inverts the bits of `mask` in the byte at offset `at`."""

    def __init__(self, at, mask):
        self.at, self.mask, self.position = at, mask, 0

    def feed(self, data):
        offset = self.at - self.position
        self.position += len(data)
        if 0 <= offset < len(data):
            data = data[:offset] + bytes([data[offset] ^ self.mask]) + data[offset + 1:]
        return data, None


class Records(Untouched):
    """change(index, record) -> bytes to go on instead, or (bytes, FIN or RST). `index` counts records that are not
    change_cipher_spec."""

    def __init__(self, change):
        self.change, self.held, self.index = change, b"", 0

    def feed(self, data):
        self.held += data
        out = b""
        while len(self.held) >= HEADER:
            size = HEADER + struct.unpack(">H", self.held[3:5])[0]
            if len(self.held) < size:
                break
            whole, self.held = self.held[:size], self.held[size:]
            if whole[0] == CCS:
                out += whole
                continue
            changed = self.change(self.index, whole)
            self.index += 1
            if isinstance(changed, tuple):
                return out + changed[0], changed[1]
            out += changed
        return out, None

    def rest(self):
        return self.held


def end(sock, how):
    """FIN leaves the other direction open; RST is for both."""
    try:
        if how == FIN:
            sock.shutdown(socket.SHUT_WR)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Another thread that waits in recv() would keep the socket alive.
            sock.shutdown(socket.SHUT_RD)
            sock.close()
    except OSError:
        pass


# ---------------------------------------------------------------------------------------------- proxy

class Proxy:
    """Forwards connections to `server`; `up` and `down` make a filter for each. With `piece`, so many bytes a
    segment."""

    def __init__(self, port, up=Untouched, down=Untouched, family=4, piece=None):
        self.target, self.up, self.down, self.piece = (LOOPBACK[family], port), up, down, piece
        self.listener = socket.create_server((LOOPBACK[family], 0),
                                             family=socket.AF_INET6 if family == 6 else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.address = f"localhost:{self.port}" if family == 4 else f"[::1]:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, LIMIT)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for sock in client, server:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pump, args=(client, server, self.up()), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, self.down()), daemon=True).start()

    def pump(self, source, sink, stream):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    self.forward(sink, stream.rest())
                    end(sink, FIN)
                    return
                data, how = stream.feed(data)
                self.forward(sink, data)
                if how:
                    end(sink, how)
                    if how == RST:
                        end(source, RST)
                        return
                    # What the source still says is read and lost: it must not be held up.
                    while source.recv(65536):
                        pass
                    return
        except OSError:
            end(source, RST)
            end(sink, RST)

    def forward(self, sink, data):
        step = self.piece or len(data) or 1
        for at in range(0, len(data), step):
            sink.sendall(data[at:at + step])

    def close(self):
        self.listener.close()


# ---------------------------------------------------------------------------------------------- client

class Ended(Exception):
    """Our filter ended the stream."""


class Client:
    """A TLS 1.3 client that trusts our authority. What it sends goes through `stream`."""

    def __init__(self, port, stream=None, family=4):
        self.stream = stream or Untouched()
        self.sent = b""  # as TLS made it, before the filter
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.sock = socket.create_connection((LOOPBACK[family], port), LIMIT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def flush(self):
        data = self.outgoing.read()
        self.sent += data
        out, how = self.stream.feed(data)
        self.raw(out)
        if how:
            end(self.sock, how)
            raise Ended()

    def raw(self, data):
        self.sock.sendall(data)

    def pull(self):
        """One piece of what the server says; False at its end."""
        data = self.sock.recv(65536)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()
        return bool(data)

    def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self.flush()
                return self
            except ssl.SSLWantReadError:
                self.flush()
                check(self.pull(), "the server ended during the handshake")

    def write(self, data):
        self.tls.write(data)
        self.flush()

    def read(self, size):
        """Exactly so many bytes of payload."""
        got = bytearray()
        while len(got) < size:
            try:
                part = self.tls.read(min(size - len(got), 65536))
                check(part, f"the server ended after {len(got)} of {size} bytes")
                got += part
            except ssl.SSLWantReadError:
                check(self.pull(), f"TCP ended after {len(got)} of {size} bytes")
        return bytes(got)

    def farewell(self):
        """close_notify."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()

    def verdict(self):
        """What the server said at last: "close_notify", the name of an alert, or "nothing"."""
        end(self.sock, FIN)
        try:
            while self.pull():
                pass
        except ConnectionError:
            self.incoming.write_eof()
        except socket.timeout:
            raise Failed(f"the server did not end its side within {LIMIT:.0f} s") from None
        finally:
            self.sock.close()
        try:
            while self.tls.read(65536):
                pass
        except ssl.SSLError:
            pass
        return alerts.get(self.tls, "nothing")

    def close(self):
        self.sock.close()


_context = None
alerts = weakref.WeakKeyDictionary()  # the last one that each SSLObject received, by name


def hear(tls, direction, version, content_type, what, data):
    """Only this tells an end from the lack of one: some versions of the ssl module read b"" at either."""
    if direction == "read" and content_type == ALERT:
        alerts[tls] = what.name.lower()


def client_context():
    global _context
    if not _context:
        _context = ssl.create_default_context(cafile=CA.cert)
        _context.minimum_version = ssl.TLSVersion.TLSv1_3
        _context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)  # on by default since Python 3.13
        _context._msg_callback = hear
    return _context


def transmit(port, pieces, stream=None):
    """A whole life: handshake, payload (a record a piece), farewell. Returns the client, and whether the filter ended
    it."""
    client = Client(port, stream)
    try:
        client.handshake()
        for piece in pieces:
            client.write(piece)
        client.farewell()
        return client, False
    except Ended:
        return client, True
    except (OSError, ssl.SSLError, Failed):
        # The server ended first: that is what a fault may lead to. What it said is asked for later.
        return client, False


# ---------------------------------------------------------------------------------------------- a server's reports

class Reports:
    """A server's line for each connection, `#N PEER: ...`, in the order they ended."""

    def __init__(self, server):
        self.server, self.at, self.lines = server, 0, []

    def poll(self):
        with open(self.server.err_path, "rb") as file:
            file.seek(self.at)
            new = file.read()
        new = new[:new.rfind(b"\n") + 1]
        self.at += len(new)
        self.lines += [line for line in new.decode("utf-8", "replace").splitlines() if line.startswith("zcrx-tls: #")]
        return self.lines

    def next(self, seconds=20):
        wait_until(lambda: self.poll() or not self.server.running(), "the server reports no end of a connection",
                   seconds)
        check(self.lines, "the server died", *self.server.tail())
        return self.lines.pop(0)


def readable(sock, seconds):
    return bool(select.select([sock], [], [], seconds)[0])
