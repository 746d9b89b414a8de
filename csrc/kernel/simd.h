/* Vectors of the width of the level that is compiled, for kernels that must keep numbers in registers. On GCC's and
 * Clang's vector types: +, -, * and / are those of C, element by element, with the same bits as plain loops. */
#ifndef SC_KERNEL_SIMD_H
#define SC_KERNEL_SIMD_H

#include "base/fma.h"
#include "base/inline.h"

#include <stddef.h>

#if !defined SC_REAL_IS_DOUBLE && (defined __AVX512F__ || (defined __AVX2__ && defined __FMA__))
#include <immintrin.h>
#elif !defined SC_REAL_IS_DOUBLE && defined __ARM_NEON && defined __aarch64__
#include <arm_neon.h>
#endif

#if !defined SC_REAL_IS_DOUBLE && defined __AVX512F__
#define SC_VECTOR_BYTES 64
#elif !defined SC_REAL_IS_DOUBLE && defined __AVX2__ && defined __FMA__
#define SC_VECTOR_BYTES 32
#else
#define SC_VECTOR_BYTES 16
#endif
enum { SC_VECTOR = SC_VECTOR_BYTES / (int)sizeof(sc_real) }; /* numbers of one vector */

typedef sc_real sc_vector __attribute__((vector_size(SC_VECTOR_BYTES)));
typedef sc_real sc_vector_unaligned __attribute__((vector_size(SC_VECTOR_BYTES), aligned(sizeof(sc_real)), may_alias));

/* SC_VECTOR numbers from any address. */
SC_INLINE sc_vector sc_vector_load(const sc_real *x) {
    return *(const sc_vector_unaligned *)x;
}

/* To any address. */
SC_INLINE void sc_vector_store(sc_real *y, sc_vector v) {
    *(sc_vector_unaligned *)y = v;
}

#if SC_VECTOR_BYTES == 64
/* A bit for each of the first `count` numbers of a vector. */
SC_INLINE __mmask16 sc_lanes_below(size_t count) {
    return (__mmask16)(count < SC_VECTOR ? (1U << count) - 1 : 0xffffU);
}
#endif

/* to[count] = from[count] without a call, for the short pieces that packing consists of. */
SC_INLINE void sc_vector_copy(sc_real *restrict to, const sc_real *restrict from, size_t count) {
    size_t i = 0;
    for (; i + SC_VECTOR <= count; i += SC_VECTOR) {
        sc_vector_store(to + i, sc_vector_load(from + i));
        __asm__ volatile("" ::: "memory"); /* or the compiler makes a call of memcpy of the loop */
    }
#if SC_VECTOR_BYTES == 64
    __mmask16 left = sc_lanes_below(count - i);
    if (left)
        _mm512_mask_storeu_ps(to + i, left, _mm512_maskz_loadu_ps(left, from + i));
#else
    if (i < count && count >= SC_VECTOR) { /* the last ones once more */
        sc_vector_store(to + count - SC_VECTOR, sc_vector_load(from + count - SC_VECTOR));
        return;
    }
#if SC_VECTOR_BYTES == 32
    if (i < count && count >= 4) {
        __m128 first = _mm_loadu_ps(from), last = _mm_loadu_ps(from + count - 4);
        _mm_storeu_ps(to, first);
        _mm_storeu_ps(to + count - 4, last);
        return;
    }
#endif
    for (; i < count; i++) {
        to[i] = from[i];
        __asm__ volatile("" ::: "memory");
    }
#endif
}

/* The same number in all places. */
SC_INLINE sc_vector sc_vector_all(sc_real x) {
    return x - (sc_vector){0}; /* exact, signs of zeros included, and one broadcast */
}

#if !defined SC_REAL_IS_DOUBLE && !defined __FP_FAST_FMAF
/* sc_fma of base/fma.h, which tells why, for the numbers of a vector side by side. */
SC_INLINE sc_vector sc_vector_fma_emulated(sc_vector x, sc_vector y, sc_vector z) {
    typedef double wide __attribute__((vector_size(2 * SC_VECTOR_BYTES)));
    typedef int64_t words __attribute__((vector_size(2 * SC_VECTOR_BYTES)));
    wide product = __builtin_convertvector(x, wide) * __builtin_convertvector(y, wide);
    wide addend = __builtin_convertvector(z, wide), sum = product + addend, part = sum - product;
    wide error = (product - (sum - part)) + (addend - part);
    words bits = (words)sum, step = ((words)(error * sum) >> 63) | 1, inexact = (error < 0) | (error > 0);
    bits += step & inexact & -(~bits & 1);
    return __builtin_convertvector((wide)bits, sc_vector);
}
#endif

/* x * y + z with one rounding each: sc_fma, element by element. */
SC_INLINE sc_vector sc_vector_fma(sc_vector x, sc_vector y, sc_vector z) {
#if defined SC_REAL_IS_DOUBLE
    return x * y + z;
#elif defined __AVX512F__
    return (sc_vector)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)z);
#elif defined __AVX2__ && defined __FMA__
    return (sc_vector)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)z);
#elif defined __ARM_NEON && defined __aarch64__
    return (sc_vector)vfmaq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y);
#elif defined __FP_FAST_FMAF
    sc_vector out;
    for (int i = 0; i < SC_VECTOR; i++)
        out[i] = sc_fma(x[i], y[i], z[i]);
    return out;
#else
    return sc_vector_fma_emulated(x, y, z);
#endif
}

#endif
