#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The module builds, without a warning and without a symbol that is not exported, against each supported kernel as
Debian ships it: its configuration and the symbols it exports come from its headers' package, the source from the lab. And
the lab's own configurations suit each."""
import glob
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
SOURCE, TMP = os.environ["SZC_SOURCE"], os.environ["SZC_TMP"]
sys.path.insert(0, os.path.join(SOURCE, "kernel", "lab"))

from host import cache, kernel, source  # noqa: E402

# Without PSP is how Debian ships 7.2 and 7.3, and how the lab does not. Signatures and type information take keys and tools that a module's build
# has no use for.
WITHOUT = ("INET_PSP", "MODVERSIONS", "MODULE_SIG_ALL", "DEBUG_INFO_BTF", "SYSTEM_TRUSTED_KEYRING", "RUST")


class Failed(Exception):
    pass


def run(*argv, cwd=None):
    done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False, env=dict(os.environ, LC_ALL="C.UTF-8"))
    if done.returncode:
        raise Failed(f"exit status {done.returncode}: {' '.join(argv)}\n{done.stdout}")
    return done.stdout


def headers(apt, series, folder):
    """The folder of Debian's headers for its plain amd64 kernel of the series: .config and Module.symvers."""
    names = apt.run("apt-cache", "pkgnames", f"linux-headers-{series}")[0].split()
    names = [name for name in names if re.fullmatch(rf"linux-headers-{re.escape(series)}[.\d]*\S*?-amd64", name)
             and not re.search(r"-(rt|cloud)-", name)]
    if not names:
        raise Failed(f"the mirror has no headers of a Linux {series}: {apt.run('apt-cache', 'stats')[1]}")
    name = max(names, key=source.numbers)
    apt_said = apt.run("apt-get", "download", "-q", name, cwd=folder)
    packages = glob.glob(os.path.join(folder, "*.deb"))
    if len(packages) != 1:
        raise Failed(f"{name} cannot be fetched: {apt_said}")
    run("dpkg-deb", "-x", packages[0], folder)
    (found,) = glob.glob(os.path.join(folder, "usr", "src", "linux-headers-*", ".config"))
    return os.path.dirname(found)


def builds(apt, series):
    """What the kernel is called."""
    linux = source.get(series)
    with tempfile.TemporaryDirectory(dir=TMP) as folder:
        debian = headers(apt, series, folder)
        build, module = os.path.join(folder, "build"), os.path.join(folder, "module")
        os.mkdir(build)
        os.mkdir(module)
        cache.write(os.path.join(build, ".config"), cache.read(os.path.join(debian, ".config")))
        run(os.path.join(linux.path, "scripts", "config"), "--file", os.path.join(build, ".config"),
            *(word for option in WITHOUT for word in ("-d", option)))
        make = ["make", "-s", "-C", linux.path, f"O={build}", f"-j{os.cpu_count()}"]
        run(*make, "olddefconfig")
        run(*make, "modules_prepare")
        cache.write(os.path.join(build, "Module.symvers"), cache.read(os.path.join(debian, "Module.symvers")))
        said = run(*make, f"M={SOURCE}/kernel", f"MO={module}", "modules").strip()
        if said:
            raise Failed(said)
        if not os.path.exists(os.path.join(module, "szcnic.ko")):
            raise Failed("make succeeded and left no module")
        return f"{linux.version} as in {os.path.basename(debian)}, without PSP"


def configured(series, debug):
    """Every option of the lab's files is one of that kernel."""
    linux = source.get(series)
    with tempfile.TemporaryDirectory(dir=TMP) as folder:
        kept = os.environ.get("SZC_LAB_CACHE")
        os.environ["SZC_LAB_CACHE"] = folder
        try:
            one = kernel.Kernel(linux, debug)
            os.makedirs(one.build)
            one.configure()
        finally:
            os.environ.pop("SZC_LAB_CACHE") if kept is None else os.environ.update(SZC_LAB_CACHE=kept)
    return linux.version + (" with debug.config" if debug else "")


def attempts(apt):
    for series in source.SUPPORTED:
        yield f"the module builds for Linux {series}", builds, apt, series
        yield f"the lab's configuration suits Linux {series}", configured, series, False
        yield f"the lab's debug configuration suits Linux {series}", configured, series, True


def main():
    if not os.environ.get("SZC_TEST_FULL"):
        print("1..0 # SKIP builds against every supported kernel are part of tests/run all")
        return 0
    apt, failures = source.Apt(), 0
    apt.run("apt-get", "update", "-q")
    wanted = list(attempts(apt))
    for number, (name, attempt, *args) in enumerate(wanted, 1):
        try:
            print(f"ok {number} - {name}: {attempt(*args)}", flush=True)
        except (Failed, cache.Failure) as failure:
            failures += 1
            print(f"not ok {number} - {name}")
            print("".join(f"# {line}\n" for line in str(failure).splitlines()), end="", flush=True)
    print(f"1..{len(wanted)}")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
