"""Sums up what perf/compare measured: a table on standard output, and a JSON file.

compare.py DIR OUT.json: DIR holds NAME.server (name, version, command) and NAME-VIEWERS.json.
"""

import json
import pathlib
import sys

from runs import Run

COUNTS = [20, 50, 100]
"""Numbers of viewers whose CPU time is told."""


def server(directory, description):
    name, version, command = description.read_text().splitlines()[:3]
    paths = sorted(directory.glob(f"{name}-*.json"))
    runs = sorted(map(Run.read, paths), key=lambda run: run.viewers)
    few = runs[0] if runs else None
    points = [point(run, few) for run in runs]
    holding = [point for point in points if point["verdict"] == "holds"]
    failing = [point for point in points if point["verdict"] != "holds"]
    carried = holding[-1] if holding else None
    first_failing = next((p for p in failing if not carried or p["viewers"] > carried["viewers"]), None)
    return {
        "name": name,
        "version": version,
        "command": command,
        "carried": carried["viewers"] if carried else 0,
        "cpu_percent_a_viewer": a_viewer(holding),
        "breaks_at": first_failing and first_failing["viewers"],
        "breaks_because": first_failing and first_failing["reasons"],
        # Nothing, or the generator, was in the way: it may carry more.
        "is_at_least": first_failing is None or first_failing["verdict"] == "unknown",
        "points": points,
    }


def point(run, few):
    verdict, reasons = run.verdict(few if few is not run else None)
    summary = run.summary
    return {
        "viewers": run.viewers,
        "verdict": verdict,
        "reasons": reasons,
        "cpu_percent": run.cpu_percent,
        "late_p999_ms": run.late_ms,
        "lateness_ms": summary["lateness_ms"],
        "delay_variation_ms": summary["delay_variation_ms"],
        "first_packet_ms": summary["first_packet_ms"],
        "lost": run.lost,
        "packets": summary["packets"],
        "rss_mib": run.spread("rss_mib", "max"),
        "not_judged": summary["sessions"]["sinks"],
    }


def a_viewer(holding):
    """CPU time a viewer, in percent of a core: at the largest of the counts that all are asked for."""
    counted = [point for point in holding if point["viewers"] in COUNTS and point["cpu_percent"]]
    return counted[-1]["cpu_percent"] / counted[-1]["viewers"] if counted else None


def ratio(value, base):
    return f"{value / base:.1f}" if value and base else "-"


def times(base, other):
    """How many times as many viewers as `other` the `base` carries, as far as it is known."""
    if other is base:
        return "1.0"
    bounds = {(True, False): "≥ ", (False, True): "≤ ", (True, True): "about ", (False, False): ""}
    figure = ratio(base["carried"], other["carried"])
    return figure if figure == "-" else bounds[base["is_at_least"], other["is_at_least"]] + figure


def table(servers):
    base = servers[0]
    header = ["server", *(f"CPU {count}" for count in COUNTS), "a viewer", "ratio", "by itself", "carries", "ratio", "breaks"]
    rows = [header]
    for each in servers:
        by_count = {point["viewers"]: point for point in each["points"]}
        cpu = [by_count[count]["cpu_percent"] if count in by_count else None for count in COUNTS]
        share = each["cpu_percent_a_viewer"]
        breaks = each["breaks_at"] and f"at {each['breaks_at']}: {each['breaks_because'][0]}"
        if each["is_at_least"] and each["breaks_at"]:
            breaks = f"unknown at {each['breaks_at']}: the generator was the bottleneck"
        rows.append(
            [
                " ".join([each["name"], each["version"]]).strip(),
                *(f"{value:.1f}" if value is not None else "-" for value in cpu),
                f"{share:.3f}" if share else "-",
                ratio(share, base["cpu_percent_a_viewer"]),
                f"{each['points'][0]['late_p999_ms']:.1f}" if each["points"] else "-",
                ("≥ " if each["is_at_least"] else "") + str(each["carried"]),
                each["times"],
                breaks or "not tried further",
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(header) - 1)]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        yield "  ".join(cells + [row[-1]]).rstrip()


def main(directory, out):
    directory = pathlib.Path(directory)
    servers = [server(directory, description) for description in sorted(directory.glob("*.server"))]
    # What the others are compared with comes first.
    servers.sort(key=lambda each: (each["name"] != "reelring", -each["carried"]))
    for each in servers:
        each["times"] = times(servers[0], each)
    machine = (directory / "machine").read_text().strip()
    pathlib.Path(out).write_text(json.dumps({"machine": machine, "servers": servers}, indent=1) + "\n")
    print(machine)
    print(*table(servers), sep="\n")
    name = servers[0]["name"]
    print(
        "\nCPU in % of one core, for so many viewers and for one of them; the first ratio is CPU a viewer to"
        f"\n{name}'s, the second {name}'s viewers to this server's. By itself: p99.9 lateness in ms with 2 viewers."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
