"""The micro-benchmarks by name: how they are grouped and written. A name is BASE or BASE/SIZE."""

import re

# Titles of the tables, and in each the benchmarks in their order; {} becomes the size.
GROUPS = (
    ("Frames", {
        "frame": "frame alloc {} B",
        "frame_written": "frame alloc + write {} B",
        "frame_allocator": "  by allocator {} B",
        "frame_allocator_written": "  by allocator + write {} B",
        "frame_of": "frame of {}, + write 16 B",
        "batch": "batch of {}",
        "begin_end": "begin + end",
        "begin_end_heard": "  with a listener to its end",
        "grow": "growth, {} (a step)",
    }),
    ("Inside a frame", {
        "mark_rewind": "mark + rewind",
        "mark_alloc": "mark + alloc {} B + rewind",
        "tag": "enter + leave a tag",
        "tag_alloc": "enter + alloc {} B + leave",
        "phase": "phase without a clock",
        "phase_in": "  by handle",
        "phase_clock": "  by handle, with a clock",
    }),
    ("Collections", {}),
    ("Structures of arrays", {
        "soa_alloc": "8 arrays of 1,000 floats, {}",
        "soa_update": "move one of 100,000 particles, {}",
    }),
    ("Standard C++", {
        "pmr_alloc": "std::pmr::memory_resource, {} B",
        "pmr_vector": "std::pmr::vector, push {}",
        "pmr_map": "std::pmr::unordered_map, insert {}",
        "std_vector": "std::vector or the best for it, push {}",
    }),
    ("Objects and blocks", {
        "pair": "pool pair {} B",
        "pair_heard": "  with a listener to both {} B",
        "many_1000": "pool 1,000 x {} B",
        "many_10000": "pool 10,000 x {} B",
        "pair_unsized": "  unsized pair {} B",
        "tagged_pair": "  pair in a tag {} B",
        "many_1000_unsized": "  unsized 1,000 x {} B",
        "pool_batch_1000": "pool batch 1,000 x {} B",
        "heap": "heap pair {} B",
        "heap_touched": "heap pair, touched {} B",
        "stream_access": "access one of {} streamed blocks",
        "stream_load": "load + release a streamed block of {} B",
        "stream_evict": "load one that evicts another, {} B",
    }),
    ("Objects of one type", {
        "typed_each": "move each of 100,000 objects, {}",
        "component_get": "component by id, of {}",
        "typed_pair": "typed pool pair {} B",
        "typed_pair_shared": "  with a lock {} B",
        "typed_many_1000": "  1,000 x {} B",
        "constructed": "object with a table to fill, {} B",
        "constructed_shared": "  with a lock {} B",
    }),
    ("Kept and shared objects", {
        "kept": "object of a frame that is kept {} B",
        "kept_by_hand": "  copied to the pool by hand {} B",
        "retained_get": "  handle to pointer",
        "shared_pair": "one more owner + one less",
        "shared_make": "shared object + its end {} B",
        "weak_lock": "weak reference locked + released",
    }),
    ("Handles", {
        "handle_chase": "each of 100,000 names the next, by {}",
        "handle_get": "each of a list of 100,000, by {}",
        "handle_pin": "pin + unpin, {}",
        "handle_pair": "alloc + free {} B",
        "handle_move": "a move in a compaction {}",
    }),
    ("Scratch and groups", {
        "scratch_scope": "scratch scope, alloc {} B",
        "scratch_alloc": "scratch alloc {} B",
        "scratch_pool": "scratch pool, {} B",
        "own_arena": "arena of a fiber or job, + write {} B",
        "group": "group of 100 x {} B (an object)",
        "group_destroyed": "  with destructors {} B",
    }),
    ("Threads", {
        "threads_frame": "frame alloc, {} thread(s)",
        "threads_pool": "pool, {} thread(s)",
        "threads_arena": "one arena, + write 64 B, {} thread(s)",
        "crew_frame": "frames divided among {} thread(s)",
        "crew_pool": "pool work divided among {} thread(s)",
        "task": "task of {} blocks, begin to end",
        "task_captured": "  of pool objects that it captures",
        "task_pair": "  alloc + free in one that lives {} B",
        "task_captured_pair": "  of a pool object that it captures {} B",
        "cross_free": "freed by another thread {} B",
        "transfer": "handed over to another thread {} B",
        "barrier": "barrier, {} threads",
        "kept_frame": "frame on a timeline, {} behind",
        "end_all": "end of the frames of {} thread(s)",
        "end_all_full": "  10,000 allocations in each of {}",
    }),
)
OTHERS = "Others"
# Of those that bars are about; the quick run takes no others unless they are asked for.
COLLECTION_BASES = ("vector_push", "map_insert", "map_find")
QUICK = ("frame/64", "frame_written/64", "frame_allocator/64", "batch/1000", "begin_end",
         "mark_rewind", "mark_alloc/64", "tag", "tag_alloc/64", "phase", "phase_in",
         "phase_clock", "pmr_alloc/64", "handle_chase/array", "handle_chase/table",
         "typed_each/array", "typed_each/pool", "typed_each/components", "pair/64",
         "many_1000/64", "many_10000/64")
# Begins like this: it needs two processors, one for each thread; or a process that has threads.
THREADED = ("threads_", "crew_", "cross_free", "transfer", "barrier", "end_all", "task")
# How cost grows, for plots: measured in some of the rounds only.
_GROWTH = ("frame_of", "crew_frame", "crew_pool")
_COLLECTIONS = ("vector", "map", "text", "ring")


def plain(name):
    """Google Benchmark's name without what it adds: threads_frame/real_time/threads:2."""
    name = re.sub("/iterations:[0-9]+|/manual_time|/real_time", "", name)
    return name.replace("/threads:", "/")


def _split(name):
    base, _, size = plain(name).partition("/")
    return base, size


def group(name):
    """The title of the table that a benchmark belongs to."""
    base, _ = _split(name)
    for title, labels in GROUPS:
        if base in labels:
            return title
    return "Collections" if base.startswith(_COLLECTIONS) else OTHERS


def titles():
    return [title for title, _ in GROUPS] + [OTHERS]


def label(name):
    base, size = _split(name)
    text = f"{int(size):,}" if size.isdigit() else size.replace("_", " ")
    for _, labels in GROUPS:
        if base in labels:
            return labels[base].format(text).rstrip()
    return (base.replace("_", " ") + " " + text).rstrip()


def key(name):
    """Sorts names as tables show them."""
    base, size = _split(name)
    place = titles().index(group(name))
    order = list(GROUPS[place][1]) if place < len(GROUPS) else []
    return (place, order.index(base) if base in order else len(order),
            "" if base in order else base, int(size) if size.isdigit() else 0, size)


def is_quick(name):
    return (plain(name) in QUICK or _split(name)[0] in COLLECTION_BASES or is_threaded(name)
            ) and not is_growth(name)


def is_threaded(name):
    return name.startswith(THREADED)


def is_growth(name):
    return _split(name)[0] in _GROWTH


def batches(names, count_max):
    """names in lists of at most count_max that one process runs; those with bars stand together, so
    that what is compared is measured within a short time. Threaded ones have lists of their own,
    and so have those of growth."""
    for some in (lambda name: is_quick(name) and not is_threaded(name),
                 lambda name: not (is_quick(name) or is_growth(name)),
                 lambda name: is_threaded(name) and not is_growth(name),
                 lambda name: is_growth(name) and not is_threaded(name),
                 lambda name: is_growth(name) and is_threaded(name)):
        chosen = sorted(filter(some, names), key=key)
        for first in range(0, len(chosen), count_max):
            yield chosen[first:first + count_max]
