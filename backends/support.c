#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/internal.h"

void fai_message_set(char *message, size_t message_bytes, const char *format, ...) {
    if (message == NULL || message_bytes == 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, message_bytes, format, arguments);
    va_end(arguments);
}

void fai_text_add(fa_backend_info *info, const char *format, ...) {
    size_t used = strlen(info->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(info->text + used, sizeof info->text - used, format, arguments);
    va_end(arguments);
}

void fai_inner_describe(const char *name, const fa_backend *inner, fa_backend_info *info) {
    char text[FA_BACKEND_TEXT_BYTES];
    inner->vtable->describe(inner->context, info);
    memcpy(text, info->text, sizeof text);
    info->text[0] = '\0';
    fai_text_add(info, "%s(%s)", name, text);
}

size_t fai_page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

void *fai_state_create(size_t bytes) {
    void *state = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return state == MAP_FAILED ? NULL : state;
}

void fai_state_destroy(void *state, size_t bytes) { munmap(state, bytes); }

void fai_purge_units(void *ptr, size_t size, size_t unit) {
    uintptr_t begin = fai_round_up((uintptr_t)ptr, unit);
    uintptr_t end = ((uintptr_t)ptr + size) & ~(uintptr_t)(unit - 1);
    if (begin < end)
        /* Locked memory refuses, and then nothing is dropped: as good. */
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

fa_status fai_library_load(const fai_library *library, void *table, char *message,
                           size_t message_bytes) {
    /* For good: threads may hold heaps and destructors of it long after a backend was closed. */
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL) {
        fai_message_set(message, message_bytes, "%s can't be loaded (package %s): %s",
                        library->file, library->package, dlerror());
        return FA_ERROR_BACKEND;
    }
    for (size_t i = 0; i < library->symbol_count; i++) {
        void *symbol = dlsym(handle, library->symbols[i].name);
        if (symbol == NULL) {
            fai_message_set(message, message_bytes, "%s has no %s: another version (package %s)?",
                            library->file, library->symbols[i].name, library->package);
            return FA_ERROR_BACKEND;
        }
        /* ISO C has no cast from object to function pointers; POSIX lets their bytes be copied. */
        memcpy((char *)table + library->symbols[i].offset, &symbol, sizeof symbol);
    }
    return FA_OK;
}
