/* The transforms of Winograd's F(4 x 4, 3 x 3) in one dimension, with the points 0, 1, -1, 1/2, -2 and infinity, for
 * SC_LANES tiles side by side. */
#ifndef SC_KERNEL_WINOGRAD_TRANSFORMS_H
#define SC_KERNEL_WINOGRAD_TRANSFORMS_H

#include "kernel/lanes.h"

/* Six inputs to six points: B^T d. Differences come first, so that where all inputs are equal every point but that of 1
 * is zero, to the bit. */
SC_INLINE void sc_winograd_inputs(sc_lanes v[6], const sc_lanes d[6]) {
    sc_lanes d42 = d[4] - d[2], d31 = d[3] - d[1], d32 = d[3] - d[2], d12 = d[1] - d[2];
    sc_lanes d02 = (d[0] - d[2]) + d42, middle = (sc_real)0.5 * d[2], d53 = (d[5] - d[3]) - d31;
    sc_lanes near = d12 + d42;
    sc_lanes_fma(&v[0], (sc_real)1.5, &d31, &d02);
    sc_lanes_fma(&middle, (sc_real)2.5, &d[3], &middle);
    v[1] = (d[4] - d[1]) + middle;
    sc_lanes_fma(&v[2], (sc_real)0.5, &d32, &near);
    sc_lanes_fma(&v[3], 2, &d31, &d42);
    sc_lanes_fma(&v[4], (sc_real)-0.5, &d31, &d42);
    sc_lanes_fma(&v[5], (sc_real)1.5, &d42, &d53);
}

/* Three weights to six points: G g. Inputs and outputs are steps apart. */
SC_INLINE void sc_winograd_filters(sc_lanes *u, size_t u_step, const sc_lanes *g, size_t g_step) {
    const sc_real third = (sc_real)1 / 3, fifteenth = (sc_real)1 / 15;
    sc_lanes g0 = g[0], g1 = g[g_step], g2 = g[2 * g_step];
    u[0] = g0;
    u[u_step] = third * (g0 + g2 + g1);
    u[2 * u_step] = third * (g1 - (g0 + g2));
    u[3 * u_step] = -fifteenth * (16 * g0 + 8 * g1 + 4 * g2);
    u[4 * u_step] = fifteenth * (g0 - 2 * g1 + 4 * g2);
    u[5 * u_step] = g2;
}

/* Six points to four outputs: A^T m. */
SC_INLINE void sc_winograd_outputs(sc_lanes y[4], const sc_lanes m[6]) {
    sc_lanes even = m[1] + m[2], odd = m[1] - m[2];
    sc_lanes one = (sc_real)0.5 * m[3], two = (sc_real)0.25 * m[3], three = (sc_real)0.125 * m[3];
    sc_lanes_fma(&one, -2, &m[4], &one);
    sc_lanes_fma(&two, 4, &m[4], &two);
    sc_lanes_fma(&three, -8, &m[4], &three);
    y[0] = m[0] + even + (m[3] + m[4]);
    y[1] = odd + one;
    y[2] = even + two;
    y[3] = odd + three + m[5];
}

/* The transposes of these two, for gradients of filters. Four gradients of outputs to six points: A g. */
SC_INLINE void sc_winograd_output_gradients(sc_lanes m[6], const sc_lanes g[4]) {
    sc_lanes even = g[0] + g[2], odd = g[1] + g[3], half, minus_two;
    sc_lanes_fma(&half, (sc_real)0.5, &g[1], &g[0]);
    sc_lanes_fma(&half, (sc_real)0.25, &g[2], &half);
    sc_lanes_fma(&minus_two, -2, &g[1], &g[0]);
    sc_lanes_fma(&minus_two, 4, &g[2], &minus_two);
    m[0] = g[0];
    m[1] = even + odd;
    m[2] = even - odd;
    sc_lanes_fma(&m[3], (sc_real)0.125, &g[3], &half);
    sc_lanes_fma(&m[4], -8, &g[3], &minus_two);
    m[5] = g[3];
}

/* Six points to the gradients of three weights: G^T u. */
SC_INLINE void sc_winograd_filter_gradients(sc_lanes g[3], const sc_lanes u[6]) {
    const sc_real third = (sc_real)1 / 3, fifteenth = (sc_real)1 / 15;
    sc_lanes sum = u[1] + u[2], difference = u[1] - u[2], outer, inner, last = u[4] - u[3];
    sc_lanes_fma(&outer, -16, &u[3], &u[4]);
    sc_lanes_fma(&inner, 4, &u[3], &u[4]);
    sc_lanes_fma(&g[0], third, &difference, &u[0]);
    sc_lanes_fma(&g[0], fifteenth, &outer, &g[0]);
    g[1] = third * sum;
    sc_lanes_fma(&g[1], -2 * fifteenth, &inner, &g[1]);
    sc_lanes_fma(&g[2], third, &difference, &u[5]);
    sc_lanes_fma(&g[2], 4 * fifteenth, &last, &g[2]);
}

#endif
