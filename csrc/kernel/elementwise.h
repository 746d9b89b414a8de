/* Sums and moves of numbers. Outputs may be the same memory as an input where said. */
#ifndef SC_KERNEL_ELEMENTWISE_H
#define SC_KERNEL_ELEMENTWISE_H

#include "base/real.h"

#include <stddef.h>
#include <stdint.h>

/* y[n] += x[n]; y may be x. */
void sc_accumulate(sc_real *y, const sc_real *x, size_t n);

/* y[n] = the sum of x[0] .. x[count - 1], each [n], added in this order; y may be any of them. */
void sc_add(sc_real *y, const sc_real *const *x, int count, size_t n);

/* y = x with each element set to 0 with probability p and divided by 1 - p otherwise; y may be x. The choice depends on
 * (seed, index of the element) alone, so that the backward pass draws the same again. */
void sc_dropout_forward(sc_real *y, const sc_real *x, double p, uint64_t seed, size_t n);
void sc_dropout_backward(sc_real *dx, const sc_real *dy, double p, uint64_t seed, size_t n);

/* y[batch x columns x rows] = the transposes of x[batch x rows x columns]. */
void sc_transpose(sc_real *y, const sc_real *x, size_t batch, size_t rows, size_t columns);

/* y[batch x columns x rows] += the transposes of x[batch x rows x columns]. */
void sc_transpose_accumulate(sc_real *y, const sc_real *x, size_t batch, size_t rows, size_t columns);

#endif
