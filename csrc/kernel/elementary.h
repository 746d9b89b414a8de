/* exp, tanh, the logistic function and the normal distribution for use inside vectorised loops. In float they are
 * branch-free polynomials and quotients (minimax fits made for this file; relative error below 2e-7), in double they
 * are libm's: the double build exists to check gradients. Include from kernels only. */
#ifndef SC_KERNEL_ELEMENTARY_H
#define SC_KERNEL_ELEMENTARY_H

#include "base/real.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Helpers of loops, which are vector arithmetic only where everything in them is inlined. */
#define SC_INLINE static inline __attribute__((always_inline))

#ifdef SC_REAL_IS_DOUBLE

/* As in the standard library. */
SC_INLINE double sc_exp(double x) {
    return exp(x);
}

/* As in the standard library. */
SC_INLINE double sc_tanh(double x) {
    return tanh(x);
}

/* The distribution function at x; *density gets the density. */
SC_INLINE double sc_normal(double x, double *density) {
    *density = exp(-0.5 * x * x) * 0.39894228040143267794;
    return 0.5 * erfc(x * -0.70710678118654752440);
}

#else

/* For x <= 88, above which the result stays at exp(88); results below the least normal number are 0. */
SC_INLINE float sc_exp(float x) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, left in the low bits */
    float v = x > 88.0f ? 88.0f : x;
    float shifted = v * 1.44269504f + shift;
    float n = shifted - shift;
    float r = (v - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts, n times the first is exact */
    float p = 1.381445439e-3f;
    p = p * r + 8.3687816e-3f;
    p = p * r + 4.166839448e-2f;
    p = p * r + 1.66665201e-1f;
    p = p * r + 4.999999341e-1f;
    p = 1.0f + (r + r * r * p);
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u; /* 2^n */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return x < -87.3f ? 0.0f : p * scale;
}

/* A polynomial near zero, where 1 - 2 / (exp(2x) + 1) would cancel. */
SC_INLINE float sc_tanh(float x) {
    float a = fabsf(x), z = x * x;
    float p = -5.704938113e-3f;
    p = p * z + 2.063903912e-2f;
    p = p * z - 5.373969854e-2f;
    p = p * z + 1.333144197e-1f;
    p = p * z - 3.333328193e-1f;
    float near_zero = x + x * z * p;
    float away = 1.0f - 2.0f / (sc_exp(2.0f * (a > 10.0f ? 10.0f : a)) + 1.0f);
    return a < 0.625f ? near_zero : copysignf(away, x);
}

/* The tail beyond |x| is exp(-x^2 / 2) times a smooth function (Mills' ratio), fitted on 0 .. 14. */
SC_INLINE float sc_normal(float x, float *density) {
    float a = fabsf(x);
    a = a > 14.0f ? 14.0f : a;
    float e = sc_exp(-0.5f * a * a);
    float p = 4.078131441e-3f;
    p = p * a + 4.037616321e-2f;
    p = p * a + 1.824725935e-1f;
    p = p * a + 4.37265476e-1f;
    p = p * a + 5.000000027e-1f;
    float q = 1.022223092e-2f;
    q = q * a + 1.01214838e-1f;
    q = q * a + 4.674574645e-1f;
    q = q * a + 1.199335509f;
    q = q * a + 1.672415904f;
    q = q * a + 1.0f;
    float tail = e * p / q;
    *density = e * 0.398942280f;
    return x < 0.0f ? tail : 1.0f - tail;
}

#endif

/* 1 / (1 + exp(-x)) */
SC_INLINE sc_real sc_logistic(sc_real x) {
    return 1 / (1 + sc_exp(-x));
}

#endif
