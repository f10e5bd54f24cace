/* A job system: each worker begins and ends a frame of its own around each job. So a job needs no
 * lock for its memory, and whatever it took is gone before the next one. */
#include "fa/fa.h"

#include <pthread.h>
#include <stdio.h>

enum { WORKERS = 3, JOBS = 40 };

typedef struct job {
    int input;
    long output; /* written by the one worker that runs it */
} job;

typedef struct job_system {
    fa_allocator *memory; /* one for all */
    pthread_mutex_t mutex;
    job *jobs;
    size_t next, count;
    size_t failed_count;
} job_system;

static job *take(job_system *jobs) {
    pthread_mutex_lock(&jobs->mutex);
    job *taken = jobs->next < jobs->count ? &jobs->jobs[jobs->next++] : NULL;
    pthread_mutex_unlock(&jobs->mutex);
    return taken;
}

/* A job: how many primes are there below input? */
static bool execute(job *j, fa_frame *frame) {
    size_t count = (size_t)j->input;
    bool *composite = fa_frame_array_zeroed_in(frame, bool, count);
    if (composite == NULL)
        return false;
    for (size_t i = 2; i < count; i++) {
        j->output += !composite[i];
        for (size_t multiple = i * 2; multiple < count; multiple += i)
            composite[multiple] = true;
    }
    return true;
}

static void *work(void *argument) {
    job_system *jobs = argument;
    for (job *j; (j = take(jobs)) != NULL;) {
        fa_frame_scope(jobs->memory, frame); /* ends with each turn */
        if (frame != NULL && execute(j, frame))
            continue;
        pthread_mutex_lock(&jobs->mutex);
        jobs->failed_count++;
        pthread_mutex_unlock(&jobs->mutex);
    }
    return NULL;
}

int main(void) {
    job_system jobs = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    if (fa_allocator_create(NULL, &jobs.memory) != FA_OK)
        return 1;
    {
        fa_heap_scope(jobs.memory, job, JOBS, all);
        if (all == NULL)
            return 1;
        for (int i = 0; i < JOBS; i++)
            all[i] = (job){(i + 1) * 100, 0};
        jobs.jobs = all;
        jobs.count = JOBS;
        pthread_t workers[WORKERS];
        int started = 0;
        while (started < WORKERS && pthread_create(&workers[started], NULL, work, &jobs) == 0)
            started++;
        if (started == 0)
            work(&jobs); /* alone, then */
        for (int i = 0; i < started; i++)
            pthread_join(workers[i], NULL);
        printf("%d jobs, %zu failed; below %d there are %ld primes\n", JOBS, jobs.failed_count,
               all[JOBS - 1].input, all[JOBS - 1].output);
    }
    fa_stats stats;
    if (fa_stats_get(jobs.memory, &stats) == FA_OK)
        printf("%d frames\n", (int)stats.frame_count);
    return fa_allocator_destroy(jobs.memory) == 0 ? 0 : 1;
}
