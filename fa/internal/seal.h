/* Who is in a call to the backends, and that after the seal nobody is: one thread announces its
 * call and then looks for the seal; the other sets the seal and then looks for calls (Dekker's
 * scheme).
 *
 * What is ordered: those four are sequentially consistent: whichever of two threads comes second in
 * that order sees what the first one wrote, so either the call is not made, or the seal waits for
 * it. Leave: release, and the seal's last look has acquire: what calls did comes before the seal
 * holds. A call that is not made leaves with nothing to show.
 *
 * Compiled for the checker of memory orders too (fa/weak/seal_weak_test.cc). */
#ifndef FAI_SEAL_H
#define FAI_SEAL_H

#include "fa/internal/atomic.h"

typedef FAI_ATOMIC(bool) fai_seal_flag;
typedef FAI_ATOMIC(uint32_t) fai_seal_calls;

/* From here to leave a call may be made. False: it is sealed, none may. */
static inline bool fai_seal_enter(const fai_seal_flag *sealed, fai_seal_calls *calls) {
    FAI_ADD_SEQ(calls, 1);
    if (FA_LIKELY(!FAI_LOAD_SEQ(sealed)))
        return true;
    FAI_SUB_RELAXED(calls, 1);
    return false;
}

static inline void fai_seal_leave(fai_seal_calls *calls) { FAI_SUB_RELEASE(calls, 1); }

/* No call is begun from now on that was not announced before. */
static inline void fai_seal_close(fai_seal_flag *sealed) { FAI_STORE_SEQ(sealed, true); }

/* After it was closed: whether all are over that were under way. */
static inline bool fai_seal_is_quiet(const fai_seal_calls *calls) {
    return FAI_LOAD_SEQ(calls) == 0;
}

#endif
