# SPDX-License-Identifier: MIT
"""KVM where a boot with it works, QEMU's translator (TCG) otherwise."""
import fcntl
import os
import subprocess
import time

import host.cache as cache

KVM, TCG, TCG_ONE_THREAD = "kvm", "tcg,thread=multi", "tcg,thread=single"
GET_API_VERSION, API_VERSION = 0xAE00, 12
TRIAL_SECONDS = 15


def device_refuses():
    """Why /dev/kvm cannot be used, without trying a boot; None if it may work."""
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    try:
        version = fcntl.ioctl(device, GET_API_VERSION)
        return None if version == API_VERSION else f"/dev/kvm speaks version {version} of its interface"
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    finally:
        os.close(device)


def boot_fails(image):
    """Why a kernel does not come up under KVM; None if it does. It finds no root and ends by itself."""
    argv = ["qemu-system-x86_64", "-accel", "kvm", "-machine", "q35", "-cpu", "max", "-m", "512", "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", image,
            "-append", "console=ttyS0 panic=-1"]
    try:
        trial = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"a trial boot with KVM did not end within {TRIAL_SECONDS} s"
    if b"Kernel panic" in trial.stdout:
        return None
    said = trial.stderr.decode(errors="replace").strip().split("\n")[-1]
    return f"a trial boot with KVM failed: {said or 'the kernel said nothing'}"


def choose(image):
    """(accelerator, why). The answer of a trial boot is kept until the host boots again."""
    why = device_refuses()
    if why:
        return TCG, why
    asked = cache.digest(cache.read("/proc/sys/kernel/random/boot_id"), image)
    path = os.path.join(cache.folder("kvm"), asked)
    if not os.path.exists(path):
        started = time.monotonic()
        cache.write(path, boot_fails(image) or "")
        cache.say(f"tried KVM once, for {time.monotonic() - started:.0f} s")
    why = cache.read(path)
    return (TCG, why) if why else (KVM, "a trial boot with KVM works")
