/* What makes a convolution by Winograd's transform as good as one by plain sums where zeros and small numbers count.
 * The transform's rounding is relative to the largest inputs of a tile; a sum that comes out small beside these may be
 * little else, and a sum of zeros need not be zero. Such sums are few, and are done again here. */
#ifndef SC_KERNEL_SMALL_SUMS_H
#define SC_KERNEL_SMALL_SUMS_H

#include "kernel/conv2d.h"

/* Bytes of scratch that the function below needs. */
size_t sc_small_sums_scratch(const sc_conv2d_size *s, size_t n);

/* y, after sc_winograd_forward(y, ..., x, w, b, s, n): sums that are less than 2^-20 of what they might be, had all
 * inputs of their tile the size of the largest, are done again. False, and y as it was, where they are so many that a
 * plain convolution is the faster way. */
bool sc_small_sums_repair(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_real *b,
                          const sc_conv2d_size *s, size_t n);

#endif
