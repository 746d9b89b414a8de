#include "prune/sampled_rows.h"

#include "base/random.h"

#include <stdbool.h>
#include <string.h>

size_t sc_sampled_position(const sc_row_sampling *sampling, size_t image, size_t row) {
    size_t first = row * sampling->positions / sampling->per_image;
    size_t next = (row + 1) * sampling->positions / sampling->per_image;
    sc_random random;
    if (next - first == 1)
        return first;
    sc_random_seed(&random, sc_random_mix(sampling->seed, image), row);
    return first + (size_t)sc_random_below(&random, next - first);
}

static void copy_patch(sc_real *to, const sc_real *x, const sc_patch_shape *s, size_t position) {
    size_t top = position / s->columns * s->stride[0], left = position % s->columns * s->stride[1];
    for (size_t c = 0; c < s->channels; c++)
        for (size_t i = 0; i < s->kernel[0]; i++)
            for (size_t j = 0; j < s->kernel[1]; j++) {
                size_t line = top + i * s->dilation[0], at = left + j * s->dilation[1];
                bool inside = line >= s->padding[0] && line - s->padding[0] < s->height && at >= s->padding[1] &&
                              at - s->padding[1] < s->width;
                *to++ = inside ? x[(c * s->height + line - s->padding[0]) * s->width + at - s->padding[1]] : 0;
            }
}

void sc_sample_patches(sc_real *to, const sc_real *x, size_t n, size_t step, size_t image, const sc_patch_shape *shape,
                       const sc_row_sampling *sampling) {
    size_t length = shape->channels * shape->kernel[0] * shape->kernel[1];
#pragma omp parallel for collapse(2) schedule(static)
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < sampling->per_image; r++)
            copy_patch(to + (i * sampling->per_image + r) * length, x + i * step, shape,
                       sc_sampled_position(sampling, image + i, r));
}

void sc_sample_vectors(sc_real *to, const sc_real *x, size_t n, size_t image, size_t features,
                       const sc_row_sampling *sampling) {
#pragma omp parallel for collapse(2) schedule(static)
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < sampling->per_image; r++)
            memcpy(to + (i * sampling->per_image + r) * features,
                   x + (i * sampling->positions + sc_sampled_position(sampling, image + i, r)) * features,
                   features * sizeof *to);
}
