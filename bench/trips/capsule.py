# SPDX-License-Identifier: MIT
"""A guest by itself: all it needs is in its initramfs, and it has no device that the host answers when it comes to it. So
two runs of the same files execute the same instructions in the same order."""
import os
import re
import shutil
import stat
import subprocess

# What bench/trips/guest, kernel/lab/scene and ourselves run there; busybox has the rest.
PROGRAMS = ("bash", "busybox", "env", "ethtool", "ip", "ping", "taskset")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OURS = "/szc"


class Missing(Exception):
    """A sentence about what is not there."""


def libraries(program):
    """What the dynamic linker loads for it, and itself."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", told)


class Capsule:
    """Files by their path in the guest."""

    def __init__(self):
        self.files = {}
        self.folders = {"/dev", "/proc", "/sys", "/run", "/tmp", "/etc"}

    def add(self, path, inside):
        if not os.path.exists(path):
            raise Missing(f"{path} is not there")
        self.files[inside] = os.path.realpath(path)

    def add_program(self, path, inside):
        self.add(path, inside)
        for library in libraries(path):
            # The linker looks there without being told; ours have a path of their own.
            self.add(library, library if library.startswith("/lib64/") else f"/lib/{os.path.basename(library)}")

    def add_tree(self, folder, inside):
        for at, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(at, name)
                self.add(path, os.path.join(inside, os.path.relpath(path, folder)))

    def add_tools(self):
        for name in PROGRAMS:
            path = shutil.which(name, path=PATH)
            if not path:
                raise Missing(f"the program {name} is not there; tools/setup installs it")
            self.add_program(path, f"/bin/{name}")
        # Where scripts look for it.
        self.add_program(shutil.which("env", path=PATH), "/usr/bin/env")

    def write(self, path):
        """As the kernel takes it (cpio, newc); neither times nor numbers of the host get into it."""
        folders = set(self.folders)
        for inside in self.files:
            at = os.path.dirname(inside)
            while at != "/":
                folders.add(at)
                at = os.path.dirname(at)
        with open(path, "wb") as archive:
            number = 1
            for inside in sorted(folders):
                archive.write(entry(number, inside, stat.S_IFDIR | 0o755, b""))
                number += 1
            for inside, outside in sorted(self.files.items()):
                with open(outside, "rb") as file:
                    content = file.read()
                mode = stat.S_IFREG | (0o755 if os.access(outside, os.X_OK) else 0o644)
                archive.write(entry(number, inside, mode, content))
                number += 1
            archive.write(entry(0, "/TRAILER!!!", 0, b""))


def entry(number, inside, mode, content):
    """One file; Documentation/driver-api/early-userspace/buffer-format.rst."""
    name = inside.lstrip("/").encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
