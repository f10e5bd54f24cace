#include "fa/internal/plan.h"

#include "fa/internal/allocator.h"

static void open_window(fai_plan *plan, const fa_allocator *allocator) {
    uint32_t rests = allocator->config.frame_trim_after;
    plan->rests_left = rests != 0 ? rests : UINT32_MAX;
    FAI_STORE_RELAXED(&plan->peak, 0);
}

void fai_plan_begin(fai_plan *plan, const fa_allocator *allocator, size_t bytes) {
    plan->bytes = plan->floor = fai_round_up(bytes, FA_ALIGN_MIN);
    plan->large_kib = 0;
    open_window(plan, allocator);
}

size_t fai_plan_next(const fai_plan *plan, size_t wanted, size_t most, size_t header,
                     bool is_large) {
    size_t large = is_large ? (size_t)plan->large_kib << 10 : 0;
    wanted = (wanted < most ? wanted : most) - header;
    wanted = wanted > large ? wanted : large;
    return wanted > plan->bytes ? wanted : plan->bytes;
}

void fai_plan_learn(fai_plan *plan, size_t bytes_max) {
    /* In one chunk the tails of the others are not needed, but there is alignment. */
    size_t bytes = fai_round_up(plan->peak + plan->peak / 16, FA_ALIGN_MIN);
    if (bytes_max != 0 && bytes > bytes_max)
        bytes = bytes_max & ~(FA_ALIGN_MIN - 1);
    plan->bytes = bytes > plan->bytes ? bytes : plan->bytes;
}

bool fai_plan_rest(fai_plan *plan, const fa_allocator *allocator, size_t held) {
    if (plan->rests_left != 0 && --plan->rests_left != 0)
        return false;
    const fa_alloc_config *config = &allocator->config;
    size_t peak = plan->peak, least = config->frame_chunk_bytes_first;
    least = plan->floor > least ? plan->floor : least;
    open_window(plan, allocator);
    if (config->frame_trim_after == 0 || held <= least || peak > held / 4 ||
        FAI_LOAD_SEQ(&allocator->spans.sealed))
        return false;
    size_t bytes = fai_round_up(2 * peak, FA_ALIGN_MIN);
    plan->bytes = bytes > plan->floor ? bytes : plan->floor;
    plan->large_kib = 0;
    return true;
}
