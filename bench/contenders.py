"""Who takes part: one row each, with the program that runs it and what must be there for it."""

import glob
import os

BACKENDS = ("mmap", "system", "mimalloc", "numa")

# Name, library that LD_PRELOAD puts in place of glibc's malloc.
STOCK = {
    "glibc": None,
    "mimalloc": "libmimalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "jemalloc": "libjemalloc.so.2",
}
REGIONS = ("mi_heap", "obstack", "apr", "pmr")
LIMIT = "limit"
# ODE's own arena for contact joints, with malloc below it: what an ODE user has already.
ODE_ARENA = "ode_arena"

# Scenarios of several threads: whole frames only, because the replay of a trace is of one.
THREADED = ("jobs",)

ALLOCATORS = ("framealloc", *STOCK, *REGIONS, ODE_ARENA, LIMIT)
LIBRARY_FOLDERS = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


class Row:
    """name: as shown; allocator: one of ALLOCATORS; runner: program; options: for the runner."""

    def __init__(self, name, allocator, runner, options=(), preload=None):
        self.name = name
        self.allocator = allocator
        self.runner = runner
        self.options = list(options)
        self.preload = preload

    def has(self, kind, scenario):
        """Does this row take part in this kind of measurement?"""
        if kind == "trace" and scenario in THREADED:
            return False
        if self.allocator == LIMIT:
            return kind != "scenario"
        if self.allocator == ODE_ARENA:
            return kind == "scenario" and scenario == "contacts"
        return True


def find_library(name):
    for folder in LIBRARY_FOLDERS:
        for path in sorted(glob.glob(os.path.join(folder, name))):
            return path
    return None


def make_rows(allocators, backends):
    """(rows, skipped): the rows asked for, and a line for each that this machine can't run."""
    rows, skipped = [], []
    for allocator in allocators:
        if allocator == "framealloc":
            rows += [Row(f"framealloc {backend}", allocator, "runner_framealloc",
                         [f"--backend={backend}"]) for backend in backends]
        elif allocator in STOCK:
            library = STOCK[allocator]
            path = library and find_library(library)
            if library and not path:
                skipped.append(f"{allocator}: {library} is not installed")
            else:
                rows.append(Row(allocator, allocator, "runner_malloc", preload=path))
        elif allocator == ODE_ARENA:
            rows.append(Row(allocator, allocator, "runner_malloc"))
        else:
            rows.append(Row(allocator, allocator, "runner_" + allocator))
    return rows, skipped


def framealloc_row(names):
    """The framealloc row that bars and ratios are about: over mmap, the default, if it is there."""
    ours = [name for name in names if name.startswith("framealloc ")]
    return "framealloc mmap" if "framealloc mmap" in ours or not ours else ours[0]
