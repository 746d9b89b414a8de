/* Resizing of a part of an image. */
#ifndef SC_IMAGE_RESAMPLE_H
#define SC_IMAGE_RESAMPLE_H

#include "image/pixels.h"
#include "image/scratch.h"
#include "image/value_range.h"

/* Columns left .. left + width - 1 and rows top .. top + height - 1, from 0. */
typedef struct sc_box {
    size_t left, top, width, height;
} sc_box;

/* Each output value is a weighted mean of source values, the weights being those of a filter around its place, which is
 * as wide as the scale demands ("antialiased"), normalised to one also at the borders: the filters of Pillow. */
typedef enum sc_interpolation {
    SC_BILINEAR, /* a triangle whose half-width is the scale, at least one source pixel */
    SC_BICUBIC,  /* Keys' cubic, a = -1/2, twice as wide; it may exceed the values that it has */
    SC_NEAREST,  /* the one source pixel that the middle of the output pixel lies in */
} sc_interpolation;

/* What sc_resample is to do. */
typedef struct sc_resample_request {
    sc_interpolation interpolation;
    sc_box box;                      /* what is resized, on the canvas; not empty */
    size_t image_left, image_top;    /* where the image lies on the canvas, whose other pixels are black */
    size_t height, width;            /* what the box is resized to; not 0 */
    sc_box part;                     /* what of that comes out; not empty */
    size_t row_stride, plane_stride; /* of out */
    const sc_value_scaling
        *scaling; /* of samples; NULL: their share of the format's highest value, reals as they are */
} sc_resample_request;

/* Buffers of sc_resample; zeroed = empty, one per thread. */
typedef struct sc_resample_scratch {
    sc_scratch columns, rows, line;
} sc_resample_scratch;

/* out [channels of the image, part.height, part.width], with the request's strides. */
sc_status sc_resample(sc_real *out, const sc_resample_request *request, const sc_pixels *pixels,
                      sc_resample_scratch *scratch, sc_error *error);

/* The request that resizes a box of an image to height x width, bilinear, into an out without gaps. */
sc_resample_request sc_resample_box(sc_box box, size_t height, size_t width);

/* Frees the buffers and leaves an empty scratch. */
void sc_resample_scratch_release(sc_resample_scratch *scratch);

#endif
