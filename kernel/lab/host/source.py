# SPDX-License-Identifier: MIT
"""Where the kernel's source comes from: SZC_LINUX, the cache, or the mirror that this machine's apt uses.

apt runs with a configuration of our own, so that the machine's is left as it is."""
import glob
import os
import re
import shutil
import subprocess
import tempfile

import host.cache as cache

SUPPORTED = ("7.3", "7.2")
SUITES = ("trixie-backports", "forky", "sid")
SPACE_MIB = 2600


def numbers(version):
    return tuple(int(number) for number in re.findall(r"\d+", version.split("-")[0]))


class Source:
    """An unpacked kernel source; `name` tells it from others of the same version."""

    def __init__(self, path, name):
        self.path, self.name = path, name
        makefile = cache.read(os.path.join(path, "Makefile"), "")
        parts = [re.search(rf"^{part} *= *(\S*)$", makefile, re.M) for part in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
        if not all(parts):
            raise cache.Failure(f"{path} holds no Linux source: its Makefile names no version")
        self.version = ".".join(part[1] for part in parts)


def find(series):
    """The source that is there, or None. `series` is what --linux names; without it the newest that is supported."""
    given = os.environ.get("SZC_LINUX")
    if given:
        source = Source(os.path.abspath(given), os.path.abspath(given))
        if series and numbers(source.version)[:2] != numbers(series):
            raise cache.Failure(f"SZC_LINUX is Linux {source.version}, and --linux asks for {series}")
        return source
    here = [os.path.basename(path) for path in glob.glob(os.path.join(cache.folder("source"), "[0-9]*"))
            if not path.endswith((".part", ".lock"))]
    names = [name for name in here if numbers(name)[:2] == numbers(series or SUPPORTED[0])]
    if not names and not series:
        # An older one may be here because --linux asked for it.
        names = [name for name in here if name == cache.read(chosen_file(), "")]
    if not names:
        return None
    name = max(names, key=numbers)
    return Source(os.path.join(cache.folder("source"), name), name)


def chosen_file():
    """Names the source that was taken when no series was asked for and the newest supported one could not be had."""
    return os.path.join(cache.folder("source"), "chosen")


def get(series):
    """The source, fetched if it is not there."""
    found = find(series)
    if found:
        return found
    with cache.lock(os.path.join(cache.folder("source"), "fetch"), "fetching a source"):
        return find(series) or fetch(series)


# ---- what the machine's apt knows

def one_line(text):
    """`deb [options] URI suite component...`"""
    for line in text.split("\n"):
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s+(.+?)\s*(?:#.*)?$", line)
        if match:
            signed = re.search(r"signed-by=(\S+)", match[1] or "")
            yield [match[2]], [match[3]], match[4].split(), signed[1] if signed else ""


def deb822(text):
    for paragraph in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.M)):
        fields = {name.lower(): value.strip("\n") for name, value in
                  re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", paragraph, re.M)}
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in ("no", "false"):
            yield (fields.get("uris", "").split(), fields.get("suites", "").split(),
                   fields.get("components", "").split(), fields.get("signed-by", ""))


def machine_entries(etc):
    for path in [os.path.join(etc, "sources.list"), *sorted(glob.glob(os.path.join(etc, "sources.list.d", "*.list")))]:
        yield from one_line(cache.read(path, ""))
    for path in sorted(glob.glob(os.path.join(etc, "sources.list.d", "*.sources"))):
        yield from deb822(cache.read(path, ""))


def mirror(etc="/etc/apt", os_release="/etc/os-release"):
    """(URIs, keyring) of the archive that this machine's own release comes from."""
    codename = re.search(r"^VERSION_CODENAME=\"?(\w+)", cache.read(os_release, ""), re.M)
    own = {"stable", "testing", "unstable", "sid"} | ({codename[1]} if codename else set())
    for uris, suites, components, signed in machine_entries(etc):
        uris = [uri for uri in uris if not uri.startswith("cdrom:")]
        if uris and "main" in components and own & set(suites):
            return uris, signed
    raise cache.Failure(f"{etc} names no Debian archive to take a kernel source from; set SZC_LINUX=/path/to/source")


# ---- our own apt

class Apt:
    """apt with lists, cache and sources in the lab's cache."""

    def __init__(self):
        self.folder = cache.folder("apt")
        for name in ("parts", "lists/partial", "cache/archives/partial", "state"):
            cache.folder("apt", name)
        uris, signed = mirror()
        with open(os.path.join(self.folder, "parts", "debian.sources"), "w", encoding="utf-8") as file:
            file.write(f"Types: deb\nURIs: {' '.join(uris)}\nSuites: {' '.join(SUITES)}\nComponents: main\n")
            file.write(f"Signed-By: {signed}\n" if signed else "")
        settings = {"Dir::Etc::SourceList": "/dev/null", "Dir::Etc::SourceParts": f"{self.folder}/parts",
                    "Dir::State": f"{self.folder}/state", "Dir::State::Lists": f"{self.folder}/lists",
                    "Dir::State::status": "/dev/null", "Dir::Cache": f"{self.folder}/cache",
                    "Acquire::Languages": "none", "Acquire::Retries": "2", "Acquire::http::Timeout": "30",
                    "APT::Sandbox::User": "root"}
        with open(os.path.join(self.folder, "apt.conf"), "w", encoding="utf-8") as file:
            file.write("#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n")
            file.write("#clear APT::Update::Pre-Invoke;\n")
            file.writelines(f'{name} "{value}";\n' for name, value in settings.items())

    def run(self, program, *args, cwd=None):
        """(output, errors, exit status)"""
        done = subprocess.run([program, "-c", os.path.join(self.folder, "apt.conf"), *args], cwd=cwd, text=True,
                              capture_output=True, check=False, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, LC_ALL="C.UTF-8"))
        return done.stdout, done.stderr, done.returncode

    def offers(self):
        """{series: package version}"""
        names = re.findall(r"^linux-source-(\d+\.\d+)$", self.run("apt-cache", "pkgnames", "linux-source-")[0], re.M)
        offered = {}
        for series in names:
            policy = self.run("apt-cache", "policy", f"linux-source-{series}")[0]
            candidate = re.search(r"Candidate: (\S+)", policy)
            if candidate and candidate[1] != "(none)":
                offered[series] = candidate[1]
        return offered


def choose(offered, series, errors):
    """Which of the offered series to take."""
    for wanted in [series] if series else SUPPORTED:
        if wanted in offered:
            return wanted
    newer = [name for name in offered if numbers(name) > numbers(SUPPORTED[0])]
    if newer and not series:
        taken = min(newer, key=numbers)
        cache.say(f"the mirror has neither Linux {' nor '.join(SUPPORTED)}: taking {taken}, which nobody has tried yet")
        return taken
    reason = f"it offers {', '.join(sorted(offered))}" if offered else "nothing could be had from it"
    said = errors.strip().split("\n")[-1]
    raise cache.Failure(f"the mirror in /etc/apt has no source of Linux {series or ' or '.join(SUPPORTED)} ({reason}"
                        + (f"; apt: {said}" if said else "") + "); try again later, or set SZC_LINUX=/path/to/source")


def fetch(series):
    cache.need_programs("apt-get", "apt-cache", "dpkg-deb", "tar", "xz")
    target = cache.folder("source")
    cache.need_space(target, SPACE_MIB, "a kernel source")
    apt = Apt()
    cache.say("looking for a kernel source at this machine's mirror")
    # A suite that fails must not stop us if another one has what we want.
    errors = apt.run("apt-get", "update", "-q")[1]
    offered = apt.offers()
    wanted = choose(offered, series, errors)
    name = offered[wanted]
    if not os.path.isdir(os.path.join(target, name)):
        download(apt, wanted, name, target)
    if not series:
        cache.write(chosen_file(), name)
    return Source(os.path.join(target, name), name)


def download(apt, series, name, target):
    cache.say(f"fetching Linux {name}, about 150 MB")
    with tempfile.TemporaryDirectory(prefix="fetch.", dir=target) as folder:
        _, errors, status = apt.run("apt-get", "download", "-q", f"linux-source-{series}={name}", cwd=folder)
        packages = glob.glob(os.path.join(folder, "*.deb"))
        if status or len(packages) != 1:
            raise cache.Failure(f"linux-source-{series} could not be fetched: {errors.strip().splitlines()[-1:]}")
        unpack(packages[0], folder, os.path.join(target, name))


def unpack(package, folder, target):
    cache.say("unpacking it")
    subprocess.run(["dpkg-deb", "-x", package, os.path.join(folder, "package")], check=True)
    archives = glob.glob(os.path.join(folder, "package", "usr", "src", "linux-source-*.tar.xz"))
    if len(archives) != 1:
        raise cache.Failure(f"{os.path.basename(package)} holds no linux-source-*.tar.xz")
    shutil.rmtree(target + ".part", ignore_errors=True)
    os.mkdir(target + ".part")
    subprocess.run(["tar", "-xf", archives[0], "-C", target + ".part", "--strip-components=1"], check=True)
    os.rename(target + ".part", target)
