# SPDX-License-Identifier: MIT
"""What this machine's own counters can tell of the memory bus."""
import glob
import os

DEVICES = "/sys/bus/event_source/devices"
RESCTRL = "/sys/fs/resctrl/info/L3_MON"


def describe():
    """A sentence. The guest's payload crosses no bus of this machine's: these counters are for zero copy on bare metal."""
    controllers = sorted(os.path.basename(path) for path in glob.glob(f"{DEVICES}/uncore_imc*") +
                         glob.glob(f"{DEVICES}/amd_umc*") + glob.glob(f"{DEVICES}/arm_cmn*"))
    if controllers:
        return (f"{len(controllers)} memory controllers have counters here ({controllers[0]}, ...); the guest is emulated, so "
                "that they say nothing about these figures")
    if os.path.isdir(RESCTRL):
        return "resctrl counts memory traffic here; the guest is emulated, so that it says nothing about these figures"
    return "this machine shows no counters of its memory bus (no uncore PMU, no resctrl): nothing was measured with them"
