#include "fa/diag.h"

#include "fa/internal/thread.h"

#include <stdio.h>
#include <stdlib.h>

static const fa_diag_info k_diags[FA_DIAG_COUNT] = {{"", "no diagnostic", "", FA_SEVERITY_NOTE},
#define DIAG_ROW(code, severity, text, help) {#code, text, help, severity},
                                                    FA_DIAG_LIST(DIAG_ROW)
#undef DIAG_ROW
};

static __thread fa_error t_last_error;
static __thread const fa_allocator *t_in_hook; /* whose; NULL: in none */

fa_diag_info fa_diag_describe(fa_diag diag) {
    return k_diags[(unsigned)diag < FA_DIAG_COUNT ? diag : FA_DIAG_NONE];
}

fa_error fa_last_error(void) { return t_last_error; }

void fa_last_error_clear(void) { t_last_error = (fa_error){FA_OK, FA_DIAG_NONE, 0}; }

void fai_error_restore(fa_error error) { t_last_error = error; }

static __thread bool t_quiet; /* see fai_quiet */

bool fai_quiet(bool quiet) {
    bool before = t_quiet;
    t_quiet = quiet;
    return before;
}

bool fai_is_quiet(void) { return t_quiet; }

static bool is_no_memory(fa_status status) {
    return status == FA_ERROR_NO_MEMORY || status == FA_ERROR_LIMIT || status == FA_ERROR_SEALED;
}

fa_status fai_fail(fa_status status, size_t size) {
    fai_slot.site = NULL; /* the call is over, what comes next stands elsewhere */
    if (t_quiet && is_no_memory(status))
        return status;
    t_last_error = (fa_error){status, FA_DIAG_NONE, size};
    return status;
}

bool fai_diag_is_telling(const fa_allocator *allocator) { return t_in_hook == allocator; }

static const char *severity_name(fa_severity severity) {
    static const char *const names[] = {"note", "warning", "error", "fatal"};
    return names[severity];
}

void fa_event_print(void *user, const fa_event *event) {
    (void)user;
    fa_diag_info info = fa_diag_describe(event->diag);
    char size[64] = "", place[160] = "", name[FA_NAME_BYTES + 4] = "";
    if (event->name != NULL && *event->name != 0)
        snprintf(name, sizeof name, " (%s)", event->name);
    if (event->size != 0 && event->limit != 0)
        snprintf(size, sizeof size, " (size %zu, limit %zu)", event->size, event->limit);
    else if (event->size != 0)
        snprintf(size, sizeof size, " (size %zu)", event->size);
    if (event->site.file != NULL)
        snprintf(place, sizeof place, " at %s:%d", event->site.file, event->site.line);
    fprintf(stderr, "framealloc[%s] %s %s: %s%s%s%s; %s\n", event->allocator_name, info.code,
            severity_name(event->severity), info.text, name, size, place, info.help);
}

static __thread const char *t_subject; /* of the report under way; NULL: none has a name */

fa_status fai_report_about(fa_allocator *allocator, fa_diag diag, fa_status status, size_t size,
                           size_t limit, const void *address, const char *name) {
    t_subject = name;
    fai_report(allocator, diag, status, size, limit, address);
    t_subject = NULL;
    return status;
}

static __thread bool t_hushed; /* see fai_hush */

bool fai_hush(bool hushed) {
    bool before = t_hushed;
    t_hushed = hushed;
    return before;
}

bool fai_is_hushed(void) { return t_hushed; }

fa_status fai_report_at(fa_allocator *allocator, fa_diag diag, fa_status status, size_t size,
                        size_t limit, const void *address, fa_site site) {
    const fa_diag_info *info = &k_diags[diag];
    if (t_quiet && is_no_memory(status))
        return status;
    if (status != FA_OK)
        t_last_error = (fa_error){status, diag, size};
    FAI_ADD_RELAXED(&allocator->diag_count[diag], 1);

    fa_event event = {.diag = diag,
                      .severity = info->severity,
                      .status = status,
                      .allocator = allocator,
                      .allocator_name = allocator->name,
                      .size = size,
                      .limit = limit,
                      .address = address,
                      .name = t_subject ? t_subject : "",
                      .site = site};
    t_subject = NULL;
    bool told = allocator->config.on_event != NULL && t_in_hook == NULL && !t_hushed;
    const fai_thread *thread = told ? fai_thread_find(allocator) : NULL;
    if (thread != NULL) {
        event.thread_index = thread->index;
        event.frame_index = thread->frame_count + fai_frame_is_open(thread);
    }
    if (told) {
        /* What the hook does itself must not change what the failed call answers, nor the place
         * that is blamed for what comes next. */
        fa_error error = t_last_error;
        const fa_site *place = fai_slot.site;
        bool quiet = fai_quiet(false);
        t_in_hook = allocator;
        fai_callback outer = fai_callback_begin();
        allocator->config.on_event(allocator->config.on_event_user, &event);
        fai_callback_end(outer);
        t_in_hook = NULL;
        t_quiet = quiet;
        fai_slot.site = place;
        t_last_error = error;
    }
    bool fatal = info->severity == FA_SEVERITY_FATAL;
    if (fatal || (allocator->config.strict && info->severity == FA_SEVERITY_ERROR)) {
        if (!told || allocator->config.on_event != fa_event_print)
            fa_event_print(NULL, &event);
        abort();
    }
    return status;
}

fa_status fai_report(fa_allocator *allocator, fa_diag diag, fa_status status, size_t size,
                     size_t limit, const void *address) {
    return fai_report_at(allocator, diag, status, size, limit, address, fai_take_site());
}

fa_status fai_report_span(fa_allocator *allocator, fa_status status, size_t size) {
    fai_events_pressure(allocator, FA_EVENTS_DETAIL_REFUSED, status, size, 0);
    switch (status) {
    case FA_ERROR_LIMIT:
        return fai_report(allocator, FA_DIAG_FA301, status, size, allocator->config.bytes_max,
                          NULL);
    case FA_ERROR_SEALED:
        return fai_report(allocator, FA_DIAG_FA702, status, size, 0, NULL);
    default:
        return fai_report(allocator, FA_DIAG_FA701, status, size, 0, NULL);
    }
}

void fai_assert_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "framealloc: assertion failed: %s at %s:%d\n", condition, file, line);
    abort();
}
