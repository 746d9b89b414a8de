/* Pooling of planes: x[planes x down.in x across.in] to y[planes x down.out x across.out]. Gradients are
 * added to. */
#ifndef SC_KERNEL_POOL_H
#define SC_KERNEL_POOL_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>

/* One axis. With kernel 0 the windows are adaptive: output o covers floor(o in / out) .. ceil((o + 1) in / out) - 1.
 * Otherwise padding <= kernel / 2 and out = (in + 2 padding - kernel) / stride + 1 >= 1, so that no window is empty. */
typedef struct sc_pool_axis {
    size_t in, out, kernel, stride, padding;
} sc_pool_axis;

typedef struct sc_pool {
    size_t planes;
    sc_pool_axis down, across;
} sc_pool;

/* A NaN in a window wins. */
void sc_max_pool_forward(sc_real *y, const sc_real *x, const sc_pool *pool);

/* To the first maximum of each window in row-major order. */
void sc_max_pool_backward(sc_real *dx, const sc_real *x, const sc_real *dy, const sc_pool *pool);

/* Evenly to all maxima of each window. */
void sc_max_pool_ties(sc_real *rx, const sc_real *x, const sc_real *ry, const sc_pool *pool);

/* The sum of a window over the number of its elements, or with count_padding over the size of the kernel. */
void sc_avg_pool_forward(sc_real *y, const sc_real *x, const sc_pool *pool, bool count_padding);
void sc_avg_pool_backward(sc_real *dx, const sc_real *dy, const sc_pool *pool, bool count_padding);

#endif
