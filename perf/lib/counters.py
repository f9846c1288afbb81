"""Adds the counters that the server logged last (SIGUSR1) to what the generator recorded.

counters.py LOG RUN.json: sums over all shards, under "counters".
"""

import json
import pathlib
import re
import sys

LINES = {"serving": ["sessions", "streams", "image_bytes"], "sent": ["trains", "packets"], "read": ["reads", "bytes"]}
"""What is taken of which line; `bytes` is called `read_bytes`."""


def counters(log):
    """The last counters of each shard in `log`, added up; empty if there are none."""
    last = {}
    for line in log.splitlines():
        for subject, names in LINES.items():
            if not re.search(rf"INFO {subject} ", line):
                continue
            values = dict(re.findall(r"(\w+)=(\d+)", line))
            if "shard" in values:
                last[subject, values["shard"]] = {name: int(values[name]) for name in names if name in values}
    sums = {}
    for (subject, _), values in last.items():
        for name, value in values.items():
            name = "read_bytes" if (subject, name) == ("read", "bytes") else name
            sums[name] = sums.get(name, 0) + value
    return sums


def main(log, path):
    path = pathlib.Path(path)
    summary = json.loads(path.read_text())
    summary["counters"] = counters(pathlib.Path(log).read_text(errors="replace"))
    path.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
