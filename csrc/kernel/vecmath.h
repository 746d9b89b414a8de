/* The exponential function and its relatives for use inside vectorised loops: x, or NaN, in; at most 2 units in the
 * last place from the exact value out, over the whole range of float, subnormal results included. Include from kernels
 * only. In double, which checks gradients, they are made of libm's functions.
 *
 * In float there is neither a branch nor a call, and only +, -, *, / and integer arithmetic, in one order, so that the
 * bits are the same whatever the vectors and the C library. The argument of exp is reduced to n ln 2 + r (Cody and
 * Waite 1980) in float. Where one more rounding in float would be one too many, the last steps are made in double,
 * which costs less than float arithmetic with compensation; rounding to float then also makes subnormal numbers right.
 * Negative arguments first: what is small is computed, and what is near 1 or x as the difference from that.
 *
 * The coefficients are minimax fits by the second algorithm of Remez at 36 digits or more, made for this file, then
 * rounded. Largest errors found: spec/kernel/vecmath_spec.lua. */
#ifndef SC_KERNEL_VECMATH_H
#define SC_KERNEL_VECMATH_H

#include "base/inline.h"
#include "base/real.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef SC_REAL_IS_DOUBLE

/* As in the standard library. */
SC_INLINE double sc_exp(double x) {
    return exp(x);
}

/* As in the standard library. */
SC_INLINE double sc_tanh(double x) {
    return tanh(x);
}

/* 1 / (1 + exp(-x)) */
SC_INLINE double sc_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* The distribution function of the standard normal distribution at x; *density gets the density. */
SC_INLINE double sc_normal_cdf(double x, double *density) {
    *density = exp(-0.5 * x * x) * 0.39894228040143267794;
    return 0.5 * erfc(x * -0.70710678118654752440);
}

/* x sigmoid(x) */
SC_INLINE double sc_silu(double x) {
    return x * sc_sigmoid(x);
}

/* Its derivative. */
SC_INLINE double sc_silu_slope(double x) {
    double s = sc_sigmoid(x);
    return s + x * s * (1 - s);
}

/* x Phi(x) */
SC_INLINE double sc_gelu(double x) {
    double density;
    return x * sc_normal_cdf(x, &density);
}

/* Its derivative. */
SC_INLINE double sc_gelu_slope(double x) {
    double density;
    double phi = sc_normal_cdf(x, &density);
    return phi + x * density;
}

/* (1 + tanh(u)) / 2 is the logistic function of 2u, which loses nothing where tanh is near -1. */
SC_INLINE double sc_gelu_tanh_gate(double x) {
    return sc_sigmoid(x * (1.5957691216057308 + 0.071354816272600249 * x * x));
}

/* x / 2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3) */
SC_INLINE double sc_gelu_tanh(double x) {
    return x * sc_gelu_tanh_gate(x);
}

/* Its derivative. */
SC_INLINE double sc_gelu_tanh_slope(double x) {
    double s = sc_gelu_tanh_gate(x);
    return s + x * s * (1 - s) * (1.5957691216057308 + 0.21406444881780075 * x * x);
}

#else

/* The float of this representation. */
SC_INLINE float sc_float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Its representation. */
SC_INLINE uint32_t sc_bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* exp(x + low) = 2^n (1 + *fraction) with |*fraction| < 0.6, for |x| < 256 and |low| < 0.1; gives n + bias. The
 * polynomial is good to 3.1e-9 of exp(r) for |r| < 0.347, all that there is without low, and to 2.6e-7 at 0.447, which
 * low may make it. Its terms are added in pairs, which waits less than Horner's scheme. */
SC_INLINE uint32_t sc_exp_parts(float x, float low, uint32_t bias, float *fraction) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, left in the low bits */
    float shifted = x * 1.44269504f + shift;
    float n = shifted - shift;
    float r = (x - n * 0.693359375f) + (low + n * 2.12194440e-4f); /* ln 2 in two parts, n times the first is exact */
    float square = r * r;
    float p = (4.16683908e-2f + 8.36874512e-3f * r) + square * 1.38145390e-3f;
    p = (4.99999934e-1f + 1.66665204e-1f * r) + square * p;
    *fraction = r + square * p;
    return sc_bits_of_float(shifted) - 0x4b400000u + bias;
}

/* Scaled in two steps, of which the second alone rounds, and only to a subnormal number, infinity or 0. At -176 both
 * scales are 0, so that far arguments, as of masked attention, cost no underflow. */
SC_INLINE float sc_exp(float x) {
    float v = x > 89.0f ? 89.0f : x, fraction;
    uint32_t n = sc_exp_parts(v < -176.0f ? -176.0f : v, 0.0f, 254, &fraction);
    uint32_t half = n >> 1;
    return (1.0f + fraction) * sc_float_of_bits(half << 23) * sc_float_of_bits((n - half) << 23);
}

/* 2^(n - 1023) */
SC_INLINE double sc_power_of_two(uint32_t n) {
    uint64_t bits = (uint64_t)n << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* exp(x + low) for -256 < x <= 0; 0 below -110, where nothing of a float is left, nor of its product with x. */
SC_INLINE double sc_exp_tail(float x, float low) {
    float fraction;
    double scale = sc_power_of_two(sc_exp_parts(x, low, 1023, &fraction));
    return (1.0 + (double)(x < -110.0f ? -1.0f : fraction)) * scale;
}

/* |x|, or limit where that is less; NaN stays. */
SC_INLINE float sc_magnitude_up_to(float x, float limit) {
    float a = fabsf(x);
    return a > limit ? limit : a;
}

/* f(x) from f(-|x|), where f(x) = 1 - f(-x) */
SC_INLINE float sc_from_tail(float x, double tail) {
    float small = (float)tail, y = x < 0.0f ? small : 1.0f - small;
    return x != x ? x : y;
}

/* x f(x) from |x| f(-|x|), for such an f: the difference from x or minus that; -0 at -0 and at minus infinity */
SC_INLINE float sc_gated_from_tail(float x, double tail) {
    return (x < 0.0f ? -0.0f : x) - (float)tail;
}

/* (exp(-2a) - 1) / (exp(-2a) + 1), with the sign of x */
SC_INLINE float sc_tanh(float x) {
    float fraction;
    double scale = sc_power_of_two(sc_exp_parts(-2.0f * sc_magnitude_up_to(x, 10.0f), 0.0f, 1023, &fraction));
    double m = (double)fraction * scale + (scale - 1.0);
    return copysignf((float)(m / (m + 2.0)), x);
}

/* 1 / (1 + exp(a - low)) */
SC_INLINE double sc_sigmoid_tail(float a, float low) {
    double e = sc_exp_tail(-a, low);
    return e / (1.0 + e);
}

/* 1 / (1 + exp(-x)) */
SC_INLINE float sc_sigmoid(float x) {
    return sc_from_tail(x, sc_sigmoid_tail(sc_magnitude_up_to(x, 111.0f), 0.0f));
}

/* x sigmoid(x) */
SC_INLINE float sc_silu(float x) {
    float a = sc_magnitude_up_to(x, 111.0f);
    return sc_gated_from_tail(x, (double)a * sc_sigmoid_tail(a, 0.0f));
}

/* Its derivative: s + x s (1 - s) for s = sigmoid(x), which is 1 less that at -x. */
SC_INLINE float sc_silu_slope(float x) {
    float a = sc_magnitude_up_to(x, 111.0f);
    double tail = sc_sigmoid_tail(a, 0.0f);
    return sc_from_tail(x, tail - (double)a * (tail * (1.0 - tail)));
}

/* |x| up to 15 by its bits, for the normal distribution; NaN becomes 15. A comparison of floats would be answered by
 * GCC with a second copy of what follows from the limit. */
SC_INLINE float sc_normal_argument(float x) {
    uint32_t a = sc_bits_of_float(x) & 0x7fffffffu, limit = 0x41700000u;
    return sc_float_of_bits(a < limit ? a : limit);
}

/* The distribution function at -a for 0 <= a <= 15; *density gets the density. It is exp(-a^2 / 2) times Mills' ratio,
 * a rational function with an error below 5.9e-9 for a <= 14.45, beyond which nothing is left. The square is made of
 * that of the upper half of a, which is exact, and the rest. */
SC_INLINE double sc_normal_tail(float a, double *density) {
    float upper = sc_float_of_bits(sc_bits_of_float(a) & 0xfffff000u);
    double e = sc_exp_tail(-0.5f * upper * upper, -0.5f * (a - upper) * (a + upper));
    double z = (double)a;
    double p = 0.39894694760791816;
    p = p * z + 3.9392680325146761;
    p = p * z + 17.76789826238063;
    p = p * z + 42.508091953965788;
    p = p * z + 48.503795721332089;
    double q = z + 9.8749094083677456;
    q = q * z + 45.522938613194022;
    q = q * z + 116.6216223434177;
    q = q * z + 162.41708348323368;
    q = q * z + 97.007590873243402;
    *density = e * 0.39894228040143267794;
    return e * p / q;
}

/* The distribution function of the standard normal distribution at x; *density gets the density. */
SC_INLINE float sc_normal_cdf(float x, float *density) {
    double d, tail = sc_normal_tail(sc_normal_argument(x), &d);
    *density = x != x ? x : (float)d;
    return sc_from_tail(x, tail);
}

/* x Phi(x) */
SC_INLINE float sc_gelu(float x) {
    float a = sc_normal_argument(x);
    double density;
    return sc_gated_from_tail(x, (double)a * sc_normal_tail(a, &density));
}

/* Its derivative: Phi(x) plus x times the density, which is 1 less that at -x. */
SC_INLINE float sc_gelu_slope(float x) {
    float a = sc_normal_argument(x);
    double density, tail = sc_normal_tail(a, &density);
    return sc_from_tail(x, tail - (double)a * density);
}

/* (1 + tanh(u)) / 2 is the logistic function of 2u, which loses nothing where tanh is near -1. */
SC_INLINE double sc_gelu_tanh_tail(float a) {
    double z = (double)a, twice = z * (1.5957691216057308 + 0.071354816272600249 * z * z);
    float upper = (float)twice;
    return sc_sigmoid_tail(upper, (float)((double)upper - twice));
}

/* x / 2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3) */
SC_INLINE float sc_gelu_tanh(float x) {
    float a = sc_magnitude_up_to(x, 11.0f);
    return sc_gated_from_tail(x, (double)a * sc_gelu_tanh_tail(a));
}

/* Its derivative: s + x s (1 - s) 2u' for s = sigmoid(2u), which is 1 less that at -x. */
SC_INLINE float sc_gelu_tanh_slope(float x) {
    float a = sc_magnitude_up_to(x, 11.0f);
    double z = (double)a, tail = sc_gelu_tanh_tail(a);
    double inner = z * (1.5957691216057308 + 0.21406444881780075 * z * z);
    return sc_from_tail(x, tail - tail * (1.0 - tail) * inner);
}

#endif

#endif
