/* Rows of regression problems: what a layer reads and makes at some positions of each image, one row per position.
 * Positions depend on the seed, the image's number and how many there are alone, so that rows of different nodes with
 * as many positions belong together, whatever the batch. */
#ifndef SC_PRUNE_SAMPLED_ROWS_H
#define SC_PRUNE_SAMPLED_ROWS_H

#include "base/real.h"

#include <stddef.h>
#include <stdint.h>

/* How rows are chosen: `per_image` of the positions 0 .. positions - 1 of each image, one from each of as many
 * stretches of equal length, so that no position comes twice and all regions are there; per_image <= positions. */
typedef struct sc_row_sampling {
    size_t positions, per_image;
    uint64_t seed;
} sc_row_sampling;

/* The position of row `row` of an image. */
size_t sc_sampled_position(const sc_row_sampling *sampling, size_t image, size_t row);

/* The patch of a map [channels x height x width] that an output of a convolution is made from; (vertical, horizontal)
 * each. `columns` is how many outputs stand in a line. */
typedef struct sc_patch_shape {
    size_t channels, height, width, columns;
    size_t kernel[2], stride[2], padding[2], dilation[2];
} sc_patch_shape;

/* to[n * per_image x channels * kernel] = the patches of maps x [n images, `step` numbers apart], of which the first is
 * image number `image`, in the order of a convolution's weights; zero beyond the border. */
void sc_sample_patches(sc_real *to, const sc_real *x, size_t n, size_t step, size_t image, const sc_patch_shape *shape,
                       const sc_row_sampling *sampling);

/* to[n * per_image x features] = the vectors of x [n x positions x features] at sampled positions. */
void sc_sample_vectors(sc_real *to, const sc_real *x, size_t n, size_t image, size_t features,
                       const sc_row_sampling *sampling);

#endif
