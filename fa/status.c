#include "fa/status.h"

static const struct {
    const char *name, *text;
} k_statuses[] = {
#define STATUS_ROW(name, text) {#name, text},
    FA_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

const char *fa_status_text(fa_status status) {
    return (unsigned)status < FA_STATUS_COUNT ? k_statuses[status].text : "unknown status";
}

const char *fa_status_name(fa_status status) {
    return (unsigned)status < FA_STATUS_COUNT ? k_statuses[status].name : "unknown status";
}
