/* Threads that decode and augment batches ahead of the consumer. */
#ifndef SC_IMAGE_LOADER_H
#define SC_IMAGE_LOADER_H

#include "image/batch.h"

typedef struct sc_image_loader sc_image_loader;

typedef struct sc_image_loader_options {
    const size_t *indices; /* [count], from 0, each below the source's count, in the order wanted; copied. An image that
                            * comes again is augmented otherwise. */
    size_t count;
    const size_t *repeats; /* (optional) [count]: how often each came before, where indices are a part of a longer
                            * order; copied. NULL: as indices say */
    size_t batch;          /* images per batch; the last may be smaller */
    const size_t *sizes;   /* (optional) [size_count]: of each batch instead, at least 1, count together */
    size_t size_count;
    size_t workers;  /* threads */
    size_t prefetch; /* batches that are made before they are asked for */
    sc_preprocess preprocess;
} sc_image_loader_options;

/* Starts the threads; keeps a reference to the source. What comes out does not depend on workers, prefetch or timing.
 */
sc_status sc_image_loader_create(sc_image_loader **out, sc_image_source *source, const sc_image_loader_options *options,
                                 sc_error *error);

/* Waits for the next batch, which is then the caller's. *done (and no batch) after the last. Gives up on Ctrl-C inside
 * an interrupt scope, and for good where a thread failed at something else than the bytes of an image (memory or
 * descriptors ran out, a file is gone), with its path in the message. One thread at a time. */
sc_status sc_image_loader_next(sc_image_loader *loader, sc_image_batch *batch, bool *done, sc_error *error);

/* Stops the threads in the midst of what they decode, and frees everything. NULL is allowed. */
void sc_image_loader_destroy(sc_image_loader *loader);

#endif
