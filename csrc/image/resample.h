/* Antialiased bilinear resizing of a part of an image. */
#ifndef SC_IMAGE_RESAMPLE_H
#define SC_IMAGE_RESAMPLE_H

#include "image/pixels.h"
#include "image/scratch.h"

/* Columns left .. left + width - 1 and rows top .. top + height - 1, from 0. */
typedef struct sc_box {
    size_t left, top, width, height;
} sc_box;

/* Buffers of sc_resample; zeroed = empty, one per thread. */
typedef struct sc_resample_scratch {
    sc_scratch columns, rows, line;
} sc_resample_scratch;

/* out [channels of the image, height, width] = the box of the image, in 0..1 (SC_DEPTH_REAL: as it is).
 *
 * Each output value is the mean of the source under a triangle whose half-width is the scale, at least one source
 * pixel, weights normalised to one also where the triangle leaves the box: the filter that Pillow and torchvision call
 * antialiased bilinear. The box must lie inside the image and nothing may be empty. */
sc_status sc_resample(sc_real *out, size_t height, size_t width, const sc_pixels *pixels, sc_box box,
                      sc_resample_scratch *scratch, sc_error *error);

/* Frees the buffers and leaves an empty scratch. */
void sc_resample_scratch_release(sc_resample_scratch *scratch);

#endif
