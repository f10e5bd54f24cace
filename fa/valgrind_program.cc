// Makes the mistake that its argument names, for valgrind to find; "none" makes none.
#include "fa/fa.h"

#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <thread>

namespace {

fa_allocator *g_allocator;
volatile char g_sink;

void Read(const char *block, size_t offset) {
    g_sink = static_cast<const volatile char *>(block)[offset];
}

char *Pool(size_t size) { return static_cast<char *>(fa_pool_alloc(g_allocator, size)); }
char *Heap(size_t size) { return static_cast<char *>(fa_heap_alloc(g_allocator, size)); }
char *Frame(size_t size) { return static_cast<char *>(fa_frame_alloc(g_allocator, size)); }

void None() {
    for (size_t size : {1u, 100u, 3000u, 100000u}) {
        fa_frame_begin(g_allocator);
        char *blocks[] = {Pool(size), Heap(size), Frame(size)};
        for (char *block : blocks) {
            memset(block, 1, size);
            Read(block, size - 1);
        }
        std::thread([&] {
            fa_pool_free(g_allocator, blocks[0]);
            memset(blocks[0] = Pool(size), 1, size);
        }).join();
        fa_pool_free_sized(g_allocator, blocks[0], size);
        fa_heap_free(g_allocator, blocks[1]);
        fa_frame_end(g_allocator);
    }
}

struct Mistake {
    const char *name;
    void (*make)();
};

char *Written(char *block, size_t size) {
    memset(block, 1, size);
    return block;
}

const Mistake kMistakes[] = {
    {"none", None},
    {"past-pool", [] { Read(Written(Pool(100), 100), 100); }},
    {"past-heap", [] { Read(Written(Heap(100), 100), 100); }},
    {"past-frame", [] { Read(Written(Frame(100), 100), 100); }},
    {"freed-pool",
     [] {
         char *block = Written(Pool(100), 100);
         fa_pool_free(g_allocator, block);
         Read(block, 50);
     }},
    {"freed-heap",
     [] {
         char *block = Written(Heap(10000), 10000);
         fa_heap_free(g_allocator, block);
         Read(block, 5000);
     }},
    {"ended-frame",
     [] {
         char *block = Written(Frame(100), 100);
         fa_frame_end(g_allocator);
         Read(block, 50);
         fa_frame_begin(g_allocator);
     }},
    {"sealed-frame", // what a thread leaves can't go back, and stays dead
     [] {
         char *block = nullptr;
         std::thread([&] {
             fa_frame_begin(g_allocator);
             block = Written(Frame(100), 100);
             fa_backend_seal(g_allocator);
         }).join();
         Read(block, 50);
     }},
    {"unwritten",
     [] {
         if (*Pool(100) == 0) // a jump that depends on what nobody wrote
             g_sink = 1;
     }},
};

} // namespace

int main(int argc, char **argv) {
    fa_alloc_config config = fa_alloc_config_default();
    config.checks = 0;
    config.on_event = nullptr;
    if (argc != 2 || fa_allocator_create(&config, &g_allocator) != FA_OK)
        return 2;
    for (const Mistake &mistake : kMistakes)
        if (strcmp(mistake.name, argv[1]) == 0) {
            if (mistake.make != None)
                fa_frame_begin(g_allocator);
            mistake.make();
            if (mistake.make != None)
                fa_frame_end(g_allocator);
            fa_allocator_destroy(g_allocator);
            return 0;
        }
    fprintf(stderr, "no mistake is called %s\n", argv[1]);
    return 2;
}
