/* Elementwise arithmetic and reductions on tensors of real numbers, for scripts. Models compute through csrc/op. */
#ifndef SC_TENSOR_MATH_H
#define SC_TENSOR_MATH_H

#include "tensor/tensor.h"

typedef enum sc_binary_op { SC_ADD, SC_SUBTRACT, SC_MULTIPLY, SC_DIVIDE } sc_binary_op;

/* out = a op b with broadcasting: shapes are aligned at their ends, and a size of 1 stretches (as in NumPy). */
sc_status sc_tensor_binary(sc_tensor *out, sc_binary_op op, const sc_tensor *a, const sc_tensor *b, sc_error *error);

typedef enum sc_reduction { SC_SUM, SC_MEAN, SC_MAX } sc_reduction;

/* Reduces dimension `dimension` (from 0), which disappears. Sums are taken in double. */
sc_status sc_tensor_reduce(sc_tensor *out, sc_reduction reduction, const sc_tensor *x, int dimension, sc_error *error);

/* out[...] (int64) = index (from 1) of the first largest element along `dimension`, which disappears. */
sc_status sc_tensor_argmax(sc_tensor *out, const sc_tensor *x, int dimension, sc_error *error);

/* The reduction of all elements; the maximum of none is -inf, the mean of none NaN. */
double sc_tensor_reduce_all(sc_reduction reduction, const sc_tensor *x);

#endif
