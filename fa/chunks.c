/* All chunks that an allocator's frames have, for whoever knows nothing but an address. */
#include "fa/internal/arena.h"
#include "fa/internal/poison.h"

void fai_chunks_add(fa_allocator *allocator, fai_chunk *chunk) {
    fai_lock(allocator);
    chunk->newer = NULL;
    chunk->older = allocator->chunks;
    if (chunk->older != NULL)
        chunk->older->newer = chunk;
    allocator->chunks = chunk;
    fai_unlock(allocator);
}

static void take_off(fa_allocator *allocator, const fai_chunk *chunk) {
    fai_lock(allocator);
    if (chunk->newer != NULL)
        chunk->newer->older = chunk->older;
    else
        allocator->chunks = chunk->older;
    if (chunk->older != NULL)
        chunk->older->newer = chunk->newer;
    fai_unlock(allocator);
}

bool fai_chunks_free(fa_allocator *allocator, fai_chunk *chunk) {
    fai_span span = chunk->span;
    fai_unpoison_defined(span.address, span.size);
    take_off(allocator, chunk);
    bool done = fai_span_free(&allocator->spans, &span);
    if (done)
        return true;
    fai_chunks_add(allocator, chunk);
    if (allocator->watched) /* nothing in it is alive */
        fai_poison(fai_chunk_start(chunk), (size_t)(chunk->end - fai_chunk_start(chunk)));
    return false;
}

bool fai_chunks_hold(fa_allocator *allocator, const void *pointer) {
    const char *byte = (const char *)pointer;
    fai_lock(allocator);
    const fai_chunk *chunk = allocator->chunks;
    while (chunk != NULL && (byte < (const char *)chunk || byte >= chunk->end))
        chunk = chunk->older;
    fai_unlock(allocator);
    return chunk != NULL;
}
