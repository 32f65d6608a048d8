# SPDX-License-Identifier: MIT
"""The table on the terminal, and the picture."""
import os
import shutil
import subprocess
import tempfile

HEAD = ("", "trips", "", "", "bus bytes", "", "insns/byte", "")
COLUMNS = ("mode", "observed", "ledger", "passes", "cold", "warm", "cipher", "other")
MIB = 1 << 20
SWEPT = {"message": "message, bytes", "mtu": "MTU, bytes", "buffer_size": "buffer, bytes", "ring": "ring, descriptors",
         "recycle": "reused first"}


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
    lines = [f"{result['payload_bytes'] / MIB:g} MiB, {result['warm_bytes'] / MIB:g} MiB or more before it, in messages of {result['message_bytes'] // 1024} KiB, MTU "
             f"{result['mtu']}, TLS records of 16 KiB, buffers of {result['buffer_bytes'] // 1024} KiB, an area of "
             f"{result['area_bytes'] / MIB:g} MiB, a ring of {result['ring']}",
             "Last-level cache (a model): " + shape(dict(cache, size=cache["bytes"])), ""]
    lines += columns([COLUMNS, *(cells(row) for row in result["modes"])])
    if any(row["ledger"] == "model" for row in result["modes"]):
        lines.append("* a model: nobody counts inside OpenSSL or the kernel's TLS. What was observed is not.")
    unsteady = [row["mode"] for row in result["modes"] if not row["steady"]]
    if unsteady:
        lines.append(f"Not steady, more and more buffers were in use: {', '.join(unsteady)}.")
    lines += area_lines(result)
    for name, points in result.get("sweeps", {}).items():
        lines += sweep_lines(name, points)
    if "pmu" in result:
        lines += native_lines(result["pmu"])
    return "\n".join(lines)


def native_lines(native):
    lines = ["", f"On this machine, over loopback, {native['payload_bytes'] // MIB} MiB (bus bytes: of the sender, too):"]
    table = [("mode", "GB/s", "CPU s/GB", "bus bytes")]
    for row in native["modes"]:
        bus = row["bus_bytes_hardware"]
        table.append((row["mode"], f"{row['gigabytes_per_second']:.2f}", f"{row['cpu_seconds_per_gigabyte']:.3f}",
                      "-" if bus is None else f"{bus:.2f}"))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines += ["  ".join(text.ljust(width) if not i else text.rjust(width)
                        for i, (text, width) in enumerate(zip(line, widths))) for line in table]
    lines += [f"not {mode}: {why}" for mode, why in native["skipped"].items()]
    return lines + [f"bus bytes by {native['bus']}" if native["bus"] else f"no bus bytes: {native['why_not']}"]


def sweep_lines(name, points):
    modes = [row["mode"] for row in points[0]["modes"]]
    table = [(SWEPT[name], *(f"{mode}: trips" if not i else "bus" for mode in modes for i in range(2)))]
    for point in points:
        table.append((readable(point["value"]), *(f"{row[key]:.2f}" for row in point["modes"]
                                                  for key in ("trips", "bus_bytes_warm"))))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return [""] + ["  ".join(text.rjust(width) for text, width in zip(line, widths)) for line in table]


def readable(value):
    return f"{value // 1024}K" if isinstance(value, int) and value >= 1024 and not value % 1024 else str(value)


# ---- pictures

BARS = """\
set terminal svg size 900,{height} dynamic font "sans-serif,13" background "white"
set output "{out}"
set multiplot layout {count},1
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.85 border -1
set boxwidth 0.9
set ylabel "for each byte of payload"
set yrange [0:*]
set grid ytics lc rgb "#dddddd"
set key outside top center horizontal
set xtics nomirror
set title "{title}"
plot "{data}" using 2:xtic(1) title "trips (observed)" lc rgb "#33658a", \\
     "" using 3 title "AEAD passes" lc rgb "#f6ae2d", \\
     "" using 4 title "bus bytes, warm cache" lc rgb "#86bbd8", \\
     "" using 5 title "bus bytes, cold cache" lc rgb "#c9d6df"
"""
LINES = """\
set terminal svg size 900,{height} dynamic font "sans-serif,13" background "white"
set output "{out}"
set multiplot layout {count},1
"""
STYLE = """\
set title ""
set style data linespoints
set offsets 0.1, 0.1, 0, 0
set ylabel "bus bytes for each byte, warm"
set yrange [0:*]
set grid ytics lc rgb "#dddddd"
set key outside right center vertical
"""
PANEL = """\
set xlabel "{label}"
set xtics ({tics})
plot {curves}
"""


def need_gnuplot():
    """Before anything is measured for it."""
    if not shutil.which("gnuplot"):
        raise Failure("--plot needs gnuplot (Debian: gnuplot-nox)")


def gnuplot(script, path):
    """Draws into a folder of its own; the picture is there whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="szc-plot.") as folder:
        part = os.path.join(folder, "out.svg")
        drawn = subprocess.run(["gnuplot"], input=script(folder, part), text=True, capture_output=True, check=False)
        if drawn.returncode or not os.path.exists(part):
            raise Failure(f"gnuplot failed: {drawn.stderr.strip()}")
        with open(part, encoding="utf-8") as file:
            picture = file.read()
    try:
        with open(f"{path}.part", "w", encoding="utf-8") as file:
            file.write(picture)
        os.replace(f"{path}.part", path)
    except OSError as error:
        if os.path.exists(f"{path}.part"):
            os.unlink(f"{path}.part")
        raise Failure(f"{path}: {error.strerror}") from None


def plot(result, path):
    """Bars, a mode each."""
    def script(folder, out):
        data = os.path.join(folder, "data")
        with open(data, "w", encoding="ascii") as file:
            for row in result["modes"]:
                print(f"\"{row['mode']}\"", row["trips"], row["passes"], row["bus_bytes_warm"], row["bus_bytes_cold"],
                      file=file)
        below = area_panel(folder, result)
        title = (f"{result['payload_bytes'] / MIB:g} MiB, MTU {result['mtu']}, last-level cache "
                 f"{shape(dict(result['cache'], size=result['cache']['bytes']))}")
        return BARS.format(out=out, data=data, title=title, count=1 + bool(below), height=700 if below else 420) + below

    gnuplot(script, path)


def panel(folder, name, points, label):
    """A curve a mode; places on the axis are equally far apart."""
    modes = [row["mode"] for row in points[0]["modes"]]
    data = os.path.join(folder, name)
    with open(data, "w", encoding="ascii") as file:
        for i, point in enumerate(points):
            print(i, *(row["bus_bytes_warm"] for row in point["modes"]), file=file)
    tics = ", ".join(f"\"{point['label']}\" {i}" for i, point in enumerate(points))
    curves = ", ".join(f"\"{data}\" using 1:{i + 2} title \"{mode}\" lw 2" for i, mode in enumerate(modes))
    return PANEL.format(label=label, tics=tics, curves=curves)


def area_points(result):
    rows = [row for row in result["modes"] if row["bytes_zero_copy"]]
    return [{"label": f"{result['area_bytes'] / cache['size']:g}",
             "modes": [dict(row["caches"][i], mode=row["mode"]) for row in rows]}
            for i, cache in enumerate(rows[0]["caches"]) if cache["device_ways"]] if rows else []


def area_panel(folder, result):
    """Where opening in place costs the bus no more than what is not encrypted; nothing if nothing went into an area."""
    points = area_points(result)
    return STYLE + panel(folder, "area", points, "area, in sizes of the cache") if points else ""


def plot_sweeps(result, path):
    """Lines, for whatever was swept."""
    def script(folder, out):
        panels = [panel(folder, name, [dict(point, label=readable(point["value"])) for point in points], SWEPT[name])
                  for name, points in result["sweeps"].items()]
        return LINES.format(out=out, height=260 * len(panels), count=len(panels)) + STYLE + "".join(panels)

    gnuplot(script, f"{path.removesuffix('.svg')}-sweep.svg")
