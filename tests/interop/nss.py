#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A third TLS: the command lines of NSS, Mozilla's library. tstclnt never says goodbye by itself, so its connections
are ended by us once everything came back; selfserv is a small web server."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

DATABASE = os.path.join(TMP, "nss")
SUITE_OPTION = dict(zip(SUITES, (":1301", ":1302", ":1303")))


def database():
    """NSS wants certificates in a database of its own; made once."""
    need("tstclnt", "selfserv", "certutil", "pk12util")
    if os.path.isdir(DATABASE):
        return "sql:" + DATABASE
    os.mkdir(DATABASE)
    bundle, name = scratch(".p12"), "sql:" + DATABASE
    for argv in (("certutil", "-N", "-d", name, "--empty-password"),
                 ("certutil", "-A", "-d", name, "-n", "authority", "-t", "C,,", "-i", CA.cert),
                 ("openssl", "pkcs12", "-export", "-in", SERVER.cert, "-inkey", SERVER.key, "-name", "server",
                  "-passout", "pass:",
                  "-out", bundle),
                 ("pk12util", "-i", bundle, "-d", name, "-W", "")):
        Process(argv).succeed()
    return name


def tstclnt(server, *args, **more):
    return Process(["tstclnt", "-h", "localhost", "-p", server.port, "-4", "-d", database(), "-V", "tls1.3:tls1.3",
                    "-f", *args],
                   **more)


def echoed(backend, size, *args):
    database()
    server = Server("echo", "--once", "--json", "--backend", backend)
    talk = Conversation(tstclnt, server, *args)
    talk.say(payload(size))
    check(talk.expect(size) == payload(size), "what came back is not what was sent")
    check(server.running(), "the server ended first", *server.tail())
    talk.process.end()
    server.finish(NETWORK, DATA)
    summary = server.json()
    check(summary["bytes"] == summary["bytes_opened_in_place"] == size and summary["bytes_user_copied"] == 0, summary)
    return summary


def suite(backend, name):
    for size in SIZES[1:]:
        check(echoed(backend, size, "-c", SUITE_OPTION[name])["cipher"] == name, "another cipher suite")


def to_web_server(backend, name):
    """selfserv reads a request, answers it with a page, and ends the connection."""
    nss, port = database(), free_port()
    server = started(Process(["selfserv", "-n", "server", "-e", "server", "-p", port, "-d", nss, "-V", "tls1.3:tls1.3",
                              "-u"],
                             stdin=subprocess.DEVNULL), port)
    request = scratch(".request")
    with open(request, "wb") as file:
        file.write(b"GET / HTTP/1.0\r\n\r\n")
    sender = send(f"localhost:{port}", request, "--json", "--backend", backend, "--ciphersuites", name)
    sender.finish(DONE)
    check(sender.json()["bytes_returned"] > 20 and sender.json()["cipher"] == name, sender.json())
    server.end()


def main():
    cases = Cases()
    for backend in BACKENDS:
        for name in SUITES:
            cases.add(f"tstclnt of NSS and back, {len(SIZES) - 1} sizes, {name}, {backend}", suite, backend, name)
            cases.add(f"zcrx-tls send to selfserv of NSS, {name}, {backend}", to_web_server, backend, name)
        for group in ("P521", "FF2048"):
            cases.add(f"tstclnt of NSS, key exchange in {group}, {backend}", echoed, backend, SIZES[4], "-I", group)
    cases.run()


main()
