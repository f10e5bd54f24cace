/* What the files of backends/ share with each other. */
#ifndef FA_BACKENDS_INTERNAL_H
#define FA_BACKENDS_INTERNAL_H

#include "backends/backends.h"

FA_EXTERN_C_BEGIN

/* --- support.c: texts, state, libraries --- */

/* Writes one line into message, cut to fit. message may be NULL. */
void fai_message_set(char *message, size_t message_bytes, const char *format, ...) FA_PRINTF(3, 4);

/* Appends to a description, cut to fit. */
void fai_text_add(fa_backend_info *info, const char *format, ...) FA_PRINTF(2, 3);

/* Describes inner and puts its text into "name(...)". */
void fai_inner_describe(const char *name, const fa_backend *inner, fa_backend_info *info);

size_t fai_page_bytes(void);
static inline size_t fai_round_up(size_t value, size_t power_of_two) {
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

/* Zeroed memory straight from the system: backends may not use the malloc of a process whose malloc
 * may be built on them. NULL when there is none. */
void *fai_state_create(size_t bytes);
void fai_state_destroy(void *state, size_t bytes);

/* Drops the physical memory of the whole units inside [ptr, ptr + size). unit: a power of two. */
void fai_purge_units(void *ptr, size_t size, size_t unit);

/* A function to look up in a library, and where in a table of pointers it goes. */
typedef struct fai_symbol {
    const char *name;
    size_t offset;
} fai_symbol;

typedef struct fai_library {
    const char *file;    /* "libhwloc.so.15" */
    const char *package; /* that has it: named in the message when it is missing */
    const fai_symbol *symbols;
    size_t symbol_count;
} fai_library;

/* Loads a library for good and fills table. The message names what is missing. */
fa_status fai_library_load(const fai_library *library, void *table, char *message,
                           size_t message_bytes);

/* --- mmap.c: what numa is built on --- */

typedef struct fai_map {
    fa_mmap_options options; /* name is not used */
    char name[FA_MAP_NAME_BYTES];
    size_t page_bytes;
    size_t huge_bytes;   /* 0: neither huge nor hugetlb is in force */
    const char *note;    /* static; said in the description; NULL: none */
    int names_refused;   /* atomic: the kernel can't name mappings */
    int hugetlb_refused; /* atomic: at least one span had to do without */
} fai_map;

/* Returns NULL, or what is wrong with the options (static). */
const char *fai_map_init(fai_map *map, const fa_mmap_options *options);
/* Maps a span without touching it. */
void *fai_map_alloc(fai_map *map, size_t size, size_t align, fa_span_kind kind);
/* Touches all pages of it when prefault asks for that. */
bool fai_map_populate(const fai_map *map, void *ptr, size_t size);
void fai_map_free(fai_map *map, void *ptr, size_t size);
bool fai_map_resize(fai_map *map, void *ptr, size_t size_old, size_t size_new);
void fai_map_purge(fai_map *map, void *ptr, size_t size);
/* Fills info, except for the name in front of the options; open: a ':' or ',' comes first. */
void fai_map_describe(fai_map *map, fa_backend_info *info, bool first_option);

/* fa_backend_mmap, with a reason. */
fa_status fai_mmap_open(const fa_mmap_options *options, fa_backend *backend, char *message,
                        size_t message_bytes);

/* --- fixed.c --- */

/* As fa_backend_fixed on a region that mmap gives and close takes back. */
fa_status fai_fixed_open(size_t bytes, const fa_mmap_options *options, fa_backend *backend,
                         char *message, size_t message_bytes);

FA_EXTERN_C_END

#endif
