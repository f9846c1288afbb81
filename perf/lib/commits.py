"""Compares the runs of two commits: a table on standard output, and a JSON file.

commits.py DIR OUT.json A B: DIR holds a-NN.json and b-NN.json.
"""

import json
import pathlib
import statistics
import sys

from runs import Run

METRICS = [
    ("CPU, µs a viewer and second", lambda run: run.cpu_percent_a_viewer * 1e4),
    ("p99.9 lateness, ms", lambda run: run.summary["lateness_ms"]["p999"]),
    ("p99 PLAY to first packet, ms", lambda run: run.summary["first_packet_ms"]["p99"]),
    ("memory, MiB", lambda run: run.spread("rss_mib", "max")),
]


def side(runs, measure):
    values = [measure(run) for run in runs]
    return {"values": values, "mean": statistics.fmean(values), "min": min(values), "max": max(values)}


def compared(a, b):
    """Figures of both sides, B to A and whether their ranges are apart."""
    metrics = []
    for name, measure in METRICS:
        both = {"a": side(a, measure), "b": side(b, measure)}
        apart = both["a"]["max"] < both["b"]["min"] or both["b"]["max"] < both["a"]["min"]
        ratio = both["b"]["mean"] / both["a"]["mean"] if both["a"]["mean"] else None
        metrics.append({"name": name, **both, "ratio": ratio, "is_apart": apart})
    return metrics


def lines(metrics):
    def figures(each):
        return f"{each['mean']:>9.2f} ({each['min']:.2f} to {each['max']:.2f})"

    yield f"{'':<30}{'A':<30}{'B':<30}B/A"
    for metric in metrics:
        ratio = "-" if metric["ratio"] is None else f"{metric['ratio']:.3f}"
        apart = "" if metric["is_apart"] else "  (within the spread)"
        yield f"{metric['name']:<30}{figures(metric['a']):<30}{figures(metric['b']):<30}{ratio}{apart}"


def main(directory, out, a, b):
    runs = [[Run.read(path) for path in sorted(pathlib.Path(directory).glob(f"{letter}-*.json"))] for letter in "ab"]
    metrics = compared(*runs)
    print(*lines(metrics), sep="\n")
    for name, of_side in zip("AB", runs):
        wrong = sum(run.verdict()[0] != "holds" for run in of_side)
        if wrong:
            print(f"{name} was not good enough in {wrong} of {len(of_side)} runs")
    pathlib.Path(out).write_text(json.dumps({"a": a, "b": b, "metrics": metrics}, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
