"""Adds the viewers of further processes of the generator, who judged none, to what the first recorded.

merge.py RUN.json PART.json...
"""

import json
import pathlib
import sys


def merged(run, parts):
    for part in parts:
        for name, count in part["sessions"].items():
            run["sessions"][name] += count
        for why, count in part["failures"].items():
            run["failures"][why] = run["failures"].get(why, 0) + count
        run["generator"]["cpu_seconds"] += part["generator"]["cpu_seconds"]
        # Packets of sinks are nowhere read, so all that can have been in the way is their sessions.
        run["generator"]["bottleneck"] += part["generator"]["bottleneck"]
    return run


def main(path, *parts):
    path = pathlib.Path(path)
    read = [json.loads(pathlib.Path(part).read_text()) for part in parts]
    path.write_text(json.dumps(merged(json.loads(path.read_text()), read), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
