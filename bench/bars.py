"""The bars: what framealloc must reach, against what was measured in one and the same run."""

from bench.contenders import LIMIT, STOCK, framealloc_row
from bench.figures import best, ratio

AT_MOST, AT_LEAST = "at most", "at least"
ALLOCATION_BARS = {"contacts": 0.25, "particles": 0.5, "streaming": 0.9}


class Bar:
    """what: one line; value: the measured ratio, None when it was not measured; detail: of what."""

    def __init__(self, what, value, sense, limit, detail=""):
        self.what, self.value, self.sense, self.limit, self.detail = (
            what, value, sense, limit, detail)

    @property
    def verdict(self):
        if self.value is None:
            return "not measured"
        met = self.value <= self.limit if self.sense == AT_MOST else self.value >= self.limit
        return "met" if met else "missed"

    def as_dict(self):
        return {"what": self.what, "measured": self.value, "sense": self.sense,
                "bar": self.limit, "verdict": self.verdict, "detail": self.detail}


def _micro_bar(summary, what, ours, reference, limit, rows):
    """ours: (benchmark, row); reference: (benchmark, list of rows), of which the best counts."""
    micro = summary["micro"]
    value = micro.get(ours[0], {}).get(ours[1])
    found = best(micro.get(reference[0], {}), rows)
    if value is None or found is None:
        return Bar(what, None, AT_MOST, limit)
    return Bar(what, ratio(value, found[1]), AT_MOST, limit,
               f"{value:.2f} ns / {found[1]:.2f} ns ({found[0]})")


def _micro_bars(summary, us):
    stock = list(STOCK)
    frame, by_allocator = ("frame/64", us), ("frame_allocator/64", us)
    yield _micro_bar(summary, "frame allocation, 64 B, by handle / limit/bump",
                     frame, ("frame/64",), 1.3, [LIMIT])
    yield _micro_bar(summary, "frame allocation, 64 B, by allocator / limit/bump",
                     by_allocator, ("frame/64",), 2.0, [LIMIT])
    yield _micro_bar(summary, "frame allocation, 64 B, by allocator / best stock, 1,000 at a time",
                     by_allocator, ("frame/64",), 0.2, stock)
    yield _micro_bar(summary, "pool, 64 B, pair / best stock",
                     ("pair/64", us), ("pair/64",), 0.5, stock)
    yield _micro_bar(summary, "pool, 64 B, 1,000 at a time / best stock",
                     ("many_1000/64", us), ("many_1000/64",), 0.5, stock)
    yield _micro_bar(summary, "batch of 1,000 / one allocation",
                     ("batch/1000", us), ("frame/64",), 1.5, [us])
    yield _micro_bar(summary, "begin + end of an empty frame / glibc malloc + free",
                     ("begin_end", us), ("pair/64",), 1.0, ["glibc"])


def _frame_bar(rows, what, us, figure, limit, unit):
    found = best(rows, list(STOCK), figure)
    value = rows.get(us, {}).get(figure)
    if value is None or found is None:
        return Bar(what, None, AT_MOST, limit)
    scale, name = unit
    return Bar(what, ratio(value, found[1]), AT_MOST, limit,
               f"{value / scale:.2f} {name} / {found[1] / scale:.2f} {name} ({found[0]})")


def _net_of_loop(rows, us, figure):
    """The ratio without the replay loop's own time, as the row limit shows it; for information."""
    loop, found = rows.get(LIMIT, {}).get("p50"), best(rows, list(STOCK), figure)
    if loop is None or found is None or us not in rows:
        return ""
    net = ratio(max(rows[us][figure] - loop, 0), found[1] - loop)
    return f", without the replay loop {net:.2f}" if net is not None and net >= 0 else ""


def _scenario_bars(summary, us, points):
    micros, mib = (1e3, "µs"), (1 << 20, "MiB")
    for scenario, limit in ALLOCATION_BARS.items():
        rows = summary["trace"].get(points.get(scenario), {})
        for figure, text in (("p50", "p50"), ("p99_9", "p99.9")):
            bar = _frame_bar(rows, f"{scenario}: allocation time, {text} / best stock",
                             us, figure, limit, micros)
            bar.detail += _net_of_loop(rows, us, figure)
            yield bar
    for scenario in ALLOCATION_BARS:
        rows = summary["scenario"].get(points.get(scenario), {})
        for figure in ("p50", "p99"):
            yield _frame_bar(rows, f"{scenario}: whole frame, {figure} / best stock",
                             us, figure, 1.0, micros)
    for scenario in ALLOCATION_BARS:
        rows = summary["scenario"].get(points.get(scenario), {})
        yield _frame_bar(rows, f"{scenario}: peak RSS / best stock", us, "peak_rss", 1.1, mib)


def _thread_bars(summary, us):
    for name, text in (("threads_frame", "frame"), ("threads_pool", "pool")):
        one = summary["rate"].get(name + "/1", {}).get(us)
        two = summary["rate"].get(name + "/2", {}).get(us)
        detail = f"{two / 1e6:.0f} / {one / 1e6:.0f} million per second" if one and two else ""
        yield Bar(f"two threads / one, {text} allocations per second", ratio(two, one),
                  AT_LEAST, 1.9, detail)


def check_bars(summary, points):
    """points: {scenario: point} where a point is the scenario at the size that its bars are for."""
    names = {row for rows in summary["micro"].values() for row in rows}
    names |= {row for kind in ("scenario", "trace")
              for rows in summary[kind].values() for row in rows}
    us = framealloc_row(names)
    return [*_micro_bars(summary, us), *_scenario_bars(summary, us, points),
            *_thread_bars(summary, us)]
