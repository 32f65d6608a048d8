# SPDX-License-Identifier: MIT
"""The same programs on this very machine, over loopback: what they cost where nothing is emulated. Zero copy needs a NIC's
queue, so those modes are not among them."""
import json
import os
import subprocess
import tempfile
import time

import lab
import pmu

MODES = ("recv", "openssl", "ktls", "ktls+nopad")
WARM, BYTES, MESSAGE = 32 << 20, 512 << 20, 256 << 10
PATIENCE = 60  # seconds: for one mode


def wait_for(path, process):
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > deadline:
            raise lab.Failure(f"trips-receive did not listen: {process.communicate()[1].strip()}")
        time.sleep(0.01)
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def one(build, mode, folder):
    """The ledger of one transfer."""
    program, identity, port_file = os.path.join(build.folder, "bench", "trips-"), lab.identity(build), f"{folder}/{mode}"
    sizes = ("--warm", str(WARM), "--bytes", str(BYTES), "--unwatched")
    receiver = subprocess.Popen([f"{program}receive", "--mode", mode, "--address", "127.0.0.1", "--port-file", port_file,
                                 "--cert", f"{identity}/cert.pem", "--key", f"{identity}/key.pem", *sizes],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with receiver:
        try:
            port = wait_for(port_file, receiver)
            sent = subprocess.run([f"{program}send", "--host", "127.0.0.1", "--port", port, "--message", str(MESSAGE), *sizes]
                                  + (["--tls"] if mode != "recv" else []), capture_output=True, text=True, check=False,
                                  timeout=PATIENCE)
            out, err = receiver.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise lab.Failure(f"{mode} did not end within {PATIENCE} s on this machine") from None
        finally:
            receiver.kill()
    if receiver.returncode or sent.returncode:
        raise lab.Failure(f"{mode} failed on this machine: {err.strip()} {sent.stderr.strip()}")
    return json.loads(out)


def has_kernel_tls():
    try:
        with open("/proc/sys/net/ipv4/tcp_available_ulp", encoding="ascii") as file:
            return "tls" in file.read().split()
    except OSError:
        return False


def measure(build, modes):
    """What --pmu adds."""
    bus, why = pmu.bus()
    skipped = {mode: "takes a NIC's queue" for mode in modes if mode not in MODES}
    if not has_kernel_tls():
        skipped.update((mode, "this kernel has no TLS") for mode in modes if mode.startswith("ktls"))
    rows = []
    with tempfile.TemporaryDirectory(prefix="szc-trips.") as folder:
        for mode in [mode for mode in modes if mode not in skipped]:
            lab.say(f"on this machine: {mode}")
            before = bus.total() if bus else 0
            ledger = one(build, mode, folder)
            rows.append({"mode": mode, "gigabytes_per_second": round(ledger["bytes"] / ledger["elapsed_ns"], 3),
                         "cpu_seconds_per_gigabyte": round(ledger["cpu_ns"] / ledger["bytes"], 4),
                         "bus_bytes_hardware": round((bus.total() - before) / (ledger["warm"] + BYTES), 3) if bus else None})
    lab.said()
    if bus:
        bus.close()
    return {"bus": bus.name if bus else None, "why_not": why, "over": "loopback", "payload_bytes": BYTES,
            "modes": rows, "skipped": skipped}
