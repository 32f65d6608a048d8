#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""zcrx-tls recv, sent to by OpenSSL's and GnuTLS's command lines: suites, address families, backends, sizes, and what a
client may do differently inside one handshake and one record."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

FRAGMENTED = 1 * MIB + 1


def transfer(client, size, backend, suite=None, family=4, framing=0.02):
    """client(server, path) starts a program that sends the file at `path`."""
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend, family=family)
    client(server, payload_file(size)).succeed()
    server.finish(DONE)
    same_files(received, payload_file(size))
    summary = server.json()
    honest_ledger(summary, size, backend, framing)
    if suite:
        check(summary["cipher"] == suite, f"cipher {summary['cipher']}, not {suite}")
    discard(received)
    return summary


def all_sizes(client, backend, suite, family):
    for size in SIZES:
        transfer(lambda server, path: client(server, path, suite), size, backend, suite, family)


def openssl_client(server, path, suite, *args):
    with open(path, "rb") as file:
        return s_client(server.address, "-tls1_3", "-servername", "localhost",
                        *(("-ciphersuites", suite) if suite else ()), *args, stdin=file)


def gnutls_client(server, path, suite):
    with open(path, "rb") as file:
        return gnutls_cli(server, suite=suite, stdin=file)


def openssl_with(backend, *args, framing=0.02):
    """s_client with options that change how it says the same."""
    return transfer(lambda server, path: openssl_client(server, path, None, *args), FRAGMENTED, backend,
                    framing=framing)


def padded(backend, block):
    """Padding is not payload, but it is received: more bytes come in for each one delivered."""
    # A full record has no room for padding, and versions of s_client differ in what they fill.
    summary = openssl_with(backend, "-record_padding", block, "-max_send_frag", "4000", framing=3.3)
    check(summary["bytes_received"] > FRAGMENTED * 1.2, "s_client did not pad", summary)


def small_records(backend):
    summary = openssl_with(backend, "-max_send_frag", "512", framing=0.05)
    check(summary["records"] >= FRAGMENTED // 512, "s_client did not send small records", summary)


def retried_hello(backend):
    """A server that takes P-384 only: s_client's first key share is for another group."""
    config = scratch(".cnf")
    with open(config, "w", encoding="ascii") as file:
        file.write("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nGroups = P-384\n")
    received, messages = scratch(".received"), scratch(".msg")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend, env={"OPENSSL_CONF": config})
    openssl_client(server, payload_file(FRAGMENTED), None, "-msgfile", messages, "-msg").succeed()
    server.finish(DONE)
    same_files(received, payload_file(FRAGMENTED))
    hellos = len(re.findall(r">>> .*ClientHello", read_text(messages)))
    check(hellos == 2, f"{hellos} ClientHello, not 2: there was no HelloRetryRequest")


def group(name):
    openssl_with("copy", "-groups", name)


def copied_first(backend):
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend, "--copy-first")
    openssl_client(server, payload_file(FRAGMENTED), None).succeed()
    server.finish(DONE)
    same_files(received, payload_file(FRAGMENTED))
    summary = server.json()
    check(summary["bytes_opened_in_place"] == 0 and summary["bytes_user_copied"] >= 2 * FRAGMENTED, summary)


def tight_memory(backend, buffer_size):
    """The smallest area that one connection can do with: records cut by many buffers."""
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend, "--buffer-size", buffer_size,
                    "--max-connections", "1")
    openssl_client(server, payload_file(SIZES[-1]), None).succeed()
    server.finish(DONE)
    same_files(received, payload_file(SIZES[-1]))
    check(server.json()["bytes_opened_in_place"] == SIZES[-1], server.json())


def numbered_files(backend):
    """Without --once: a file each, in a directory, and SIGTERM is a clean end."""
    folder = scratch(".d")
    os.mkdir(folder)
    server = Server("recv", "--json", "--out", folder, "--backend", backend)
    for size in SIZES:
        openssl_client(server, payload_file(size), None).succeed()
    for size in SIZES:
        gnutls_client(server, payload_file(size), None).succeed()
    count = 2 * len(SIZES)
    wait_until(lambda: len(server.lines()) >= count, f"the server reported {server.lines()}")
    server.stop()
    check(sorted(os.listdir(folder)) == [f"{n:06d}" for n in range(1, count + 1)], os.listdir(folder))
    for number, size in enumerate(SIZES + SIZES, 1):
        same_files(os.path.join(folder, f"{number:06d}"), payload_file(size))
    summary = server.json()
    check(summary["connections"] == count and summary["connections_failed"] == 0, summary)
    check(summary["bytes"] == 2 * sum(SIZES), summary)


def curl_uploads(backend):
    """An HTTP client knows no other end than ours, so it is given one second; its request must have arrived whole."""
    need("curl")
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--backend", backend, "--alpn", "http/1.1")
    curl = Process(["curl", "-sS", "--max-time", "1", "--cacert", CA.cert, "--tlsv1.3", "-H", "Expect:", "--resolve",
                    f"localhost:{server.port}:127.0.0.1", "-T", payload_file(FRAGMENTED),
                    f"https://localhost:{server.port}/upload"])
    code = curl.wait()
    check(code == 28, f"curl ended with {code}, not with its time-out", curl.err)
    server.finish(DONE, DATA)
    if not os.path.exists(received):
        # Versions of curl differ in whether they say close_notify when they give up: without it there is no file.
        check(server.json()["bytes"] > FRAGMENTED, server.json())
        return
    with open(received, "rb") as file:
        head, _, body = file.read().partition(b"\r\n\r\n")
    check(head.startswith(b"PUT /upload HTTP/1.1\r\n"), head[:200])
    check(f"content-length: {FRAGMENTED}".encode() in head.lower(), head)
    check(body == payload(FRAGMENTED), f"the body has {len(body)} bytes")


def main():
    cases = Cases()
    for name, client in (("openssl s_client", openssl_client), ("gnutls-cli", gnutls_client)):
        for backend in BACKENDS:
            for suite in SUITES:
                for family in LOOPBACK:
                    cases.add(f"{name} sends {len(SIZES)} sizes, {suite}, IPv{family}, {backend}", all_sizes, client,
                              backend,
                              suite, family)
    for backend in BACKENDS:
        cases.add(f"openssl s_client sends 64 MiB, {backend}", transfer,
                  lambda server, path: openssl_client(server, path, None), 64 * MIB, backend)
        cases.add(f"records of 512 bytes, {backend}", small_records, backend)
        cases.add(f"records padded to 5000 bytes, {backend}", padded, backend, "5000")
        cases.add(f"records padded to 16384 bytes, {backend}", padded, backend, "16384")
        cases.add(f"without middlebox compatibility, {backend}", openssl_with, backend, "-no_middlebox")
        cases.add(f"HelloRetryRequest, {backend}", retried_hello, backend)
        cases.add(f"--copy-first, {backend}", copied_first, backend)
        for size in ("4K", "1M"):
            cases.add(f"--buffer-size {size} and one connection, {backend}", tight_memory, backend, size)
        cases.add(f"a numbered file for each of twelve connections, {backend}", numbered_files, backend)
        cases.add(f"curl uploads, {backend}", curl_uploads, backend)
    for name in ("P-256", "P-384", "P-521", "X25519", "X448", "ffdhe2048"):
        cases.add(f"key exchange in {name}", group, name)
    cases.run()


main()
