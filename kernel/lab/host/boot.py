# SPDX-License-Identifier: MIT
"""A guest with an initramfs of one's own, and nothing of the host: no device that answers when the host comes to it. What
it writes to its second serial line is the run's output; it ends when it powers off."""
import os
import selectors
import subprocess
import sys
import time

import host.cache as cache
import host.guest as guest

POWERED_OFF = "reboot: Power down"


def pass_on(pipe, limit):
    """What comes out of the pipe, until it ends. False: not within the limit."""
    deadline = time.monotonic() + limit if limit else float("inf")
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if not selector.select(min(left, 3600)):
                continue
            data = os.read(pipe, 1 << 16)
            if not data:
                return True
            sys.stdout.buffer.write(data.replace(b"\r", b""))
            sys.stdout.flush()


def run(machine, initrd, limit, log_file):
    """The exit status of the run."""
    ours, theirs = os.pipe()
    argv = [*machine.bare(guest.comma(initrd), log_file),
            "-chardev", f"file,id=said,path=/dev/fd/{theirs}", "-serial", "chardev:said", *machine.more]
    # If we are killed, the guest goes too.
    with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL, start_new_session=True,
                          stdout=subprocess.DEVNULL, pass_fds=[theirs]) as qemu:
        try:
            os.close(theirs)
            in_time = pass_on(ours, limit)
        finally:
            os.close(ours)
            if sys.exc_info()[0] or not in_time:
                qemu.kill()
    if guest.complains(log_file):
        return guest.PROBLEM_IN_LOG
    if not in_time:
        cache.say(f"the guest did not end within {limit} s (-t SECONDS); the kernel's log: {log_file}")
        return guest.TOO_LATE
    if POWERED_OFF in cache.read(log_file, ""):
        return 0
    guest.last_words(log_file)
    cache.say(f"the guest ended, and not by powering off; its log: {log_file}")
    return guest.LAB_FAILED
