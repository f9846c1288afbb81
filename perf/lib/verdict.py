"""Says how a run went, in a line; the exit status is 0 if the server was good enough, 1 if it was not,
3 if that may have been the generator.

verdict.py RUN.json [FEW.json]: FEW is the same server's run with a few viewers.
"""

import pathlib
import sys

from runs import Run


def main(path, few=None):
    run = Run.read(path)
    few = Run.read(few) if few and pathlib.Path(few).exists() and few != path else None
    verdict, reasons = run.verdict(few)
    cpu = run.cpu_percent
    print(
        f"{run.viewers:>6} viewers  {'' if cpu is None else f'{cpu:5.1f} % CPU  '}"
        f"p99.9 {run.late_ms:6.1f} ms late  {run.lost} lost  {verdict}",
        *reasons,
        sep="; " if reasons else "",
    )
    return {"holds": 0, "breaks": 1, "unknown": 3}[verdict]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
