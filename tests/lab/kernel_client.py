# SPDX-License-Identifier: MIT
"""The kernel's own netlink client (tools/net/ynl), which reads what it talks about from the kernel's specifications."""
import functools
import glob
import os
import sys

from harness import Skipped


def ynl_folder():
    """The source of the kernel that runs here, where kernel/lab keeps it."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    kept = os.path.join(os.environ.get("SZC_LAB_CACHE") or os.path.join(cache, "szc", "lab"), "source", "*")
    for folder in [os.environ.get("SZC_LINUX", ""), *sorted(glob.glob(kept), reverse=True)]:
        if os.path.exists(f"{folder}/tools/net/ynl/pyynl/cli.py"):
            return folder
    raise Skipped("the kernel's source, with its netlink client, is not here")


@functools.lru_cache(None)
def ynl_family(name):
    """The kernel's own client; to read a specification takes it seconds here."""
    kernel = ynl_folder()
    sys.path.insert(0, f"{kernel}/tools/net/ynl/pyynl")
    from lib import YnlFamily  # pylint: disable=import-outside-toplevel,import-error
    return YnlFamily(f"{kernel}/Documentation/netlink/specs/{name}.yaml", schema="")


def ynl(family, question, **attributes):
    """An answer of the kernel, by the kernel's own client."""
    return ynl_family(family).do(question, attributes)
