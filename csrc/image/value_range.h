/* Which stored values of an image are black and which are white. */
#ifndef SC_IMAGE_VALUE_RANGE_H
#define SC_IMAGE_VALUE_RANGE_H

#include "image/pixels.h"
#include "image/scratch.h"

#include <stdbool.h>

typedef enum sc_value_range_kind {
    SC_RANGE_STORED,     /* 0 and the format's highest value, or the highest of the bits that PNG's sBIT names */
    SC_RANGE_GIVEN,      /* low and high */
    SC_RANGE_FULL,       /* the image's own lowest and highest value */
    SC_RANGE_PERCENTILE, /* the image's own percentiles 0.5 and 99.5; where they agree, as SC_RANGE_FULL */
} sc_value_range_kind;

typedef struct sc_value_range {
    sc_value_range_kind kind;
    double low, high; /* of SC_RANGE_GIVEN, in stored units, low < high */
} sc_value_range;

/* A sample v of channel c stands for ((v >> shift[c]) - low) * scale[c], cut to 0..1; no shift of reals. */
typedef struct sc_value_scaling {
    unsigned shift[3];
    sc_real low;
    sc_real scale[3];
} sc_value_scaling;

/* The scaling of an image's samples. *needed is false, and *out not set, where samples stand for their share of the
 * format's highest value, which is less work. Percentiles are those of all samples of all channels together,
 * interpolated between neighbours (as numpy's); an image of one value is black. */
sc_status sc_value_range_find(sc_value_scaling *out, bool *needed, const sc_value_range *range, const sc_pixels *pixels,
                              sc_scratch *scratch, sc_error *error);

/* The lowest and the highest sample, in stored units. */
void sc_value_range_extent(double *low, double *high, const sc_pixels *pixels);

/* The highest value that samples of the depth can have; of reals 1, by convention. */
double sc_value_range_limit(sc_depth depth);

#endif
