#define _POSIX_C_SOURCE 200809L
#include "image/loader.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/random.h"
#include "image/fault.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Batch number b is made in slot b % prefetch. */
typedef struct slot {
    sc_image_batch batch;
    size_t pending_rows; /* rows still to be filled */
} slot;

struct sc_image_loader {
    sc_image_source *source;
    sc_preprocess preprocess;
    size_t *indices;
    size_t *repeats;  /* [count]: how often the index was there before */
    size_t *starts;   /* [batches + 1]: the first sample of each batch */
    size_t *batch_of; /* [count]: the number of each sample's batch */
    size_t count, prefetch, batches;
    pthread_mutex_t lock;       /* over all that follows */
    pthread_cond_t batch_ready; /* a batch is complete */
    pthread_cond_t slot_free;   /* a slot was emptied, or all shall stop */
    slot *slots;
    size_t next;      /* the sample to start next */
    size_t delivered; /* batches handed out */
    size_t fault_at;  /* the sample at which the work ended before its end; the first of those that failed */
    sc_error fault;   /* why; its status is SC_OK as long as it goes on */
    bool stopping;
    atomic_bool closing; /* for decoders in the midst of an image */
    pthread_t *threads;
    size_t thread_count;
};

/* A tenth of a second from now, by the clock of the conditions. */
static struct timespec in_a_tenth(void) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return until;
}

/* Nobody waits any more, or nothing more can come. */
static bool is_stopping(const sc_image_loader *loader) {
    return loader->stopping || loader->fault.status != SC_OK;
}

/* Ends the work of all threads with the reason at a sample. Called with the lock held. */
static void stop_with(sc_image_loader *loader, size_t sample, const sc_error *reason) {
    if (loader->fault.status == SC_OK || sample < loader->fault_at) {
        loader->fault = *reason;
        loader->fault_at = sample;
    }
    pthread_cond_broadcast(&loader->slot_free);
    pthread_cond_broadcast(&loader->batch_ready);
}

/* Takes the next sample whose batch has a slot; false when there is nothing left to do. Called with the lock held. */
static bool take_sample(sc_image_loader *loader, size_t *sample) {
    while (!is_stopping(loader) && loader->next < loader->count &&
           loader->batch_of[loader->next] - loader->delivered >= loader->prefetch)
        pthread_cond_wait(&loader->slot_free, &loader->lock);
    if (is_stopping(loader) || loader->next >= loader->count)
        return false;
    *sample = loader->next++;
    return true;
}

/* Fills the row of a sample. A decoder that gave up because of Ctrl-C begins anew until the loader is told to stop, so
 * that who catches the error can ask for the same batch again. Called without the lock. */
static sc_status fill_row(sc_image_loader *loader, size_t sample, sc_preprocess_scratch *scratch, sc_error *error) {
    const size_t number = loader->batch_of[sample];
    slot *place = &loader->slots[number % loader->prefetch];
    sc_preprocess preprocess = loader->preprocess;
    if (loader->repeats[sample] > 0)
        preprocess.seed = sc_random_mix(preprocess.seed, loader->repeats[sample]);
    for (;;) {
        sc_status status = sc_image_batch_fill(&place->batch, sample - loader->starts[number], loader->source,
                                               loader->indices[sample], &preprocess, scratch, error);
        if (status != SC_ERROR_INTERRUPTED)
            return status;
        struct timespec until = in_a_tenth();
        pthread_mutex_lock(&loader->lock);
        if (!is_stopping(loader))
            pthread_cond_timedwait(&loader->slot_free, &loader->lock, &until);
        bool stopping = is_stopping(loader);
        pthread_mutex_unlock(&loader->lock);
        if (stopping)
            return status;
    }
}

static void *run_worker(void *argument) {
    sc_image_loader *loader = argument;
    sc_preprocess_scratch scratch = {0};
    sc_error reason;
    size_t sample;
    sc_image_cancel_by(&loader->closing);
    pthread_mutex_lock(&loader->lock);
    while (take_sample(loader, &sample)) {
        pthread_mutex_unlock(&loader->lock);
        sc_status status = fill_row(loader, sample, &scratch, &reason);
        pthread_mutex_lock(&loader->lock);
        if (status != SC_OK)
            stop_with(loader, sample, &reason); /* its row stays pending: the batch never is complete */
        else if (--loader->slots[loader->batch_of[sample] % loader->prefetch].pending_rows == 0)
            pthread_cond_signal(&loader->batch_ready);
    }
    pthread_mutex_unlock(&loader->lock);
    sc_preprocess_scratch_release(&scratch);
    return NULL;
}

/* Prepares a slot for the batch of this number, if there is one. */
static sc_status prepare_slot(sc_image_loader *loader, size_t number, sc_error *error) {
    if (number >= loader->batches)
        return SC_OK;
    slot *place = &loader->slots[number % loader->prefetch];
    place->pending_rows = loader->starts[number + 1] - loader->starts[number];
    return sc_image_batch_create(&place->batch, place->pending_rows, &loader->preprocess, error);
}

/* Signals are for the thread that runs Lua. */
static sc_status start_threads(sc_image_loader *loader, size_t workers, sc_error *error) {
    sigset_t all, before;
    int reason = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (loader->thread_count < workers && reason == 0) {
        reason = pthread_create(&loader->threads[loader->thread_count], NULL, run_worker, loader);
        loader->thread_count += reason == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (loader->thread_count > 0)
        return SC_OK;
    char text[128];
    if (strerror_r(reason, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", reason);
    return sc_error_set(error, SC_ERROR_MEMORY,
                        "image loader: could not create a thread: %s (too little memory, or too many processes: "
                        "ulimit -u)",
                        text);
}

/* Where batches begin and end. */
static sc_status set_batches(sc_image_loader *loader, const sc_image_loader_options *options, sc_error *error) {
    void *memory;
    const size_t batch = options->batch, even = loader->count / batch + (loader->count % batch != 0);
    loader->batches = options->sizes ? options->size_count : even;
    SC_TRY(sc_memory_calloc(&memory, loader->batches + 1, sizeof *loader->starts, error));
    loader->starts = memory;
    SC_TRY(sc_memory_calloc(&memory, loader->count + 1, sizeof *loader->batch_of, error));
    loader->batch_of = memory;
    size_t first = 0;
    for (size_t b = 0; b < loader->batches; b++) {
        const size_t left = loader->count - first, wanted = options->sizes ? options->sizes[b] : batch;
        const size_t size = wanted < left ? wanted : left;
        if (size == 0 || (options->sizes && size < wanted))
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "image_loader: sizes: expected numbers of at least 1 that sum "
                                "to that of the indices");
        for (size_t i = 0; i < size; i++)
            loader->batch_of[first + i] = b;
        first += size;
        loader->starts[b + 1] = first;
    }
    if (first != loader->count)
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "image_loader: sizes: expected as many as there are indices together, %zu, got %zu",
                            loader->count, first);
    return SC_OK;
}

static sc_status set_repeats(sc_image_loader *loader, const size_t *repeats, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, loader->count, sizeof *loader->repeats, error));
    loader->repeats = memory;
    if (repeats && loader->count > 0)
        memcpy(loader->repeats, repeats, loader->count * sizeof *repeats);
    if (repeats)
        return SC_OK;
    SC_TRY(sc_memory_calloc(&memory, sc_image_source_count(loader->source), sizeof(size_t), error));
    size_t *seen = memory;
    for (size_t i = 0; i < loader->count; i++)
        loader->repeats[i] = seen[loader->indices[i]]++;
    sc_memory_free(seen);
    return SC_OK;
}

static sc_status start(sc_image_loader *loader, const sc_image_loader_options *options, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, loader->count, sizeof *loader->indices, error));
    loader->indices = memory;
    if (loader->count > 0)
        memcpy(loader->indices, options->indices, loader->count * sizeof *loader->indices);
    SC_TRY(set_repeats(loader, options->repeats, error));
    SC_TRY(set_batches(loader, options, error));
    SC_TRY(sc_memory_calloc(&memory, loader->prefetch, sizeof *loader->slots, error));
    loader->slots = memory;
    SC_TRY(sc_memory_calloc(&memory, options->workers, sizeof *loader->threads, error));
    loader->threads = memory;
    for (size_t i = 0; i < loader->prefetch; i++)
        SC_TRY(prepare_slot(loader, i, error));
    return start_threads(loader, options->workers, error);
}

sc_status sc_image_loader_create(sc_image_loader **out, sc_image_source *source, const sc_image_loader_options *options,
                                 sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_image_loader), error));
    sc_image_loader *loader = memory;
    pthread_condattr_t clock;
    bool locked = pthread_mutex_init(&loader->lock, NULL) == 0;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    if (!locked || pthread_cond_init(&loader->batch_ready, &clock) != 0 ||
        pthread_cond_init(&loader->slot_free, &clock) != 0) {
        pthread_condattr_destroy(&clock);
        sc_memory_free(loader);
        return sc_error_set(error, SC_ERROR_MEMORY, "image loader: could not create a mutex");
    }
    pthread_condattr_destroy(&clock);
    atomic_init(&loader->closing, false);
    loader->source = sc_image_source_retain(source);
    loader->preprocess = options->preprocess;
    loader->count = options->count;
    loader->prefetch = options->prefetch;
    sc_status status = start(loader, options, error);
    if (status != SC_OK)
        sc_image_loader_destroy(loader);
    else
        *out = loader;
    return status;
}

/* Waits, with the lock held, until the slot is complete; looks up ten times a second for Ctrl-C. */
static sc_status wait_for_batch(sc_image_loader *loader, const slot *place, sc_error *error) {
    while (place->pending_rows > 0) {
        SC_TRY(sc_interrupt_check(error));
        /* earlier batches still get complete: their samples were begun before */
        if (loader->fault.status != SC_OK && loader->batch_of[loader->fault_at] <= loader->delivered)
            return sc_error_set(error, loader->fault.status, "%s", loader->fault.message);
        struct timespec until = in_a_tenth();
        pthread_cond_timedwait(&loader->batch_ready, &loader->lock, &until);
    }
    return sc_interrupt_check(error);
}

sc_status sc_image_loader_next(sc_image_loader *loader, sc_image_batch *batch, bool *done, sc_error *error) {
    *batch = (sc_image_batch){0};
    *done = loader->delivered >= loader->batches;
    if (*done)
        return SC_OK;
    slot *place = &loader->slots[loader->delivered % loader->prefetch];
    pthread_mutex_lock(&loader->lock);
    sc_status status = wait_for_batch(loader, place, error);
    if (status == SC_OK) {
        sc_image_batch ready = place->batch;
        size_t pending_rows = place->pending_rows;
        status = prepare_slot(loader, loader->delivered + loader->prefetch, error);
        if (status == SC_OK) {
            *batch = ready;
            if (loader->delivered + loader->prefetch >= loader->batches)
                place->batch = (sc_image_batch){0};
            loader->delivered++;
            pthread_cond_broadcast(&loader->slot_free);
        } else { /* the batch stays, so that the call can be made again */
            place->batch = ready;
            place->pending_rows = pending_rows;
        }
    }
    pthread_mutex_unlock(&loader->lock);
    if (status == SC_OK)
        status = sc_image_batch_finish(batch, error);
    if (status != SC_OK)
        sc_image_batch_release(batch);
    return status;
}

void sc_image_loader_destroy(sc_image_loader *loader) {
    if (!loader)
        return;
    atomic_store(&loader->closing, true);
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->slot_free);
    pthread_mutex_unlock(&loader->lock);
    for (size_t i = 0; i < loader->thread_count; i++)
        pthread_join(loader->threads[i], NULL);
    for (size_t i = 0; loader->slots && i < loader->prefetch; i++)
        sc_image_batch_release(&loader->slots[i].batch);
    pthread_cond_destroy(&loader->slot_free);
    pthread_cond_destroy(&loader->batch_ready);
    pthread_mutex_destroy(&loader->lock);
    sc_memory_free(loader->slots);
    sc_memory_free(loader->threads);
    sc_memory_free(loader->indices);
    sc_memory_free(loader->repeats);
    sc_memory_free(loader->starts);
    sc_memory_free(loader->batch_of);
    sc_image_source_release(loader->source);
    sc_memory_free(loader);
}
