/* Texts. */
#include "fa/text.h"

#include <stdio.h>

static fa_text text_of(fai_room room) {
    fa_text text = {(char *)room.items, 0, 0, room.frame};
    if (room.items != NULL) {
        text.capacity = room.capacity - 1;
        text.bytes[0] = '\0';
    }
    return text;
}

/* One byte more than the text: a capacity of 0 still means that it grows. */
static size_t bytes_for(size_t capacity) { return capacity != 0 ? fai_room_sum(capacity, 1) : 0; }

fa_text(fa_text_make)(fa_allocator *allocator, size_t capacity) {
    return text_of(fai_room_make(allocator, bytes_for(capacity), 1, 1));
}

fa_text(fa_text_make_in)(fa_frame *frame, size_t capacity) {
    return text_of(fai_room_make_in(frame, bytes_for(capacity), 1, 1));
}

bool fa_text_is_made(const fa_text *text) {
    return text != NULL && (text->capacity != 0 || text->frame != NULL);
}

fa_status(fa_text_reserve)(fa_text *text, size_t capacity) {
    if (text == NULL)
        return FA_ERROR_INVALID;
    if (capacity <= text->capacity)
        return FA_OK;
    fai_growth growth =
        (fai_room_grow)(text->frame, text->bytes, text->bytes != NULL ? text->capacity + 1 : 0,
                        fai_room_sum(capacity, 1), 1, 1);
    if (growth.items == NULL)
        return growth.as.status;
    text->bytes = (char *)growth.items;
    text->capacity = growth.as.capacity - 1;
    text->bytes[text->length] = '\0';
    return FA_OK;
}

fa_status(fa_text_insert)(fa_text *text, size_t index, const char *bytes, size_t n) {
    if (text == NULL || index > text->length || (bytes == NULL && n != 0))
        return FA_ERROR_INVALID;
    fa_status status = (fa_text_reserve)(text, fai_room_sum(text->length, n));
    if (status != FA_OK || n == 0)
        return status;
    char *place = text->bytes + index;
    memmove(place + n, place, text->length - index + 1);
    /* Bytes that were its own are still there when it moved. */
    memmove(place, bytes, n);
    text->length += n;
    return FA_OK;
}

fa_status(fa_text_append_n)(fa_text *text, const char *bytes, size_t n) {
    return (fa_text_insert)(text, text != NULL ? text->length : 0, bytes, n);
}

fa_status(fa_text_append)(fa_text *text, const char *string) {
    return string != NULL ? (fa_text_append_n)(text, string, strlen(string)) : FA_ERROR_INVALID;
}

fa_status(fa_text_format_list)(fa_text *text, const char *format, va_list arguments) {
    if (text == NULL || format == NULL)
        return FA_ERROR_INVALID;
    va_list again;
    va_copy(again, arguments);
    char *end = text->bytes != NULL ? text->bytes + text->length : NULL;
    size_t room = end != NULL ? text->capacity - text->length + 1 : 0;
    int needed = vsnprintf(end, room, format, arguments);
    fa_status status = FA_OK;
    if (needed < 0 || (size_t)needed >= room) {
        if (end != NULL)
            *end = '\0';
        status = needed < 0 ? FA_ERROR_INVALID
                            : (fa_text_reserve)(text, fai_room_sum(text->length, (size_t)needed));
        if (status == FA_OK && needed != 0) {
            end = text->bytes + text->length;
            (void)vsnprintf(end, (size_t)needed + 1, format, again);
        }
    }
    va_end(again);
    if (status == FA_OK)
        text->length += (size_t)needed;
    return status;
}

fa_status(fa_text_format)(fa_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fa_status status = (fa_text_format_list)(text, format, arguments);
    va_end(arguments);
    return status;
}

void fa_text_truncate(fa_text *text, size_t length) {
    if (text == NULL || length >= text->length)
        return;
    text->length = length;
    text->bytes[length] = '\0';
}

void fa_text_clear(fa_text *text) { fa_text_truncate(text, 0); }

const char *fa_text_c_str(const fa_text *text) {
    return text != NULL && text->bytes != NULL ? text->bytes : "";
}

fa_str fa_text_str(const fa_text *text) {
    fa_str str = {fa_text_c_str(text), text != NULL ? text->length : 0};
    return str;
}
