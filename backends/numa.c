/* The mmap backend with its spans placed on NUMA nodes: hwloc knows the nodes and places,
 * move_pages tells where pages are. */
#define _GNU_SOURCE
#include <errno.h>
#include <hwloc.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/internal.h"

#define HWLOC_FUNCTIONS(X)                                                                         \
    X(bitmap_alloc)                                                                                \
    X(bitmap_free)                                                                                 \
    X(bitmap_isset)                                                                                \
    X(bitmap_list_snprintf)                                                                        \
    X(bitmap_only)                                                                                 \
    X(bitmap_weight)                                                                               \
    X(get_api_version)                                                                             \
    X(set_area_membind)                                                                            \
    X(topology_destroy)                                                                            \
    X(topology_get_topology_nodeset)                                                               \
    X(topology_init)                                                                               \
    X(topology_is_thissystem)                                                                      \
    X(topology_load)                                                                               \
    X(topology_set_all_types_filter)

typedef struct hwloc_table {
#define HWLOC_MEMBER(name) __typeof__(&hwloc_##name) name;
    HWLOC_FUNCTIONS(HWLOC_MEMBER)
#undef HWLOC_MEMBER
} hwloc_table;

static const fai_symbol hwloc_symbols[] = {
#define HWLOC_SYMBOL(name) {"hwloc_" #name, offsetof(hwloc_table, name)},
    HWLOC_FUNCTIONS(HWLOC_SYMBOL)
#undef HWLOC_SYMBOL
};

static const fai_library hwloc_library = {"libhwloc.so.15", "libhwloc15", hwloc_symbols,
                                          sizeof hwloc_symbols / sizeof hwloc_symbols[0]};

typedef struct numa_context {
    fai_map map;
    fa_numa_policy policy;
    int node;
    hwloc_table hwloc;
    hwloc_topology_t topology;
    hwloc_const_bitmap_t nodes; /* the topology's own */
    int node_count;
    bool this_system; /* false: a topology from a file or a description; nothing can be placed */
    int error;        /* atomic: errno of the last placement that failed; 0: none */
} numa_context;

/* Why nothing is placed (static), or NULL. */
static const char *numa_unplaced(const numa_context *numa) {
    if (!numa->this_system)
        return "not the topology of this machine: as mmap";
    if (numa->node_count <= 1)
        return "one node: as mmap";
    int error = __atomic_load_n(&numa->error, __ATOMIC_RELAXED);
    if (error == EPERM || error == ENOSYS)
        return "the system refuses placement: as mmap";
    return NULL;
}

/* Places with hwloc. node: FA_NODE_ANY gives the pages back to the system's own policy.
 * Other errors than EPERM and ENOSYS may be of this span only, and don't stop the trying. */
static bool numa_place(numa_context *numa, void *ptr, size_t size, int node, bool interleave) {
    const hwloc_table *hwloc = &numa->hwloc;
    hwloc_membind_policy_t policy = interleave            ? HWLOC_MEMBIND_INTERLEAVE
                                    : node == FA_NODE_ANY ? HWLOC_MEMBIND_DEFAULT
                                                          : HWLOC_MEMBIND_BIND;
    hwloc_bitmap_t only = NULL;
    if (policy == HWLOC_MEMBIND_BIND) {
        only = hwloc->bitmap_alloc();
        if (only == NULL || hwloc->bitmap_only(only, (unsigned)node) != 0) {
            hwloc->bitmap_free(only);
            return false;
        }
    }
    int result =
        hwloc->set_area_membind(numa->topology, ptr, size, only == NULL ? numa->nodes : only,
                                policy, HWLOC_MEMBIND_BYNODESET);
    int error = errno;
    hwloc->bitmap_free(only);
    if (result != 0)
        __atomic_store_n(&numa->error, error, __ATOMIC_RELAXED);
    return result == 0;
}

static bool numa_has(const numa_context *numa, int node) {
    return node >= 0 && numa->hwloc.bitmap_isset(numa->nodes, (unsigned)node) != 0;
}

static void numa_place_new(numa_context *numa, void *ptr, size_t size) {
    if (numa_unplaced(numa) != NULL)
        return;
    int node = numa->node;
    if (numa->policy == FA_NUMA_LOCAL) {
        unsigned current = 0;
        if (syscall(SYS_getcpu, NULL, &current, NULL) != 0 || !numa_has(numa, (int)current))
            return;
        node = (int)current;
    }
    numa_place(numa, ptr, size, node, numa->policy == FA_NUMA_INTERLEAVE);
}

static void *numa_alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
    numa_context *numa = context;
    void *ptr = fai_map_alloc(&numa->map, size, align, kind);
    if (ptr == NULL)
        return NULL;
    numa_place_new(numa, ptr, size);
    if (!fai_map_populate(&numa->map, ptr, size)) {
        fai_map_free(&numa->map, ptr, size);
        return NULL;
    }
    return ptr;
}

static void numa_free(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    (void)align, (void)kind;
    fai_map_free(&((numa_context *)context)->map, ptr, size);
}

static bool numa_resize(void *context, void *ptr, size_t size_old, size_t size_new) {
    /* What is added belongs to the same mapping, and so to the same nodes. */
    return fai_map_resize(&((numa_context *)context)->map, ptr, size_old, size_new);
}

static void numa_purge(void *context, void *ptr, size_t size) {
    fai_map_purge(&((numa_context *)context)->map, ptr, size);
}

static fa_status numa_bind(void *context, void *ptr, size_t size, int node) {
    numa_context *numa = context;
    if (node != FA_NODE_ANY && !numa_has(numa, node))
        return FA_ERROR_INVALID;
    if (numa_unplaced(numa) != NULL || !numa_place(numa, ptr, size, node, false))
        return FA_ERROR_UNSUPPORTED;
    return FA_OK;
}

static fa_status numa_locate(void *context, void *ptr, size_t size, int *nodes, size_t count) {
    const numa_context *numa = context;
    enum { BATCH = 256 };
    void *pages[BATCH];
    uintptr_t page = (uintptr_t)ptr & ~(uintptr_t)(numa->map.page_bytes - 1);
    uintptr_t end = (uintptr_t)ptr + size;
    for (size_t done = 0; done < count && page < end;) {
        size_t batch = 0;
        for (; batch < BATCH && done + batch < count && page < end; batch++) {
            pages[batch] = (void *)page;
            page += numa->map.page_bytes;
        }
        /* Without target nodes it moves nothing and answers where each page is (move_pages(2)). */
        if (syscall(SYS_move_pages, 0, batch, pages, NULL, nodes + done, 0) != 0)
            return FA_ERROR_UNSUPPORTED;
        done += batch;
    }
    return FA_OK;
}

static void numa_describe(void *context, fa_backend_info *info) {
    numa_context *numa = context;
    fai_text_add(info, "numa:");
    if (numa->policy == FA_NUMA_NODE)
        fai_text_add(info, "node=%d", numa->node);
    else
        fai_text_add(info, "%s", numa->policy == FA_NUMA_LOCAL ? "local" : "interleave");
    fai_map_describe(&numa->map, info, false);
    info->node_count = numa->node_count > 1 ? numa->node_count : 1;
    const char *unplaced = numa_unplaced(numa);
    int error = __atomic_load_n(&numa->error, __ATOMIC_RELAXED);
    if (unplaced != NULL)
        fai_text_add(info, " (%s)", unplaced);
    else if (error != 0)
        fai_text_add(info, " (some spans not placed: error %d)", error);
}

static void numa_close(void *context) {
    numa_context *numa = context;
    if (numa->topology != NULL)
        numa->hwloc.topology_destroy(numa->topology);
    fai_state_destroy(numa, sizeof *numa);
}

static const fa_backend_vtable numa_vtable = {
    .name = "numa",
    .alloc = numa_alloc,
    .free = numa_free,
    .resize = numa_resize,
    .purge = numa_purge,
    .bind = numa_bind,
    .locate = numa_locate,
    .describe = numa_describe,
    .close = numa_close,
};

static fa_status numa_topology(numa_context *numa, char *message, size_t message_bytes) {
    fa_status status = fai_library_load(&hwloc_library, &numa->hwloc, message, message_bytes);
    if (status != FA_OK)
        return status;
    const hwloc_table *hwloc = &numa->hwloc;
    if (hwloc->get_api_version() >> 16 != HWLOC_API_VERSION >> 16) {
        fai_message_set(message, message_bytes, "numa: hwloc has interface %u, not %u",
                        hwloc->get_api_version() >> 16, (unsigned)HWLOC_API_VERSION >> 16);
        return FA_ERROR_BACKEND;
    }
    if (hwloc->topology_init(&numa->topology) != 0) {
        numa->topology = NULL;
        fai_message_set(message, message_bytes, "numa: no memory for the topology");
        return FA_ERROR_NO_MEMORY;
    }
    /* Caches and devices cost time and tell nothing here; nodes are always kept. */
    hwloc->topology_set_all_types_filter(numa->topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    if (hwloc->topology_load(numa->topology) != 0) {
        fai_message_set(message, message_bytes, "numa: hwloc can't read the topology");
        return FA_ERROR_BACKEND;
    }
    numa->this_system = hwloc->topology_is_thissystem(numa->topology) != 0;
    numa->nodes = hwloc->topology_get_topology_nodeset(numa->topology);
    numa->node_count = hwloc->bitmap_weight(numa->nodes);
    return FA_OK;
}

static fa_status numa_init(numa_context *numa, const fa_numa_options *options, char *message,
                           size_t message_bytes) {
    const char *wrong = fai_map_init(&numa->map, options == NULL ? NULL : &options->map);
    if (wrong != NULL) {
        fai_message_set(message, message_bytes, "numa: %s", wrong);
        return FA_ERROR_BACKEND;
    }
    fa_status status = numa_topology(numa, message, message_bytes);
    if (status != FA_OK)
        return status;
    if (options != NULL) {
        numa->policy = options->policy;
        numa->node = options->node;
    }
    if (numa->policy == FA_NUMA_NODE && !numa_has(numa, numa->node)) {
        char nodes[64];
        numa->hwloc.bitmap_list_snprintf(nodes, sizeof nodes, numa->nodes);
        fai_message_set(message, message_bytes, "numa: no node %d; there is: %s", numa->node,
                        nodes);
        return FA_ERROR_BACKEND;
    }
    return FA_OK;
}

fa_status fa_backend_numa(const fa_numa_options *options, fa_backend *backend, char *message,
                          size_t message_bytes) {
    if (backend == NULL)
        return FA_ERROR_INVALID;
    *backend = (fa_backend){NULL, NULL};
    numa_context *numa = fai_state_create(sizeof *numa);
    if (numa == NULL) {
        fai_message_set(message, message_bytes, "numa: no memory");
        return FA_ERROR_NO_MEMORY;
    }
    fa_status status = numa_init(numa, options, message, message_bytes);
    if (status != FA_OK) {
        numa_close(numa);
        return status;
    }
    *backend = (fa_backend){&numa_vtable, numa};
    return FA_OK;
}
