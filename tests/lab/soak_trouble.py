# SPDX-License-Identifier: MIT
"""What happens to the NIC during the soak. Each thing that takes time is a generator; between two is a pause."""
import collections
import random
import time

from port import FAR, NEAR, must

MTUS = (1500, 4148, 9000)
RINGS = (64, 128, 256, 512)
RESTARTING = ("VNIC_UPDATE", "RING_FREE", "RX_ALLOC", "AGG_ALLOC", "VNIC_RSS", "VNIC_CFG")
IMPAIRMENTS = ("loss", "reorder", "duplicate", "corrupt")
LEAST_FREE_KIB = 300 << 10  # memory that pressure leaves alone
AFTERMATH = 60  # seconds for which what happened can still break something
TRUCE_EVERY, TRUCE = 600, 60  # seconds


def sleep(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def memory_free_kib():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))


class Trouble:
    def __init__(self, soak, channels, queues):
        self.soak, self.channels, self.queues = soak, channels, queues
        self.random = random.Random(soak.seed)
        self.count = collections.Counter()
        self.last = 0.0
        self.truce_at = time.monotonic() + TRUCE_EVERY
        self.kinds = {self.restarts: 8, self.down: 3, self.rings: 2, self.channels_change: 2, self.mtu: 2, self.wire: 5,
                      self.calm: 2, self.pressure: 2, self.allocations: 4, self.refusal: 3, self.delay: 2,
                      self.interrupts: 3, self.stall: 3, self.merging: 2}

    def told(self):
        return ", ".join(f"{name} {count}" for name, count in sorted(self.count.items()))

    def had_since(self, when):
        return self.last + AFTERMATH > when

    def run(self):
        while not self.soak.over():
            if time.monotonic() > self.truce_at:
                yield from self.truce()
            (kind,) = self.random.choices(list(self.kinds), self.kinds.values())
            self.count[kind.__name__] += 1
            self.last = time.monotonic()
            yield from kind() or ()
            self.last = time.monotonic()
            yield from self.nurse()
            yield from sleep(self.random.choice((0, 0.2, 1, 3)))
        self.quiet()

    def truce(self):
        """Nothing happens for so long that what is begun towards the end has no reason to break."""
        self.count["truce"] += 1
        self.quiet()
        yield from sleep(AFTERMATH + TRUCE)
        self.truce_at = time.monotonic() + TRUCE_EVERY

    def nurse(self):
        """A port that closed by itself is opened, by somebody who has read the log."""
        if NEAR.is_up():
            return
        self.count["closed by itself"] += 1
        self.faults_off()
        NEAR.up()
        yield from sleep(1)

    def faults_off(self):
        for port in (NEAR, FAR):
            port.ask("alloc_fail", 0)
            port.ask("fw_refuse", "all", 0)
            port.ask("fw_delay", "all", 0, 0)

    def quiet(self):
        self.faults_off()
        self.set_wire({name: 0 for name in (*IMPAIRMENTS, "delay")})
        NEAR.up()

    # ---- what happens

    def restarts(self):
        for _ in range(self.random.choice((1, 1, 5, 20))):
            if NEAR.restart(self.random.choice(range(self.channels))) is not None:
                self.count["restarts refused"] += 1
                return
            self.last = time.monotonic()
            yield

    def down(self):
        must("ip", "link", "set", NEAR.name, "down")
        yield from sleep(self.random.choice((0, 0.5, 3)))
        NEAR.up()

    def setting(self, *words):
        """Refused ones count: that nothing changed then is test_faults.py's to see."""
        status, _ = NEAR.try_ethtool(*words)
        if status:
            self.count["settings refused"] += 1

    def rings(self):
        self.setting("-G", "rx", self.random.choice(RINGS))

    def channels_change(self):
        self.channels = self.random.randint(max(self.queues) + 1, 8)
        self.setting("-L", "combined", self.channels)
        self.channels = int(NEAR.ethtool("-l").split()[-1])

    def mtu(self):
        mtu = self.random.choice(MTUS)
        if NEAR.link("mtu", mtu)[0]:
            self.count["settings refused"] += 1
        FAR.link("mtu", mtu)

    def merging(self):
        self.setting("-K", "rx-gro-hw", self.random.choice(("on", "off")))

    def set_wire(self, values):
        words = [f"{value}" for pair in values.items() for value in pair]
        must(*FAR.prefix, self.soak.szc_nic, "wire", FAR.name, *words)

    def wire(self):
        values = {name: f"{self.random.choice((0, 0, 0.05, 0.3, 1))}%" for name in IMPAIRMENTS}
        values["delay"] = self.random.choice(("0", "50us", "1ms"))
        self.set_wire(values)

    def calm(self):
        self.set_wire({name: 0 for name in (*IMPAIRMENTS, "delay")})

    def pressure(self):
        """Little memory, and caches that have to give way, for some seconds."""
        hog = []
        end = time.monotonic() + self.random.choice((1, 4))
        while time.monotonic() < end:
            if memory_free_kib() > LEAST_FREE_KIB:
                hog.append(bytearray(b"x") * (8 << 20))
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
                file.write("1")
            yield

    def allocations(self):
        port = self.random.choice((NEAR, NEAR, FAR))
        port.ask("alloc_fail", self.random.choice((1, 10, 100, 1000)))
        yield from sleep(self.random.choice((0.2, 1)))
        port.ask("alloc_fail", 0)

    def refusal(self):
        """The firmware refuses a step of a restart, so the port closes."""
        NEAR.ask("fw_refuse", self.random.choice(RESTARTING), 1, self.random.choice((0, 0, 1)))
        if NEAR.restart(self.random.choice(range(self.channels))) is not None:
            self.count["restarts refused"] += 1
        yield
        NEAR.ask("fw_refuse", "all", 0)

    def delay(self):
        NEAR.ask("fw_delay", "all", self.random.choice((1, 10)), self.random.choice((1, 50)))
        if NEAR.restart(self.random.choice(range(self.channels))) is not None:
            self.count["restarts refused"] += 1
        yield

    def interrupts(self):
        self.random.choice((NEAR, FAR)).ask("lose_irq", self.random.choice(range(4)), self.random.choice((1, 10)))

    def stall(self):
        self.random.choice((NEAR, FAR)).ask("stall", self.random.choice(range(4)), self.random.choice((10, 300, 1500)))
