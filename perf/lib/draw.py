"""Draws what was recorded (Matplotlib). Beside each SVG a PNG is left.

draw.py compare OUT.svg COMPARE.json
draw.py scaling OUT.svg [NAME=]PATH...    a line for each PATH: a file or directory of JSON
draw.py commits OUT.svg COMMITS.json
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot  # noqa: E402

import series  # noqa: E402

COLORS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b"]
STYLES = ["-", "--", "-.", ":"]


def style():
    plot.rcParams.update(
        {
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": "#dddddd",
            "legend.fontsize": 9,
            "svg.fonttype": "path",
            # The same figures make the same file.
            "svg.hashsalt": "reelring",
        }
    )


def save(figure, out):
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None})
    figure.savefig(out.with_suffix(".png"), dpi=110)
    plot.close(figure)


def compare(out, path):
    document = json.loads(pathlib.Path(path).read_text())
    servers = document["servers"]
    figure, (carried, cost) = plot.subplots(1, 2, figsize=(11, 1.6 + 0.5 * len(servers)), sharey=True)
    names = [f"{each['name']}\n{each['version']}".strip() for each in servers]
    labels = []
    for each in servers:
        times = "" if each is servers[0] or not each["carried"] else f"  (1 : {each['times']})"
        labels.append(f"{'≥ ' if each['is_at_least'] else ''}{each['carried']:,}{times}")
    bars(carried, names, [each["carried"] for each in servers], labels, "Viewers that one core carries")
    shares = [(each["cpu_percent_a_viewer"] or 0.0) * 1e4 for each in servers]
    labels = [f"{share:,.0f}" if share else "no figure" for share in shares]
    bars(cost, names, shares, labels, "CPU for a viewer, µs a second")
    carried.invert_yaxis()
    figure.supxlabel(document["machine"], fontsize=8, color="#666666")
    save(figure, out)


def bars(axes, names, values, labels, title):
    drawn = axes.barh(names, values, color=[COLORS[0]] + [COLORS[1]] * (len(names) - 1), height=0.6)
    axes.bar_label(drawn, labels, padding=4)
    axes.set_title(title)
    axes.set_xlim(0, max([*values, 1e-9]) * 1.3)
    axes.grid(axis="y", visible=False)


def scaling(out, *arguments):
    lines = [series.read(argument) for argument in arguments]
    panels = series.panels(lines)
    columns = 2
    rows = -(-len(panels) // columns)
    figure, grid = plot.subplots(rows, columns, figsize=(12, 3.4 * rows), squeeze=False)
    axes = list(grid.flat)
    for panel, place in zip(panels, axes):
        draw_panel(place, panel, [name for name, _ in lines])
    for place in axes[len(panels) :]:
        place.set_visible(False)
    save(figure, out)


def draw_panel(axes, panel, names):
    for line in panel.lines:
        color = COLORS[names.index(line.series) % len(COLORS)]
        if len(names) == 1:
            color = COLORS[line.part % len(COLORS)]
        axes.plot(line.viewers, line.values, STYLES[line.part % len(STYLES)], color=color, marker="o", ms=4, label=line.label)
    axes.set_title(panel.title)
    axes.set_xlabel("viewers")
    axes.set_xlim(left=0)
    if panel.is_logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.set_ylim(bottom=0)
    if any(line.label for line in panel.lines):
        axes.legend()


def commits(out, path):
    document = json.loads(pathlib.Path(path).read_text())
    metrics = document["metrics"]
    figure, axes = plot.subplots(1, len(metrics), figsize=(3.6 * len(metrics), 3.6), squeeze=False)
    for place, metric in zip(axes.flat, metrics):
        for index, side in enumerate("ab"):
            values = metric[side]["values"]
            # Each dot is a run; the bar is their mean.
            place.bar(index, metric[side]["mean"], width=0.6, color=COLORS[index], alpha=0.35)
            place.plot([index] * len(values), values, "o", color=COLORS[index], ms=5)
        ratio = "" if metric["ratio"] is None else f"\nB/A {metric['ratio']:.3f}"
        place.set_title(metric["name"] + ratio)
        place.set_xticks([0, 1], [document["a"], document["b"]])
        place.set_xlim(-0.6, 1.6)
        place.set_ylim(bottom=0)
        place.grid(axis="x", visible=False)
    save(figure, out)


if __name__ == "__main__":
    style()
    command = {"compare": compare, "scaling": scaling, "commits": commits}[sys.argv[1]]
    command(*sys.argv[2:])
