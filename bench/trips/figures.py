# SPDX-License-Identifier: MIT
"""From what the ledger, the NIC and the emulator counted to the figures of one mode, each for a byte of payload."""

MODES = ("recv", "zc", "openssl", "ktls", "ktls+nopad", "zc+copy", "zc+inplace", "psp+recv", "psp+zc")
ZERO_COPY = ("zc", "zc+copy", "zc+inplace", "psp+zc")
TOLERANCE = 0.02
ANNOUNCED = ("area", "target", "inside")
CIPHERS = ("kernel_cipher", "user_cipher")


class Disagreement(Exception):
    """Two counts of the same thing differ."""


def stored(counts, actor, places):
    return sum(counts["stored"][actor][place] for place in places)


def moved_by_cipher(counts, actor):
    """What a cipher wrote elsewhere than where it had just read. Of the user's, only what it wrote into buffers: its stack
    and its contexts are no payload. The kernel's is nothing but the loops over payload, and where the kernel keeps what it
    decrypts nobody can announce."""
    places = (*ANNOUNCED, "elsewhere") if actor == "kernel_cipher" else ANNOUNCED
    return sum(counts["stored"][actor][place] - counts["in_place"][actor][place] for place in places)


def opened_in_place(counts):
    """Of the kernel's also what went elsewhere: a page that it had read a record from, and takes for the next one's plaintext,
    looks like work in place."""
    return (sum(counts["in_place"]["user_cipher"][place] for place in ANNOUNCED) +
            sum(counts["in_place"]["kernel_cipher"][place] for place in (*ANNOUNCED, "elsewhere")))


class Figures:
    """One mode's."""

    def __init__(self, ledger, counts):
        self.mode, self.bytes = ledger["mode"], ledger["bytes"]
        self.model, self.ledger, self.counts = ledger["model"], ledger, counts
        every = (*ANNOUNCED, "elsewhere")
        self.device = stored(counts, "device", every)
        self.kernel_copied = stored(counts, "kernel", ANNOUNCED) + moved_by_cipher(counts, "kernel_cipher")
        self.user_copied = stored(counts, "user", ANNOUNCED) + moved_by_cipher(counts, "user_cipher")
        self.in_place = opened_in_place(counts)
        self.outside = self.device - counts["stored"]["device"]["area"]
        # Into memory that nobody announced: stacks, packets' descriptions, and whatever copies there may be.
        self.elsewhere = stored(counts, "kernel", ("elsewhere",)) + stored(counts, "user", ("elsewhere",))

    def per_byte(self, value):
        return value / self.bytes

    @property
    def trips(self):
        return self.per_byte(self.device + self.kernel_copied + self.user_copied)

    @property
    def ledger_trips(self):
        ledger = self.ledger
        return self.per_byte(ledger["device"] + ledger["kernel_copied"] + ledger["user_copied"])

    @property
    def passes(self):
        moved = sum(moved_by_cipher(self.counts, actor) for actor in CIPHERS)
        return self.per_byte(self.in_place + moved)

    def instructions(self, actors):
        return self.per_byte(sum(self.counts["instructions"][actor] for actor in actors))

    def bus(self, cache, state):
        return self.per_byte(cache[state]["read"] + cache[state]["written"])

    def check(self):
        device = self.per_byte(self.ledger["device"])
        if abs(self.per_byte(self.device) - device) > TOLERANCE * device:
            raise Disagreement(f"{self.mode}: the NIC counts {device:.4f} bytes written for each of payload, the emulator "
                               f"saw {self.per_byte(self.device):.4f}: more than {TOLERANCE:.0%} apart")
        if self.ledger["opened_again"]:
            raise Disagreement(f"{self.mode}: the kernel's TLS decrypted {self.ledger['opened_again']} records again or in "
                               "vain (/proc/net/tls_stat), and the ledger counts each once")
        if abs(self.passes - self.per_byte(self.ledger["opened"])) > TOLERANCE:
            raise Disagreement(f"{self.mode}: the ledger counts {self.per_byte(self.ledger['opened']):.4f} passes, the "
                               f"emulator saw {self.passes:.4f}")
        if not self.model and abs(self.trips - self.ledger_trips) > TOLERANCE * self.ledger_trips:
            raise Disagreement(f"{self.mode}: the ledger counts {self.ledger_trips:.4f} trips, the emulator saw "
                               f"{self.trips:.4f}: more than {TOLERANCE:.0%} apart")
        if self.mode in ZERO_COPY and (self.outside or self.ledger["zero_copy"] != self.ledger["device"]):
            raise Disagreement(f"{self.mode}: of the payload {self.outside} bytes were seen written outside the area, and "
                               f"the NIC counts {self.ledger['device'] - self.ledger['zero_copy']} outside net_iovs")

    def row(self, main_cache):
        """As --json has it."""
        counts = self.counts
        cache = counts["caches"][main_cache]
        return {
            "mode": self.mode,
            "trips": round(self.trips, 4),
            "trips_ledger": round(self.ledger_trips, 4),
            "ledger": "model" if self.model else "measured",
            "passes": round(self.passes, 4),
            "bus_bytes_cold": round(self.bus(cache, "cold"), 4),
            "bus_bytes_warm": round(self.bus(cache, "warm"), 4),
            "instructions_per_byte": round(self.instructions(counts["instructions"]), 4),
            "instructions_per_byte_aead": round(self.instructions(CIPHERS), 4),
            "instructions_per_byte_other": round(self.instructions(("kernel", "user")), 4),
            "bytes_delivered": self.bytes,
            "bytes_warm": self.ledger["warm"],
            "steady": self.ledger["steady"],
            "buffers_fresh": self.ledger["fresh"],
            "bytes_device": self.device,
            "bytes_zero_copy": counts["stored"]["device"]["area"],
            "bytes_outside_area": self.outside,
            "area_bytes_used": counts["area_written"],
            "bytes_kernel_copied": self.kernel_copied,
            "bytes_user_copied": self.user_copied,
            "bytes_opened_in_place": counts["in_place"]["user_cipher"]["area"],
            "bytes_read_by_application": counts["loaded"]["user"]["area"] + counts["loaded"]["user"]["target"],
            "bytes_stored_elsewhere": self.elsewhere,
            "cipher": self.ledger["cipher"] or None,
            "caches": [{"size": one["size"], "ways": one["ways"], "line": one["line"], "device_ways": one["device_ways"],
                        "bus_bytes_cold": round(self.bus(one, "cold"), 4),
                        "bus_bytes_warm": round(self.bus(one, "warm"), 4)} for one in counts["caches"]],
        }
