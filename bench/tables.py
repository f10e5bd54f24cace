"""Tables of a report, for the terminal and for Markdown, from one description of each."""

from bench.contenders import STOCK
from bench.figures import best, ratio

MICRO_TITLE = "Micro-benchmarks, ns per operation"
MICRO_NAMES = {
    "frame": "frame alloc {} B",
    "frame_written": "frame alloc + write {} B",
    "frame_allocator": "  by allocator {} B",
    "frame_allocator_written": "  by allocator + write {} B",
    "batch": "batch of {}",
    "begin_end": "begin + end",
    "pair": "pool pair {} B",
    "many_1000": "pool 1,000 x {} B",
    "many_10000": "pool 10,000 x {} B",
    "pair_unsized": "  unsized pair {} B",
    "many_1000_unsized": "  unsized 1,000 x {} B",
    "pool_batch_1000": "pool batch 1,000 x {} B",
    "heap": "heap pair {} B",
    "heap_touched": "heap pair, touched {} B",
    "grow": "growth, {} (a step)",
    "threads_frame": "frame alloc, {} thread(s)",
    "threads_pool": "pool, {} thread(s)",
    "cross_free": "freed by another thread {} B",
}


class Table:
    """title; head: column names; rows: lists of texts, the first one a name; marks: rows of ours.
    grades maps (row index, column index) to "good" or "bad"."""

    def __init__(self, title, head, note=""):
        self.title, self.head, self.note = title, head, note
        self.rows, self.marks, self.grades = [], set(), {}

    def add(self, cells, ours=False):
        if ours:
            self.marks.add(len(self.rows))
        self.rows.append(cells)

    def grade(self, column, good):
        self.grades[(len(self.rows) - 1, column)] = "good" if good else "bad"


def number(value):
    """Three significant digits, as a person would write them."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.4f}"


def frame_table(kind, point, rows, order, title):
    """Time per frame of one scenario point. kind: "trace" or "scenario"."""
    head = ["", "p50 µs", "p99 µs", "p99.9 µs", "worst µs", "x glibc", "x best"]
    more = ["faults"] if kind == "trace" else ["allocs", "faults", "RSS MiB"]
    table = Table(title, head + more)
    reference = rows.get("glibc", {}).get("p50")
    found = best(rows, list(STOCK), "p50")
    for name in order:
        if name not in rows:
            continue
        row = rows[name]
        cells = [name] + [number(row[key] / 1000) for key in ("p50", "p99", "p99_9", "worst")]
        cells += [number(ratio(row["p50"], reference)),
                  number(ratio(row["p50"], found and found[1]))]
        faults = number(row["minor_faults"] + row["major_faults"])
        cells += [faults] if kind == "trace" else [
            number(row["allocations"]), faults, number(row["peak_rss"] / (1 << 20))]
        table.add(cells, name.startswith("framealloc"))
        for column, value in ((5, ratio(row["p50"], reference)),
                              (6, ratio(row["p50"], found and found[1]))):
            if value is not None and name.startswith("framealloc"):
                table.grade(column, value <= 1)
    return table


def frame_tables(document):
    """Allocation time and whole frames, for each point."""
    stories = {info["name"]: info for info in document["scenarios"]}
    for point in document["points"]:
        scenario, size = point.split("/")
        info = stories[scenario]
        about = f"{scenario}, {size} {info['unit']}"
        for kind, what in (("trace", "allocation time per frame"), ("scenario", "whole frame")):
            rows = document["summary"][kind].get(point)
            if rows:
                yield frame_table(kind, point, rows, document["order"], f"{about}: {what}")


def micro_label(name):
    base, _, size = name.partition("/")
    size = f"{int(size):,}" if size.isdigit() else size
    return MICRO_NAMES.get(base, base + " {}").format(size).rstrip()


def _micro_key(name):
    base, _, size = name.partition("/")
    order = list(MICRO_NAMES)
    return (order.index(base) if base in order else len(order), int(size) if size.isdigit() else 0,
            size)


def micro_table(document):
    micro = document["summary"]["micro"]
    used = [name for name in document["order"] if any(name in rows for rows in micro.values())]
    table = Table(MICRO_TITLE, [""] + used)
    for name in sorted(micro, key=_micro_key):
        table.add([micro_label(name)] + [number(micro[name].get(row)) for row in used])
    return table


def bars_table(bars):
    table = Table("Bars", ["", "measured", "bar", "", "from"])
    for bar in bars:
        sign = "<=" if bar["sense"] == "at most" else ">="
        table.add([bar["what"], number(bar["measured"]), f"{sign} {bar['bar']}", bar["verdict"],
                   bar["detail"]])
        if bar["measured"] is not None:
            table.grade(3, bar["verdict"] == "met")
    return table


COLOURS = {"good": "32", "bad": "31", "ours": "1"}


def terminal(table, colour):
    """Aligned text: names to the left, numbers to the right."""
    columns = len(table.head)
    widths = [max(len(row[i]) for row in [table.head] + table.rows) for i in range(columns)]
    left = {0} | {i for i in range(columns) if table.head[i] == "from"}

    def paint(text, what):
        return f"\033[{COLOURS[what]}m{text}\033[0m" if colour and what else text

    def line(cells, grades):
        parts = []
        for i, cell in enumerate(cells):
            text = cell.ljust(widths[i]) if i in left else cell.rjust(widths[i])
            parts.append(paint(text, grades(i)))
        return "  ".join(parts).rstrip()

    lines = [paint(table.title, "ours"), line(table.head, lambda i: None)]
    for index, row in enumerate(table.rows):
        ours = index in table.marks
        lines.append(line(row, lambda i, index=index, ours=ours: table.grades.get(
            (index, i), "ours" if ours and i == 0 else None)))
    if table.note:
        lines.append(table.note)
    return "\n".join(lines)


def markdown(table, level=3):
    def line(cells):
        return "| " + " | ".join(cells) + " |"

    rule = ["---"] + ["---" if name == "from" else "---:" for name in table.head[1:]]
    rows = [[f"**{row[0]}**" if index in table.marks else row[0].strip()] + row[1:]
            for index, row in enumerate(table.rows)]
    parts = ["#" * level + " " + table.title, "", line(table.head), line(rule)]
    parts += [line(row) for row in rows]
    if table.note:
        parts += ["", table.note]
    return "\n".join(parts) + "\n"
