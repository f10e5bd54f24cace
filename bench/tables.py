"""Tables of a report, for the terminal and for Markdown, from one description of each."""

from bench import micros
from bench.contenders import STOCK
from bench.figures import by_round, hardest, one_figure, round_ratio


class Table:
    """title; head: column names; rows: lists of texts, the first one a name; marks: rows of ours.
    grades maps (row index, column index) to "good" or "bad"."""

    def __init__(self, title, head):
        self.title, self.head = title, head
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


def spread(ratio):
    """A figures.Ratio with the range in which half of the rounds lie."""
    if ratio is None:
        return "-"
    text = number(ratio.value)
    return f"{text} ({span(ratio.low, ratio.high)})" if ratio.low != ratio.high else text


def span(low, high):
    return f"{number(low)}..{number(high)}"


def frame_table(kind, rows, rounds, order, title):
    """Time per frame of one scenario point. kind: "trace" or "scenario"; rows: medians; rounds: the
    same by round."""
    head = ["", "p50 µs", "p99 µs", "p99.9 µs", "worst µs", "x glibc", "x best stock"]
    more = ["faults"] if kind == "trace" else ["allocs", "faults", "RSS MiB"]
    table = Table(title, head + more)
    medians = one_figure(rounds, "p50")
    for name in order:
        if name not in rows:
            continue
        row = rows[name]
        ratios = (round_ratio(medians[name], medians.get("glibc")),
                  hardest(medians[name], medians, list(STOCK)))
        cells = [name] + [number(row[key] / 1000) for key in ("p50", "p99", "p99_9", "worst")]
        cells += [spread(ratio) for ratio in ratios]
        faults = number(row["minor_faults"] + row["major_faults"])
        cells += [faults] if kind == "trace" else [
            number(row["allocations"]), faults, number(row["peak_rss"] / (1 << 20))]
        table.add(cells, name.startswith("framealloc"))
        for column, ratio in zip((5, 6), ratios):
            if ratio is not None and name.startswith("framealloc"):
                table.grade(column, ratio.value <= 1)
    return table


def frame_tables(document):
    """Allocation time and whole frames, for each point."""
    stories = {info["name"]: info for info in document["scenarios"]}
    rounds = by_round(document["runs"])
    for point in document["points"]:
        scenario, size = point.split("/")
        info = stories[scenario]
        about = f"{scenario}, {size} {info['unit']}"
        for kind, what in (("trace", "allocation time per frame"), ("scenario", "whole frame")):
            rows = document["summary"][kind].get(point)
            if rows:
                yield frame_table(kind, rows, rounds[kind][point], document["order"],
                                  f"{about}: {what}")


def micro_tables(document):
    """One for each group of micro-benchmarks that was measured, with the rows that take part."""
    micro = document["summary"]["micro"]
    for title in micros.titles():
        names = sorted((name for name in micro if micros.group(name) == title), key=micros.key)
        used = [row for row in document["order"] if any(row in micro[name] for name in names)]
        if not names:
            continue
        table = Table(f"{title}, ns per operation", [""] + used)
        for name in names:
            table.add([micros.label(name)] + [number(micro[name].get(row)) for row in used])
        yield table


def bars_table(bars):
    table = Table("Bars", ["", "measured", "half of the rounds", "bar", "", "from"])
    for bar in bars:
        sign = "<=" if bar["sense"] == "at most" else ">="
        range_ = span(bar["low"], bar["high"]) if bar["rounds"] > 1 else "-"
        table.add([bar["what"], number(bar["measured"]), range_, f"{sign} {bar['bar']}",
                   bar["verdict"], bar["detail"]])
        if bar["measured"] is not None:
            table.grade(4, bar["verdict"] == "met")
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
    return "\n".join(lines)


def markdown(table, level=3):
    def line(cells):
        return "| " + " | ".join(cells) + " |"

    rule = ["---"] + ["---" if name == "from" else "---:" for name in table.head[1:]]
    rows = [[f"**{row[0]}**" if index in table.marks else row[0].strip()] + row[1:]
            for index, row in enumerate(table.rows)]
    parts = ["#" * level + " " + table.title, "", line(table.head), line(rule)]
    parts += [line(row) for row in rows]
    return "\n".join(parts) + "\n"
