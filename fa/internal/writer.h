/* Text into memory of a caller who may have too little of it: as snprintf, but piece by piece. */
#ifndef FAI_WRITER_H
#define FAI_WRITER_H

#include "fa/base.h"

typedef struct fai_writer {
    char *text;
    size_t capacity;
    size_t length; /* of the whole text, as far as it is put: also of what is cut off */
} fai_writer;

/* Starts with an empty text. text: NULL, or text_bytes 0, to learn how long it will be. */
fai_writer fai_writer_begin(char *text, size_t text_bytes);

/* Adds a piece; what is there always ends with a zero. */
FA_PRINTF(2, 3) void fai_put(fai_writer *out, const char *format, ...);

#endif
