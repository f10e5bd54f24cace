/* A builder: a mesh is put together in frame memory, where growing is cheap, and then copied into
 * one heap block of exactly its size, which lives on. */
#include "fa/fa.h"

#include <stdio.h>
#include <string.h>

typedef struct vertex {
    float x, y, z;
} vertex;

FA_VEC(vertex_vec, vertex)
FA_VEC(index_vec, uint32_t)

typedef struct mesh { /* one block: itself, vertices, indices */
    vertex *vertices;
    uint32_t *indices;
    size_t vertex_count, index_count;
} mesh;

/* The first thing that goes wrong is kept, and looked at once, by build. */
typedef struct mesh_builder {
    vertex_vec vertices;
    index_vec indices;
    fa_status status;
} mesh_builder;

static mesh_builder mesh_begin(fa_frame *frame) {
    mesh_builder made = {vertex_vec_make_in(frame, 0), index_vec_make_in(frame, 0), FA_OK};
    return made;
}

static mesh_builder *mesh_vertex(mesh_builder *b, float x, float y, float z) {
    vertex added = {x, y, z};
    if (b->status == FA_OK)
        b->status = vertex_vec_push(&b->vertices, added);
    return b; /* calls can be chained */
}

static mesh_builder *mesh_triangle(mesh_builder *b, uint32_t first, uint32_t second,
                                   uint32_t third) {
    const uint32_t corners[3] = {first, second, third};
    if (b->status == FA_OK)
        b->status = index_vec_push_n(&b->indices, corners, 3);
    return b;
}

static mesh *mesh_build(const mesh_builder *b, fa_allocator *memory) {
    size_t vertex_bytes = b->vertices.count * sizeof(vertex);
    size_t index_bytes = b->indices.count * sizeof(uint32_t);
    if (b->status != FA_OK || index_bytes == 0)
        return NULL;
    mesh *built = fa_heap_alloc(memory, sizeof(mesh) + vertex_bytes + index_bytes);
    if (built == NULL)
        return NULL;
    *built = (mesh){(vertex *)(void *)(built + 1), NULL, b->vertices.count, b->indices.count};
    built->indices = (uint32_t *)(void *)(built->vertices + built->vertex_count);
    memcpy(built->vertices, b->vertices.items, vertex_bytes);
    memcpy(built->indices, b->indices.items, index_bytes);
    return built;
}

static mesh *make_quad(fa_allocator *memory) {
    fa_frame_scope(memory, frame); /* all that the builder used goes with it */
    if (frame == NULL)
        return NULL;
    mesh_builder b = mesh_begin(frame);
    mesh_vertex(mesh_vertex(&b, 0, 0, 0), 1, 0, 0);
    mesh_vertex(mesh_vertex(&b, 1, 1, 0), 0, 1, 0);
    mesh_triangle(mesh_triangle(&b, 0, 1, 2), 0, 2, 3);
    return mesh_build(&b, memory);
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    mesh *quad = make_quad(memory);
    if (quad != NULL)
        printf("%zu vertices, %zu indices, the last corner is %u\n", quad->vertex_count,
               quad->index_count, (unsigned)quad->indices[quad->index_count - 1]);
    fa_heap_free(memory, quad);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
