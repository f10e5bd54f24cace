"""Runs runners: each measurement in a process of its own, pinned, in interleaved rounds."""

import json
import os
import shutil
import subprocess
import sys
import time

from bench import micros
from bench.contenders import ODE_ARENA, THREADED

# Where the runners lie: beside this file. Not resolved, because Bazel's runfiles are links.
FOLDER = os.path.dirname(os.path.abspath(__file__))
PROCESS_SECONDS_MAX = 600
MICROS_A_PROCESS = 12


class RunFailed(Exception):
    """A runner failed; the text is one line."""


class Job:
    """One process: row, kind, scenario point and the options for the runner."""

    def __init__(self, row, kind, point, options, cpus):
        self.row, self.kind, self.point, self.options, self.cpus = row, kind, point, options, cpus


def _environment(row):
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith(("LD_PRELOAD", "FRAMEALLOC_", "MALLOC_", "MIMALLOC_",
                                          "TCMALLOC_", "GLIBC_TUNABLES"))}
    environment["LC_ALL"] = "C.UTF-8"
    if row.preload:
        environment["LD_PRELOAD"] = row.preload
    return environment


def _call(program, options, environment=None, cpus=None):
    """Output of a program. Raises RunFailed with what it said."""
    def pin():
        if cpus:
            os.sched_setaffinity(0, cpus)
    path = os.path.join(FOLDER, program)
    try:
        done = subprocess.run([path, *options], env=environment, capture_output=True, text=True,
                              preexec_fn=pin, timeout=PROCESS_SECONDS_MAX, check=False)
    except OSError as error:
        raise RunFailed(f"{program}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise RunFailed(f"{program} {' '.join(options)}: took more than "
                        f"{PROCESS_SECONDS_MAX} s") from error
    if done.returncode != 0 or "cannot be preloaded" in done.stderr:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RunFailed(said[-1])
    return done.stdout


def check_row(row):
    """None when the row can run here, else one line that says why not."""
    try:
        _call(row.runner, ["--mode=check", *row.options], _environment(row))
    except RunFailed as error:
        return str(error)
    return None


def backend_help():
    """The library's own line about backends: what it answers to a name that is none."""
    try:
        _call("runner_framealloc", ["--mode=check", "--backend=?"])
    except RunFailed as error:
        return str(error)
    return ""


def scenario_infos():
    """[{name, story, unit, sizes, size_smoke, size_bench}] as the runners know them."""
    return json.loads(_call("runner_framealloc", ["--mode=list"]))


def _scenario_options(point, settings, row=None):
    scenario, size = point
    name = "contacts_ode_arena" if row and row.allocator == ODE_ARENA else scenario
    frames = settings["frames"][scenario]
    if point_name(point) in settings["extra"]:
        frames //= 4
    options = [f"--scenario={name}", f"--size={size}", f"--frames={frames}",
               f"--warmup={settings['warmup'][scenario]}"]
    if settings["data_dir"]:
        options.append(f"--data-dir={settings['data_dir']}")
    return options


def point_name(point):
    return f"{point[0]}/{point[1]}"


def record_traces(points, settings, folder):
    """Records each point of one thread once: ({point name: file}, what the scenarios say about
    their data)."""
    files, notes = {}, []
    for point in points:
        if point[0] in THREADED:
            continue
        path = os.path.join(folder, point_name(point).replace("/", "_") + ".trace")
        said = _call("recorder", [*_scenario_options(point, settings), f"--trace-file={path}"])
        files[point_name(point)] = path
        notes += [line for line in said.splitlines() if line not in notes]
    return files, notes


def _frame_jobs(rows, point, settings, traces, cpus):
    for row in rows:
        if row.has("scenario", point[0]):
            yield Job(row, "scenario", point_name(point),
                      _scenario_options(point, settings, row),
                      cpus if point[0] in THREADED else cpus[:1])
    for row in rows:
        if row.has("trace", point[0]):
            yield Job(row, "trace", point_name(point),
                      [*_scenario_options(point, settings),
                       f"--trace-file={traces[point_name(point)]}",
                       f"--passes={settings['passes']}", f"--touch={settings['touch']}"], cpus[:1])


def _micro_names(row):
    """The micro-benchmarks of a row, by the names that their filter knows."""
    return _call(row.runner, ["--mode=micro", "--benchmark_list_tests=true", *row.options],
                 _environment(row)).split()


def _micro_groups(rows, settings, cpus):
    """In small batches, so that what is compared is measured within a short time."""
    # framealloc's fast paths are the same over each backend: one row is measured.
    ours = [row for row in rows if row.allocator == "framealloc"][:1]
    rows = ours + [row for row in rows
                   if row.allocator != "framealloc" and row.has("micro", None)]
    names = {row.name: [name for name in _micro_names(row)
                        if not settings["micro_quick"] or micros.is_quick(name)] for row in rows}
    for batch in micros.batches(set().union(*names.values()), MICROS_A_PROCESS):
        jobs = []
        for row in rows:
            chosen = [name for name in batch if name in names[row.name]]
            if chosen:
                jobs.append(Job(row, "micro", "",
                                [f"--benchmark_filter=^({'|'.join(chosen)})$",
                                 f"--benchmark_min_time={settings['micro_seconds']}"],
                                cpus if micros.is_threaded(batch[0]) else cpus[:1]))
        yield Group(jobs, settings["extra_every"] if micros.is_growth(batch[0]) else 1)


class Group:
    """Jobs that are compared with each other; they take turns in every nth round."""

    def __init__(self, jobs, every=1):
        self.jobs, self.every = jobs, every

    def turn(self, number):
        """The jobs of a round in their order: each round begins with another row, and every second
        one goes backwards, so that a machine that gets slower all the time favours none."""
        if number % self.every:
            return []
        number //= self.every
        shift = number % len(self.jobs)
        jobs = self.jobs[shift:] + self.jobs[:shift]
        return jobs[::-1] if number % 2 else jobs


def make_groups(rows, points, settings, traces, cpus):
    groups = []
    for point in points:
        jobs = list(_frame_jobs(rows, point, settings, traces, cpus))
        every = settings["extra_every"] if point_name(point) in settings["extra"] else 1
        groups += [Group([job for job in jobs if job.kind == kind], every)
                   for kind in ("scenario", "trace")]
    if settings["micro_seconds"]:
        groups += _micro_groups(rows, settings, cpus[:2])
    return [group for group in groups if group.jobs]


def run_job(job, number, folder):
    """One process; what it measured, as figures.py wants it."""
    samples = os.path.join(folder, "samples")
    options = [f"--mode={job.kind}", *job.row.options, *job.options]
    if job.kind != "micro":
        options.append(f"--samples={samples}")
    try:
        output = json.loads(_call(job.row.runner, options, _environment(job.row), job.cpus))
    except (RunFailed, ValueError) as error:
        raise RunFailed(f"{job.row.name}, {job.point or job.kind}: {error}") from error
    for bench in output["benchmarks"]:
        if bench.get("error_occurred"):
            raise RunFailed(f"{job.row.name}, {bench['name']}: {bench['error_message']}")
    _check_malloc(job.row, output["context"])
    run = {"kind": job.kind, "point": job.point, "row": job.row.name, "round": number,
           "options": [option for option in job.options if not option.startswith("--trace-file")],
           "context": _public(output["context"]), "benchmarks": output["benchmarks"],
           "samples": []}
    if job.kind != "micro":
        with open(samples, encoding="ascii") as file:
            run["samples"] = [int(line) for line in file]
        os.remove(samples)
    return run


def _check_malloc(row, context):
    """The library that really provides malloc in the process is the one that the row names."""
    if row.preload and os.path.basename(row.preload) not in context["malloc"]:
        raise RunFailed(f"{row.name}: malloc came from {context['malloc']}")


def _public(context):
    """What may differ from run to run; the machine is described once, in machine.py."""
    return {key: context[key] for key in ("build", "compiler", "date", "library_build_type",
                                          "load_avg", "malloc") if key in context}


class Progress:
    """A line that is overwritten on a terminal, else one line a round."""

    def __init__(self, total, stream=sys.stderr):
        self.total, self.stream, self.done = total, stream, 0
        self.live = stream.isatty()

    def step(self, text):
        self.done += 1
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            line = f"[{self.done}/{self.total}] {text}"[:width]
            self.stream.write("\r\033[K" + line)
            self.stream.flush()

    def round_done(self, text):
        if not self.live:
            self.stream.write(text + "\n")
            self.stream.flush()

    def close(self):
        if self.live:
            self.stream.write("\r\033[K")
            self.stream.flush()


def run_rounds(groups, rounds, deadline, folder):
    """All groups, `rounds` times. Past the deadline (seconds of time.monotonic, None: no limit) no
    round is begun that would not end before it. Returns (runs, rounds, what was left out)."""
    progress = Progress(sum(len(group.turn(number)) for group in groups
                            for number in range(rounds)))
    runs, left, longest = [], [], 0.0
    for number in range(rounds):
        begin = time.monotonic()
        if deadline and number and begin + longest > deadline:
            rounds = number
            break
        for group in groups:
            for job in group.turn(number):
                progress.step(f"round {number + 1} of {rounds}: {job.point or 'micro-benchmarks'}, "
                              f"{job.row.name}")
                if deadline and not number and time.monotonic() > deadline:
                    left.append(f"{job.row.name}, {job.point or 'micro-benchmarks'}, {job.kind}")
                    continue
                runs.append(run_job(job, number, folder))
        took = time.monotonic() - begin
        longest = max(longest, took)
        progress.round_done(f"round {number + 1} of {rounds}: {took:.1f} s")
    progress.close()
    return runs, rounds, left
