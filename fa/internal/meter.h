/* What of a thread's frame memory is charged to whom, where a budget asks for it.
 *
 * Frame memory is not charged block by block: the thread is granted a range in advance, and the
 * frame's limit ends where that does. So the limit stays the only test. What was granted and not
 * used goes back when the thread leaves the tag, ends the frame or rewinds it. */
#ifndef FAI_METER_H
#define FAI_METER_H

#include "fa/internal/allocator.h"

struct fai_arena;

/* Frame memory that was charged before the thread went on in another tag. */
typedef struct fai_stretch {
    fai_account *account;
    size_t from;  /* what the frame held where it starts */
    size_t bytes; /* charged */
} fai_stretch;
#define FAI_STRETCHES_OWN 12

/* A frame block that was served by pool or heap. */
typedef struct fai_promoted {
    char *block;
    size_t size;     /* as asked for, or less after it was shrunk */
    uint64_t serial; /* of the newest mark when it was made */
} fai_promoted;

/* Those of one frame, oldest first; away from the blocks, whose bounds a program may overstep. */
typedef struct fai_promotions {
    fai_promoted *entry; /* the memory of span */
    size_t count, capacity;
    fai_span span; /* address NULL: none yet; kept until the allocator is destroyed */
} fai_promotions;

/* Invariant where account is not NULL: bytes charged to it for the stretch under way == paid -
 * from, and the frame's limit lies where it holds paid bytes, or before. */
typedef struct fai_meter {
    fai_account *account; /* of the tag; NULL: what the frame takes is not charged */
    size_t from;          /* what the frame held when that began */
    size_t paid;          /* what it may hold */
    bool promote;         /* the last block that was refused is to be served by the pool */
    size_t tag_count;     /* that the thread ever entered */
    fai_stretch *stretch; /* in ascending order, as far as there are marks to rewind to */
    size_t count, capacity;
    fai_span span; /* address NULL: stretch is own, or nothing yet */
    fai_stretch own[FAI_STRETCHES_OWN];
} fai_meter;

/* A frame begins, in an arena that is empty. */
void fai_meter_begin(fai_thread *thread);

/* Makes sure that bytes more are paid for, for the tag that the thread is in. FAI_CHARGE_REFUSED
 * with the reason reported. *news: gets the account that was charged for that, and stays as it is
 * where none was: it is to be given to fai_meter_note, or the charge back by fai_meter_cancel or
 * fai_meter_release. May call hooks and callbacks: look again where the cursor stands. */
fai_charge fai_meter_pay(fai_thread *thread, size_t bytes, fai_account **news);

/* The same without reporting, calling or refusing anything else; false where it would have to. */
bool fai_meter_afford(fai_thread *thread, size_t bytes, fai_account **news);

/* The same for moving the cursor to end; false also when a hook moved it. */
bool fai_meter_afford_end(fai_thread *thread, const char *end, fai_account **news);

/* Once the memory is had: notes what was charged for it. account: NULL does nothing. May call
 * hooks. */
void fai_meter_note(fai_thread *thread, fai_account *account);

/* The memory could not be had: takes back what is paid for and not used. */
void fai_meter_cancel(fai_thread *thread);

/* What is paid for and not yet used; SIZE_MAX where frame memory is not charged. */
size_t fai_meter_left(const fai_thread *thread);

/* Whether a budget may let the frame take more than is left. */
bool fai_meter_may_exceed(fai_thread *thread);

/* Around what may call a hook between the payment and the use: sets bytes aside, so that nobody
 * else uses them, and puts them back. used: they are used now; else they are given back. */
fai_account *fai_meter_hold(fai_thread *thread, size_t bytes);
void fai_meter_release(fai_thread *thread, fai_account *account, size_t bytes, size_t used);

/* The end of what the frame may take without asking, where its chunk ends at end. */
char *fai_meter_limit(const fai_thread *thread, char *cursor, char *end);

/* Makes room for a stretch of each tag that the thread ever entered, where frame memory is charged:
 * so that a sealed allocator refuses none of them. False with the reason reported. */
bool fai_meter_expect_tags(fai_thread *thread);

/* The thread goes on in another tag. */
void fai_meter_switch(fai_thread *thread);

/* The frame was rewound. */
void fai_meter_rewound(fai_thread *thread);

/* The frame is over, or its thread is. detach also frees all promoted blocks; under locks too, so
 * what it finds damaged is counted but no hook called. */
void fai_meter_end(fai_thread *thread);
void fai_meter_detach(fai_thread *thread);
void fai_meter_free(fai_thread *thread); /* what was made beside the thread's state */

/* Gives back what is granted and not used. Returns whether there was anything. */
bool fai_meter_give_back(fai_thread *thread);

/* Serves a frame block as the pool serves one: so perhaps from the heap. NULL with the reason
 * reported. */
void *fai_meter_promote(fai_thread *thread, size_t size, size_t align);

/* The block among those of the open frame that were promoted, or NULL. The answer is good until the
 * next block is promoted. O(blocks promoted since) */
fai_promoted *fai_meter_find(const fai_thread *thread, const void *block);

/* Frees the promoted blocks of an arena whose frame is dead. May call hooks. */
void fai_meter_bury(fai_thread *thread, struct fai_arena *arena);

/* The same for those that came after a mark, once the open frame was rewound to it. */
void fai_meter_bury_since(fai_thread *thread, uint64_t serial);

/* The same by another thread, also under locks. */
void fai_meter_bury_afar(fai_thread *thread, struct fai_arena *arena);

/* The same for all arenas of a thread, as another one would; under locks too. */
void fai_meter_bury_all(fai_thread *thread);

#endif
