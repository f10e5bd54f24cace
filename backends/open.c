/* Backends by name: "name:option,option=value". */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "backends/internal.h"

#define DEFAULT_SPEC "mmap"
#define ENVIRONMENT_VARIABLE "FRAMEALLOC_BACKEND"
/* Decorators around decorators: more than anybody needs, and few enough for any stack. */
#define DEPTH_MAX 8
/* How much of a bad word a message repeats. */
#define WORD_MAX 40

/* What the options of all backends say. */
typedef struct option_values {
    fa_mmap_options map;
    char map_name[FA_MAP_NAME_BYTES];
    fa_numa_options numa;
    int policy_count; /* how many of local, node and interleave were said */
    size_t bytes;
    uint64_t at;
    bool lasting;
    const char *inner;
} option_values;

typedef struct open_call {
    fa_backend *backend;
    char *message;
    size_t message_bytes;
    int depth;
} open_call;

typedef enum option_kind { OPTION_FLAG, OPTION_VALUE } option_kind;

/* set: reads the value (NULL for a flag); false when it is not valid. */
typedef struct option {
    const char *name;
    option_kind kind;
    const char *expects; /* of the value, for the message */
    bool (*set)(option_values *values, const char *value, size_t length);
} option;

typedef struct opener {
    fa_backend_entry entry;
    const option *options; /* ended by one without a name */
    fa_status (*open)(const option_values *values, const open_call *call);
} opener;

/* --- values --- */

/* Digits, and a factor of 1024, 1024^2 or 1024^3 when suffixes are taken. */
static bool number_read(const char *text, size_t length, bool suffixes, uint64_t *number) {
    int shift = 0;
    if (suffixes && length > 1) {
        char suffix = text[length - 1];
        shift = suffix == 'k' || suffix == 'K'   ? 10
                : suffix == 'm' || suffix == 'M' ? 20
                : suffix == 'g' || suffix == 'G' ? 30
                                                 : 0;
        if (shift != 0)
            length--;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || value > UINT64_MAX / 10 - 1)
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *number = value << shift;
    return length > 0 && value <= UINT64_MAX >> shift;
}

#define FLAG_SETTER(name, assignment)                                                              \
    static bool name(option_values *values, const char *value, size_t length) {                    \
        (void)value, (void)length;                                                                 \
        assignment;                                                                                \
        return true;                                                                               \
    }
FLAG_SETTER(set_huge, values->map.huge = true)
FLAG_SETTER(set_hugetlb, values->map.hugetlb = true)
FLAG_SETTER(set_prefault, values->map.prefault = true)
FLAG_SETTER(set_guard, values->map.guard = true)
FLAG_SETTER(set_local, (values->policy_count++, values->numa.policy = FA_NUMA_LOCAL))
FLAG_SETTER(set_interleave, (values->policy_count++, values->numa.policy = FA_NUMA_INTERLEAVE))
FLAG_SETTER(set_lasting, values->lasting = true)

static bool set_name(option_values *values, const char *value, size_t length) {
    if (length >= sizeof values->map_name)
        return false;
    memcpy(values->map_name, value, length);
    values->map_name[length] = '\0';
    values->map.name = values->map_name;
    return true;
}

static bool set_node(option_values *values, const char *value, size_t length) {
    uint64_t node;
    if (!number_read(value, length, false, &node) || node > INT_MAX)
        return false;
    values->policy_count++;
    values->numa.policy = FA_NUMA_NODE;
    values->numa.node = (int)node;
    return true;
}

static bool set_bytes(option_values *values, const char *value, size_t length) {
    uint64_t bytes;
    if (!number_read(value, length, true, &bytes) || bytes == 0 || bytes > FA_SIZE_MAX)
        return false;
    values->bytes = (size_t)bytes;
    return true;
}

static bool set_at(option_values *values, const char *value, size_t length) {
    return number_read(value, length, false, &values->at) && values->at > 0 &&
           values->at < UINT64_MAX >> 2;
}

static bool set_inner(option_values *values, const char *value, size_t length) {
    values->inner = value;
    return length > 0;
}

/* --- one opener for each backend --- */

static fa_status open_spec(const char *spec, const open_call *call);

static fa_status open_system(const option_values *values, const open_call *call) {
    (void)values;
    *call->backend = fa_backend_system();
    return FA_OK;
}

static fa_status open_mmap(const option_values *values, const open_call *call) {
    return fai_mmap_open(&values->map, call->backend, call->message, call->message_bytes);
}

static fa_status open_mimalloc(const option_values *values, const open_call *call) {
    (void)values;
    return fa_backend_mimalloc(call->backend, call->message, call->message_bytes);
}

static fa_status open_numa(const option_values *values, const open_call *call) {
    if (values->policy_count > 1) {
        fai_message_set(call->message, call->message_bytes,
                        "numa: only one of local, node=N and interleave can be in force");
        return FA_ERROR_BACKEND;
    }
    fa_numa_options options = values->numa;
    options.map = values->map;
    return fa_backend_numa(&options, call->backend, call->message, call->message_bytes);
}

static fa_status open_fixed(const option_values *values, const open_call *call) {
    if (values->bytes == 0) {
        fai_message_set(call->message, call->message_bytes,
                        "fixed: says not how large it is: fixed:bytes=64m");
        return FA_ERROR_BACKEND;
    }
    return fai_fixed_open(values->bytes, &values->map, call->backend, call->message,
                          call->message_bytes);
}

/* Opens what a decorator goes around, and gets memory for its state. */
static fa_status open_inner(const option_values *values, const open_call *call, size_t state_bytes,
                            fa_backend *inner, void **state) {
    open_call inner_call = *call;
    inner_call.backend = inner;
    inner_call.depth++;
    fa_status status = open_spec(values->inner == NULL ? DEFAULT_SPEC : values->inner, &inner_call);
    if (status != FA_OK)
        return status;
    *state = fai_state_create(state_bytes);
    if (*state != NULL)
        return FA_OK;
    fa_backend_close(*inner);
    fai_message_set(call->message, call->message_bytes, "no memory for a decorator");
    return FA_ERROR_NO_MEMORY;
}

static fa_status open_counting(const option_values *values, const open_call *call) {
    fa_backend inner;
    void *state;
    fa_status status = open_inner(values, call, sizeof(fa_counting), &inner, &state);
    if (status != FA_OK)
        return status;
    fa_counting *counting = state;
    *call->backend = fa_backend_counting(counting, inner);
    counting->mapped_bytes = sizeof *counting;
    return FA_OK;
}

static fa_status open_failing(const option_values *values, const open_call *call) {
    fa_backend inner;
    void *state;
    fa_status status = open_inner(values, call, sizeof(fa_failing), &inner, &state);
    if (status != FA_OK)
        return status;
    fa_failing *failing = state;
    *call->backend = fa_backend_failing(failing, inner);
    failing->mapped_bytes = sizeof *failing;
    fa_failing_set(failing, FA_FAILING_ALLOC, values->at, values->lasting);
    return FA_OK;
}

/* --- tables --- */

static const option no_options[] = {{NULL, OPTION_FLAG, NULL, NULL}};

#define SIZE_EXPECTED "a size such as 65536, 64k, 16m or 2g"
#define NAME_EXPECTED "a text shorter than 40 characters"
#define MAP_OPTIONS                                                                                \
    {"huge", OPTION_FLAG, NULL, set_huge}, {"hugetlb", OPTION_FLAG, NULL, set_hugetlb},            \
        {"prefault", OPTION_FLAG, NULL, set_prefault}, {"guard", OPTION_FLAG, NULL, set_guard},    \
        {"name", OPTION_VALUE, NAME_EXPECTED, set_name},
#define MAP_OPTIONS_TEXT                                                                           \
    "huge (transparent huge pages), hugetlb (reserved huge pages), prefault (touch at once), "     \
    "guard (inaccessible page before and after), name=TEXT (shown in /proc/PID/maps)"

static const option mmap_options[] = {MAP_OPTIONS{NULL, OPTION_FLAG, NULL, NULL}};

static const option numa_options[] = {{"local", OPTION_FLAG, NULL, set_local},
                                      {"node", OPTION_VALUE, "the number of a node", set_node},
                                      {"interleave", OPTION_FLAG, NULL, set_interleave},
                                      MAP_OPTIONS{NULL, OPTION_FLAG, NULL, NULL}};

static const option fixed_options[] = {{"bytes", OPTION_VALUE, SIZE_EXPECTED, set_bytes},
                                       MAP_OPTIONS{NULL, OPTION_FLAG, NULL, NULL}};

static const option counting_options[] = {
    {"inner", OPTION_VALUE, "the specification of a backend", set_inner},
    {NULL, OPTION_FLAG, NULL, NULL}};

static const option failing_options[] = {
    {"at", OPTION_VALUE, "a number from 1", set_at},
    {"lasting", OPTION_FLAG, NULL, set_lasting},
    {"inner", OPTION_VALUE, "the specification of a backend", set_inner},
    {NULL, OPTION_FLAG, NULL, NULL}};

/* The list that fa_backend_list gives, and what opens each entry. */
#define BACKENDS(X)                                                                                \
    X(mmap, "private anonymous mappings (the default)", MAP_OPTIONS_TEXT, mmap_options)            \
    X(system, "aligned allocation of libc", "", no_options)                                        \
    X(mimalloc, "heaps of mimalloc, apart from the process's", "", no_options)                     \
    X(numa, "mmap, placed on NUMA nodes through hwloc",                                            \
      "local (node of the calling thread, the default), node=N, interleave (page by page), "       \
      "and those of mmap: " MAP_OPTIONS_TEXT,                                                      \
      numa_options)                                                                                \
    X(fixed, "one region got when opened, nothing more from the system",                           \
      "bytes=SIZE (needed), and those of mmap: " MAP_OPTIONS_TEXT, fixed_options)                  \
    X(counting, "counts what goes through to another backend",                                     \
      "inner=SPEC (default mmap; takes the rest of the text, so it comes last)", counting_options) \
    X(failing, "fails calls of another backend",                                                   \
      "at=N (fails the Nth request), lasting (and all after it), "                                 \
      "inner=SPEC (default mmap; takes the rest of the text, so it comes last)",                   \
      failing_options)

static const opener openers[] = {
#define OPENER(name, summary, options_text, options)                                               \
    {{#name, summary, options_text}, options, open_##name},
    BACKENDS(OPENER)
#undef OPENER
};
enum { OPENER_COUNT = sizeof openers / sizeof openers[0] };

const fa_backend_entry *fa_backend_list(void) {
    static const fa_backend_entry entries[] = {
#define ENTRY(name, summary, options_text, options) {#name, summary, options_text},
        BACKENDS(ENTRY)
#undef ENTRY
            {NULL, NULL, NULL}};
    return entries;
}

/* --- parsing --- */

/* "one, two, three" into text, cut to fit. */
static void list_add(char *text, size_t bytes, const char *name, const char *suffix) {
    size_t used = strlen(text);
    fai_message_set(text + used, bytes - used, "%s%s%s", used == 0 ? "" : ", ", name, suffix);
}

static fa_status word_unknown(const opener *open, const char *word, size_t length,
                              const open_call *call) {
    char valid[160] = "";
    int shown = length < WORD_MAX ? (int)length : WORD_MAX;
    if (open == NULL) {
        for (int i = 0; i < OPENER_COUNT; i++)
            list_add(valid, sizeof valid, openers[i].entry.name, "");
        fai_message_set(call->message, call->message_bytes,
                        "no backend is called \"%.*s\"; there are: %s", shown, word, valid);
        return FA_ERROR_BACKEND;
    }
    for (const option *o = open->options; o->name != NULL; o++)
        list_add(valid, sizeof valid, o->name, o->kind == OPTION_VALUE ? "=" : "");
    fai_message_set(call->message, call->message_bytes, "%s has no option \"%.*s\"; there are: %s",
                    open->entry.name, shown, word, valid[0] == '\0' ? "none" : valid);
    return FA_ERROR_BACKEND;
}

/* Reads one option at text, up to the comma or the end, and moves text behind it. */
static fa_status option_read(const opener *open, const char **text, option_values *values,
                             const open_call *call) {
    const char *word = *text;
    size_t length = strcspn(word, ",");
    size_t name_length = strcspn(word, ",=");
    bool has_value = word[name_length] == '=';
    const option *found = open->options;
    while (found->name != NULL &&
           (strlen(found->name) != name_length || memcmp(found->name, word, name_length) != 0))
        found++;
    if (found->name == NULL)
        return word_unknown(open, word, name_length, call);
    if (has_value && found->set == set_inner)
        length = strlen(word);
    *text = word + length;
    if (found->kind == OPTION_FLAG && has_value) {
        fai_message_set(call->message, call->message_bytes, "%s: %s takes no value",
                        open->entry.name, found->name);
        return FA_ERROR_BACKEND;
    }
    const char *value = has_value ? word + name_length + 1 : NULL;
    size_t value_length = has_value ? length - name_length - 1 : 0;
    if (found->kind == OPTION_VALUE && (!has_value || !found->set(values, value, value_length))) {
        fai_message_set(call->message, call->message_bytes, "%s: %s=%.*s is not valid: it wants %s",
                        open->entry.name, found->name,
                        value_length < WORD_MAX ? (int)value_length : WORD_MAX,
                        has_value ? value : "", found->expects);
        return FA_ERROR_BACKEND;
    }
    if (found->kind == OPTION_FLAG)
        found->set(values, NULL, 0);
    return FA_OK;
}

static fa_status open_spec(const char *spec, const open_call *call) {
    *call->backend = (fa_backend){NULL, NULL};
    if (call->depth > DEPTH_MAX) {
        fai_message_set(call->message, call->message_bytes, "more than %d backends in each other",
                        DEPTH_MAX);
        return FA_ERROR_BACKEND;
    }
    size_t length = strcspn(spec, ":");
    const opener *open = NULL;
    for (int i = 0; i < OPENER_COUNT && open == NULL; i++)
        if (strlen(openers[i].entry.name) == length &&
            memcmp(openers[i].entry.name, spec, length) == 0)
            open = &openers[i];
    if (open == NULL)
        return word_unknown(NULL, spec, length, call);
    option_values values = {.map = {.name = NULL}};
    const char *text = spec + length;
    while (*text != '\0') {
        text++; /* the colon or comma */
        fa_status status = option_read(open, &text, &values, call);
        if (status != FA_OK)
            return status;
    }
    return open->open(&values, call);
}

fa_status fa_backend_open(const char *spec, fa_backend *backend, char *message,
                          size_t message_bytes) {
    if (message != NULL && message_bytes > 0)
        message[0] = '\0';
    if (backend == NULL) {
        fai_message_set(message, message_bytes, "there is no place for the result");
        return FA_ERROR_INVALID;
    }
    if (spec == NULL || spec[0] == '\0')
        spec = getenv(ENVIRONMENT_VARIABLE);
    if (spec == NULL || spec[0] == '\0')
        spec = DEFAULT_SPEC;
    open_call call = {backend, message, message_bytes, 1};
    return open_spec(spec, &call);
}

void fa_backend_close(fa_backend backend) {
    if (backend.vtable != NULL && backend.vtable->close != NULL)
        backend.vtable->close(backend.context);
}
