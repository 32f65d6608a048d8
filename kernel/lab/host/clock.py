# SPDX-License-Identifier: MIT
"""How fast the processor's time stamp counter runs. QEMU's translator hands the guest the host's own counter, and the guest
would measure it against a timer that QEMU emulates: where other programs keep the processors busy in those milliseconds it
is wrong by as much as three times, and all time in the guest with it."""
import ctypes
import mmap
import platform
import time

RDTSC = bytes.fromhex("0f31" "48c1e220" "4809d0" "c3")  # rdtsc; shl rdx, 32; or rax, rdx; ret
INTERVAL = 0.05  # seconds
TRIES = 20


def counter():
    """A function that reads it; None where there is none, or no program may write another one."""
    if platform.machine() != "x86_64":
        return None
    try:
        code = mmap.mmap(-1, len(RDTSC), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except PermissionError:
        return None
    code.write(RDTSC)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    read.code = code  # lives as long as the function
    return read


def both(read):
    """(nanoseconds, counter) at one moment: of several tries that between whose two clock readings least time passed."""
    tries = []
    for _ in range(TRIES):
        before = time.monotonic_ns()
        ticks = read()
        tries.append((time.monotonic_ns() - before, before, ticks))
    passed, before, ticks = min(tries)
    return before + passed // 2, ticks


def tsc_khz():
    """None if it cannot be told."""
    read = counter()
    if not read:
        return None
    begin, first = both(read)
    time.sleep(INTERVAL)
    end, last = both(read)
    return round((last - first) * 1_000_000 / (end - begin))
