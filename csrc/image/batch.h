/* A batch of images ready for the network, and the names of those that could not be read. */
#ifndef SC_IMAGE_BATCH_H
#define SC_IMAGE_BATCH_H

#include "image/preprocess.h"
#include "image/source.h"

#include <stdbool.h>

/* Zeroed = none. */
typedef struct sc_image_batch {
    sc_tensor pixels; /* [count, channels, size, size]; after sc_image_batch_finish only the rows that were read */
    size_t count;
    bool *failed;    /* [count]; the file's bytes are no image that can be read */
    char **messages; /* [count]; why, NULL where it did not fail */
} sc_image_batch;

/* Makes room for count images. */
sc_status sc_image_batch_create(sc_image_batch *batch, size_t count, const sc_preprocess *preprocess, sc_error *error);

/* Fills row position (from 0) with the image at an index; or notes that its bytes are no image that can be read, and
 * why. What else goes wrong says nothing of the image (memory or descriptors ran out, the file is gone, Ctrl-C): that
 * is returned, with the path in the message, and the work must end with it. Several threads may fill different rows,
 * each with a scratch of its own. */
sc_status sc_image_batch_fill(sc_image_batch *batch, size_t position, sc_image_source *source, size_t index,
                              const sc_preprocess *preprocess, sc_preprocess_scratch *scratch, sc_error *error);

/* Fills and finishes a whole batch on all cores. On failure *batch is none, and the message is that of the first of
 * those images that it was noticed at. */
sc_status sc_image_batch_load(sc_image_batch *batch, sc_image_source *source, const size_t *indices, size_t count,
                              const sc_preprocess *preprocess, sc_error *error);

/* Closes the gaps that failed rows left; pixels then has as many rows as there are false entries in failed. */
sc_status sc_image_batch_finish(sc_image_batch *batch, sc_error *error);

/* Checks every header of the source on all cores: the failed and messages of the result have one entry per image, and
 * its pixels are none. What lies at a path and is no regular file counts as failed too. */
sc_status sc_image_batch_check(sc_image_batch *batch, const sc_image_source *source, sc_error *error);

/* Frees everything and zeroes the struct. */
void sc_image_batch_release(sc_image_batch *batch);

#endif
