/* What a picture goes through on its way to the network: crop and resize, random changes, normalisation. */
#ifndef SC_IMAGE_RECIPE_H
#define SC_IMAGE_RECIPE_H

#include "image/augment.h"

typedef struct sc_image_recipe {
    size_t size;     /* of the square that comes out */
    size_t channels; /* 1 or 3 */
    sc_real mean[3], std[3];
    bool augmented;
    sc_augment augment;
    uint64_t seed; /* with the picture's index it decides every random choice */
} sc_image_recipe;

/* One per thread; zeroed = empty. */
typedef struct sc_recipe_scratch {
    sc_resample_scratch resample;
    sc_scratch planes;
} sc_recipe_scratch;

/* out [channels, size, size]. Without augmentation the whole picture is resized, its aspect not kept. The result
 * depends on the picture, the recipe and the index, on nothing else. */
sc_status sc_recipe_apply(sc_real *out, const sc_image_recipe *recipe, const sc_pixels *pixels, size_t index,
                          sc_recipe_scratch *scratch, sc_error *error);

/* Frees the buffers and leaves an empty scratch. */
void sc_recipe_scratch_release(sc_recipe_scratch *scratch);

#endif
