"""Numbers from runs: medians over rounds, percentiles, ratios. Knows no processes, no tables.

A run is a dictionary: kind ("scenario", "trace", "micro"), point ("contacts/500", or "" for micro),
row (a contender's name), round, benchmarks (as Google Benchmark gave them), samples (ns per frame).
A summary is {"scenario": {point: {row: figures}}, "trace": the same, "micro": {name: {row: ns}},
"rate": {name: {row: operations per second}}}.
"""

import math

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


def ratio(value, reference):
    """value / reference, or None when one of them is missing or the reference is zero."""
    if value is None or not reference:
        return None
    return value / reference


def best(rows, names, figure=None):
    """(name, value) of the smallest value among those rows of names that are there, else None."""
    found = []
    for name in names:
        if name in rows:
            value = rows[name] if figure is None else rows[name].get(figure)
            if value is not None:
                found.append((value, name))
    if not found:
        return None
    value, name = min(found)
    return name, value


def _micro_name(name):
    """Google Benchmark's name without what it adds: threads_frame/real_time/threads:2."""
    return name.replace("/real_time", "").replace("/threads:", "/")


def _collect(runs):
    frames, micro, rates = {}, {}, {}
    for run in runs:
        for bench in run["benchmarks"]:
            if run["kind"] == "micro":
                name = _micro_name(bench["name"])
                # By the wall clock where several threads work, else by the processor's time, which
                # leaves out what other programs take.
                time = bench["real_time" if "real_time" in bench["name"] else "cpu_time"]
                micro.setdefault((name, run["row"]), []).append(time / bench["operations"])
                rates.setdefault((name, run["row"]), []).append(bench["items_per_second"])
            else:
                key = (run["kind"], run["point"], run["row"])
                for counter in COUNTERS:
                    if counter in bench:
                        frames.setdefault((key, counter), []).append(bench[counter])
    return frames, micro, rates


def summarize(runs):
    """Medians over all rounds of each figure of each row."""
    summary = {"scenario": {}, "trace": {}, "micro": {}, "rate": {}}
    frames, micro, rates = _collect(runs)
    for ((kind, point, row), counter), values in frames.items():
        rows = summary[kind].setdefault(point, {})
        rows.setdefault(row, {})[counter] = median(values)
    for (name, row), values in micro.items():
        summary["micro"].setdefault(name, {})[row] = median(values)
    for (name, row), values in rates.items():
        summary["rate"].setdefault(name, {})[row] = median(values)
    return summary


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
    """Share of all frames in which another program took the processor, at most one a frame."""
    shares = [min(bench["preemptions"], 1) for run in runs for bench in run["benchmarks"]
              if "preemptions" in bench]
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
