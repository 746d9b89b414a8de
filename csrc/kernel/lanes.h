/* Transposes between memory and vectors: a vector has a lane for each of several lines, whose numbers are read and
 * written four at a time. */
#ifndef SC_KERNEL_LANES_H
#define SC_KERNEL_LANES_H

#include "kernel/simd.h"

/* A vector, but never fewer than four numbers. */
enum { SC_LANES = SC_VECTOR < 4 ? 4 : SC_VECTOR, SC_QUADS = SC_LANES / 4 };
typedef sc_real sc_lanes __attribute__((vector_size(SC_LANES * sizeof(sc_real))));
typedef sc_real sc_lanes_unaligned
    __attribute__((vector_size(SC_LANES * sizeof(sc_real)), aligned(sizeof(sc_real)), may_alias));

/* out = scale * x + y, with one rounding. */
SC_INLINE void sc_lanes_fma(sc_lanes *out, sc_real scale, const sc_lanes *x, const sc_lanes *y) {
#ifdef SC_REAL_IS_DOUBLE
    *out = scale * *x + *y;
#else
    *out = sc_vector_fma(sc_vector_all(scale), *x, *y);
#endif
}

/* Four numbers from each of SC_QUADS places. */
SC_INLINE void sc_lanes_gather(sc_lanes *out, const sc_real *from, const size_t at[SC_QUADS]) {
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
SC_INLINE void sc_lanes_transpose(sc_lanes v[4]) {
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
#ifdef __clang__
#define SC_PICK(a, b, w, x, y, z) __builtin_shufflevector(a, b, w, x, y, z)
#elif defined SC_REAL_IS_DOUBLE
#define SC_PICK(a, b, w, x, y, z) __builtin_shuffle(a, b, (sc_lane_places){w, x, y, z})
    typedef int64_t sc_lane_places __attribute__((vector_size(sizeof(sc_lanes))));
#else
#define SC_PICK(a, b, w, x, y, z) __builtin_shuffle(a, b, (sc_lane_places){w, x, y, z})
    typedef int32_t sc_lane_places __attribute__((vector_size(sizeof(sc_lanes))));
#endif
    sc_lanes a = SC_PICK(v[0], v[1], 0, 4, 1, 5), b = SC_PICK(v[2], v[3], 0, 4, 1, 5);
    sc_lanes c = SC_PICK(v[0], v[1], 2, 6, 3, 7), d = SC_PICK(v[2], v[3], 2, 6, 3, 7);
    v[0] = SC_PICK(a, b, 0, 1, 4, 5);
    v[1] = SC_PICK(a, b, 2, 3, 6, 7);
    v[2] = SC_PICK(c, d, 0, 1, 4, 5);
    v[3] = SC_PICK(c, d, 2, 3, 6, 7);
#undef SC_PICK
#endif
}

#endif
