/* Sums in a fixed order, so that their bits depend neither on the width of vectors nor on the number of threads. What
 * is added up in products has its own order, see tile.h. */
#ifndef SC_KERNEL_REDUCE_H
#define SC_KERNEL_REDUCE_H

#include "base/inline.h"
#include "base/real.h"

#include <stddef.h>

/* ---- in sc_real: SC_REDUCE_LANES partial sums, which also round less than one running sum ---- */

enum { SC_REDUCE_LANES = 32 };

/* The sum of the lanes, by halves, which vectorises; overwrites lane. */
SC_INLINE sc_real sc_reduce_lanes(sc_real lane[SC_REDUCE_LANES]) {
    for (size_t half = SC_REDUCE_LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

/* The sum over i < n of the expression in i. */
#define SC_REDUCE_SUM(result, n, i, expression)                                                                        \
    do {                                                                                                               \
        sc_real sc_lane[SC_REDUCE_LANES] = {0};                                                                        \
        size_t sc_first = 0, sc_count = (n);                                                                           \
        for (; sc_first + SC_REDUCE_LANES <= sc_count; sc_first += SC_REDUCE_LANES)                                    \
            for (size_t sc_j = 0; sc_j < SC_REDUCE_LANES; sc_j++) {                                                    \
                const size_t i = sc_first + sc_j;                                                                      \
                sc_lane[sc_j] += (expression);                                                                         \
            }                                                                                                          \
        for (size_t i = sc_first; i < sc_count; i++)                                                                   \
            sc_lane[i - sc_first] += (expression);                                                                     \
        (result) = sc_reduce_lanes(sc_lane);                                                                           \
    } while (0)

/* The sum of x[n]. */
sc_real sc_reduce_sum(const sc_real *x, size_t n);

/* ---- in double ---- */

/* The sum of x[n]: 16 partial sums, what is left of n goes to the first. */
double sc_reduce_sum64(const sc_real *x, size_t n);

/* The sum of the squares of x[n]: 8 partial sums, added to the sum of what is left of n. */
double sc_reduce_squares64(const sc_real *x, size_t n);

/* The sum of x[0], x[stride], ... x[(n - 1) * stride], one after the other. */
double sc_reduce_strided64(const sc_real *x, size_t n, size_t stride);

/* ---- of matrices and feature maps, on all threads; a sum is one thread's ---- */

/* sum[columns] += the rows of x[rows x columns], one after the other. */
void sc_rows_sum(sc_real *sum, const sc_real *x, size_t rows, size_t columns);

/* sum[c] += the sums of x [n x c x positions] over positions, image after image. */
void sc_channels_sum(sc_real *sum, const sc_real *x, size_t n, size_t c, size_t positions);

#endif
