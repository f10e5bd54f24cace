/* Transfers: an object handed to another thread, received exactly once.
 *
 *   sender:    fa_transfer transfer;
 *              fa_transfer_copy(allocator, &command, &transfer);
 *              fa_transfer_send(allocator, transfer);
 *              ... the eight bytes of transfer go through any queue ...
 *   receiver:  command *it = fa_transfer_receive_as(allocator, command, transfer);
 *              ... and in the end fa_pool_free(allocator, it)
 *
 * Making one copies the object at once: it may lie on the sender's stack or in its frame, which may
 * end. A small one travels in the transfer itself, and the receiver gets it in a pool object of its
 * own, of the tag that it is in; a larger one travels in a pool or heap block of the sender's tag,
 * which becomes the receiver's as it is. What is not received is dropped, by hand or with the
 * allocator, which names each one (FA207): then its clean-up runs, and the block is freed.
 *
 * A handle may be handed over in any way, ordered or not; all that the sender did before it made
 * the transfer is seen by the receiver. Two threads that race for one are told apart: one gets the
 * object, the other FA_ERROR_TAKEN. So does whoever comes later, also when the place of the
 * transfer in the registry has been used again many times.
 *
 * All calls: any thread. A receive is one atomic step, without a lock where the calling thread used
 * this allocator last. */
#ifndef FA_TRANSFER_H
#define FA_TRANSFER_H

#include "fa/allocator.h"
#include "fa/tag.h"

FA_EXTERN_C_BEGIN

/* The small ones, aligned to 16. */
#define FA_TRANSFER_SMALL_BYTES 64

/* Names a transfer for ever. id 0 is none. */
typedef struct fa_transfer {
    uint64_t id;
} fa_transfer;

typedef enum fa_transfer_state {
    FA_TRANSFER_NONE,      /* never made, or so long over that its place is used again */
    FA_TRANSFER_OWNED,     /* made, not sent */
    FA_TRANSFER_IN_FLIGHT, /* sent, not received */
    FA_TRANSFER_RECEIVED,
    FA_TRANSFER_DROPPED
} fa_transfer_state;

/* What a receiver gets. */
typedef struct fa_received {
    void *object;          /* his now: to be freed with fa_pool_free */
    size_t size;           /* as it was made */
    uint64_t thread_index; /* of the sender, as in fa_event */
    fa_tag tag;            /* that the sender was in */
} fa_received;

/* A clean-up: called with the object when it is dropped, before its block is freed; no lock is
 * held. It may call anything but the destruction of the allocator. */
typedef void fa_transfer_drop_fn(void *user, void *object);

/* Makes a transfer out of a copy of an object.
 * source: size bytes; frame memory, say. align: a power of two up to FA_ALIGN_MAX; less than 16
 * counts as 16. *transfer: its handle, or id 0.
 * Returns FA_OK, FA_ERROR_INVALID (NULL, bad size or alignment), or why there is no memory, as
 * fa_pool_alloc. O(size); the registry grows through the heap. */
FA_API fa_status fa_transfer_make(fa_allocator *allocator, const void *source, size_t size,
                                  size_t align, fa_transfer *transfer);

/* The same without a copy: takes over a pool or heap block of this allocator. A call that fails
 * leaves it to the caller. */
FA_API fa_status fa_transfer_wrap(fa_allocator *allocator, void *block, size_t size,
                                  fa_transfer *transfer);

/* Sets what is to be done when the transfer is dropped; NULL: nothing. By its maker, before it
 * sends it. Returns FA_OK, FA_ERROR_INVALID, FA_ERROR_STATE (sent), FA_ERROR_TAKEN, or
 * FA_ERROR_FOREIGN (FA206: no such transfer). */
FA_API fa_status fa_transfer_on_drop(fa_allocator *allocator, fa_transfer transfer,
                                     fa_transfer_drop_fn *function, void *user);

/* Says that it is handed over; before it is. Reports tell so; who receives does not care. Returns
 * FA_OK, FA_ERROR_INVALID for NULL, FA_ERROR_STATE (sent already), FA_ERROR_TAKEN, or
 * FA_ERROR_FOREIGN (FA206). */
FA_API fa_status fa_transfer_send(fa_allocator *allocator, fa_transfer transfer);

/* Receives it: sent or not, also by the thread that made it. *received: what it is, or all zero.
 * Returns FA_OK, FA_ERROR_INVALID for NULL, FA_ERROR_TAKEN (received or dropped already, or being
 * so), FA_ERROR_FOREIGN (FA206: no such transfer), or why there is no memory for a small object, as
 * fa_pool_alloc: then it stays. Does not wait for others. */
FA_API fa_status fa_transfer_receive(fa_allocator *allocator, fa_transfer transfer,
                                     fa_received *received);

/* Drops it. As fa_transfer_receive. */
FA_API fa_status fa_transfer_drop(fa_allocator *allocator, fa_transfer transfer);

/* What has become of it, a moment ago. FA_TRANSFER_NONE for NULL, and for what never was, too. */
FA_API fa_transfer_state fa_transfer_state_get(fa_allocator *allocator, fa_transfer transfer);

/* Typed: of the object that a pointer points to; its address as a pointer to type, or NULL with
 * fa_last_error as above, or FA_ERROR_FOREIGN (FA206) when it has another size: then it stays. */
#define fa_transfer_copy(allocator, pointer, transfer)                                             \
    fa_transfer_make((allocator), (pointer), sizeof *(pointer), FAI_TRANSFER_ALIGN(pointer),       \
                     (transfer))
#define fa_transfer_receive_as(allocator, type, transfer)                                          \
    ((type *)fai_transfer_receive_sized((allocator), (transfer), sizeof(type)))

/* All transfers of an allocator. While nobody is at work, made_count == received_count +
 * dropped_count + in_flight_count. */
typedef struct fa_transfer_stats {
    uint64_t made_count;
    uint64_t received_count;
    uint64_t dropped_count;
    uint64_t bytes_made;
    size_t in_flight_count; /* sent or not */
    size_t in_flight_bytes;
    size_t slot_count; /* places in the registry: at most four times the most in flight at once for
                        * each thread that made some, or 64 */
} fa_transfer_stats;

/* Reads the stats. Returns FA_OK or FA_ERROR_INVALID (NULL). Locks, O(slots). */
FA_API fa_status fa_transfer_stats_get(fa_allocator *allocator, fa_transfer_stats *stats);

FA_API void *fai_transfer_receive_sized(fa_allocator *allocator, fa_transfer transfer, size_t size);
#define FAI_TRANSFER_ALIGN(pointer) __alignof__(*(pointer))

FA_EXTERN_C_END

#define FAI_TRANSFER_DECLARED
#include "fa/site.h"

#endif
