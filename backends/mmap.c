/* Private anonymous mappings, one for each span. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "backends/internal.h"

/* From linux/prctl.h and linux/mman.h, for older headers. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define HUGETLB_SHIFT 26

/* An aligned span is cut out of a mapping larger by its alignment: address space, not memory. */
#define MAP_ALIGN_MAX ((size_t)1 << 30)

static const char *const kind_names[FA_SPAN_KIND_COUNT] = {"meta", "chunk", "segment", "heap"};

static bool flag_get(const int *flag) { return __atomic_load_n(flag, __ATOMIC_RELAXED) != 0; }
static void flag_set(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

/* Reads a small file of /sys; "" when there is none. */
static void sysfs_read(const char *path, char *text, size_t bytes) {
    text[0] = '\0';
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    ssize_t count = read(file, text, bytes - 1);
    text[count > 0 ? count : 0] = '\0';
    close(file);
}

static int hugetlb_flags(size_t huge_bytes) {
    return MAP_HUGETLB | (__builtin_ctzll(huge_bytes) << HUGETLB_SHIFT);
}

static void map_init_huge(fai_map *map) {
    char text[64];
    sysfs_read("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", text, sizeof text);
    size_t huge = strtoul(text, NULL, 10);
    sysfs_read("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
    bool off = huge == 0 || strstr(text, "[never]") != NULL;
    if (huge == 0 || (huge & (huge - 1)) != 0)
        huge = (size_t)2 << 20;
    if (map->options.hugetlb) {
        void *probe = mmap(NULL, huge, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | hugetlb_flags(huge), -1, 0);
        if (probe == MAP_FAILED)
            map->note = off ? "no huge pages reserved, and transparent ones are off"
                            : "no huge pages reserved: transparent ones";
        else
            munmap(probe, huge);
        map->huge_bytes = probe == MAP_FAILED && off ? 0 : huge;
    } else if (map->options.huge) {
        map->note = off ? "transparent huge pages are off" : NULL;
        map->huge_bytes = off ? 0 : huge;
    }
}

static bool name_usable(const char *name) {
    for (const char *c = name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~' || strchr("[]\\$`,+", *c) != NULL)
            return false;
    return strlen(name) < FA_MAP_NAME_BYTES;
}

const char *fai_map_init(fai_map *map, const fa_mmap_options *options) {
    if (options != NULL)
        map->options = *options;
    const char *name = map->options.name == NULL ? "framealloc" : map->options.name;
    if (!name_usable(name))
        return "name must be shorter than 40 printable characters without any of []\\$`,+";
    if (map->options.hugetlb && map->options.guard)
        return "hugetlb and guard exclude each other";
    memcpy(map->name, name, strlen(name) + 1);
    map->options.name = NULL;
    map->page_bytes = fai_page_bytes();
    map_init_huge(map);
    return NULL;
}

/* Length of the mapping for a span: computed from its size alone, so that free needs no table. */
static size_t map_body_bytes(const fai_map *map, size_t size) {
    bool whole_huge = map->options.hugetlb && map->huge_bytes != 0 && size >= map->huge_bytes;
    return fai_round_up(size, whole_huge ? map->huge_bytes : map->page_bytes);
}

/* Maps guard + body + guard bytes such that the body is aligned, by mapping more and cutting it to
 * size. What is more is mapped without access: it counts nowhere as memory that may be needed.
 * Returns the body. */
static char *map_aligned(size_t body, size_t guard, size_t align, size_t unit, int flags) {
    size_t bytes = body + 2 * guard;
    size_t slack = align > unit ? align - unit : 0;
    bool cut = guard != 0 || slack != 0;
    char *raw = mmap(NULL, bytes + slack, cut ? PROT_NONE : PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    if (!cut)
        return raw;
    size_t head = fai_round_up((uintptr_t)raw + guard, align) - guard - (uintptr_t)raw;
    char *base = raw + head;
    size_t tail = slack - head;
    /* Exactly what is still held is given back: another thread may map into what was cut off. */
    if (head != 0 && munmap(raw, head) != 0) {
        munmap(raw, bytes + slack);
        return NULL;
    }
    if (tail != 0 && munmap(base + bytes, tail) != 0) {
        munmap(base, bytes + tail);
        return NULL;
    }
    if (mprotect(base + guard, body, PROT_READ | PROT_WRITE) != 0) {
        munmap(base, bytes);
        return NULL;
    }
    return base + guard;
}

static void map_name(fai_map *map, void *ptr, size_t bytes, fa_span_kind kind) {
    if (map->name[0] == '\0' || flag_get(&map->names_refused))
        return;
    char name[FA_MAP_NAME_BYTES + 16];
    snprintf(name, sizeof name, "%s:%s", map->name, kind_names[kind]);
    if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, ptr, bytes, name) != 0 && errno == EINVAL)
        flag_set(&map->names_refused);
}

void *fai_map_alloc(fai_map *map, size_t size, size_t align, fa_span_kind kind) {
    if (size > FA_SIZE_MAX || align > MAP_ALIGN_MAX)
        return NULL;
    size_t body = map_body_bytes(map, size);
    size_t huge = size >= map->huge_bytes ? map->huge_bytes : 0;
    if (align < huge)
        align = huge;
    char *ptr = NULL;
    if (map->options.hugetlb && huge != 0) {
        ptr = map_aligned(body, 0, align, huge, hugetlb_flags(huge));
        if (ptr != NULL)
            return ptr;
        flag_set(&map->hugetlb_refused);
    }
    size_t guard = map->options.guard ? map->page_bytes : 0;
    if (align < map->page_bytes)
        align = map->page_bytes;
    ptr = map_aligned(body, guard, align, map->page_bytes, 0);
    if (ptr == NULL)
        return NULL;
    if (huge != 0)
        madvise(ptr, body, MADV_HUGEPAGE); /* advice: a kernel without them ignores it */
    map_name(map, ptr, body, kind);
    return ptr;
}

bool fai_map_populate(const fai_map *map, void *ptr, size_t size) {
    if (!map->options.prefault)
        return true;
    size_t body = map_body_bytes(map, size);
    int result;
    do
        result = madvise(ptr, body, MADV_POPULATE_WRITE);
    while (result != 0 && errno == EINTR);
    if (result == 0)
        return true;
    if (errno != EINVAL)
        return false;
    for (size_t i = 0; i < body; i += map->page_bytes) /* Linux before 5.14 */
        ((volatile char *)ptr)[i] = 0;
    return true;
}

void fai_map_free(fai_map *map, void *ptr, size_t size) {
    size_t body = map_body_bytes(map, size);
    size_t guard = map->options.guard ? map->page_bytes : 0;
    /* Cutting a hole into merged mappings can exceed vm.max_map_count: then at least the physical
     * memory goes back. */
    if (munmap((char *)ptr - guard, body + 2 * guard) != 0)
        madvise(ptr, body, MADV_DONTNEED);
}

bool fai_map_resize(fai_map *map, void *ptr, size_t size_old, size_t size_new) {
    if (size_new == 0 || size_new > FA_SIZE_MAX)
        return false;
    size_t body_old = map_body_bytes(map, size_old);
    size_t body_new = map_body_bytes(map, size_new);
    if (body_old == body_new)
        return true;
    if (map->options.guard || map->options.hugetlb)
        return false;
    if (mremap(ptr, body_old, body_new, 0) == MAP_FAILED)
        return false;
    if (body_new < body_old || !map->options.prefault ||
        fai_map_populate(map, (char *)ptr + body_old, body_new - body_old))
        return true;
    munmap((char *)ptr + body_old, body_new - body_old);
    return false;
}

void fai_map_purge(fai_map *map, void *ptr, size_t size) {
    fai_purge_units(ptr, size, map->huge_bytes != 0 ? map->huge_bytes : map->page_bytes);
}

void fai_map_describe(fai_map *map, fa_backend_info *info, bool first_option) {
    info->granularity_bytes = map->page_bytes;
    info->align_bytes_max = MAP_ALIGN_MAX;
    info->huge_page_bytes = map->huge_bytes;
    info->node_count = 1;
    info->zeroed = true;
    info->commits_lazily = !map->options.prefault;
    const struct {
        bool on;
        const char *name;
    } flags[] = {{map->options.huge, "huge"},
                 {map->options.hugetlb, "hugetlb"},
                 {map->options.prefault, "prefault"},
                 {map->options.guard, "guard"}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i].on) {
            fai_text_add(info, "%s%s", first_option ? ":" : ",", flags[i].name);
            first_option = false;
        }
    }
    if (strcmp(map->name, "framealloc") != 0)
        fai_text_add(info, "%sname=%s", first_option ? ":" : ",", map->name);
    if (map->note != NULL)
        fai_text_add(info, " (%s)", map->note);
    else if (flag_get(&map->hugetlb_refused))
        fai_text_add(info, " (huge pages ran out: some spans are without)");
}

static void *mmap_alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
    void *ptr = fai_map_alloc(context, size, align, kind);
    if (ptr != NULL && !fai_map_populate(context, ptr, size)) {
        fai_map_free(context, ptr, size);
        return NULL;
    }
    return ptr;
}

static void mmap_free(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    (void)align, (void)kind;
    fai_map_free(context, ptr, size);
}

static bool mmap_resize(void *context, void *ptr, size_t size_old, size_t size_new) {
    return fai_map_resize(context, ptr, size_old, size_new);
}

static void mmap_purge(void *context, void *ptr, size_t size) { fai_map_purge(context, ptr, size); }

static void mmap_describe(void *context, fa_backend_info *info) {
    fai_text_add(info, "mmap");
    fai_map_describe(context, info, true);
}

static void mmap_close(void *context) { fai_state_destroy(context, sizeof(fai_map)); }

static const fa_backend_vtable mmap_vtable = {
    .name = "mmap",
    .alloc = mmap_alloc,
    .free = mmap_free,
    .resize = mmap_resize,
    .purge = mmap_purge,
    .describe = mmap_describe,
    .close = mmap_close,
};

fa_status fai_mmap_open(const fa_mmap_options *options, fa_backend *backend, char *message,
                        size_t message_bytes) {
    fai_map *map = fai_state_create(sizeof *map);
    if (map == NULL) {
        fai_message_set(message, message_bytes, "mmap: no memory");
        return FA_ERROR_NO_MEMORY;
    }
    const char *wrong = fai_map_init(map, options);
    if (wrong != NULL) {
        fai_message_set(message, message_bytes, "mmap: %s", wrong);
        fai_state_destroy(map, sizeof *map);
        return FA_ERROR_BACKEND;
    }
    *backend = (fa_backend){&mmap_vtable, map};
    return FA_OK;
}

fa_backend fa_backend_mmap(const fa_mmap_options *options) {
    fa_backend backend = {NULL, NULL};
    fai_mmap_open(options, &backend, NULL, 0);
    return backend;
}
