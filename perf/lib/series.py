"""Lines of the scaling plots, from what `reelring-load --json` and the floor recorded."""

import json
import pathlib
from dataclasses import dataclass, field

QUANTILES = [("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "most")]
DISTRIBUTIONS = [
    ("late", "lateness_ms"),
    ("first", "first_packet_ms"),
    ("burst", "burst_packets"),
    ("interleaved", "interleaved_burst_bytes"),
]
LATE_MIN_MS = 0.01
"""What is less is drawn so on a logarithmic axis."""


def measured(document):
    """One recorded run as names and values; `None` if it is something else. A value that it does not have is missing."""
    if not isinstance(document, dict):
        return None
    if "cpu_micros_per_viewer_second" in document:
        return measured_floor(document)
    if "lateness_ms" not in document:
        return None
    viewers = document["sessions"]["asked"]
    values = {"viewers": viewers}
    for name, key in DISTRIBUTIONS:
        quantiles = document.get(key)
        if quantiles and quantiles["count"]:
            values |= {f"{name}_{quantile}": quantiles[quantile] for quantile, _ in QUANTILES}
    server = document["server"]
    if server:
        values["cpu_percent"] = server["cpu_percent"]["mean"]
        values["system_percent"] = server["system_percent"]["mean"]
        values["cpu_micros"] = server["cpu_percent"]["mean"] * 1e4 / viewers
        values["rss_mib"] = server["rss_mib"]["max"]
    image_bytes = (document.get("counters") or {}).get("image_bytes")
    if image_bytes is not None and server:
        values["own_mib"] = values["rss_mib"] - image_bytes / (1 << 20)
    return values


def measured_floor(document):
    values = {
        "viewers": document["viewers"],
        "cpu_percent": document["cpu_percent"],
        "system_percent": document["cpu_percent"] * document["system_seconds"] / document["cpu_seconds"],
        "cpu_micros": document["cpu_micros_per_viewer_second"],
    }
    late = document["late"] or {}
    names = {"p50": "p50", "p99": "p99", "p99_9": "p999", "max": "max"}
    return values | {f"late_{names[name]}": micros / 1000 for name, micros in late.items() if name in names}


def read(argument):
    """`[NAME=]PATH`: a line's name and its runs, in the order of viewers."""
    name, separator, path = argument.rpartition("=")
    path = pathlib.Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    runs = [run for file in files for run in all_of(json.loads(file.read_text()))]
    if not runs:
        raise SystemExit(f"{path}: no run is recorded there")
    return name if separator else path.stem, sorted(runs, key=lambda run: run["viewers"])


def all_of(document):
    """The runs of a file: itself, or those of a list."""
    documents = document if isinstance(document, list) else [document]
    return [run for run in map(measured, documents) if run]


@dataclass
class Line:
    """A line of a panel; `part` tells lines of the same series apart."""

    series: str
    part: int
    label: str
    viewers: list
    values: list


@dataclass
class Panel:
    """One chart."""

    title: str
    is_logarithmic: bool = False
    lines: list = field(default_factory=list)

    def take(self, series, runs, parts):
        for part, (key, name) in enumerate(parts):
            points = [(run["viewers"], run[key]) for run in runs if key in run]
            if points:
                viewers, values = map(list, zip(*points))
                if self.is_logarithmic:
                    values = [max(value, LATE_MIN_MS) for value in values]
                label = " ".join(filter(None, [series, name]))
                self.lines.append(Line(series, part, label, viewers, values))


def panels(lines):
    """The panels for which there is something to draw."""
    several = len(lines) > 1
    # With several lines less of each is shown.
    quantiles = [pair for pair in QUANTILES if not several or pair[0] in ("p50", "p999")]
    all_panels = [
        (Panel("CPU, % of one core"), [("cpu_percent", "all"), ("system_percent", "in the kernel")]),
        (Panel("CPU for a viewer, µs a second"), [("cpu_micros", "")]),
        (Panel("Lateness, ms", True), [(f"late_{key}", name) for key, name in quantiles]),
        (Panel("PLAY to first packet, ms", True), [(f"first_{key}", name) for key, name in quantiles]),
        (Panel("Burst of a stream over UDP, packets"), [(f"burst_{key}", name) for key, name in quantiles]),
        (Panel("Burst of a connection (TCP), bytes", True), [(f"interleaved_{key}", name) for key, name in quantiles]),
        (Panel("Memory, MiB"), [("rss_mib", "resident"), ("own_mib", "beside packet images")]),
        (Panel("Memory beside packet images, KiB for each further viewer"), [("further_kib", "")]),
    ]
    shown = []
    for panel, parts in all_panels:
        for name, runs in lines:
            panel.take(name if several else "", further(runs), parts)
        if panel.lines:
            shown.append(panel)
    if not several:
        for panel in shown:
            for line in panel.lines:
                line.series = lines[0][0]
    return shown


def further(runs):
    """The same runs with what each viewer beyond those of the first takes."""
    first = next((run for run in runs if "own_mib" in run), None)
    if not first:
        return runs
    return [
        run | {"further_kib": (run["own_mib"] - first["own_mib"]) * 1024 / (run["viewers"] - first["viewers"])}
        if "own_mib" in run and run["viewers"] > first["viewers"]
        else run
        for run in runs
    ]
