#!/usr/bin/env python3
"""Makes one lcov file of what gcov wrote during a test, as `bazel coverage` asks for it."""

import collections
import gzip
import json
import os
import sys

option = dict(argument[2:].split("=", 1) for argument in sys.argv[1:] if "=" in argument)
with open(option["source_file_manifest"], encoding="utf-8") as manifest:
    wanted = set(manifest.read().split("\n"))

line_counts = collections.defaultdict(collections.Counter)
for folder, _, names in os.walk(option["coverage_dir"]):
    for name in names:
        if not name.endswith(".gcov.json.gz"):
            continue
        with gzip.open(os.path.join(folder, name)) as report:
            for source in json.load(report)["files"]:
                path = source["file"].removeprefix("/proc/self/cwd/")
                for line in source["lines"] if path in wanted else ():
                    line_counts[path][line["line_number"]] += line["count"]

with open(option["output_file"], "w", encoding="utf-8") as out:
    for path, counts in sorted(line_counts.items()):
        print(f"SF:{path}", file=out)
        for number, count in sorted(counts.items()):
            print(f"DA:{number},{count}", file=out)
        print(f"LH:{sum(count > 0 for count in counts.values())}", file=out)
        print(f"LF:{len(counts)}", file=out)
        print("end_of_record", file=out)
