"""Numbers from runs: medians over rounds, percentiles, ratios. Knows no processes, no tables.

Ratios are taken within one round, in which the rows ran side by side, and their median over the
rounds counts: a machine that is slower for a while is so for both.

A run is a dictionary: kind ("scenario", "trace", "micro"), point ("contacts/500", or "" for micro),
row (a contender's name), round, benchmarks (as Google Benchmark gave them), samples (ns per frame).
A summary is {"scenario": {point: {row: figures}}, "trace": the same, "micro": {name: {row: ns}},
"rate": {name: {row: operations per second}}}. What by_round gives has {round: number} in place of
each number.
"""

import math

from bench.contenders import THREADED
from bench.micros import plain

COUNTERS = ("p50", "p99", "p99_9", "worst", "mean", "allocations", "peak_rss", "minor_faults",
            "major_faults", "preemptions")


def median(values):
    ordered = sorted(values)
    if not ordered:
        raise ValueError("median of nothing")
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def percentile(values, share):
    """The value that at least this share (0 < share <= 1) does not exceed: nearest rank."""
    ordered = sorted(values)
    if not ordered or not 0 < share <= 1:
        raise ValueError("percentile of nothing, or outside of 0 to 1")
    # Rounded, because 0.999 * 1000 is a little more than 999 in binary.
    return ordered[math.ceil(round(share * len(ordered), 6)) - 1]


def quartile(values, share):
    """Of an even spread: between the two nearest values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class Ratio:
    """Of two rows, over the rounds that both have: value is the median, half of the rounds lie
    from low to high. name: whose the reference is."""

    def __init__(self, values, name=""):
        self.values, self.name = list(values), name
        self.value = median(self.values)
        self.low, self.high = quartile(self.values, 0.25), quartile(self.values, 0.75)


def round_ratio(ours, theirs, name=""):
    """Ratio of two {round: number}, or None without a round that both have."""
    values = [ours[number] / theirs[number] for number in ours or {}
              if (theirs or {}).get(number)]
    return Ratio(values, name) if values else None


def hardest(ours, rows, names):
    """The largest Ratio of ours to one of the rows in names: against the best of them. rows:
    {name: {round: number}}. None when nothing can be compared."""
    found = [round_ratio(ours, rows[name], name) for name in names if name in rows]
    return max(filter(None, found), key=lambda ratio: ratio.value, default=None)


def easiest(ours, rows, names):
    """The same for figures of which more is better: the smallest Ratio."""
    found = [round_ratio(ours, rows[name], name) for name in names if name in rows]
    return min(filter(None, found), key=lambda ratio: ratio.value, default=None)


def one_figure(rows, figure):
    """{row: {figure: x}} as {row: x}, without rows that lack it."""
    return {name: row[figure] for name, row in rows.items() if figure in row}


def by_round(runs):
    """All numbers of all rounds, shaped as a summary. A row runs once a round."""
    rounds = {"scenario": {}, "trace": {}, "micro": {}, "rate": {}}
    for run in runs:
        number, row = run["round"], run["row"]
        for bench in run["benchmarks"]:
            if run["kind"] == "micro":
                name = plain(bench["name"])
                # By the wall clock where several threads work, or where only a part of what is done
                # is timed; else by the processor's time, which leaves out what other programs take.
                timed = any(word in bench["name"] for word in ("real_time", "manual_time"))
                time = bench["real_time" if timed else "cpu_time"]
                for kind, value in (("micro", time / bench["operations"]),
                                    ("rate", bench["items_per_second"])):
                    rounds[kind].setdefault(name, {}).setdefault(row, {})[number] = value
                continue
            figures = rounds[run["kind"]].setdefault(run["point"], {}).setdefault(row, {})
            for counter in COUNTERS:
                if counter in bench:
                    figures.setdefault(counter, {})[number] = bench[counter]
    return rounds


def summarize(rounds):
    """Medians over all rounds of each figure of each row."""
    def medians(tree):
        if all(isinstance(key, int) for key in tree):
            return median(tree.values())
        return {key: medians(value) for key, value in tree.items()}
    return {kind: {key: medians(rows) for key, rows in found.items()}
            for kind, found in rounds.items()}


def checksum_faults(runs):
    """One line for each point whose rows did not all compute the same."""
    seen = {}
    for run in runs:
        if run["kind"] == "scenario":
            for bench in run["benchmarks"]:
                checksum = bench["label"].split(";")[0]
                key = (run["point"], bench["iterations"])
                seen.setdefault(key, {}).setdefault(checksum, set()).add(run["row"])
    return [f"{point}: rows differ in their results: "
            + ", ".join(f"{checksum} ({' '.join(sorted(rows))})"
                        for checksum, rows in sorted(found.items()))
            for (point, _), found in sorted(seen.items()) if len(found) > 1]


def preempted(runs):
    """Share of all frames in which another program took the processor, at most one a frame. Without
    those of several threads, which take it from each other."""
    shares = [min(bench["preemptions"], 1) for run in runs for bench in run["benchmarks"]
              if "preemptions" in bench and run["point"].split("/")[0] not in THREADED]
    return sum(shares) / len(shares) if shares else 0.0


def data_notes(runs):
    """What scenarios say about their data, each text once."""
    notes = []
    for run in runs:
        for bench in run["benchmarks"]:
            _, _, note = bench.get("label", "").partition("; ")
            if note and note not in notes:
                notes.append(note)
    return notes
