/* Phases are a log: an entry for each begin and each end, by which a phase can be computed when
 * somebody asks. See phase.c. */
#ifndef FAI_PHASE_H
#define FAI_PHASE_H

#include "fa/fast.h"
#include "fa/internal/span.h"

typedef struct fai_thread fai_thread;

/* The phases of a thread, apart from what the inline functions need, which is in its frame. */
typedef struct fai_phases {
    fai_phase_entry *first; /* of capacity entries; the last few are for ends only */
    size_t capacity;
    fai_span span;        /* of the entries; address NULL: none yet */
    size_t count;         /* entries of the frame in question, once it has ended */
    uint64_t frame_index; /* the frame in question, counted from 1; 0: none */
    size_t bytes_peak;    /* most bytes in the open frame, as far as it is in the log */
    uint64_t lost_count;  /* phases without an entry */
    size_t lost_open;     /* open ones among them: the innermost */
    size_t depth_inside;  /* open ones with an entry while others are lost */
} fai_phases;

void fai_phase_attach(fai_thread *thread);
void fai_phase_detach(fai_thread *thread);

/* Ends the open phases, and reports each. Calls hooks. */
void fai_phase_close(fai_thread *thread);

/* The open frame is about to end: so do phases that are still open, and the log. Calls no hook. */
void fai_phase_frame_end(fai_thread *thread);

/* How many entries the log of the open frame has, and the name of the innermost phase that was open
 * when it had so many, NULL: none was. The log may be that of the calling thread's last frame. */
size_t fai_phase_position(const fai_thread *thread);
const char *fai_phase_name_at(const fai_thread *thread, size_t position);

/* The cursor went down: phases that had begun above it begin there now. */
void fai_phase_rewound(fai_thread *thread);

#endif
