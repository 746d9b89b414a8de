#define _POSIX_C_SOURCE 200809L
#include "image/loader.h"

#include "base/interrupt.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* Batch number b is made in slot b % ahead. */
typedef struct slot {
    sc_image_batch batch;
    size_t missing; /* rows still to be filled */
} slot;

struct sc_image_loader {
    sc_image_source *source;
    sc_image_recipe recipe;
    size_t *indices;
    size_t count, batch, ahead, batches;
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t ready; /* a batch is complete */
    pthread_cond_t room;  /* a slot was emptied, or all shall stop */
    slot *slots;
    size_t next;      /* the sample to start next */
    size_t delivered; /* batches handed out */
    bool stopping;
    pthread_t *threads;
    size_t running;
};

/* Takes the next sample whose batch has a slot; false when there is nothing left to do. Called with the lock held. */
static bool take(sc_image_loader *loader, size_t *sample) {
    while (!loader->stopping && loader->next < loader->count &&
           loader->next / loader->batch - loader->delivered >= loader->ahead)
        pthread_cond_wait(&loader->room, &loader->lock);
    if (loader->stopping || loader->next >= loader->count)
        return false;
    *sample = loader->next++;
    return true;
}

static void *work(void *argument) {
    sc_image_loader *loader = argument;
    sc_recipe_scratch scratch = {0};
    size_t sample;
    pthread_mutex_lock(&loader->lock);
    while (take(loader, &sample)) {
        slot *place = &loader->slots[sample / loader->batch % loader->ahead];
        pthread_mutex_unlock(&loader->lock);
        sc_image_batch_fill(&place->batch, sample % loader->batch, loader->source, loader->indices[sample],
                            &loader->recipe, &scratch);
        pthread_mutex_lock(&loader->lock);
        if (--place->missing == 0)
            pthread_cond_signal(&loader->ready);
    }
    pthread_mutex_unlock(&loader->lock);
    sc_recipe_scratch_release(&scratch);
    return NULL;
}

/* Prepares a slot for the batch of this number, if there is one. */
static sc_status prepare(sc_image_loader *loader, size_t number, sc_error *error) {
    if (number >= loader->batches)
        return SC_OK;
    slot *place = &loader->slots[number % loader->ahead];
    size_t left = loader->count - number * loader->batch;
    place->missing = left < loader->batch ? left : loader->batch;
    return sc_image_batch_start(&place->batch, place->missing, &loader->recipe, error);
}

/* Signals are for the thread that runs Lua. */
static sc_status start_threads(sc_image_loader *loader, size_t workers, sc_error *error) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (loader->running < workers && pthread_create(&loader->threads[loader->running], NULL, work, loader) == 0)
        loader->running++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (loader->running == 0)
        return sc_error_set(error, SC_ERROR_MEMORY, "image loader: could not start a thread");
    return SC_OK;
}

static sc_status set_up(sc_image_loader *loader, const sc_image_loader_options *options, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, loader->count, sizeof *loader->indices, error));
    loader->indices = memory;
    if (loader->count > 0)
        memcpy(loader->indices, options->indices, loader->count * sizeof *loader->indices);
    SC_TRY(sc_memory_calloc(&memory, loader->ahead, sizeof *loader->slots, error));
    loader->slots = memory;
    SC_TRY(sc_memory_calloc(&memory, options->workers, sizeof *loader->threads, error));
    loader->threads = memory;
    for (size_t i = 0; i < loader->ahead; i++)
        SC_TRY(prepare(loader, i, error));
    return start_threads(loader, options->workers, error);
}

sc_status sc_image_loader_open(sc_image_loader **out, sc_image_source *source, const sc_image_loader_options *options,
                               sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_image_loader), error));
    sc_image_loader *loader = memory;
    pthread_condattr_t clock;
    bool locked = pthread_mutex_init(&loader->lock, NULL) == 0;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    if (!locked || pthread_cond_init(&loader->ready, &clock) != 0 || pthread_cond_init(&loader->room, &clock) != 0) {
        pthread_condattr_destroy(&clock);
        sc_memory_free(loader);
        return sc_error_set(error, SC_ERROR_MEMORY, "image loader: could not make a lock");
    }
    pthread_condattr_destroy(&clock);
    loader->source = sc_image_source_retain(source);
    loader->recipe = options->recipe;
    loader->count = options->count;
    loader->batch = options->batch;
    loader->ahead = options->ahead;
    loader->batches = loader->count / loader->batch + (loader->count % loader->batch != 0);
    sc_status status = set_up(loader, options, error);
    if (status != SC_OK)
        sc_image_loader_close(loader);
    else
        *out = loader;
    return status;
}

/* Waits, with the lock held, until the slot is complete; looks up ten times a second for Ctrl-C. */
static sc_status wait_for(sc_image_loader *loader, const slot *place, sc_error *error) {
    while (place->missing > 0) {
        struct timespec until;
        SC_TRY(sc_interrupt_check(error));
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&loader->ready, &loader->lock, &until);
    }
    return sc_interrupt_check(error);
}

sc_status sc_image_loader_next(sc_image_loader *loader, sc_image_batch *batch, bool *done, sc_error *error) {
    *batch = (sc_image_batch){0};
    *done = loader->delivered >= loader->batches;
    if (*done)
        return SC_OK;
    slot *place = &loader->slots[loader->delivered % loader->ahead];
    pthread_mutex_lock(&loader->lock);
    sc_status status = wait_for(loader, place, error);
    if (status == SC_OK) {
        sc_image_batch ready = place->batch;
        size_t missing = place->missing;
        status = prepare(loader, loader->delivered + loader->ahead, error);
        if (status == SC_OK) {
            *batch = ready;
            if (loader->delivered + loader->ahead >= loader->batches)
                place->batch = (sc_image_batch){0};
            loader->delivered++;
            pthread_cond_broadcast(&loader->room);
        } else { /* the batch stays, so that the call can be made again */
            place->batch = ready;
            place->missing = missing;
        }
    }
    pthread_mutex_unlock(&loader->lock);
    if (status == SC_OK)
        status = sc_image_batch_finish(batch, error);
    if (status != SC_OK)
        sc_image_batch_release(batch);
    return status;
}

void sc_image_loader_close(sc_image_loader *loader) {
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->room);
    pthread_mutex_unlock(&loader->lock);
    for (size_t i = 0; i < loader->running; i++)
        pthread_join(loader->threads[i], NULL);
    for (size_t i = 0; loader->slots && i < loader->ahead; i++)
        sc_image_batch_release(&loader->slots[i].batch);
    pthread_cond_destroy(&loader->room);
    pthread_cond_destroy(&loader->ready);
    pthread_mutex_destroy(&loader->lock);
    sc_memory_free(loader->slots);
    sc_memory_free(loader->threads);
    sc_memory_free(loader->indices);
    sc_image_source_release(loader->source);
    sc_memory_free(loader);
}
