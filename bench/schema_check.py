"""Is this a document as frame_vs_malloc --json writes it? schema_check FILE: ends with 1 if not."""

import json
import sys

TEXT, NUMBER, LIST, MAP = str, (int, float), list, dict
DOCUMENT = {"schema": TEXT, "settings": MAP, "runs": LIST, "rounds": NUMBER, "command": TEXT,
            "date": TEXT, "commit": TEXT, "machine": MAP, "scenarios": LIST, "points": LIST,
            "main_points": LIST,
            "order": LIST, "skipped": LIST, "data_notes": LIST, "summary": MAP, "bars": LIST,
            "caveats": LIST}
RUN = {"kind": TEXT, "point": TEXT, "row": TEXT, "round": NUMBER, "options": LIST, "context": MAP,
       "benchmarks": LIST, "samples": LIST}
FRAMES = {"p50": NUMBER, "p99": NUMBER, "p99_9": NUMBER, "worst": NUMBER, "mean": NUMBER,
          "allocations": NUMBER, "peak_rss": NUMBER, "minor_faults": NUMBER,
          "major_faults": NUMBER, "iterations": NUMBER}
MICRO = {"cpu_time": NUMBER, "real_time": NUMBER, "operations": NUMBER, "items_per_second": NUMBER}
BAR = {"what": TEXT, "sense": TEXT, "bar": NUMBER, "verdict": TEXT, "detail": TEXT,
       "rounds": NUMBER}


def faults_of(value, fields, place):
    for name, kind in fields.items():
        if not isinstance(value.get(name), kind):
            yield f"{place}: {name} is {value.get(name)!r}"


def faults(document):
    yield from faults_of(document, DOCUMENT, "document")
    for i, bar in enumerate(document["bars"]):
        yield from faults_of(bar, BAR, f"bar {i}")
    if not document["runs"]:
        yield "no runs"
    for i, run in enumerate(document["runs"]):
        place = f"run {i}"
        yield from faults_of(run, RUN, place)
        for bench in run["benchmarks"]:
            yield from faults_of(bench, MICRO if run["kind"] == "micro" else FRAMES, place)
            if run["kind"] != "micro":
                if len(run["samples"]) != bench["iterations"]:
                    yield f"{place}: {len(run['samples'])} samples of {bench['iterations']}"
                if max(run["samples"], default=None) != bench["worst"]:
                    yield f"{place}: worst is not the largest sample"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        found = list(faults(json.load(file)))
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
