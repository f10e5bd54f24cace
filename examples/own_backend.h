/* A backend of one's own: see own_backend.c. */
#ifndef EXAMPLES_OWN_BACKEND_H
#define EXAMPLES_OWN_BACKEND_H

#include "fa/backend.h"

FA_EXTERN_C_BEGIN

/* Gives out one static region of 16 MiB ("the fast memory of this machine"). Declines what does not
 * fit into it, and heap blocks, so that the next backend of the chain serves those. */
fa_backend own_backend(void);

/* Bytes of the region that are in use. */
size_t own_backend_used_bytes(void);

FA_EXTERN_C_END

#endif
