#include "fa/internal/writer.h"

#include <stdarg.h>
#include <stdio.h>

fai_writer fai_writer_begin(char *text, size_t text_bytes) {
    fai_writer out = {text, text != NULL ? text_bytes : 0, 0};
    if (out.capacity != 0)
        *text = 0;
    return out;
}

void fai_put(fai_writer *out, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool room = out->length < out->capacity;
    int written = vsnprintf(room ? out->text + out->length : NULL,
                            room ? out->capacity - out->length : 0, format, arguments);
    va_end(arguments);
    out->length += written > 0 ? (size_t)written : 0;
}
