/* What an image goes through on its way to the network: crop and resize, random changes, normalisation. */
#ifndef SC_IMAGE_PREPROCESS_H
#define SC_IMAGE_PREPROCESS_H

#include "image/augment.h"

/* The steps, and their settings. */
typedef struct sc_preprocess {
    size_t size;     /* of the square that comes out */
    size_t channels; /* 1 or 3 */
    sc_real mean[3], std[3];
    bool augmented;
    sc_augment augment;
    uint64_t seed; /* with the image's index it decides every random choice */
} sc_preprocess;

/* One per thread; zeroed = empty. */
typedef struct sc_preprocess_scratch {
    sc_resample_scratch resample;
    sc_scratch planes;
} sc_preprocess_scratch;

/* out [channels, size, size]. Without augmentation the whole image is resized, its aspect not kept. The result
 * depends on the image, *preprocess and the index, on nothing else. */
sc_status sc_preprocess_apply(sc_real *out, const sc_preprocess *preprocess, const sc_pixels *pixels, size_t index,
                              sc_preprocess_scratch *scratch, sc_error *error);

/* Frees the buffers and leaves an empty scratch. */
void sc_preprocess_scratch_release(sc_preprocess_scratch *scratch);

#endif
