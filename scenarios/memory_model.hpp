/* For tests: does a Memory keep to memory.hpp? Random calls against a model that knows what every
 * block must contain. */
#ifndef FA_SCENARIOS_MEMORY_MODEL_HPP
#define FA_SCENARIOS_MEMORY_MODEL_HPP

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "scenarios/scenario.hpp"

namespace scenarios {

/* A block and the byte that fills it. */
struct ModelBlock {
    unsigned char *bytes;
    size_t size;
    unsigned char fill;
};

inline ModelBlock model_block(void *block, size_t size, Random &random) {
    EXPECT_NE(nullptr, block);
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(block) % (size < 16 ? 8 : 16));
    ModelBlock made = {static_cast<unsigned char *>(block), size,
                       static_cast<unsigned char>(random.next())};
    std::memset(made.bytes, made.fill, size);
    return made;
}

inline void expect_kept(const ModelBlock &block, size_t size) {
    size_t wrong = 0;
    for (size_t i = 0; i < size; i++)
        wrong += block.bytes[i] != block.fill;
    EXPECT_EQ(0u, wrong) << "of " << size << " bytes changed";
}

/* The end of the use of the blocks from number `first` on. */
template <class M> void model_free(M &memory, std::vector<ModelBlock> &blocks, size_t first) {
    for (const ModelBlock &block : blocks)
        expect_kept(block, block.size);
    for (size_t i = first; i < blocks.size(); i++)
        memory.frame_free(blocks[i].bytes, blocks[i].size);
    blocks.resize(first);
}

template <class M> void check_memory(M &memory, uint64_t seed) {
    SCOPED_TRACE(std::string(M::kName) + ", seed " + std::to_string(seed));
    Random random(seed);
    std::vector<ModelBlock> pool, heap;
    for (int frame = 0; frame < 20; frame++) {
        std::vector<ModelBlock> blocks;
        bool in_scope = false;
        size_t first = 0; /* of the scope's blocks: those before stay as they are */
        memory.frame_begin();
        for (int call = 0; call < 300; call++) {
            if (random.below(20) == 0) {
                if (in_scope) {
                    model_free(memory, blocks, first);
                    memory.scope_end();
                } else {
                    memory.scope_begin();
                }
                in_scope = !in_scope;
                first = in_scope ? blocks.size() : 0;
            }
            size_t size = 1 + random.below(random.below(20) == 0 ? 100000 : 500);
            uint32_t choice = random.below(8);
            if (choice < 3) {
                blocks.push_back(model_block(memory.frame_alloc(size), size, random));
            } else if (choice == 3) {
                /* Mostly the newest one, which some allocators grow in place. */
                if (blocks.size() == first || random.below(8) == 0)
                    blocks.push_back({nullptr, 0, 0});
                ModelBlock old = blocks.back();
                blocks.back().bytes = static_cast<unsigned char *>(
                    memory.frame_grow(old.bytes, old.size, old.size + size));
                expect_kept(blocks.back(), old.size);
                blocks.back() = model_block(blocks.back().bytes, old.size + size, random);
            } else if (choice == 4 && blocks.size() > first) {
                size_t at = first + random.below(static_cast<uint32_t>(blocks.size() - first));
                expect_kept(blocks[at], blocks[at].size);
                memory.frame_free(blocks[at].bytes, random.below(2) ? blocks[at].size : 0);
                blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
            } else if (choice == 5) {
                size = 1 + size % 2000;
                pool.push_back(model_block(memory.pool_alloc(size), size, random));
            } else if (choice == 6) {
                heap.push_back(model_block(memory.heap_alloc(size), size, random));
            } else if (choice == 7 && !pool.empty()) {
                expect_kept(pool.back(), pool.back().size);
                memory.pool_free(pool.back().bytes, pool.back().size);
                pool.pop_back();
            }
        }
        model_free(memory, blocks, first);
        if (in_scope)
            memory.scope_end();
        model_free(memory, blocks, 0);
        memory.frame_end();
    }
    for (const ModelBlock &block : pool) {
        expect_kept(block, block.size);
        memory.pool_free(block.bytes, block.size);
    }
    for (const ModelBlock &block : heap) {
        expect_kept(block, block.size);
        memory.heap_free(block.bytes, block.size);
    }
}

template <class M> void check_memory(const char *backend = "") {
    for (uint64_t seed = 1; seed <= 2; seed++) {
        M memory(MemoryOptions{backend});
        check_memory(memory, seed);
    }
}

} // namespace scenarios

#endif
