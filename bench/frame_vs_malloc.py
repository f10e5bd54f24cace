"""frame_vs_malloc: scenarios and micro-benchmarks on framealloc and on its rivals.

Run through Bazel: bazel run //bench:frame_vs_malloc -- [options]
"""

import argparse
import datetime
import os
import shlex
import sys
import tempfile
import time

from bench import bars, contenders, figures, machine, measure, publish, tables

SCHEMA = "framealloc-bench-1"
# Frames and warm-ups below are in this order.
SCENARIOS = ("particles", "contacts", "streaming", "jobs")
DEBUG_NOTE = ("Debian builds Google Benchmark as DEBUG, and it warns of that; the timed loops are "
              "inlined from its header and are not affected")


class Usage(Exception):
    """A bad option; the text is one line that names what is valid."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        names = " ".join(action.option_strings[-1] for action in self._actions)
        raise Usage(f"{message}; options: {names}")


def make_parser():
    parser = Parser(
        prog="bazel run //bench:frame_vs_malloc --", allow_abbrev=False,
        description="Runs scenarios and micro-benchmarks on framealloc, on stock allocators and on "
                    "region allocators, each in a process of its own, in interleaved rounds.")
    add = parser.add_argument
    add("--full", action="store_true",
        help="thorough: more frames, sizes, rounds and micro-benchmarks; about 28 minutes")
    add("--scenario", action="append", metavar="NAME[/SIZE]",
        help="only this scenario, or 'micro'; may be repeated")
    add("--allocator", action="append", metavar="NAME",
        help="only this allocator; may be repeated")
    add("--backend", action="append", metavar="SPEC",
        help="framealloc over this backend (such as mmap:huge); may be repeated")
    add("--rounds", type=int, metavar="N", help="at most so many rounds")
    add("--seconds", type=float, metavar="S",
        help="begin no round that would end later (default 55, with --full: no limit)")
    add("--touch", choices=("page", "line", "none"), default="page",
        help="what the replay writes of each block: a byte of each page (the default), of each "
             "cache line, or nothing")
    add("--data-dir", metavar="DIR", default="",
        help="where the game's data lie; 'none': generated data")
    add("--cpu", type=int, metavar="N", help="processor for what runs on one thread")
    add("--bars", action="store_true", help="check every bar, end with status 1 if one is missed")
    add("--json", metavar="FILE", help="write raw data and figures")
    add("--publish", metavar="DIR", nargs="?", const="",
        help="write a report: raw data, tables, plots (default: results/ in the tree)")
    add("--from", dest="source", metavar="FILE",
        help="measure nothing, take the data of an earlier --json")
    add("--smoke", action="store_true", help="smallest sizes, for tests; the times mean nothing")
    add("--list", action="store_true", help="list scenarios, allocators, backends")
    return parser


def choose(asked, valid, what):
    """asked, or all of valid. Raises Usage for one that is not valid."""
    for name in asked or ():
        if name not in valid:
            raise Usage(f"unknown {what} '{name}'; valid: {' '.join(valid)}")
    return list(dict.fromkeys(asked or valid))


def choose_points(options, infos):
    """([(scenario, size)], whether micro-benchmarks run)."""
    points, micro = [], not options.scenario
    for wish in options.scenario or infos:
        name, _, size = wish.partition("/")
        choose([name], [*infos, "micro"], "scenario")
        if name == "micro":
            micro = True
            continue
        info = infos[name]
        if size and (not size.isdigit() or not 0 < int(size) <= 1000000):
            raise Usage(f"'{wish}': a size is a number of {info['unit']}, for instance "
                        + " ".join(str(number) for number in info["sizes"]))
        if size:
            sizes = [int(size)]
        elif options.smoke:
            sizes = [info["size_smoke"]]
        elif options.full:
            sizes = sorted({*info["sizes"], info["size_bench"]})
        else:
            sizes = [info["size_bench"]]
        points += [(name, number) for number in sizes]
    return list(dict.fromkeys(points)), micro


def make_settings(options, infos, points, micro):
    """How much of everything: smoke, quick or full. Many short rounds: what disturbs a shared
    machine lasts longer than one row, and ratios are taken within a round. Points beside the size
    that bars are for get fewer frames, and only some of the rounds."""
    if options.smoke:
        frames, warmup, rounds, passes, seconds = (3, 3, 3, 3), (2, 2, 2, 2), 1, 2, 0.001
    elif options.full:
        frames, warmup = (200, 120, 200, 100), (60, 20, 40, 20)
        rounds, passes, seconds = 15, 5, 0.03
    else:
        frames, warmup, rounds, passes, seconds = (60, 40, 60, 40), (30, 10, 20, 10), 9, 4, 0.01
    limit = options.seconds or (None if options.full or options.smoke else 55.0)
    return {"frames": dict(zip(SCENARIOS, frames)),
            "warmup": dict(zip(SCENARIOS, warmup)),
            "extra": [measure.point_name(point) for point in points
                      if options.full and point[1] != infos[point[0]]["size_bench"]],
            "extra_every": 3, "rounds": options.rounds or rounds,
            "passes": passes, "touch": options.touch, "data_dir": options.data_dir,
            "micro_seconds": seconds if micro else 0,
            "micro_quick": not (options.full or options.smoke or options.scenario),
            "seconds": limit}


def choose_rows(options):
    """(rows, skipped). What was asked for by name and can't run is an error."""
    allocators = choose(options.allocator, contenders.ALLOCATORS, "allocator")
    backends = list(dict.fromkeys(options.backend or contenders.BACKENDS))
    if options.backend and "framealloc" not in allocators:
        raise Usage("--backend is for framealloc, which --allocator leaves out")
    rows, skipped = contenders.make_rows(allocators, backends)
    if skipped and options.allocator:
        raise Usage(skipped[0])
    able = []
    for row in rows:
        fault = measure.check_row(row)
        if fault and (options.allocator or options.backend) and row.allocator == "framealloc":
            raise Usage(fault)
        if fault:
            skipped.append(f"{row.name}: {fault}")
        else:
            able.append(row)
    return able, skipped


def caveats(document, options):
    lines = list(document["data_notes"])
    lines.append("One machine and one run: ratios within it mean more than its times, and another "
                 "processor or C library will give others.")
    lines.append("A ratio is the median of the ratios within one round; half of the rounds lie in "
                 "the range beside it. Against the best: against the one for which it is largest.")
    share = figures.preempted(document["runs"])
    if share > 0.001:
        lines.append(f"The machine was not idle: other programs interrupted {share:.1%} of the "
                     "frames, so that tails are too long.")
    if any(point.split("/")[0] in contenders.THREADED for point in document["points"]):
        lines.append("Scenario jobs runs on all processors; a size above their number shows what "
                     "the scheduler makes of too many threads.")
    if options.smoke:
        lines.append("Smoke sizes: these times mean nothing.")
    elif not options.full:
        lines.append("A quick run: few frames, so that p99.9 is nearly the worst one; see --full.")
    if document["settings"]["extra"]:
        lines.append("Scenario sizes beside those that bars are for run in every third round, with "
                     "a quarter of the frames; so do, with all of it, frames of 10 to 1,000,000 "
                     "allocations and crews of 1 to 64 threads.")
    lines += [
        "Allocation time replays the recorded calls alone, in one thread, and writes "
        + {"page": "one byte in each page of each block, so that page faults count.",
           "line": "one byte in each cache line of each block.",
           "none": "nothing into the blocks."}[options.touch]
        + " Its row limit is limit/replay: the replay loop itself, on memory that costs nothing.",
        "Region allocators use malloc for what outlives a frame (mi_heap: mimalloc).",
        "Peak RSS is of the whole process, program and data of the scenario included.",
        "Micro-benchmarks of framealloc run over its first backend; those of malloc keep and free "
        "each pointer, as a program must. Their limit is limit/bump for frames and limit/magazine "
        "for pools: hand-written for one size, counting nothing.",
        DEBUG_NOTE + "."]
    if document["machine"]["build"] != "optimized":
        lines.insert(0, "The programs were built without optimization: the times mean nothing.")
    return lines


def without_folder(word):
    """A word of the command as a report shows it: where somebody keeps his files is his own."""
    option, equals, value = word.rpartition("=")
    return option + equals + (os.path.basename(value) if os.path.isabs(value) else value)


def assemble(runs, rounds, rows, points, skipped, infos, options, settings):
    """Everything that a report needs, as it is written to JSON."""
    context = runs[0]["context"] if runs else {}
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
    document = {
        "schema": SCHEMA, "settings": settings, "runs": runs, "rounds": rounds,
        "command": "bazel run //bench:frame_vs_malloc -- " + shlex.join(
            without_folder(word) for word in sys.argv[1:]),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": machine.commit(workspace),
        "machine": machine.describe(context.get("compiler", "unknown")),
        "scenarios": list(infos.values()), "points": [measure.point_name(p) for p in points],
        "order": [row.name for row in rows], "skipped": skipped,
        "data_notes": figures.data_notes(runs)}
    document["machine"]["build"] = context.get("build", "unknown")
    bench_points = {}
    for name, size in points:
        if name not in bench_points or size == infos[name]["size_bench"]:
            bench_points[name] = measure.point_name((name, size))
    document["main_points"] = list(bench_points.values())
    derive(document)
    document["caveats"] = caveats(document, options)
    return document


def derive(document):
    """What follows from the runs: the summary, the bars."""
    rounds = figures.by_round(document["runs"])
    points = {point.split("/")[0]: point for point in document["main_points"]}
    document["summary"] = figures.summarize(rounds)
    document["bars"] = [bar.as_dict() for bar in bars.check_bars(rounds, points)]


def measure_all(options):
    infos = {info["name"]: info for info in measure.scenario_infos()}
    points, micro = choose_points(options, infos)
    rows, skipped = choose_rows(options)
    settings = make_settings(options, infos, points, micro)
    cpus = machine.cpus()
    if options.cpu is not None:
        if options.cpu not in cpus:
            raise Usage(f"no processor {options.cpu}; valid: "
                        + " ".join(str(cpu) for cpu in sorted(cpus)))
        cpus = [options.cpu] + [cpu for cpu in cpus if cpu != options.cpu]
    begin = time.monotonic()
    deadline = settings["seconds"] and begin + settings["seconds"]
    with tempfile.TemporaryDirectory(prefix="frame_vs_malloc") as folder:
        traces, notes = measure.record_traces(points, settings, folder)
        for note in notes:
            print(note, flush=True)
        groups = measure.make_groups(rows, points, settings, traces, cpus)
        runs, rounds, left = measure.run_rounds(groups, settings["rounds"], deadline, folder)
    skipped += [f"{name}: no time left" for name in left]
    faults = figures.checksum_faults(runs)
    if faults:
        raise measure.RunFailed("; ".join(faults))
    return assemble(runs, rounds, rows, points, skipped, infos, options, settings)


def show(document, options):
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for table in tables.frame_tables(document):
        print(tables.terminal(table, colour) + "\n")
    for table in tables.micro_tables(document):
        print(tables.terminal(table, colour) + "\n")
    if options.bars:
        print(tables.terminal(tables.bars_table(document["bars"]), colour) + "\n")
    for text in document["skipped"]:
        print(f"not measured: {text}")
    for text in document["caveats"]:
        print(f"note: {text}")
    print(f"{document['rounds']} rounds, medians; {document['machine']['cpu']}, "
          f"{document['machine']['compiler']}, commit {document['commit'][:12]}")


def show_list():
    infos = measure.scenario_infos()
    print("scenarios (--scenario):")
    for info in infos:
        print(f"  {info['name']:10} {info['story']}; sizes in {info['unit']}: "
              + " ".join(str(size) for size in info["sizes"]))
    print("  micro      the micro-benchmarks")
    print("allocators (--allocator): " + " ".join(contenders.ALLOCATORS))
    print("backends (--backend), by default: " + " ".join(contenders.BACKENDS))
    print("  all: " + measure.backend_help().split("there are: ")[-1])


def read(path):
    try:
        document = publish.read_json(path)
    except (OSError, ValueError) as error:
        raise Usage(f"{path}: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise Usage(f"{path}: not written by --json of this program ({SCHEMA})")
    return document


def caller_path(path):
    """As the caller meant it: `bazel run` starts this in a folder of its own."""
    return os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", os.getcwd()), path)


def run(arguments):
    options = make_parser().parse_args(arguments)
    for name in ("rounds", "seconds"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            raise Usage(f"--{name} must be more than 0")
    if options.list:
        show_list()
        return 0
    if options.source:
        document = read(caller_path(options.source))
        derive(document)
        print(*document["data_notes"], sep="\n", end="\n" if document["data_notes"] else "")
    else:
        document = measure_all(options)
    show(document, options)
    if options.json:
        publish.write_json(document, caller_path(options.json))
    if options.publish is not None:
        folder = caller_path(options.publish) if options.publish else os.path.join(
            os.environ.get("BUILD_WORKSPACE_DIRECTORY", os.getcwd()), "results")
        for line in publish.publish(document, folder):
            print(line)
    missed = any(bar["verdict"] == "missed" for bar in document["bars"])
    return 1 if options.bars and missed else 0


def main():
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
        return status
    except Usage as error:
        print(f"frame_vs_malloc: {error}", file=sys.stderr)
        return 2
    except measure.RunFailed as error:
        print(f"frame_vs_malloc: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # such as `| head`; keeps the interpreter from complaining once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("frame_vs_malloc: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
