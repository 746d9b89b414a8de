/* Dense matrices in double precision. Every number is computed by plain products and sums in a fixed order, so that
 * bits depend on neither threads nor the level of instructions. */
#ifndef SC_KERNEL_DENSE64_H
#define SC_KERNEL_DENSE64_H

#include "base/status.h"

#include <stddef.h>

enum { SC_DENSE64_DEPTH = 64 };

/* a[rows x columns] -= x^T y, where x is [depth x rows] and y [depth x columns], depth at most SC_DENSE64_DEPTH; the
 * ld's are distances between rows. On all threads. */
typedef struct sc_update64 {
    double *a;
    size_t lda;
    const double *x;
    size_t ldx;
    const double *y;
    size_t ldy;
    size_t rows, columns, depth;
} sc_update64;

/* Carries it out; a must not overlap x or y. */
void sc_update64_run(const sc_update64 *update);

/* a[n x n], symmetric and positive definite, becomes its inverse, symmetric to rounding (blocked sweeps: Goodnight
 * 1979, A tutorial on the SWEEP operator). Errors: not positive definite, no memory, the user's interrupt; then a is
 * undefined. */
sc_status sc_inverse64(double *a, size_t n, sc_error *error);

#endif
