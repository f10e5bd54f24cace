/* Collections in frame memory: who touched whom in this frame, and a line to show about it. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct contact {
    uint32_t left, right;
    float depth;
} contact;

FA_VEC(contact_vec, contact)
FA_MAP(touch_map, uint32_t, int, fa_hash_u32, fa_equal_u32)
FA_MAP(name_map, const char *, uint32_t, fa_hash_string, fa_equal_string)
FA_RING(depth_ring, float)
FA_VEC(contact_ref_vec, contact *)
FA_RING(label_ring, const char *)
FA_MAP(label_map, fa_str, const contact *, fa_hash_str, fa_equal_str)

static bool is_deep(void *limit, const contact *found) {
    return found->depth > *(const float *)limit;
}

static bool is_of_crate(void *crate, contact *const *found) {
    return (*found)->right == *(const uint32_t *)crate;
}

/* Elements may be pointers, into the same frame or elsewhere, and keys pieces of text. Returns how
 * many contacts are of that body. */
static size_t refer(fa_frame *memory, contact_vec *contacts, uint32_t body) {
    contact_ref_vec of_body = contact_ref_vec_make_in(memory, 0);
    label_ring labels = label_ring_make_in(memory, 2);
    label_map firsts = label_map_make_in(memory, 4);
    FA_VEC_EACH(found, contacts)
    (void)contact_ref_vec_push(&of_body, found);
    (void)contact_ref_vec_retain(&of_body, is_of_crate, &body);
    (void)label_ring_push_back(&labels, "left");
    (void)label_ring_push_back(&labels, NULL); /* has no name: the empty piece */
    const contact *first = of_body.count != 0 ? of_body.items[0] : NULL;
    for (const char **label = label_ring_front(&labels); label != NULL;
         label = label_ring_next(&labels, label))
        (void)label_map_set(&firsts, fa_str_of(*label), first);
    return label_map_contains(&firsts, fa_str_of(NULL)) ? of_body.count : 0;
}

/* Finds contacts, keeps the deep ones, and counts how often each body is in one. */
static void frame(fa_frame *memory) {
    contact_vec contacts = contact_vec_make_in(memory, 0); /* grows */
    depth_ring last = depth_ring_make_in(memory, 4);       /* of the last four */
    for (uint32_t i = 0; i < 100; i++) {
        contact found = {i % 7, i % 5, (float)(i % 10)};
        if (contact_vec_push(&contacts, found) != FA_OK)
            break; /* out of memory: go on with those found so far */
        (void)depth_ring_push_back_over(&last, found.depth);
    }
    float limit = 7;
    size_t shallow = contact_vec_retain(&contacts, is_deep, &limit);

    touch_map touches = touch_map_make_in(memory, 7); /* at most seven bodies, never more */
    FA_VEC_EACH(found, &contacts) {
        bool is_new;
        int *count = touch_map_slot(&touches, found->left, &is_new);
        if (count != NULL)
            *count = is_new ? 1 : *count + 1;
    }

    name_map bodies = name_map_make_in(memory, 2);
    (void)name_map_set(&bodies, "crate", 3);
    const uint32_t *crate = name_map_find(&bodies, "crate");
    int *of_crate = crate ? touch_map_find(&touches, *crate) : NULL;

    fa_text line = fa_text_make_in(memory, 0);
    (void)fa_text_format(&line, "%zu deep, %zu shallow; crate: %d; last:", contacts.count, shallow,
                         of_crate ? *of_crate : 0);
    for (float *depth = depth_ring_front(&last); depth; depth = depth_ring_next(&last, depth))
        (void)fa_text_format(&line, " %.0f", (double)*depth);
    int sum = 0;
    fa_map_cursor cursor = {0};
    for (touch_map_entry *entry; (entry = touch_map_next(&touches, &cursor)) != NULL;)
        sum += entry->value;
    printf("%s; %d in all, %zu onto the crate\n", fa_text_c_str(&line), sum,
           crate ? refer(memory, &contacts, *crate) : 0);
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    for (int i = 0; i < 3; i++) {
        fa_frame *begun = fa_frame_begin(memory);
        if (begun != NULL)
            frame(begun);
        (void)fa_frame_end(memory); /* all collections of the frame are gone */
    }
    fa_allocator_destroy(memory);
    return 0;
}
