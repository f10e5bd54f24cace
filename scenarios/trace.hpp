/* A recorded run: every allocation call of a scenario, in order, to be replayed without the
 * scenario's own work.
 *
 * Sizes and order are in the operations, lifetimes follow from them, frames are ranges of
 * operations. The scenarios allocate on one thread, so a trace holds the calls of one thread.
 *
 * An id names a block from its allocation to its end (its free; for a frame block also the end of
 * its scope or frame); then the id may name another block. So a replay needs one slot for each id,
 * and its table stays as small as the program's own pointers would be. */
#ifndef FA_SCENARIOS_TRACE_HPP
#define FA_SCENARIOS_TRACE_HPP

#include <cstdint>
#include <string>
#include <vector>

namespace scenarios {

enum class TraceKind : uint32_t {
    kFrameAlloc, /* id gets size bytes */
    kFrameGrow,  /* id keeps its contents and has size bytes from now on */
    kFrameFree,  /* end of use; size: what the caller said, 0 when it does not know */
    kPoolAlloc,
    kPoolFree,
    kHeapAlloc,
    kHeapFree,
    kScopeBegin, /* id and size are 0 */
    kScopeEnd,   /* frame blocks allocated since are dead */
    kCount
};

struct TraceOp {
    TraceKind kind;
    uint32_t id;
    uint64_t size; /* bytes */
};
static_assert(sizeof(TraceOp) == 16);

/* Largest size that a trace may hold: a corrupt file shall not make a replay take all memory. */
constexpr uint64_t kTraceSizeMax = uint64_t{1} << 32;

struct Trace {
    std::vector<TraceOp> ops;
    /* Frame i consists of ops [frame_starts[i], frame_starts[i + 1]): one entry more than there are
     * frames (none at all without a frame). Ops before the first are set-up, ops behind the last
     * are tear-down; no frame is open in either. */
    std::vector<uint64_t> frame_starts;
    uint32_t id_count = 0; /* ids are below this */

    size_t frame_count() const { return frame_starts.empty() ? 0 : frame_starts.size() - 1; }

    /* "" when it can be replayed; else one line that says what is wrong where: an id out of range,
     * allocated while it is in use, used or freed while it is not, of another kind, a frame
     * operation outside of frames, a frame block from before a scope grown or freed in it, a scope
     * that is nested or left open, boundaries out of order. Pool and heap blocks may be alive at
     * the end. */
    std::string check() const;

    /* Both throw std::runtime_error with one line. load refuses what check refuses, wrong magic,
     * version or length. Files are little-endian: magic "FATRACE", version, counts, data. */
    void save(const std::string &path) const;
    static Trace load(const std::string &path);
};

} // namespace scenarios

#endif
