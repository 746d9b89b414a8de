/* Sums over contiguous numbers, for use inside loops. Partial sums go to a fixed number of lanes, so that
 * the result is the same whatever the vector width, and closer than one running sum. */
#ifndef SC_KERNEL_SUMS_H
#define SC_KERNEL_SUMS_H

#include "base/real.h"
#include "kernel/vecmath.h"

#include <stddef.h>

enum { SC_LANES = 32 };

/* The sum of the lanes, by halves, which vectorises; uses lane up. */
SC_INLINE sc_real sc_lanes_sum(sc_real lane[SC_LANES]) {
    for (size_t half = SC_LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

/* The sum over i < n of the expression in i. */
#define SC_SUM(result, n, i, expression)                                                                               \
    do {                                                                                                               \
        sc_real sc_lane[SC_LANES] = {0};                                                                               \
        size_t sc_first = 0, sc_count = (n);                                                                           \
        for (; sc_first + SC_LANES <= sc_count; sc_first += SC_LANES)                                                  \
            for (size_t sc_j = 0; sc_j < SC_LANES; sc_j++) {                                                           \
                const size_t i = sc_first + sc_j;                                                                      \
                sc_lane[sc_j] += (expression);                                                                         \
            }                                                                                                          \
        for (size_t i = sc_first; i < sc_count; i++)                                                                   \
            sc_lane[i - sc_first] += (expression);                                                                     \
        (result) = sc_lanes_sum(sc_lane);                                                                              \
    } while (0)

#endif
