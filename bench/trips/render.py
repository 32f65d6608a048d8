# SPDX-License-Identifier: MIT
"""The table on the terminal, and the picture."""
import os
import subprocess
import tempfile

HEAD = ("", "trips", "", "", "bus bytes", "", "insns/byte", "")
COLUMNS = ("mode", "observed", "ledger", "passes", "cold", "warm", "cipher", "other")
MIB = 1 << 20


class Failure(Exception):
    """A sentence about what went wrong."""


def cells(row):
    ledger = f"{row['trips_ledger']:.2f}" + (" *" if row["ledger"] == "model" else "  ")
    return (row["mode"], f"{row['trips']:.2f}", ledger, f"{row['passes']:.2f}", f"{row['bus_bytes_cold']:.2f}",
            f"{row['bus_bytes_warm']:.2f}", f"{row['instructions_per_byte_aead']:.2f}",
            f"{row['instructions_per_byte_other']:.2f}")


def columns(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(text.ljust(width) if not i else text.rjust(width)
                        for i, (text, width) in enumerate(zip(row, widths))).rstrip()


def shape(cache):
    device = f"devices write into {cache['device_ways']} of them" if cache["device_ways"] else "devices write past it"
    return f"{cache['size'] / MIB:g} MiB, {cache['ways']} ways, {device}"


def area_lines(result):
    """What the area's size does to the bus, where it was received into one."""
    rows = [row for row in result["modes"] if row["bytes_zero_copy"]]
    if not rows:
        return []
    table = [("area / cache", "cache", *(row["mode"] for row in rows))]
    for i, cache in enumerate(rows[0]["caches"]):
        table.append((f"{result['area_bytes'] / cache['size']:g}", shape(cache),
                      *(f"{row['caches'][i]['bus_bytes_warm']:.2f}" for row in rows)))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return ["", "Bus bytes for each byte, warm, by how the area compares with the cache:"] + [
        "  ".join(text.ljust(width) if i < 2 else text.rjust(width)
                  for i, (text, width) in enumerate(zip(line, widths))).rstrip() for line in table]


def table(result):
    cache = result["cache"]
    lines = [f"{result['payload_bytes'] / MIB:g} MiB in messages of {result['message_bytes'] // 1024} KiB, MTU "
             f"{result['mtu']}, TLS records of 16 KiB, buffers of {result['buffer_bytes'] // 1024} KiB, an area of "
             f"{result['area_bytes'] / MIB:g} MiB",
             "Last-level cache (a model): " + shape(dict(cache, size=cache["bytes"])), ""]
    lines += columns([COLUMNS, *(cells(row) for row in result["modes"])])
    if any(row["ledger"] == "model" for row in result["modes"]):
        lines.append("* a model: nobody counts inside OpenSSL or the kernel's TLS. What was observed is not.")
    return "\n".join(lines + area_lines(result))


# ---- the picture

BARS = """\
set terminal svg size 900,420 dynamic font "sans-serif,13" background "white"
set output "{out}"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.85 border -1
set boxwidth 0.9
set ylabel "for each byte of payload"
set yrange [0:*]
set grid ytics lc rgb "#dddddd"
set key outside top center horizontal
set xtics nomirror
set title "Receiving {title}"
plot "{data}" using 2:xtic(1) title "trips (observed)" lc rgb "#33658a", \\
     "" using 3 title "AEAD passes" lc rgb "#f6ae2d", \\
     "" using 4 title "bus bytes, warm cache" lc rgb "#86bbd8", \\
     "" using 5 title "bus bytes, cold cache" lc rgb "#c9d6df"
"""


def plot(result, path):
    title = f"{result['payload_bytes'] / MIB:g} MiB, MTU {result['mtu']}, in messages of {result['message_bytes'] // 1024} KiB"
    with tempfile.TemporaryDirectory(prefix="szc-plot.") as folder:
        data, part = os.path.join(folder, "data"), os.path.join(folder, "out.svg")
        with open(data, "w", encoding="ascii") as file:
            for row in result["modes"]:
                print(f"\"{row['mode']}\"", row["trips"], row["passes"], row["bus_bytes_warm"], row["bus_bytes_cold"],
                      file=file)
        try:
            drawn = subprocess.run(["gnuplot"], input=BARS.format(out=part, data=data, title=title), text=True,
                                   capture_output=True, check=False)
        except FileNotFoundError:
            raise Failure("--plot needs gnuplot (Debian: gnuplot-nox)") from None
        if drawn.returncode or not os.path.exists(part):
            raise Failure(f"gnuplot failed: {drawn.stderr.strip()}")
        with open(part, encoding="utf-8") as file:
            picture = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(picture)
