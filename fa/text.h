/* Texts: strings that are put together in frame memory. What holds for all collections, such as
 * capacities, results and lifetime, stands in collection.h.
 *
 *     fa_text line = fa_text_make_in(frame, 0);
 *     fa_text_append(&line, "draw calls: ");
 *     fa_text_format(&line, "%d of %d", drawn, all);
 *     label(fa_text_c_str(&line));
 *
 * Always terminated. Bytes are not looked at: UTF-8 passes through, and so does a zero, though
 * fa_text_c_str then seems to end there. {0} is a text without a byte of room. */
#ifndef FA_TEXT_H
#define FA_TEXT_H

#include "fa/collection.h"
#include "fa/hash.h"

#include <stdarg.h>

FA_EXTERN_C_BEGIN

/* Read what you like; change it through the functions only. */
typedef struct fa_text {
    char *bytes;     /* length of them and a zero; NULL while capacity is 0 */
    size_t length;   /* without the zero */
    size_t capacity; /* largest length before it is full or grows */
    fa_frame *frame; /* where it grows; NULL: fixed */
} fa_text;

/* An empty text for up to capacity bytes, or 0: one that grows. {0} when refused. The first takes
 * the frame of the calling thread. */
FA_API fa_text fa_text_make(fa_allocator *allocator, size_t capacity);
FA_API fa_text fa_text_make_in(fa_frame *frame, size_t capacity);

/* False for {0} and NULL. */
FA_API bool fa_text_is_made(const fa_text *text);

/* Each of these adds all of it at the end, or leaves the text as it is. Return FA_OK,
 * FA_ERROR_FULL, FA_ERROR_INVALID (NULL, a size that wraps, a format that printf refuses) or a
 * refusal of frame.h. O(bytes added), O(length) where it grows. What is added may be a part of the
 * text itself, but not in a format. n: bytes; with 0 they may be NULL. format: as for printf. */
FA_API fa_status fa_text_append(fa_text *text, const char *string);
FA_API fa_status fa_text_append_n(fa_text *text, const char *bytes, size_t n);
FA_API inline fa_status fa_text_append_char(fa_text *text, char byte);
FA_API fa_status fa_text_format(fa_text *text, const char *format, ...) FA_PRINTF(2, 3);
FA_API fa_status fa_text_format_list(fa_text *text, const char *format, va_list arguments)
    FA_PRINTF(2, 0);

/* Adds n bytes, which must not be the text's own, before index (<= length; else FA_ERROR_INVALID).
 * Otherwise as append. */
FA_API fa_status fa_text_insert(fa_text *text, size_t index, const char *bytes, size_t n);

/* Makes room for texts of that length. Otherwise as append. */
FA_API fa_status fa_text_reserve(fa_text *text, size_t capacity);

/* Keeps the first length bytes; a text that is not longer stays as it is. */
FA_API void fa_text_truncate(fa_text *text, size_t length);
FA_API void fa_text_clear(fa_text *text);

/* The text, terminated, never NULL; "" for {0} and NULL. Valid until the text grows. */
FA_API const char *fa_text_c_str(const fa_text *text);

/* The text with its length, as a key for maps. Valid until the text changes. */
FA_API fa_str fa_text_str(const fa_text *text);

/* ------------------------------------------------------------------------------------------------
 * Inline functions. fa_text_append_char succeeds here when there is room. */

inline fa_status fa_text_append_char(fa_text *text, char byte) {
    if (FA_UNLIKELY(text == NULL || text->length >= text->capacity))
        return fa_text_append_n(text, &byte, 1);
    char *end = text->bytes + text->length++;
    end[0] = byte;
    end[1] = '\0';
    return FA_OK;
}

FA_EXTERN_C_END

#define FAI_TEXT_DECLARED
#include "fa/site.h"

#endif
