/* An allocator for each thread: for a plug-in, a job or a level that must not share limits,
 * statistics or memory with others, and whose memory goes as a whole when it is done. Threads that
 * merely work together need no more than one allocator: each has its frames in it anyway. */
#include "fa/fa.h"

#include <pthread.h>
#include <stdio.h>

enum { PLUGINS = 2 };

typedef struct plugin {
    pthread_t thread;
    const char *name;
    size_t bytes_max; /* of memory that it may take from the system */
    size_t block_count, leaked;
    fa_status refused;
} plugin;

static void use(plugin *self, fa_allocator *memory) {
    fa_frame_scope(memory, frame);
    if (frame == NULL)
        return;
    char *text = fa_frame_copy_string_in(frame, self->name);
    while (text != NULL && self->block_count < 100) {
        if (fa_heap_alloc(memory, 100000) == NULL) { /* the others do not notice */
            self->refused = fa_last_error().status;
            break;
        }
        self->block_count++;
    }
}

static void *run(void *argument) {
    plugin *self = argument;
    fa_alloc_config config = fa_alloc_config_default();
    config.name = self->name;
    config.bytes_max = self->bytes_max;
    config.on_event = NULL; /* a limit that is reached is expected here */
    config.strict = false;
    fa_allocator *memory;
    if (fa_allocator_create(&config, &memory) != FA_OK)
        return NULL;
    use(self, memory);
    self->leaked = fa_allocator_destroy(memory); /* all that it took is given back */
    return NULL;
}

int main(void) {
    plugin plugins[PLUGINS] = {
        {.name = "modest", .bytes_max = 64 << 20},
        {.name = "greedy", .bytes_max = 5 << 20},
    };
    for (int i = 0; i < PLUGINS; i++)
        if (pthread_create(&plugins[i].thread, NULL, run, &plugins[i]) != 0)
            return 1;
    for (int i = 0; i < PLUGINS; i++)
        pthread_join(plugins[i].thread, NULL);
    for (int i = 0; i < PLUGINS; i++) {
        const plugin *p = &plugins[i];
        printf("%s: %s, %s; all given back: %s\n", p->name,
               p->block_count == 100 ? "got all" : "was stopped", fa_status_text(p->refused),
               p->leaked == p->block_count ? "yes" : "no");
    }
    return 0;
}
