# SPDX-License-Identifier: MIT
"""What crosses this machine's memory bus, by its own counters: those of the memory controllers (perf_event_open), else
resctrl's. They see all that the machine does."""
import ctypes
import glob
import os
import platform
import re
import struct

DEVICES = "/sys/bus/event_source/devices"
RESCTRL = "/sys/fs/resctrl"
# Reads and writes of memory, as kernels name them: Intel's servers; its others (free running); AMD's.
EVENTS = (("cas_count_read", "cas_count_write"), ("data_read", "data_write"), ("umc_cas_cmd.rd", "umc_cas_cmd.wr"))
CONTROLLERS = ("uncore_imc*", "amd_umc*")
UNITS = {"MiB": 1 << 20, "KiB": 1 << 10, "Bytes": 1, "": 64}  # no unit: lines
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
ATTR_SIZE = 64  # PERF_ATTR_SIZE_VER0


def read(*path):
    try:
        with open(os.path.join(*path), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def config_of(device, event):
    """perf_event_attr.config from the event's terms and where the device's format puts them (perf_event_open(2))."""
    config = 0
    for name, value in re.findall(r"(\w+)=(\w+)", read(device, "events", event)):
        bits = re.match(r"config:(\d+)", read(device, "format", name))
        if not bits:
            return None
        config |= int(value, 0) << int(bits[1])
    return config


def counters(devices=DEVICES):
    """(type, config, processor, bytes for each count) of all there are."""
    found = []
    for device in sorted(sum((glob.glob(os.path.join(devices, name)) for name in CONTROLLERS), [])):
        for event in sum((pair for pair in EVENTS if read(device, "events", pair[0])), ()):
            config, kind, cpu = config_of(device, event), read(device, "type"), read(device, "cpumask").split(",")[0]
            unit = UNITS.get(read(device, "events", f"{event}.unit"))
            if config is None or not kind or unit is None:
                continue
            scale = float(read(device, "events", f"{event}.scale") or 1)
            found.append((int(kind), config, int(cpu.split("-")[0] or 0), scale * unit))
    return found


class Controllers:
    """Of memory."""
    name = "memory controllers"

    def __init__(self):
        self.open = []
        number = PERF_EVENT_OPEN.get(platform.machine())
        syscall = ctypes.CDLL(None, use_errno=True).syscall
        for kind, config, cpu, scale in counters() if number else []:
            attr = struct.pack("IIQ", kind, ATTR_SIZE, config).ljust(ATTR_SIZE, b"\0")
            fd = syscall(number, attr, -1, cpu, -1, 0)
            if fd < 0:
                self.close()
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            self.open.append((fd, scale))

    def total(self):
        return sum(int.from_bytes(os.read(fd, 8), "little") * scale for fd, scale in self.open)

    def close(self):
        for fd, _ in self.open:
            os.close(fd)
        self.open = []


class Resctrl:
    """Memory traffic of all processors behind each last-level cache."""
    name = "resctrl"

    @staticmethod
    def files():
        return glob.glob(f"{RESCTRL}/mon_data/mon_L3_*/mbm_total_bytes")

    def total(self):
        return sum(int(read(path) or 0) for path in self.files())

    def close(self):
        pass


def bus():
    """(counter or None, why there is none)"""
    why = "this machine shows no counters of its memory bus (no uncore PMU, no resctrl)"
    try:
        found = Controllers()
        if found.open:
            return found, None
    except OSError as error:
        why = f"the memory controllers' counters cannot be had: {error.strerror} (CAP_PERFMON, perf_event_paranoid)"
    return (Resctrl(), None) if Resctrl.files() else (None, why)
