/* Fused multiply-add with the same bits on every processor. */
#ifndef SC_BASE_FMA_H
#define SC_BASE_FMA_H

#include "base/inline.h"
#include "base/real.h"

#include <stdint.h>
#include <string.h>

/* x * y + z with one rounding. Where there is no instruction for it the sum is made in double precision, rounded to odd
 * (Boldo and Melquiond 2008) so that rounding to float once more is right; no call, so that loops stay vector
 * arithmetic. In the double build, which checks gradients, it is a plain product and sum. */
SC_INLINE sc_real sc_fma(sc_real x, sc_real y, sc_real z) {
#if defined SC_REAL_IS_DOUBLE
    return x * y + z;
#elif defined __FP_FAST_FMAF
    return __builtin_fmaf(x, y, z);
#else
    double product = (double)x * (double)y, addend = (double)z; /* the product is exact */
    double sum = product + addend, part = sum - product;
    double error = (product - (sum - part)) + (addend - part); /* sum + error is exact (Knuth's two-sum) */
    int64_t bits, sign;
    memcpy(&bits, &sum, sizeof bits);
    double direction = error * sum; /* of one sign or not; neither is below 2^-298 */
    memcpy(&sign, &direction, sizeof sign);
    /* an even sum that is not exact moves to its odd neighbour on the side of the error */
    int64_t step = (sign >> 63) | 1, inexact = error < 0 || error > 0;
    bits += step & -(inexact & ~bits & 1);
    memcpy(&sum, &bits, sizeof sum);
    return (float)sum;
#endif
}

#endif
