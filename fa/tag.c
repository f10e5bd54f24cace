/* Tags: their names and their tree. */
#include "fa/tag.h"

#include "fa/frame.h"
#include "fa/heap.h"
#include "fa/internal/heap.h"
#include "fa/internal/thread.h"
#include "fa/pool.h"

#include <string.h>

static const char *const k_standard[FA_TAG_STANDARD_COUNT] = {
    "", "rendering", "physics", "audio", "scripting", "assets", "ui", "networking", "general"};

/* ---- the tree ---- */

fai_tag *fai_tag_at(fa_allocator *allocator, uint32_t tag) {
    fai_tag_block *block = FAI_LOAD_ACQUIRE(&allocator->tags.block[tag / FAI_TAG_BLOCK]);
    return &block->tag[tag % FAI_TAG_BLOCK];
}

fai_account *fai_tag_account(fa_allocator *allocator, uint32_t tag) {
    return tag == 0 ? &allocator->account : &fai_tag_at(allocator, tag)->account;
}

bool fai_tag_is_below(fa_allocator *allocator, uint32_t tag, uint32_t ancestor) {
    while (tag > ancestor)
        tag = fai_tag_at(allocator, tag)->parent;
    return tag == ancestor;
}

static bool exists(fa_allocator *allocator, fa_tag tag) {
    return tag < FAI_LOAD_ACQUIRE(&allocator->tags.count);
}

/* FNV-1a. */
static uint32_t hash_of(const char *name, size_t length) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash;
}

static uint32_t find_child(fa_allocator *allocator, uint32_t parent, const char *name,
                           size_t length) {
    uint32_t hash = hash_of(name, length);
    uint32_t child = FAI_LOAD_ACQUIRE(&fai_tag_at(allocator, parent)->child);
    while (child != 0) {
        const fai_tag *tag = fai_tag_at(allocator, child);
        if (tag->hash == hash && memcmp(tag->name, name, length) == 0 && tag->name[length] == 0)
            break;
        child = tag->sibling;
    }
    return child;
}

/* Adds a tag, for which there is room. Under the lock. */
static uint32_t add_child(fa_allocator *allocator, uint32_t parent, const char *name,
                          size_t length) {
    uint32_t number = allocator->tags.count;
    fai_tag *tag = fai_tag_at(allocator, number), *above = fai_tag_at(allocator, parent);
    tag->parent = parent;
    tag->account.parent = fai_tag_account(allocator, parent);
    tag->hash = hash_of(name, length);
    tag->sibling = above->child;
    memcpy(tag->name, name, length);
    FAI_STORE_RELEASE(&allocator->tags.count, number + 1);
    FAI_STORE_RELEASE(&above->child, number);
    return number;
}

void fai_tags_create(fa_allocator *allocator) {
    allocator->tags.block[0] = &allocator->tags.first;
    allocator->tags.count = 1;
    for (size_t i = 1; i < FA_TAG_STANDARD_COUNT; i++)
        add_child(allocator, 0, k_standard[i], strlen(k_standard[i]));
}

void fai_tags_destroy(fa_allocator *allocator) {
    for (size_t i = 1; i < FAI_TAG_BLOCKS; i++)
        if (allocator->tags.block[i] != NULL) {
            fai_span span = allocator->tags.block[i]->span;
            fai_span_free(&allocator->spans, &span);
        }
}

/* ---- paths ---- */

/* Cuts the next part off a path, which is a good one. Returns its length. */
static size_t part_of(const char *path, const char **rest) {
    const char *end = strchr(path, ':');
    size_t length = end != NULL ? (size_t)(end - path) : strlen(path);
    *rest = end != NULL ? end + 2 : path + length;
    return length;
}

static bool is_path(const char *path) {
    size_t part = 0;
    for (size_t i = 0; path != NULL && i < FA_TAG_PATH_BYTES; i++) {
        unsigned char byte = (unsigned char)path[i];
        if (byte != 0 && byte != ':') {
            if (byte < ' ' || byte == 127 || ++part == FA_TAG_NAME_BYTES)
                return false;
            continue;
        }
        if (part == 0)
            return false;
        if (byte == 0)
            return true;
        if (path[++i] != ':')
            return false;
        part = 0;
    }
    return false;
}

static size_t path_length(fa_allocator *allocator, uint32_t tag) {
    size_t length = 0;
    for (; tag != 0; tag = fai_tag_at(allocator, tag)->parent)
        length += strlen(fai_tag_at(allocator, tag)->name) + 2;
    return length ? length - 2 : 0;
}

/* Follows a path as far as there are tags. Returns the last, and what is left of the path. */
static uint32_t follow(fa_allocator *allocator, uint32_t tag, const char **path) {
    while (**path != 0) {
        const char *rest;
        size_t length = part_of(*path, &rest);
        uint32_t child = find_child(allocator, tag, *path, length);
        if (child == 0)
            break;
        tag = child;
        *path = rest;
    }
    return tag;
}

/* ---- making ---- */

/* Makes room for what comes up to number `last`. Reports why not. */
static fa_status make_room(fa_allocator *allocator, uint32_t last, const char *path) {
    if (last >= allocator->config.tag_count_max)
        return fai_report(allocator, FA_DIAG_FA402, FA_ERROR_LIMIT, last + 1,
                          allocator->config.tag_count_max, path);
    for (uint32_t i = 1; i <= last / FAI_TAG_BLOCK; i++) {
        if (FAI_LOAD_ACQUIRE(&allocator->tags.block[i]) != NULL)
            continue;
        fai_span span;
        fa_status status =
            fai_allocator_span(allocator, sizeof(fai_tag_block), 64, FA_SPAN_META, &span);
        if (status != FA_OK)
            return status;
        fai_tag_block *block = (fai_tag_block *)span.address;
        memset(block, 0, sizeof *block);
        block->span = span;
        fai_lock(allocator);
        bool needed = allocator->tags.block[i] == NULL; /* another thread may have been faster */
        if (needed)
            FAI_STORE_RELEASE(&allocator->tags.block[i], block);
        fai_unlock(allocator);
        if (!needed)
            fai_span_free(&allocator->spans, &span);
    }
    return FA_OK;
}

/* Number of parts in what is left of a path. */
static uint32_t parts_in(const char *path) {
    uint32_t count = 0;
    for (; *path != 0; count++)
        part_of(path, &path);
    return count;
}

fa_tag fai_tag_walk(fa_allocator *allocator, uint32_t parent, const char *path, bool make) {
    const char *rest = path;
    uint32_t tag = follow(allocator, parent, &rest);
    if (*rest == 0)
        return tag;
    if (!make)
        return FA_TAG_NONE;
    size_t above = path_length(allocator, parent);
    if (above != 0 && above + 2 + strlen(path) >= FA_TAG_PATH_BYTES) {
        fai_fail(FA_ERROR_INVALID, strlen(path));
        return FA_TAG_NONE;
    }
    for (uint32_t room = 0;;) { /* so many tags fit; others may be faster than we are */
        fai_lock(allocator);
        tag = follow(allocator, tag, &rest);
        uint32_t needed = allocator->tags.count + parts_in(rest);
        bool done = needed <= room || *rest == 0;
        while (done && *rest != 0) {
            const char *name = rest;
            size_t length = part_of(name, &rest);
            tag = add_child(allocator, tag, name, length);
        }
        fai_unlock(allocator);
        if (done)
            return tag;
        if (make_room(allocator, needed - 1, path) != FA_OK)
            return FA_TAG_NONE;
        room = needed;
    }
}

fa_tag fa_tag_intern(fa_allocator *allocator, const char *path) {
    if (allocator == NULL || !is_path(path)) {
        fai_fail(FA_ERROR_INVALID, 0);
        return FA_TAG_NONE;
    }
    return fai_tag_walk(allocator, 0, path, true);
}

fa_tag fa_tag_find(fa_allocator *allocator, const char *path) {
    return allocator && is_path(path) ? fai_tag_walk(allocator, 0, path, false) : FA_TAG_NONE;
}

fa_status fa_tag_enter_name(fa_allocator *allocator, const char *name) {
    if (allocator == NULL || !is_path(name))
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_tag tag = fai_tag_walk(allocator, fai_tag_now(allocator), name, true);
    return tag == FA_TAG_NONE ? fa_last_error().status : fa_tag_enter(allocator, tag);
}

/* ---- questions ---- */

size_t fa_tag_path(fa_allocator *allocator, fa_tag tag, char *text, size_t text_bytes) {
    if (text != NULL && text_bytes > 0)
        *text = 0;
    if (allocator == NULL || !exists(allocator, tag) || (text == NULL && text_bytes != 0)) {
        fai_fail(FA_ERROR_INVALID, 0);
        return SIZE_MAX;
    }
    char path[FA_TAG_PATH_BYTES + 2];
    size_t length = path_length(allocator, tag), at = length;
    for (; tag != 0; tag = fai_tag_at(allocator, tag)->parent) {
        const fai_tag *part = fai_tag_at(allocator, tag);
        size_t bytes = strlen(part->name);
        at -= bytes;
        memcpy(path + at, part->name, bytes);
        if (at != 0) {
            at -= 2;
            memcpy(path + at, "::", 2);
        }
    }
    if (text_bytes > 0) {
        size_t copied = length < text_bytes ? length : text_bytes - 1;
        memcpy(text, path, copied);
        text[copied] = 0;
    }
    return length;
}

fa_tag fa_tag_parent(fa_allocator *allocator, fa_tag tag) {
    if (allocator == NULL || !exists(allocator, tag)) {
        fai_fail(FA_ERROR_INVALID, 0);
        return FA_TAG_NONE;
    }
    return tag == FA_TAG_ROOT ? FA_TAG_NONE : fai_tag_at(allocator, tag)->parent;
}

size_t fa_tag_count(fa_allocator *allocator) {
    return allocator ? FAI_LOAD_ACQUIRE(&allocator->tags.count) : 0;
}

/* ---- allocator and tag in one value ---- */

static bool is_bound(fa_tagged tagged, size_t size) {
    if (tagged.allocator != NULL && exists(tagged.allocator, tagged.tag))
        return true;
    fai_fail(FA_ERROR_INVALID, size);
    return false;
}

/* Without an open frame the plain call says what is wrong, and attaches nobody. */
static bool enter_frame(fa_tagged tagged, size_t size) {
    if (!is_bound(tagged, size))
        return false;
    if (fa_frame_current(tagged.allocator) == NULL) {
        fai_report(tagged.allocator, FA_DIAG_FA001, FA_ERROR_NO_FRAME, size, 0, NULL);
        return false;
    }
    return fa_tag_enter(tagged.allocator, tagged.tag) == FA_OK;
}

static bool enter(fa_tagged tagged, size_t size) {
    return is_bound(tagged, size) && fa_tag_enter(tagged.allocator, tagged.tag) == FA_OK;
}

static void *left(fa_tagged tagged, void *block) {
    (void)fa_tag_leave(tagged.allocator);
    return block;
}

void *fa_tagged_frame_alloc(fa_tagged tagged, size_t size) {
    if (!enter_frame(tagged, size))
        return NULL;
    return left(tagged, (fa_frame_alloc)(tagged.allocator, size));
}

void *fa_tagged_frame_alloc_aligned(fa_tagged tagged, size_t size, size_t align) {
    if (!enter_frame(tagged, size))
        return NULL;
    return left(tagged, (fa_frame_alloc_aligned)(tagged.allocator, size, align));
}

void *fa_tagged_frame_alloc_zeroed(fa_tagged tagged, size_t count, size_t size) {
    if (!enter_frame(tagged, size))
        return NULL;
    return left(tagged, (fa_frame_alloc_zeroed)(tagged.allocator, count, size));
}

void *fa_tagged_pool_alloc(fa_tagged tagged, size_t size) {
    if (!enter(tagged, size))
        return NULL;
    return left(tagged, (fa_pool_alloc)(tagged.allocator, size));
}

void *fa_tagged_pool_alloc_aligned(fa_tagged tagged, size_t size, size_t align) {
    if (!enter(tagged, size))
        return NULL;
    return left(tagged, (fa_pool_alloc_aligned)(tagged.allocator, size, align));
}

void *fa_tagged_pool_alloc_zeroed(fa_tagged tagged, size_t count, size_t size) {
    if (!enter(tagged, size))
        return NULL;
    return left(tagged, (fa_pool_alloc_zeroed)(tagged.allocator, count, size));
}

void *(fa_tagged_heap_alloc)(fa_tagged tagged, size_t size) {
    return is_bound(tagged, size) ? fai_heap_alloc(tagged.allocator, size, FA_ALIGN_MIN, tagged.tag)
                                  : NULL;
}

void *(fa_tagged_heap_alloc_aligned)(fa_tagged tagged, size_t size, size_t align) {
    return is_bound(tagged, size) ? fai_heap_alloc(tagged.allocator, size, align, tagged.tag)
                                  : NULL;
}

void *(fa_tagged_heap_alloc_zeroed)(fa_tagged tagged, size_t count, size_t size) {
    return is_bound(tagged, size) ? fai_heap_zeroed(tagged.allocator, count, size, tagged.tag)
                                  : NULL;
}
