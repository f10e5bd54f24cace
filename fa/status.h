/* What a call answers when it can't do what was asked. */
#ifndef FA_STATUS_H
#define FA_STATUS_H

#include "fa/base.h"

FA_EXTERN_C_BEGIN

/* One list: the enumeration, the texts and the tests are made from it. X(name, text) */
#define FA_STATUS_LIST(X)                                                                          \
    X(FA_OK, "success")                                                                            \
    X(FA_ERROR_INVALID, "an argument is outside of its legal range")                               \
    X(FA_ERROR_CONFIG, "the configuration is not valid")                                           \
    X(FA_ERROR_NO_MEMORY, "no backend could serve the request")                                    \
    X(FA_ERROR_LIMIT, "a configured limit was reached")                                            \
    X(FA_ERROR_SEALED, "the backend is sealed and what is held does not fit")                      \
    X(FA_ERROR_NO_FRAME, "no frame is open on this thread")                                        \
    X(FA_ERROR_FRAME_OPEN, "a frame is already open on this thread")                               \
    X(FA_ERROR_FOREIGN, "the pointer or handle does not belong here")                              \
    X(FA_ERROR_CORRUPT, "memory of the allocator was overwritten")                                 \
    X(FA_ERROR_BACKEND, "the backend is unknown, unavailable or misconfigured")                    \
    X(FA_ERROR_UNSUPPORTED, "this platform or backend can't do that")                              \
    X(FA_ERROR_FULL, "the collection is full")                                                     \
    X(FA_ERROR_EXISTS, "the key is there already")                                                 \
    X(FA_ERROR_STATE, "it is not in a state that allows the call")                                 \
    X(FA_ERROR_TIMEOUT, "the time was over")                                                       \
    X(FA_ERROR_TAKEN, "somebody has taken it already")

typedef enum fa_status {
#define FA_STATUS_ENUM(name, text) name,
    FA_STATUS_LIST(FA_STATUS_ENUM)
#undef FA_STATUS_ENUM
        FA_STATUS_COUNT
} fa_status;

/* Text of a status, in English, without a full stop.
 * Returns a static string; "unknown status" for a value outside of the enumeration. Any thread. */
FA_API const char *fa_status_text(fa_status status);

/* Name of a status as spelled in the source ("FA_ERROR_LIMIT"). As fa_status_text otherwise. */
FA_API const char *fa_status_name(fa_status status);

FA_EXTERN_C_END

#endif
