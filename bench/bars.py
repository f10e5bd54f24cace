"""The bars: what framealloc must reach, against what was measured in one and the same run.

Each is a median of ratios within one round (figures.py). Against "best stock" means: against that
stock allocator for which the ratio is largest."""

from bench.contenders import LIMIT, STOCK, framealloc_row
from bench.figures import easiest, hardest, median, one_figure, round_ratio

AT_MOST, AT_LEAST = "at most", "at least"
ALLOCATION_BARS = {"contacts": 0.25, "particles": 0.5, "streaming": 0.9}
MAP_ENTRIES = (64, 1000, 10000, 100000)
NANO, MICRO, MIB = (1, "ns"), (1e3, "µs"), (1 << 20, "MiB")


class Bar:
    """what: one line; ratio: figures.Ratio, None when it was not measured; detail: of what."""

    def __init__(self, what, ratio, sense, limit, detail=""):
        self.what, self.ratio, self.sense, self.limit, self.detail = (
            what, ratio, sense, limit, detail)

    @property
    def value(self):
        return self.ratio and self.ratio.value

    @property
    def verdict(self):
        if self.ratio is None:
            return "not measured"
        met = self.value <= self.limit if self.sense == AT_MOST else self.value >= self.limit
        return "met" if met else "missed"

    def as_dict(self):
        return {"what": self.what, "measured": self.value, "sense": self.sense,
                "bar": self.limit, "verdict": self.verdict, "detail": self.detail,
                "low": self.ratio and self.ratio.low, "high": self.ratio and self.ratio.high,
                "rounds": len(self.ratio.values) if self.ratio else 0}


def _bar(what, ours, rows, names, limit, unit, more=""):
    """ours: {round: number} or None; the reference is the best of names in rows."""
    ratio = hardest(ours, rows, names)
    if ratio is None:
        return Bar(what, None, AT_MOST, limit)
    scale, name = unit
    return Bar(what, ratio, AT_MOST, limit,
               f"{median(ours.values()) / scale:.2f} {name} / "
               f"{median(rows[ratio.name].values()) / scale:.2f} {name} ({ratio.name}){more}")


def _micro_bars(rounds, us):
    def bar(what, ours, reference, names, limit):
        micro = rounds["micro"]
        return _bar(what, micro.get(ours, {}).get(us), micro.get(reference, {}), names, limit,
                    NANO)
    stock = list(STOCK)
    yield bar("frame allocation, 64 B, by handle / limit/bump",
              "frame/64", "frame/64", [LIMIT], 1.3)
    yield bar("frame allocation, 64 B, by allocator / limit/bump",
              "frame_allocator/64", "frame/64", [LIMIT], 2.0)
    yield bar("frame allocation, 64 B, by allocator / best stock, 1,000 at a time",
              "frame_allocator/64", "frame/64", stock, 0.2)
    yield bar("pool, 64 B, pair / best stock", "pair/64", "pair/64", stock, 0.5)
    yield bar("pool, 64 B, 1,000 at a time / best stock", "many_1000/64", "many_1000/64", stock,
              0.5)
    yield bar("batch of 1,000 / one allocation", "batch/1000", "frame/64", [us], 1.5)
    yield bar("begin + end of an empty frame / glibc malloc + free", "begin_end", "pair/64",
              ["glibc"], 1.0)
    yield bar("mark + rewind / one frame allocation", "mark_rewind", "frame/64", [us], 3.0)
    yield bar("enter + leave a tag / one frame allocation", "tag", "frame/64", [us], 8.0)
    yield bar("phase without a clock / one frame allocation", "phase", "frame/64", [us], 8.0)
    for name, text in (("pool", "a typed pool"), ("components", "components")):
        yield bar(f"through {text} of 100,000 live objects / an array of them",
                  f"typed_each/{name}", "typed_each/array", [us], 1.3)
    yield bar("vector push / reserved std::vector, best stock", "vector_push/1000",
              "vector_push/1000", stock, 1.1)
    yield bar("pmr resource, 64 B / monotonic_buffer_resource", "pmr_alloc/64", "pmr_alloc/64",
              ["pmr"], 0.9)
    yield bar("resolve a handle, 100,000 objects / pointer chase through an array",
              "handle_chase/table", "handle_chase/array", [us], 1.5)
    yield bar("transfer, 64 B: make, hand over, receive / malloc + copy + free", "transfer/64",
              "transfer/64", ["glibc"], 1.0)
    yield bar("barrier round trip, two threads / pthread_barrier_wait", "barrier/2", "barrier/2",
              ["glibc"], 1.0)
    for count in MAP_ENTRIES:
        for base, text in (("map_insert", "insert"), ("map_find", "find")):
            name = f"{base}/{count}"
            yield bar(f"map {text}, {count:,} entries / std::unordered_map, best stock", name, name,
                      stock, 0.5)


def _net_of_loop(rows, us, figure):
    """The ratio without the replay loop's own time, as the row limit shows it; for information."""
    loop = rows.get(LIMIT, {}).get("p50")
    ours = rows.get(us, {}).get(figure)
    if loop is None or ours is None:
        return ""
    def net(values):
        return {number: max(value - loop[number], 0) for number, value in values.items()
                if number in loop}
    others = {name: net(values) for name, values in one_figure(rows, figure).items()}
    ratio = hardest(others[us], others, list(STOCK))
    return f", without the replay loop {ratio.value:.2f}" if ratio else ""


def _scenario_bars(rounds, us, points):
    def bar(rows, what, figure, limit, unit, more=""):
        return _bar(what, rows.get(us, {}).get(figure), one_figure(rows, figure), list(STOCK),
                    limit, unit, more)
    for scenario, limit in ALLOCATION_BARS.items():
        rows = rounds["trace"].get(points.get(scenario), {})
        for figure, text in (("p50", "p50"), ("p99_9", "p99.9")):
            yield bar(rows, f"{scenario}: allocation time, {text} / best stock", figure, limit,
                      MICRO, _net_of_loop(rows, us, figure))
    for scenario in ALLOCATION_BARS:
        rows = rounds["scenario"].get(points.get(scenario), {})
        for figure in ("p50", "p99"):
            yield bar(rows, f"{scenario}: whole frame, {figure} / best stock", figure, 1.0, MICRO)
    yield bar(rounds["scenario"].get(points.get("jobs"), {}),
              "jobs: whole frame, p99 / best stock", "p99", 0.9, MICRO)
    for scenario in ALLOCATION_BARS:
        rows = rounds["scenario"].get(points.get(scenario), {})
        yield bar(rows, f"{scenario}: peak RSS / best stock", "peak_rss", 1.1, MIB)


def _thread_bars(rounds, us):
    for name, text in (("threads_frame", "frame"), ("threads_pool", "pool")):
        one = rounds["rate"].get(name + "/1", {}).get(us)
        two = rounds["rate"].get(name + "/2", {}).get(us)
        detail = (f"{median(two.values()) / 1e6:.0f} / {median(one.values()) / 1e6:.0f} million "
                  "per second" if one and two else "")
        yield Bar(f"two threads / one, {text} allocations per second", round_ratio(two, one),
                  AT_LEAST, 1.9, detail)
    rates = rounds["rate"].get("cross_free/64", {})
    ratio = easiest(rates.get(us), rates, ["mimalloc", "tcmalloc"])
    detail = (f"{median(rates[us].values()) / 1e6:.0f} / "
              f"{median(rates[ratio.name].values()) / 1e6:.0f} million per second ({ratio.name})"
              if ratio else "")
    yield Bar("freed by another thread, 64 B, objects per second / better of mimalloc and tcmalloc",
              ratio, AT_LEAST, 1.2, detail)


def check_bars(rounds, points):
    """rounds: what figures.by_round gives. points: {scenario: point} where a point is the scenario
    at the size that its bars are for."""
    names = {row for rows in rounds["micro"].values() for row in rows}
    names |= {row for kind in ("scenario", "trace")
              for rows in rounds[kind].values() for row in rows}
    us = framealloc_row(names)
    return [*_micro_bars(rounds, us), *_scenario_bars(rounds, us, points),
            *_thread_bars(rounds, us)]
