/* Diagnostics: every condition that the allocator reports, each with its code, and the event that
 * carries one to the program. */
#ifndef FA_DIAG_H
#define FA_DIAG_H

#include "fa/status.h"

FA_EXTERN_C_BEGIN

typedef struct fa_allocator fa_allocator;

typedef enum fa_severity {
    FA_SEVERITY_NOTE,    /* worth knowing; nothing failed */
    FA_SEVERITY_WARNING, /* the call may have failed, the program is in order */
    FA_SEVERITY_ERROR,   /* misuse: the call was refused. Aborts in strict mode */
    FA_SEVERITY_FATAL    /* memory of the allocator was overwritten: always aborts */
} fa_severity;

/* One list: enumeration, texts, help and tests are made from it.
 * Ranges: 0xx frame, 2xx threads, 3xx limits, 4xx tags, 6xx blocks, 7xx backends, 9xx internal.
 * X(code, severity, text, help) */
#define FA_DIAG_LIST(X)                                                                            \
    X(FA001, FA_SEVERITY_ERROR, "frame memory was asked for while no frame is open",               \
      "call fa_frame_begin first, or take pool or heap memory")                                    \
    X(FA002, FA_SEVERITY_ERROR, "a pointer is not frame memory of the open frame",                 \
      "frame memory dies with its frame: copy what must live longer to pool or heap memory")       \
    X(FA003, FA_SEVERITY_WARNING, "the frame reached its cap",                                     \
      "raise frame_bytes_max, allocate less, or let it spill (frame_full)")                        \
    X(FA004, FA_SEVERITY_ERROR, "a frame was begun while one is open on this thread",              \
      "end the open frame first; it stays open")                                                   \
    X(FA005, FA_SEVERITY_ERROR, "a frame was ended while none is open on this thread",             \
      "pair each fa_frame_end with one fa_frame_begin on the same thread")                         \
    X(FA006, FA_SEVERITY_NOTE, "a frame outgrew its first chunk",                                  \
      "it learns by itself; set frame_chunk_bytes_first to what the stats name to avoid it")       \
    X(FA007, FA_SEVERITY_WARNING, "a frame spilled past its cap into blocks of its own",           \
      "raise frame_bytes_max to what the stats name")                                              \
    X(FA008, FA_SEVERITY_ERROR, "a mark was refused: stale, or of another frame",                  \
      "rewind in the order of nesting, within the frame and on the thread that set the mark")      \
    X(FA009, FA_SEVERITY_ERROR, "a frame was begun, ended or rewound inside of its own callback",  \
      "clean-ups, hooks and reclaimers may rewind to marks of their own, and no further")          \
    X(FA010, FA_SEVERITY_ERROR, "a phase was ended while none is open on this thread",             \
      "pair each fa_phase_end with one fa_phase_begin in the same frame")                          \
    X(FA011, FA_SEVERITY_WARNING, "a phase was still open when its frame ended",                   \
      "it was closed for you; end phases before their frame")                                      \
    X(FA012, FA_SEVERITY_WARNING, "a retained block could not be kept when its frame ended",       \
      "the summary of the frame names the reason; its handle does not resolve any more")           \
    X(FA013, FA_SEVERITY_WARNING, "a frame is kept longer than its timeline was expected to need", \
      "see why the counter stands still, or set late_after of the timeline higher")                \
    X(FA014, FA_SEVERITY_ERROR, "a timeline went backwards",                                       \
      "a counter only goes up: advance it by one thread, or in order; a new one needs a timeline") \
    X(FA015, FA_SEVERITY_ERROR, "a timeline was destroyed while frames wait for it",               \
      "let the counter reach the last value that a frame was ended on before")                     \
    X(FA016, FA_SEVERITY_ERROR, "the frames of all threads were ended while one was at work",      \
      "let the others stand still before: at a barrier, or joined")                                \
    X(FA017, FA_SEVERITY_WARNING, "a frame grows and grows while other threads end theirs",        \
      "end the frame of that thread, or let fa_frame_end_all do it; long work wants an arena")     \
    X(FA201, FA_SEVERITY_ERROR, "a frame was used by a thread that does not own it",               \
      "each thread begins its own frame and allocates from that")                                  \
    X(FA202, FA_SEVERITY_WARNING, "a thread could not be attached",                                \
      "raise thread_count_max, or attach before the backend is sealed and before thread exit")     \
    X(FA203, FA_SEVERITY_ERROR, "a barrier was used by a thread that is not a member of it",       \
      "call fa_barrier_join on each thread before, and fa_barrier_leave after its last use")       \
    X(FA204, FA_SEVERITY_ERROR,                                                                    \
      "a barrier was signalled twice in one generation, or waited at without a signal",            \
      "signal once, then wait, in each generation")                                                \
    X(FA205, FA_SEVERITY_ERROR, "a barrier was destroyed while threads wait at it",                \
      "let them leave before, or wait with a time-out")                                            \
    X(FA206, FA_SEVERITY_ERROR,                                                                    \
      "a transfer was asked for that was never made, or as another type",                          \
      "pass the handle that fa_transfer_make gave, to the allocator that made it")                 \
    X(FA207, FA_SEVERITY_WARNING, "a transfer was never received and died with its allocator",     \
      "receive or drop what is in flight before the end")                                          \
    X(FA208, FA_SEVERITY_ERROR, "a thread ended while it was a member of a barrier",               \
      "call fa_barrier_leave before; it was taken away, so that the others do not wait for it")    \
    X(FA301, FA_SEVERITY_WARNING, "the allocator reached its limit of backend memory",             \
      "raise bytes_max, or free something and retry")                                              \
    X(FA302, FA_SEVERITY_WARNING, "a budget is used up",                                           \
      "free something, raise its hard limit, or choose another policy")                            \
    X(FA303, FA_SEVERITY_WARNING, "a budget passed its soft limit",                                \
      "the hard limit comes next: see who holds the memory")                                       \
    X(FA304, FA_SEVERITY_NOTE, "a budget saw a new peak",                                          \
      "nothing to do; the size is what a hard limit would have to allow")                          \
    X(FA305, FA_SEVERITY_WARNING, "a free was refused: too many objects wait for their thread",    \
      "the block is still yours: free it later, raise count_max, or choose to wait or to grow")    \
    X(FA306, FA_SEVERITY_WARNING, "many freed objects wait for the thread that allocated them",    \
      "let it begin frames, allocate, or call fa_deferred_process")                                \
    X(FA307, FA_SEVERITY_WARNING, "a freed object was dropped: too many wait for their thread",    \
      "its memory is lost until the end: raise count_max, or choose another policy")               \
    X(FA401, FA_SEVERITY_ERROR, "a tag was left that was not entered on this thread",              \
      "pair each fa_tag_leave with one fa_tag_enter on the same thread")                           \
    X(FA402, FA_SEVERITY_WARNING, "a tag could not be made or entered",                            \
      "raise tag_count_max, or nest less deeply")                                                  \
    X(FA601, FA_SEVERITY_ERROR, "a pointer that this allocator never gave out was freed",          \
      "free each block with the allocator that made it; frame memory is never freed")              \
    X(FA602, FA_SEVERITY_ERROR, "a block was freed twice", "look for two owners of one block")     \
    X(FA603, FA_SEVERITY_ERROR, "a sized free named another size than the block has",              \
      "pass the size that was asked for when the block was allocated")                             \
    X(FA604, FA_SEVERITY_FATAL, "guard bytes next to a block were overwritten",                    \
      "something wrote past the end of the block: use the address sanitizer to see who")           \
    X(FA605, FA_SEVERITY_WARNING, "a block was still alive when its allocator was destroyed",      \
      "free it before, or ignore this if the program is about to end")                             \
    X(FA606, FA_SEVERITY_FATAL, "the book-keeping of a block is damaged",                          \
      "something wrote outside of its block, or into memory that it had freed")                    \
    X(FA610, FA_SEVERITY_ERROR,                                                                    \
      "a scratch pool, a scratch scope, a group, an arena or a task was used after its end",       \
      "its memory is gone: remove, end or free it once, after its last use")                       \
    X(FA611, FA_SEVERITY_ERROR, "a scratch pool or a group was used by two threads at once",       \
      "one thread at a time: hand it over, or give each thread its own")                           \
    X(FA612, FA_SEVERITY_ERROR,                                                                    \
      "a scratch scope was used below a newer one, or on another thread",                          \
      "name it as a conflict where the newer one begins; end scopes newest first")                 \
    X(FA613, FA_SEVERITY_ERROR, "an arena was used by a thread that does not hold it",             \
      "take it first, with the handle that giving it returned; nobody else may use that one")      \
    X(FA614, FA_SEVERITY_ERROR, "a shared arena was reset or freed while threads are in it",       \
      "end all locals of the arena before")                                                        \
    X(FA615, FA_SEVERITY_ERROR,                                                                    \
      "a capture was ended that is not the newest one of its thread, or left open by a callback",  \
      "pair each fa_task_capture_begin with one end on the same thread, newest first; what is "    \
      "begun in a callback ends there")                                                            \
    X(FA616, FA_SEVERITY_ERROR, "frame memory was to be carried to a later callback",              \
      "it dies with its frame: copy it, with fa_task_copy")                                        \
    X(FA620, FA_SEVERITY_ERROR, "a handle was refused: stale, forged, or of another table",        \
      "its object was freed, or the table is another one")                                         \
    X(FA621, FA_SEVERITY_ERROR,                                                                    \
      "a handle was unpinned more often than pinned, or freed while pinned",                       \
      "pair each pin with one unpin, and free after the last")                                     \
    X(FA630, FA_SEVERITY_ERROR, "a streamed block was used in a state that does not allow it",     \
      "the order is reserve, begin, progress, finish, access, release")                            \
    X(FA631, FA_SEVERITY_WARNING, "a streaming budget is used up and nothing may be evicted",      \
      "release or unpin something, lower what is wanted, or raise the budget")                     \
    X(FA640, FA_SEVERITY_ERROR, "a typed pool was given an object that is not one of its own",     \
      "give each object back to the pool that made it, once")                                      \
    X(FA650, FA_SEVERITY_ERROR, "a shared object was used that nobody owns any more",              \
      "pair each hold with one release; a weak reference is no hold")                              \
    X(FA701, FA_SEVERITY_WARNING, "no backend of the chain could serve a request",                 \
      "the system is out of memory, or the backend's region is too small")                         \
    X(FA702, FA_SEVERITY_WARNING, "a request did not fit into what a sealed allocator holds",      \
      "reserve more before fa_backend_seal")                                                       \
    X(FA703, FA_SEVERITY_NOTE, "a backend declined and a later one of the chain served",           \
      "nothing to do if that is what the chain is for")                                            \
    X(FA704, FA_SEVERITY_WARNING, "memory ran out and the reserve was released",                   \
      "free what you can, then take the reserve again with fa_reserve_refill")                     \
    X(FA705, FA_SEVERITY_NOTE, "memory ran out and a callback gave some back",                     \
      "nothing to do; if it happens often, lower what the program keeps")                          \
    X(FA901, FA_SEVERITY_ERROR, "internal error: a structure does not validate",                   \
      "please report this, with the address that it names")

typedef enum fa_diag {
    FA_DIAG_NONE,
#define FA_DIAG_ENUM(code, severity, text, help) FA_DIAG_##code,
    FA_DIAG_LIST(FA_DIAG_ENUM)
#undef FA_DIAG_ENUM
        FA_DIAG_COUNT
} fa_diag;

/* What is known about a diagnostic. All strings are static. */
typedef struct fa_diag_info {
    const char *code; /* "FA001" */
    const char *text;
    const char *help;
    fa_severity severity;
} fa_diag_info;

/* Looks a diagnostic up. Returns the entry of FA_DIAG_NONE (code "", text "no diagnostic") for a
 * value outside of the enumeration. Any thread. */
FA_API fa_diag_info fa_diag_describe(fa_diag diag);

/* One report. Valid during the call of the hook only, but for the strings in site. */
typedef struct fa_event {
    fa_diag diag;
    fa_severity severity;
    fa_status status; /* what the call in question returns or records */
    const fa_allocator *allocator;
    const char *allocator_name; /* as configured, "" without one */
    uint64_t thread_index;      /* counts attached threads from 1; 0: none attached */
    uint64_t frame_index;       /* frames begun on that thread so far */
    size_t size;                /* bytes asked for or concerned, 0 where it has no meaning */
    size_t limit;               /* limit or amount that would have been enough, 0 likewise */
    const void *address;        /* block or handle concerned, or NULL */
    const char *name;           /* of the timeline concerned; "" where nothing has a name */
    fa_site site;               /* caller's code; file NULL when not recorded */
} fa_event;

/* An event hook. Called on the thread that met the condition, with no lock held: it may allocate,
 * free and query, also from the same allocator. Events met inside the hook are counted but not
 * delivered. It must not destroy the allocator, and can't detach the thread. When a call that works
 * on the thread's frame led to it, it can't begin or end that frame, and rewind it only to marks
 * that it set itself: those calls fail (FA009). */
typedef void fa_event_fn(void *user, const fa_event *event);

/* An event hook that prints one line to stderr:
 * "framealloc[name] FA003 warning: text (size 64, limit 1024) at file:line; help". user is not
 * used. */
FA_API void fa_event_print(void *user, const fa_event *event);

/* The last thing that went wrong on this thread, in any allocator. */
typedef struct fa_error {
    fa_status status; /* FA_OK when nothing has */
    fa_diag diag;     /* FA_DIAG_NONE for a plain bad argument */
    size_t size;      /* bytes asked for */
} fa_error;

/* Reads the calling thread's last error; successful calls do not clear it. Any thread, O(1). */
FA_API fa_error fa_last_error(void);

/* Forgets the calling thread's last error. */
FA_API void fa_last_error_clear(void);

FA_EXTERN_C_END

#endif
