/* What keeps ties through a convolution by Winograd's transform. Plain sums give outputs that are equal to the bit
 * wherever their inputs are equal: in the black border of an image, along a straight edge. The transform does so inside
 * areas where all is equal, but not near the rims of these; a max pool would then choose by rounding. */
#ifndef SC_KERNEL_EQUAL_WINDOWS_H
#define SC_KERNEL_EQUAL_WINDOWS_H

#include "kernel/conv2d.h"

/* Bytes of scratch that the function below needs. */
size_t sc_equal_windows_scratch(const sc_conv2d_size *s, size_t n);

/* y, after sc_winograd_forward(y, ..., x, ...): outputs of a channel that are neighbours, across, down or diagonally,
 * and see equal inputs in all channels get one value. */
void sc_equal_windows_join(sc_real *y, void *scratch, const sc_real *x, const sc_conv2d_size *s, size_t n);

#endif
