"""Shares of the functions of folded stacks: in themselves, and with what they call.

shares.py STACKS: a line is `thread;outermost;…;innermost COUNT`.
"""

import collections
import pathlib
import sys

SHARE_MIN = 0.01
"""Functions with less are left out."""


def shares(folded):
    """Rows of name, part of all samples in it alone, part with what it calls; and the part of each thread."""
    alone, whole, threads = collections.Counter(), collections.Counter(), collections.Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *functions = stack.split(";")
        count = int(count)
        threads[thread] += count
        if functions:
            alone[functions[-1]] += count
        # A function that calls itself counts once.
        for function in set(functions):
            whole[function] += count
    total = max(sum(threads.values()), 1)
    rows = [(name, alone[name] / total, whole[name] / total) for name in whole]
    rows = [row for row in rows if row[1] >= SHARE_MIN]
    return sorted(rows, key=lambda row: -row[1]), {name: count / total for name, count in threads.most_common()}


def main(path):
    rows, threads = shares(pathlib.Path(path).read_text())
    print("threads: " + ", ".join(f"{name} {part:.1%}" for name, part in threads.items()))
    print(f"{'alone':>7}{'with calls':>12}  function")
    for name, alone, whole in rows:
        print(f"{alone:>7.1%}{whole:>12.1%}  {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
