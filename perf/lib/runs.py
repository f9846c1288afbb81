"""What runs of the load generator recorded, and whether the server was good enough in them."""

import json
import pathlib

LATE_MAX_MS = 100.0
"""How late the 999th of 1000 packets may be, beyond what the server takes for a few viewers."""
SILENCE_MAX_MS = 1100.0
"""How long a stream may have been silent at the end: the longest time between two units, and lateness."""
LOSS_MAX = 1e-4
"""The part of the packets that may be lost."""


class Run:
    """One run, as `reelring-load --json` wrote it."""

    def __init__(self, summary):
        self.summary = summary
        self.viewers = summary["sessions"]["asked"]
        self.counters = summary.get("counters") or {}

    @classmethod
    def read(cls, path):
        return cls(json.loads(pathlib.Path(path).read_text()))

    def spread(self, name, which="mean"):
        """What the server used, `None` if it was not watched."""
        server = self.summary["server"]
        return server and server[name][which]

    @property
    def cpu_percent(self):
        return self.spread("cpu_percent")

    @property
    def cpu_percent_a_viewer(self):
        cpu = self.cpu_percent
        return cpu and cpu / self.viewers

    @property
    def lost(self):
        """Packets that were sent and did not come. Some servers announce one that they never send."""
        return self.summary["lost"] - self.summary["lost_at_start"]

    @property
    def late_ms(self):
        """p99.9 of lateness; against the quickest packet where RTP-Info or reports are worse than that."""
        quantiles = [self.summary["lateness_ms"]["p999"]]
        variation = self.summary.get("delay_variation_ms")
        if variation and variation["count"]:
            quantiles.append(variation["p999"])
        return min(quantiles)

    @property
    def bottleneck(self):
        """In what ways the generator was in the way."""
        short = [why for why in self.summary["failures"] if "os error 24" in why]
        return self.summary["generator"]["bottleneck"] + short

    def shortcomings(self, few=None):
        """In what the server fell short, against its run with a few viewers if there was one."""
        sessions = self.summary["sessions"]
        late_max = LATE_MAX_MS + (few.late_ms if few else 0.0)
        silence_max = SILENCE_MAX_MS + (few.summary["behind_ms"]["max"] if few else 0.0)
        silence = self.summary["behind_ms"]["max"]
        server = self.summary["server"]
        missing = sessions["asked"] - sessions["started"]
        return [
            text
            for wrong, text in [
                (server and server["ended"], "the server ended"),
                (sessions["failed"], f"{sessions['failed']} viewers failed"),
                (sessions["refused"], f"{sessions['refused']} viewers refused"),
                (missing > 0, f"{missing} viewers could not start"),
                (self.lost > LOSS_MAX * self.summary["packets"], f"{self.lost} packets lost"),
                (self.late_ms > late_max, f"p99.9 {self.late_ms:.0f} ms late"),
                (silence > silence_max, f"a stream {silence:.0f} ms behind"),
                (self.summary["silent_streams"], f"{self.summary['silent_streams']} streams silent"),
                (self.summary["ended_early"], f"{self.summary['ended_early']} titles ended too early"),
            ]
            if wrong
        ]

    def verdict(self, few=None):
        """`holds`, or `breaks` or `unknown` (it may have been the generator) with the reasons."""
        shortcomings = self.shortcomings(few)
        if not shortcomings:
            return "holds", []
        if self.bottleneck:
            return "unknown", shortcomings + ["generator: " + "; ".join(self.bottleneck)]
        return "breaks", shortcomings


def read_all(paths):
    """Runs of files and of directories of files, in the order of their viewers."""
    files = []
    for path in map(pathlib.Path, paths):
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    runs = []
    for file in files:
        summary = json.loads(file.read_text())
        if isinstance(summary, dict) and "sessions" in summary:
            runs.append(Run(summary))
    return sorted(runs, key=lambda run: run.viewers)
