# SPDX-License-Identifier: MIT
"""Where the lab keeps what it made, the locks on it, and the lab's own failures."""
import contextlib
import fcntl
import hashlib
import os
import shutil
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
MIB = 1 << 20


class Failure(Exception):
    """What keeps the lab from doing what it was asked, in a sentence a person can act on."""


def root():
    chosen = os.environ.get("SZC_LAB_CACHE")
    if not chosen:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        chosen = os.path.join(home, "szc", "lab")
    return os.path.abspath(chosen)


def folder(*names):
    """A folder of the cache, made if it is not there."""
    path = os.path.join(root(), *names)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise Failure(f"the cache folder {path} cannot be made ({error.strerror}); set SZC_LAB_CACHE") from None
    return path


def digest(*texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def say(sentence):
    print(f"lab: {sentence}", file=sys.stderr, flush=True)


def read(path, otherwise=None):
    if otherwise is not None and not os.path.exists(path):
        return otherwise
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def write(path, text):
    """At once or not at all."""
    aside = f"{path}.{os.getpid()}"
    with open(aside, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(aside, path)


@contextlib.contextmanager
def lock(path, what):
    """One at a time; a second one waits, and says so. Yields the file: it is locked until the last process that was given it
    ends."""
    with open(f"{path}.lock", "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another lab that is at {what}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def need_space(path, mebibytes, what):
    free = shutil.disk_usage(path).free // MIB
    if free < mebibytes:
        raise Failure(f"{what} needs {mebibytes} MiB in {path}, and {free} MiB are free; make room, or set "
                      "SZC_LAB_CACHE to a folder on another disk")


def need_programs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise Failure(f"missing: {' '.join(missing)}; tools/setup installs what the lab needs")
