/* Tensors as text to look at: what tostring gives. */
#ifndef SC_TENSOR_FORMAT_H
#define SC_TENSOR_FORMAT_H

#include "tensor/tensor.h"

enum { SC_TENSOR_TEXT = 8192 };

/* Writes e.g.
 *
 *     Tensor [2x3] float32
 *     [[1.0000, 2.5000, 3.0000],
 *      [4.0000, 5.0000, 6.0000]]
 *
 * and returns text. Of long dimensions the beginning and the end are shown; of more than two dimensions, the last two
 * are a block under the indices of the others. At most 20 lines, which end without a newline. */
const char *sc_tensor_format(char text[SC_TENSOR_TEXT], const sc_tensor *tensor);

#endif
