"""SVG plots of a report, drawn with matplotlib from its data."""

import os

from bench.contenders import LIMIT, STOCK
from bench.figures import percentile
from bench.micros import group
from bench.tables import number

# Framealloc in one colour family, stock allocators and regions in quieter ones.
COLOURS = {"framealloc": "#0b6e4f", "stock": "#8d6e63", "region": "#5c7cfa", "limit": "#9e9e9e",
           "missed": "#c62828"}
LINES = {"framealloc mmap": "#0b6e4f", "glibc": "#c62828", "mimalloc": "#ef6c00",
         "tcmalloc": "#6a1b9a", "jemalloc": "#1565c0"}
SIZES = (1, 16, 64, 256, 4096, 65536)
FRAME_COUNTS = tuple(10**power for power in range(1, 7))
THREAD_COUNTS = tuple(2**power for power in range(7))


def _pyplot():
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot
    matplotlib.rcParams.update({"svg.hashsalt": "framealloc", "svg.fonttype": "none",
                                "font.family": "sans-serif", "font.size": 9,
                                "axes.spines.top": False, "axes.spines.right": False})
    return pyplot


def _colour(name):
    if name.startswith("framealloc"):
        return COLOURS["framealloc"]
    if name == LIMIT:
        return COLOURS["limit"]
    return COLOURS["stock" if name in STOCK else "region"]


def _panels(pyplot, points, height):
    """(figure, panels): one for each point, at most three in a row."""
    columns = min(3, len(points))
    lines = -(-len(points) // columns)
    figure, panels = pyplot.subplots(lines, columns, figsize=(4.4 * columns, height * lines),
                                     squeeze=False, layout="constrained")
    flat = [panel for row in panels for panel in row]
    for panel in flat[len(points):]:
        panel.set_axis_off()
    return figure, flat


def _plain(axis):
    """Plain numbers along a logarithmic axis."""
    from matplotlib import ticker
    low, high = axis.get_view_interval()
    steps = (1,) if high > 300 * low else (1, 2, 5) if high > 8 * low else (1, 1.5, 2, 3, 4, 5, 7)
    axis.set_major_locator(ticker.LogLocator(subs=steps))
    axis.set_major_formatter(ticker.FuncFormatter(
        lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}"))
    axis.set_minor_locator(ticker.NullLocator())


def _save(pyplot, figure, path):
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def _bars_plot(pyplot, document, path):
    """What was measured as a share of what a bar allows, with the range of half of the rounds."""
    bars = [bar for bar in reversed(document["bars"]) if bar["measured"]]
    if not bars:
        return False
    figure, panel = pyplot.subplots(figsize=(9.5, 0.8 + 0.19 * len(bars)), layout="constrained")
    for place, bar in enumerate(bars):
        values = [bar[key] / bar["bar"] for key in ("low", "measured", "high")]
        if bar["sense"] == "at least":
            values = [1 / value for value in reversed(values)]
        colour = COLOURS["framealloc" if bar["verdict"] == "met" else "missed"]
        panel.plot([values[0], values[2]], [place, place], color=colour, linewidth=3, alpha=0.4)
        panel.plot([values[1]], [place], "o", color=colour, markersize=4)
    panel.axvline(1, color="black", linewidth=1)
    panel.set_xscale("log")
    low, high = panel.get_xlim()
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if low <= tick <= high]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.set_yticks(range(len(bars)), [f"{bar['what']} ({number(bar['bar'])})" for bar in bars],
                     fontsize=7)
    panel.set_ylim(-0.6, len(bars) - 0.4)
    panel.grid(axis="x", alpha=0.3)
    panel.set_xlabel("of what the bar (in brackets) allows; left of 1 it is met")
    figure.suptitle("Bars (dot: median of the rounds' ratios, line: half of the rounds)")
    _save(pyplot, figure, path)
    return True


def _collections_plot(pyplot, document, path):
    """A panel for each operation of a collection that was measured for several counts."""
    micro = document["summary"]["micro"]
    bases = {}
    for name in micro:
        base, _, size = name.partition("/")
        if group(name) == "Collections" and size.isdigit():
            bases.setdefault(base, []).append(int(size))
    bases = {base: sorted(sizes) for base, sizes in sorted(bases.items()) if len(sizes) > 1}
    if not bases:
        return False
    figure, panels = _panels(pyplot, list(bases), 3.2)
    for panel, (base, sizes) in zip(panels, bases.items()):
        for name in document["order"]:
            values = [(size, micro[f"{base}/{size}"][name]) for size in sizes
                      if name in micro[f"{base}/{size}"]]
            if values:
                panel.plot(*zip(*values), label=name, marker=".", color=LINES.get(name),
                           linewidth=2.2 if name.startswith("framealloc") else 1,
                           linestyle="-" if name in LINES else ":")
        panel.set_xscale("log")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.set_ylim(bottom=0)
        panel.set_title(base.replace("_", " "))
        panel.set_xlabel("entries")
        panel.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("ns per operation")
    panels[0].legend(fontsize=7)
    figure.suptitle("Collections: in the frame, and the standard library's over each malloc")
    _save(pyplot, figure, path)
    return True


def _frames_plot(pyplot, document, kind, title, path):
    """A panel for each point: p50 as a dot, a line from it to p99.9; logarithmic."""
    points = [p for p in document["points"] if document["summary"][kind].get(p)]
    if not points:
        return False
    order = document["order"]
    figure, panels = _panels(pyplot, points, 1.2 + 0.24 * len(order))
    for panel, point in zip(panels, points):
        rows = document["summary"][kind][point]
        names = [name for name in reversed(order) if name in rows]
        places = range(len(names))
        for place, name in zip(places, names):
            p50, tail = rows[name]["p50"] / 1000, rows[name]["p99_9"] / 1000
            panel.plot([p50, tail], [place, place], color=_colour(name), linewidth=1.5)
            panel.plot([tail], [place], "|", color=_colour(name), markersize=8)
            panel.plot([p50], [place], "o", color=_colour(name), markersize=6)
            panel.annotate(number(p50), (p50, place), xytext=(0, 5), fontsize=7, ha="center",
                           textcoords="offset points")
        panel.set_xscale("log")
        _plain(panel.xaxis)
        panel.set_yticks(list(places), names)
        panel.set_ylim(-0.6, len(names) - 0.2)
        panel.grid(axis="x", alpha=0.3)
        panel.set_title(point)
        panel.set_xlabel("µs per frame, logarithmic")
    figure.suptitle(f"{title} (dot: p50, line: to p99.9; left is better)")
    _save(pyplot, figure, path)
    return True


def _tail_plot(pyplot, document, path):
    """Allocation time by percentile, all samples of all rounds."""
    samples = {}
    for run in document["runs"]:
        if run["kind"] == "trace" and run["row"] in LINES:
            samples.setdefault(run["point"], {}).setdefault(run["row"], []).extend(run["samples"])
    points = [point for point in document["points"] if samples.get(point)]
    if not points:
        return False
    shares = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0]
    figure, panels = _panels(pyplot, points, 3.4)
    for panel, point in zip(panels, points):
        for name, colour in LINES.items():
            if name in samples[point]:
                values = [percentile(samples[point][name], share) / 1000 for share in shares]
                panel.plot(range(len(shares)), values, color=colour, label=name, marker=".",
                           linewidth=2 if name.startswith("framealloc") else 1)
        panel.set_xticks(range(len(shares)), ["p50", "p75", "p90", "p95", "p99", "p99.5",
                                              "p99.9", "worst"], rotation=45)
        panel.set_yscale("log")
        _plain(panel.yaxis)
        panel.set_title(point)
        panel.set_ylabel("µs per frame")
        panel.grid(axis="y", alpha=0.3)
    panels[0].legend(fontsize=7)
    figure.suptitle("Allocation time per frame by percentile, all samples")
    _save(pyplot, figure, path)
    return True


def _sizes_plot(pyplot, document, path):
    """Frame allocation by size."""
    micro = document["summary"]["micro"]
    figure, panels = pyplot.subplots(1, 2, figsize=(9.5, 3.8), sharey=True, layout="constrained")
    drawn = False
    for panel, base, title in ((panels[0], "frame", "memory untouched"),
                               (panels[1], "frame_written", "memory written")):
        for name in document["order"]:
            values = [(i, micro[f"{base}/{size}"][name]) for i, size in enumerate(SIZES)
                      if name in micro.get(f"{base}/{size}", {})]
            if len(values) < 2:
                continue
            drawn = True
            panel.plot(*zip(*values), label=name, marker=".", color=LINES.get(name),
                       linewidth=2.2 if name.startswith("framealloc") else 1,
                       linestyle="-" if name in LINES else ":")
        panel.set_xticks(range(len(SIZES)), ["1 B", "16 B", "64 B", "256 B", "4 KiB", "64 KiB"])
        panel.set_yscale("log")
        _plain(panel.yaxis)
        panel.set_title(title)
        panel.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("ns per allocation and its share of the reset")
    if drawn:
        panels[0].legend(fontsize=7)
        figure.suptitle("One frame: allocate, then all of it dead")
        _save(pyplot, figure, path)
    else:
        pyplot.close(figure)
    return drawn


def _lines(panel, document, values_of, ticks):
    """A line for each row: values_of(tick, row) over logarithmic ticks; None is left out. Returns
    whether there is one of two points."""
    drawn = False
    for name in document["order"]:
        values = [(tick, values_of(tick, name)) for tick in ticks]
        values = [pair for pair in values if pair[1] is not None]
        if len(values) < 2:
            continue
        drawn = True
        panel.plot(*zip(*values), label=name, marker=".", color=LINES.get(name, _colour(name)),
                   linewidth=2.2 if name.startswith("framealloc") else 1,
                   linestyle="-" if name in LINES else ":")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    panel.minorticks_off()
    _plain(panel.yaxis)
    panel.grid(axis="y", alpha=0.3)
    return drawn


def _growth_plot(pyplot, document, path):
    """What an allocation costs in frames of more and more, and what more and more threads do."""
    micro, rate = document["summary"]["micro"], document["summary"]["rate"]
    figure, panels = pyplot.subplots(1, 3, figsize=(13.2, 3.8), layout="constrained")
    drawn = _lines(panels[0], document,
                   lambda count, name: micro.get(f"frame_of/{count}", {}).get(name), FRAME_COUNTS)
    panels[0].set_title("16 B allocated and written")
    panels[0].set_xlabel("allocations in one frame")
    panels[0].set_ylabel("ns per allocation and its share of the reset")
    for panel, base, title in ((panels[1], "crew_frame", "frames of 1,000 x 64 B"),
                               (panels[2], "crew_pool", "pool, 1,000 x 64 B")):
        def of_threads(count, name, base=base):
            value = rate.get(f"{base}/{count}", {}).get(name)
            return value and value / 1e6
        drawn = _lines(panel, document, of_threads, THREAD_COUNTS) or drawn
        panel.axvline(document["machine"]["cpu_count"], color="black", linewidth=1, linestyle=":")
        panel.set_title(title)
        panel.set_xlabel("threads (dotted: processors)")
        panel.set_ylabel("million allocations per second")
    if drawn:
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(low, high * 3)  # room above the lines
        panels[0].legend(fontsize=7, ncol=3, loc="upper center")
        figure.suptitle("How cost grows")
        _save(pyplot, figure, path)
    else:
        pyplot.close(figure)
    return drawn


def _memory_plot(pyplot, document, path):
    points = [p for p in document["points"] if document["summary"]["scenario"].get(p)]
    if not points:
        return False
    order = document["order"]
    figure, panels = _panels(pyplot, points, 1.2 + 0.24 * len(order))
    for panel, point in zip(panels, points):
        rows = document["summary"]["scenario"][point]
        names = [name for name in reversed(order) if name in rows]
        values = [rows[name]["peak_rss"] / (1 << 20) for name in names]
        panel.barh(names, values, color=[_colour(name) for name in names], height=0.7)
        panel.set_title(point)
        panel.set_xlabel("MiB")
    figure.suptitle("Peak resident memory of the whole process (less is better)")
    _save(pyplot, figure, path)
    return True


def draw(document, folder):
    """Writes what the document has data for: [(file name, title)]."""
    pyplot = _pyplot()
    drawn = []

    def keep(name, title, done):
        if done:
            drawn.append((name, title))

    keep("bars.svg", "Bars", _bars_plot(pyplot, document, os.path.join(folder, "bars.svg")))
    for kind, name, title in (("trace", "allocation_time.svg", "Allocation time"),
                              ("scenario", "whole_frame.svg", "Whole frames")):
        keep(name, title, _frames_plot(pyplot, document, kind, title, os.path.join(folder, name)))
    keep("tail.svg", "Allocation time by percentile",
         _tail_plot(pyplot, document, os.path.join(folder, "tail.svg")))
    keep("frame_sizes.svg", "Frame allocation by size",
         _sizes_plot(pyplot, document, os.path.join(folder, "frame_sizes.svg")))
    keep("growth.svg", "How cost grows",
         _growth_plot(pyplot, document, os.path.join(folder, "growth.svg")))
    keep("collections.svg", "Collections",
         _collections_plot(pyplot, document, os.path.join(folder, "collections.svg")))
    keep("memory.svg", "Peak resident memory",
         _memory_plot(pyplot, document, os.path.join(folder, "memory.svg")))
    return drawn
