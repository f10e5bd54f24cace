#include "scenarios/trace.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace scenarios {
namespace {

constexpr char kMagic[8] = {'F', 'A', 'T', 'R', 'A', 'C', 'E', '\0'};
constexpr uint32_t kVersion = 2;

struct FileHeader {
    char magic[8];
    uint32_t version;
    uint32_t id_count;
    uint64_t op_count;
    uint64_t start_count;
};
static_assert(sizeof(FileHeader) == 32);
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are written as they lie in memory");

enum class Intent : uint8_t { kNone, kFrame, kPool, kHeap };

Intent intent_of(TraceKind kind) {
    switch (kind) {
    case TraceKind::kFrameAlloc:
    case TraceKind::kFrameGrow:
    case TraceKind::kFrameFree:
        return Intent::kFrame;
    case TraceKind::kPoolAlloc:
    case TraceKind::kPoolFree:
        return Intent::kPool;
    case TraceKind::kHeapAlloc:
    case TraceKind::kHeapFree:
        return Intent::kHeap;
    default:
        return Intent::kNone;
    }
}

bool is_alloc(TraceKind kind) {
    return kind == TraceKind::kFrameAlloc || kind == TraceKind::kPoolAlloc ||
           kind == TraceKind::kHeapAlloc;
}

bool is_free(TraceKind kind) {
    return kind == TraceKind::kFrameFree || kind == TraceKind::kPoolFree ||
           kind == TraceKind::kHeapFree;
}

/* Plays the operations on a table of what lives, without memory. */
class Checker {
  public:
    explicit Checker(uint32_t id_count) : live_(id_count, Intent::kNone) {}

    const char *step(const TraceOp &op, bool in_frame) {
        if (op.kind == TraceKind::kScopeBegin || op.kind == TraceKind::kScopeEnd)
            return step_scope(op, in_frame);
        Intent intent = intent_of(op.kind);
        if (intent == Intent::kNone)
            return "unknown kind";
        if (op.id >= live_.size())
            return "id out of range";
        if (intent == Intent::kFrame && !in_frame)
            return "frame operation outside of frames";
        if (op.size > kTraceSizeMax || (op.size == 0 && !is_free(op.kind)))
            return "size out of range";
        Intent &live = live_[op.id];
        if (is_alloc(op.kind)) {
            if (live != Intent::kNone)
                return "id allocated while it is in use";
            live = intent;
            if (intent == Intent::kFrame)
                (in_scope_ ? of_scope_ : of_frame_).push_back(op.id);
        } else {
            if (live != intent)
                return live == Intent::kNone ? "id used while it is free" : "id of another kind";
            if (intent == Intent::kFrame && in_scope_ &&
                std::find(of_scope_.begin(), of_scope_.end(), op.id) == of_scope_.end())
                return "frame block from before the scope";
            if (is_free(op.kind))
                live = Intent::kNone;
        }
        return nullptr;
    }

    /* False when a scope is open. */
    bool end_frame() {
        bury(of_frame_);
        return !in_scope_;
    }

  private:
    const char *step_scope(const TraceOp &op, bool in_frame) {
        bool begins = op.kind == TraceKind::kScopeBegin;
        if (op.id != 0 || op.size != 0)
            return "a scope with an id or a size";
        if (!in_frame)
            return "frame operation outside of frames";
        if (begins == in_scope_)
            return begins ? "scope in a scope" : "end of a scope without one";
        if (!begins)
            bury(of_scope_);
        in_scope_ = begins;
        return nullptr;
    }
    void bury(std::vector<uint32_t> &ids) {
        for (uint32_t id : ids)
            if (live_[id] == Intent::kFrame)
                live_[id] = Intent::kNone;
        ids.clear();
    }

    std::vector<Intent> live_;
    std::vector<uint32_t> of_frame_, of_scope_;
    bool in_scope_ = false;
};

[[noreturn]] void fail(const std::string &path, const std::string &why) {
    throw std::runtime_error("trace " + path + ": " + why);
}

template <class T> void write_all(std::ofstream &file, const T *data, size_t count) {
    file.write(reinterpret_cast<const char *>(data),
               static_cast<std::streamsize>(count * sizeof(T)));
}

template <class T> bool read_all(std::ifstream &file, T *data, size_t count) {
    file.read(reinterpret_cast<char *>(data), static_cast<std::streamsize>(count * sizeof(T)));
    return static_cast<size_t>(file.gcount()) == count * sizeof(T);
}

} // namespace

std::string Trace::check() const {
    if (frame_starts.size() == 1)
        return "one frame boundary alone";
    for (size_t i = 0; i < frame_starts.size(); i++)
        if (frame_starts[i] > ops.size() || (i > 0 && frame_starts[i] < frame_starts[i - 1]))
            return "frame boundary " + std::to_string(i) + " out of order";
    if (id_count > ops.size())
        return "more ids than operations";
    Checker checker(id_count);
    size_t boundary = 0; /* boundaries passed so far */
    for (size_t i = 0; i < ops.size(); i++) {
        while (boundary < frame_starts.size() && frame_starts[boundary] <= i) {
            if (!checker.end_frame())
                return "frame boundary " + std::to_string(boundary) + " in a scope";
            boundary++;
        }
        bool in_frame = boundary > 0 && boundary < frame_starts.size();
        if (const char *wrong = checker.step(ops[i], in_frame))
            return "operation " + std::to_string(i) + ": " + wrong;
    }
    return checker.end_frame() ? "" : "a scope is open at the end";
}

void Trace::save(const std::string &path) const {
    FileHeader header = {};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.version = kVersion;
    header.id_count = id_count;
    header.op_count = ops.size();
    header.start_count = frame_starts.size();
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    write_all(file, &header, 1);
    write_all(file, frame_starts.data(), frame_starts.size());
    write_all(file, ops.data(), ops.size());
    file.close();
    if (!file)
        fail(path, "can't be written");
}

Trace Trace::load(const std::string &path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file)
        fail(path, "can't be read");
    uint64_t bytes = static_cast<uint64_t>(file.tellg());
    file.seekg(0);
    FileHeader header;
    if (!read_all(file, &header, 1) || std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
        fail(path, "not a trace");
    if (header.version != kVersion)
        fail(path, "version " + std::to_string(header.version) + ", but " +
                       std::to_string(kVersion) + " is read here");
    uint64_t left = bytes - sizeof header;
    if (header.op_count > left / sizeof(TraceOp) || header.start_count > left / sizeof(uint64_t) ||
        header.op_count * sizeof(TraceOp) + header.start_count * sizeof(uint64_t) != left)
        fail(path, "its length is not what its header says");
    Trace trace;
    trace.id_count = header.id_count;
    trace.frame_starts.resize(header.start_count);
    trace.ops.resize(header.op_count);
    if (!read_all(file, trace.frame_starts.data(), trace.frame_starts.size()) ||
        !read_all(file, trace.ops.data(), trace.ops.size()))
        fail(path, "can't be read to its end");
    std::string wrong = trace.check();
    if (!wrong.empty())
        fail(path, wrong);
    return trace;
}

} // namespace scenarios
