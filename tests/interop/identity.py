#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may talk to whom: certificates, names, ALPN, versions, cipher suites; and what a refusal looks like from both
sides: exit code by kind, a sentence, and nothing left behind."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SZC_SOURCE"], "tests"))
from harness import *  # pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position

SIZE = 100000
OTHER_CA = Identity("other-ca", subject="another authority")
OTHER_NAME = Identity("other-name", subject="other.example", alternative="DNS:other.example", authority=CA)
CLIENT = Identity("client", subject="client", alternative="DNS:client.example", authority=CA)
STRANGER = Identity("stranger", subject="stranger", alternative="DNS:stranger.example", authority=OTHER_CA)


def openssl_client(server, *args, quiet=True, size=SIZE):
    need("openssl")
    with open(payload_file(size), "rb") as file:
        return Process(["openssl", "s_client", "-connect", server.address, "-CAfile", CA.cert, "-verify_return_error",
                        *(("-quiet",) if quiet else ()), "-no_ign_eof", "-nocommands", *args], stdin=file)


def openssl_server(*args, cert=SERVER, quiet=True):
    need("openssl")
    port = free_port()
    server = Process(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert.cert, "-key", cert.key,
                      "-naccept", "1", *(("-quiet",) if quiet else ()), *args], stdin=subprocess.PIPE)
    return started(server, port), f"localhost:{port}"


def gnutls_server(*args):
    need("gnutls-serv")
    port = free_port()
    server = Process(["gnutls-serv", "--port", port, "--x509certfile", SERVER.cert, "--x509keyfile", SERVER.key,
                      "--echo", *args])
    return started(server, port), f"localhost:{port}"


def refused_by_recv(client, codes, sentence, *args, notices=True):
    """client(server) is started; the receiver must end by itself, say why, and leave no file. s_client may be through
    with everything before its certificate is looked at, and not notice."""
    received = scratch(".received")
    server = Server("recv", "--once", "--json", "--out", received, "--handshake-timeout", "5", *args)
    process = client(server)
    said = server.finish(*codes)
    check(re.search(sentence, said), f"does not say /{sentence}/: {said}")
    check(process.wait() != 0 or not notices, "the client did not notice", *process.tail())
    no_trace(received)
    summary = server.json()
    check(summary["error"] == said and summary["bytes"] == 0 and summary["connections_failed"] == 1, summary, said)


def refused_by_send(address, codes, sentence, *args, ca=None):
    sender = Zcrx([ZCRX_TLS, "send", "--connect", address, *(("--ca", ca) if ca else ()), "--json", *args,
                   payload_file(SIZE)])
    said = sender.finish(*codes)
    check(re.search(sentence, said), f"does not say /{sentence}/: {said}")
    check(sender.json()["error"] == said, sender.json())


def accepted_by_recv(client, *args, cert=None):
    received = scratch(".received")
    server = Server("recv", "--once", "--out", received, *args, cert=cert)
    process = client(server)
    process.succeed()
    server.finish(DONE)
    same_files(received, payload_file(SIZE))
    return process


def accepted_by_server(server, address, *args, ca=CA):
    sender = Zcrx([ZCRX_TLS, "send", "--connect", address, "--ca", ca.cert, *args, payload_file(SIZE)])
    sender.finish(DONE)
    server.succeed()
    return server.out


# ---------------------------------------------------------------------------------------------- ALPN, SNI

def alpn_server_chooses(offered, expected):
    client = accepted_by_recv(lambda server: openssl_client(server, "-alpn", offered, quiet=False), "--alpn",
                              "h2,http/1.1")
    check(f"ALPN protocol: {expected}\n" in client.out, f"s_client does not say {expected}",
          *client.out.splitlines()[-30:])


def alpn_gnutls():
    log = scratch(".log")

    def client(server):
        with open(payload_file(SIZE), "rb") as file:
            return gnutls_cli(server, "--alpn", "http/1.1", "--alpn", "h2", "--logfile", log, stdin=file)
    accepted_by_recv(client, "--alpn", "h2,http/1.1")
    check("Application protocol: h2" in read_text(log), read_text(log))


def alpn_client_offers():
    server, address = openssl_server("-tls1_3", "-alpn", "http/1.1,h2", quiet=False)
    out = accepted_by_server(server, address, "--alpn", "h2,http/1.1")
    check("ALPN protocols advertised by the client: h2, http/1.1" in out, out[:1000])
    check("ALPN protocols selected: http/1.1" in out, out[:1000])


def name_is_sent(host, *args):
    """s_server shows the right certificate only to who asks for it by SNI."""
    server, address = openssl_server("-tls1_3", "-servername", "localhost", "-cert2", SERVER.cert, "-key2", SERVER.key,
                                     cert=STRANGER)
    accepted_by_server(server, address.replace("localhost", host), *args)


def name_is_taken():
    accepted_by_recv(lambda server: openssl_client(server, "-servername", "some.other.example"))
    accepted_by_recv(lambda server: openssl_client(server, "-noservername"))


# ---------------------------------------------------------------------------------------------- certificates of servers

def wrong_name():
    server, address = openssl_server("-tls1_3", cert=OTHER_NAME)
    refused_by_send(address, (TLS,), "(?i)host ?name mismatch|name", ca=CA.cert)
    server.end()
    server, address = openssl_server("-tls1_3", cert=OTHER_NAME)
    refused_by_send(address.replace("localhost", "127.0.0.1"), (TLS,), "(?i)address mismatch|name", ca=CA.cert)
    server.end()
    server, address = openssl_server("-tls1_3", cert=OTHER_NAME)
    accepted_by_server(server, address, "--server-name", "other.example")


def untrusted(ca):
    server, address = openssl_server("-tls1_3")
    refused_by_send(address, (TLS,), "certificate", ca=ca)
    server.end()


def insecure():
    for cert in (OTHER_NAME, STRANGER):
        server, address = openssl_server("-tls1_3", cert=cert)
        Zcrx([ZCRX_TLS, "send", "--connect", address, "--insecure", payload_file(SIZE)]).finish(DONE)
        server.succeed()
        same_files(server.out_path, payload_file(SIZE))


def alert_is_told():
    """A client that does not trust us says so, and we repeat what it said."""
    refused_by_recv(lambda server: s_client(server.address, "-servername", "localhost", ca=OTHER_CA.cert), (TLS,),
                    "unknown_ca")
    refused_by_recv(lambda server: Zcrx([ZCRX_TLS, "send", "--connect", server.address, "--ca", OTHER_CA.cert,
                                         payload_file(SIZE)]), (TLS,), "unknown_ca")


def kinds_of_keys(key):
    cert = Identity("key-" + re.sub(r"\W", "", "".join(key)), authority=CA, key=key)
    accepted_by_recv(lambda server: openssl_client(server, "-servername", "localhost"), cert=cert)
    accepted_by_recv(lambda server: send(server.address, payload_file(SIZE)), cert=cert)


# ---------------------------------------------------------------------------------------------- certificates of clients

def client_certificate():
    accepted_by_recv(lambda server: openssl_client(server, "-cert", CLIENT.cert, "-key", CLIENT.key), "--client-ca",
                     CA.cert)
    accepted_by_recv(lambda server: send(server.address, payload_file(SIZE), "--cert", CLIENT.cert,
                                         "--key", CLIENT.key),
                     "--client-ca", CA.cert)

    def client(server):
        with open(payload_file(SIZE), "rb") as file:
            return gnutls_cli(server, "--x509certfile", CLIENT.cert, "--x509keyfile", CLIENT.key, stdin=file)
    accepted_by_recv(client, "--client-ca", CA.cert)


def client_without_certificate():
    refused_by_recv(openssl_client, (TLS,), "certificate", "--client-ca", CA.cert, notices=False)
    refused_by_recv(lambda server: send(server.address, payload_file(SIZE)), (TLS,), "certificate", "--client-ca",
                    CA.cert)


def client_of_a_stranger():
    refused_by_recv(lambda server: openssl_client(server, "-cert", STRANGER.cert, "-key", STRANGER.key), (TLS,),
                    "certificate",
                    "--client-ca", CA.cert, notices=False)
    refused_by_recv(lambda server: send(server.address, payload_file(SIZE), "--cert", STRANGER.cert,
                                        "--key", STRANGER.key),
                    (TLS,), "certificate", "--client-ca", CA.cert)


def server_wants_certificate():
    wants = ("-tls1_3", "-Verify", "1", "-verify_return_error", "-CAfile", CA.cert)
    server, address = openssl_server(*wants)
    accepted_by_server(server, address, "--cert", CLIENT.cert, "--key", CLIENT.key)
    # Its refusal comes when our handshake is over and payload is on its way: the alert must not be lost in the reset.
    for _ in range(5):
        server, address = openssl_server(*wants)
        refused_by_send(address, (TLS,), "certificate_required", ca=CA.cert)
        server.end()
        server, address = openssl_server(*wants)
        refused_by_send(address, (TLS,), "unknown_ca", "--cert", STRANGER.cert, "--key", STRANGER.key, ca=CA.cert)
        server.end()


# ---------------------------------------------------------------------------------------------- versions and suites

def old_client(option):
    refused_by_recv(lambda server: openssl_client(server, option, "-cipher", "DEFAULT@SECLEVEL=0"), (TLS,), r"TLS 1\.3")


def old_gnutls_client():
    def client(server):
        with open(payload_file(SIZE), "rb") as file:
            return gnutls_cli(server, "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2", stdin=file)
    refused_by_recv(client, (TLS,), r"TLS 1\.3")


def old_server():
    server, address = openssl_server("-tls1_2")
    refused_by_send(address, (TLS,), r"TLS 1\.3", ca=CA.cert)
    server.end()
    server, address = gnutls_server("--disable-client-cert", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2")
    # GnuTLS finds no cipher suite for what it takes for TLS 1.2.
    refused_by_send(address, (TLS,), r"TLS 1\.3|handshake_failure", ca=CA.cert)


def both_versions():
    """Who speaks both gets 1.3."""
    client = accepted_by_recv(lambda server: openssl_client(server, "-min_protocol", "TLSv1.2", quiet=False))
    check("New, TLSv1.3, Cipher" in client.out, client.out[-1000:])


def no_common_suite():
    refused_by_recv(lambda server: openssl_client(server, "-tls1_3", "-ciphersuites", SUITES[2]), (TLS,),
                    "cipher suite",
                    "--ciphersuites", SUITES[0])
    server, address = openssl_server("-tls1_3", "-ciphersuites", SUITES[0])
    refused_by_send(address, (TLS,), "handshake_failure", "--ciphersuites", SUITES[2], ca=CA.cert)
    server.end()


def suite_we_do_not_open():
    refused_by_recv(lambda server: openssl_client(server, "-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"), (TLS,),
                    "cipher suite")


def chosen_suites():
    for suite in SUITES:
        client = accepted_by_recv(lambda server: openssl_client(server, quiet=False), "--ciphersuites", suite)
        check(f"Cipher is {suite}" in client.out, client.out[-1000:])


def main():
    cases = Cases()
    for offered, expected in (("http/1.1,h2", "h2"), ("http/1.1", "http/1.1"), ("spdy/1,http/1.1", "http/1.1")):
        cases.add(f"ALPN: of {offered} the server takes {expected}", alpn_server_chooses, offered, expected)
    cases.add("ALPN with gnutls-cli", alpn_gnutls)
    cases.add("ALPN: a client's offer reaches openssl s_server", alpn_client_offers)
    cases.add("SNI: the host's name", name_is_sent, "localhost")
    cases.add("SNI: --server-name", name_is_sent, "127.0.0.1", "--server-name", "localhost")
    cases.add("SNI: any name, or none, is served", name_is_taken)
    cases.add("a certificate for another name is refused, unless that is the name", wrong_name)
    cases.add("a certificate of another authority is refused", untrusted, OTHER_CA.cert)
    cases.add("a certificate the system does not trust is refused", untrusted, None)
    cases.add("--insecure accepts both", insecure)
    cases.add("a client's refusal of our certificate is told", alert_is_told)
    for key in (("rsa:2048",), ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"), ("ed25519",)):
        cases.add(f"a server's {key[0]} key {' '.join(key[2:])}".strip(), kinds_of_keys, key)
    cases.add("clients with a certificate", client_certificate)
    cases.add("a client without one is refused", client_without_certificate)
    cases.add("a client with one of another authority is refused", client_of_a_stranger)
    cases.add("openssl s_server that wants a certificate", server_wants_certificate)
    for option in ("-tls1_2", "-tls1_1"):
        cases.add(f"openssl s_client {option} is refused", old_client, option)
    cases.add("gnutls-cli with TLS 1.2 only is refused", old_gnutls_client)
    cases.add("servers with TLS 1.2 only are refused", old_server)
    cases.add("a client with both versions gets TLS 1.3", both_versions)
    cases.add("no cipher suite in common", no_common_suite)
    cases.add("a cipher suite that we do not open", suite_we_do_not_open)
    cases.add("--ciphersuites", chosen_suites)
    cases.run()


main()
