/* The transforms of Winograd's F(4 x 4, 3 x 3) in one dimension, with the points 0, 1, -1, 1/2, -2 and infinity, for
 * SC_LANES tiles side by side; and how the numbers of tiles become such lanes, and lines again. */
#ifndef SC_KERNEL_WINOGRAD_TRANSFORMS_H
#define SC_KERNEL_WINOGRAD_TRANSFORMS_H

#include "kernel/simd.h"

/* A vector, but never fewer than four numbers: what tiles are apart. */
enum { SC_LANES = SC_VECTOR < 4 ? 4 : SC_VECTOR, SC_QUADS = SC_LANES / 4 };
typedef sc_real sc_lanes __attribute__((vector_size(SC_LANES * sizeof(sc_real))));
typedef sc_real sc_lanes_unaligned
    __attribute__((vector_size(SC_LANES * sizeof(sc_real)), aligned(sizeof(sc_real)), may_alias));
typedef sc_real sc_quad_unaligned
    __attribute__((vector_size(4 * sizeof(sc_real)), aligned(sizeof(sc_real)), may_alias));

/* out = scale * x + y, with one rounding. */
SC_SIMD void sc_lanes_fma(sc_lanes *out, sc_real scale, const sc_lanes *x, const sc_lanes *y) {
#ifdef SC_REAL_IS_DOUBLE
    *out = scale * *x + *y;
#else
    *out = sc_vector_fma(sc_vector_all(scale), *x, *y);
#endif
}

/* Six inputs to six points: B^T d. Differences come first, so that where all inputs are equal every point but that of 1
 * is zero, to the bit. */
SC_SIMD void sc_winograd_inputs(sc_lanes v[6], const sc_lanes d[6]) {
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
SC_SIMD void sc_winograd_filters(sc_lanes *u, size_t u_step, const sc_lanes *g, size_t g_step) {
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
SC_SIMD void sc_winograd_outputs(sc_lanes y[4], const sc_lanes m[6]) {
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

/* Four numbers from each of SC_QUADS places. */
SC_SIMD void sc_lanes_gather(sc_lanes *out, const sc_real *from, const size_t at[SC_QUADS]) {
#if !defined SC_REAL_IS_DOUBLE && defined __AVX512F__
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(from + at[0]));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(from + at[1]), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(from + at[2]), 2);
    *out = (sc_lanes)_mm512_insertf32x4(v, _mm_loadu_ps(from + at[3]), 3);
#elif !defined SC_REAL_IS_DOUBLE && defined __AVX2__
    __m256 v = _mm256_castps128_ps256(_mm_loadu_ps(from + at[0]));
    *out = (sc_lanes)_mm256_insertf128_ps(v, _mm_loadu_ps(from + at[1]), 1);
#else
    for (size_t q = 0; q < SC_QUADS; q++)
        for (size_t i = 0; i < 4; i++)
            (*out)[4 * q + i] = from[at[q] + i];
#endif
}

/* Every quad of four vectors is transposed: number i of vector r becomes number r of vector i. */
SC_SIMD void sc_lanes_transpose(sc_lanes v[4]) {
#if !defined SC_REAL_IS_DOUBLE && defined __AVX512F__
    __m512 a = _mm512_unpacklo_ps((__m512)v[0], (__m512)v[1]), b = _mm512_unpacklo_ps((__m512)v[2], (__m512)v[3]);
    __m512 c = _mm512_unpackhi_ps((__m512)v[0], (__m512)v[1]), d = _mm512_unpackhi_ps((__m512)v[2], (__m512)v[3]);
    v[0] = (sc_lanes)_mm512_unpacklo_pd((__m512d)a, (__m512d)b);
    v[1] = (sc_lanes)_mm512_unpackhi_pd((__m512d)a, (__m512d)b);
    v[2] = (sc_lanes)_mm512_unpacklo_pd((__m512d)c, (__m512d)d);
    v[3] = (sc_lanes)_mm512_unpackhi_pd((__m512d)c, (__m512d)d);
#elif !defined SC_REAL_IS_DOUBLE && defined __AVX2__
    __m256 a = _mm256_unpacklo_ps((__m256)v[0], (__m256)v[1]), b = _mm256_unpacklo_ps((__m256)v[2], (__m256)v[3]);
    __m256 c = _mm256_unpackhi_ps((__m256)v[0], (__m256)v[1]), d = _mm256_unpackhi_ps((__m256)v[2], (__m256)v[3]);
    v[0] = (sc_lanes)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
    v[1] = (sc_lanes)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
    v[2] = (sc_lanes)_mm256_unpacklo_pd((__m256d)c, (__m256d)d);
    v[3] = (sc_lanes)_mm256_unpackhi_pd((__m256d)c, (__m256d)d);
#else
#ifdef SC_REAL_IS_DOUBLE
    typedef int64_t places __attribute__((vector_size(sizeof(sc_lanes))));
#else
    typedef int32_t places __attribute__((vector_size(sizeof(sc_lanes))));
#endif
    const places low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, left = {0, 1, 4, 5}, right = {2, 3, 6, 7};
    sc_lanes a = __builtin_shuffle(v[0], v[1], low), b = __builtin_shuffle(v[2], v[3], low);
    sc_lanes c = __builtin_shuffle(v[0], v[1], high), d = __builtin_shuffle(v[2], v[3], high);
    v[0] = __builtin_shuffle(a, b, left);
    v[1] = __builtin_shuffle(a, b, right);
    v[2] = __builtin_shuffle(c, d, left);
    v[3] = __builtin_shuffle(c, d, right);
#endif
}

/* to[count] = from[count]. */
SC_SIMD void sc_lanes_copy(sc_real *to, const sc_real *from, size_t count) {
    if (count >= SC_LANES) {
        size_t last = count - SC_LANES;
        for (size_t i = 0; i < last; i += SC_LANES)
            *(sc_lanes_unaligned *)(to + i) = *(const sc_lanes_unaligned *)(from + i);
        *(sc_lanes_unaligned *)(to + last) = *(const sc_lanes_unaligned *)(from + last);
    } else if (count >= 4) {
        size_t last = count - 4;
        for (size_t i = 0; i < last; i += 4)
            *(sc_quad_unaligned *)(to + i) = *(const sc_quad_unaligned *)(from + i);
        *(sc_quad_unaligned *)(to + last) = *(const sc_quad_unaligned *)(from + last);
    } else {
        for (size_t i = 0; i < count; i++)
            to[i] = from[i];
    }
}

#endif
