/* The allocator: what all threads share, and what every other call takes first. */
#ifndef FA_ALLOCATOR_H
#define FA_ALLOCATOR_H

#include "fa/config.h"

FA_EXTERN_C_BEGIN

/* Makes an allocator. Nothing is taken from the backend but its own tables (some ten KiB).
 * config: copied; NULL: fa_alloc_config_default().
 * allocator: gets the result, NULL on failure.
 * Returns FA_OK; FA_ERROR_CONFIG (a field is out of range, the structure was not filled by a
 * preset, or program and library were built with different settings), FA_ERROR_BACKEND
 * (backend_spec), FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT (bytes_max), FA_ERROR_INVALID (allocator is
 * NULL). Any thread. */
FA_API fa_status fa_allocator_create(const fa_alloc_config *config, fa_allocator **allocator);

/* Ends an allocator and gives all its memory back, also what is still in use; each pool and heap
 * block still alive is reported first (FA605, the first 16 one by one).
 * Order: first all callbacks, newest owner first: clean-ups of open frames; then destructors of
 * groups, of typed pools and of object caches, evict callbacks of streams, clean-ups of transfers.
 * All of that is still there then, and may be called, but typed pools and caches are empty from
 * their own turn on: they give nothing out (FA_ERROR_FULL), and have no object that could be
 * released (FA640). It is repeated while callbacks make more, up to eight times. Only then is
 * anything destroyed.
 * No other thread may be inside of a call on it; threads that merely used it before may live on,
 * exit, and use other allocators at any time.
 * Returns how many pool and heap blocks were alive. NULL is ignored and gives 0. When further
 * references are held (fa_allocator_acquire) nothing happens, SIZE_MAX is returned and
 * fa_last_error says FA_ERROR_INVALID. */
FA_API size_t fa_allocator_destroy(fa_allocator *allocator);

/* Shared ownership: create gives one reference, acquire adds one and returns its argument, release
 * drops one and destroys the allocator with the last. Any thread.
 * release returns what destroy returns when it was the last, else 0. */
FA_API fa_allocator *fa_allocator_acquire(fa_allocator *allocator);
FA_API size_t fa_allocator_release(fa_allocator *allocator);

/* The configuration in force: presets resolved, chunk sizes rounded, strings owned by the
 * allocator. Lives as long as the allocator. Any thread. */
FA_API const fa_alloc_config *fa_allocator_config(const fa_allocator *allocator);

/* From now on nothing is asked from or given to the backend any more, until destroy: what fits into
 * memory that is held is served, what does not is refused (FA_ERROR_SEALED, FA702). For consoles,
 * audio threads, certified systems. Can't be undone. Any thread. */
FA_API void fa_backend_seal(fa_allocator *allocator);
FA_API bool fa_backend_is_sealed(const fa_allocator *allocator);

/* Describes backend number index of the chain (0 first). Returns FA_ERROR_INVALID past the end. */
FA_API fa_status fa_backend_describe(const fa_allocator *allocator, size_t index,
                                     fa_backend_info *info);

/* NUMA placement of memory that this allocator gave out, through the first backend of the chain
 * that can: see bind and locate in backend.h. bind prefers node for the pages of [block, block +
 * size) that were not touched yet; locate writes where the pages lie, nodes having room for count
 * values. Pages are whole: neighbours of a small block move with it. Return FA_ERROR_INVALID (NULL,
 * size 0, negative node), FA_ERROR_SEALED, FA_ERROR_UNSUPPORTED (no backend of the chain can, or
 * the system forbids it). Any thread, a system call. */
FA_API fa_status fa_backend_bind(fa_allocator *allocator, void *block, size_t size, int node);
FA_API fa_status fa_backend_locate(fa_allocator *allocator, void *block, size_t size, int *nodes,
                                   size_t count);

/* Gives back what the calling thread and the shared caches hold without need: ready pool objects,
 * scratch arenas without an open scope, empty slabs and segments, those of handle tables too, the
 * heap cache. Frame memory of
 * an open frame is not touched. Returns the bytes given to the backend. O(what is held), locks. */
FA_API size_t fa_allocator_trim(fa_allocator *allocator);

/* Walks every structure of the allocator and checks that its invariants hold.
 * No other thread may be inside of a call on it.
 * place: gets the address that is wrong, or NULL; may be NULL itself.
 * Returns FA_OK, or FA_ERROR_CORRUPT with what was found reported as FA901. O(everything). */
FA_API fa_status fa_validate(fa_allocator *allocator, const void **place);

/* Frees a pool or heap block by its address alone, from any thread. NULL is ignored.
 * Misuse (FA601, FA602) is reported and changes nothing. */
FA_API void fa_free(fa_allocator *allocator, void *block);

/* Bytes that may be used in a pool or heap block: at least what was asked for.
 * Returns 0 for NULL and for a pointer that is not a live block of this allocator (FA601). */
FA_API size_t fa_usable_size(fa_allocator *allocator, const void *block);

typedef enum fa_intent {
    FA_INTENT_NONE,
    FA_INTENT_FRAME,
    FA_INTENT_POOL,
    FA_INTENT_HEAP
} fa_intent;

/* Whose memory is this? Any pointer may be asked about. Frame memory is recognised on the thread
 * that owns it. Returns FA_INTENT_NONE for what is not this allocator's. Locks. */
FA_API fa_intent fa_intent_of(fa_allocator *allocator, const void *pointer);

FA_EXTERN_C_END

#endif
