/* Elementwise operations on long vectors (fill, copy, scale and add, multiply), on all threads. */
#ifndef SC_BASE_VECTOR_H
#define SC_BASE_VECTOR_H

#include "base/real.h"

#include <stddef.h>

/* y[count] = value */
void sc_fill(sc_real *y, sc_real value, size_t count);

/* y[count] = x[count]; they must not overlap. */
void sc_copy(sc_real *y, const sc_real *x, size_t count);

/* y[count] += scale * x[count] */
void sc_add_scaled(sc_real *y, const sc_real *x, sc_real scale, size_t count);

/* y[count] = 0 + y * x[count]: what sc_add_product makes of zeros, which leaves no -0. */
void sc_multiply(sc_real *y, const sc_real *x, size_t count);

/* y[count] += a[count] * b[count] */
void sc_add_product(sc_real *y, const sc_real *a, const sc_real *b, size_t count);

#endif
