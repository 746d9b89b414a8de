#include "base/math64.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* log 2 in two words, the first of 42 bits: its products with the exponents of doubles are exact. */
static const double ln2_high = 0x1.62e42fefa3800p-1, ln2_low = 0x1.ef35793c76730p-45;

/* ---- words and pairs of words ---- */

/* A number as the sum of two doubles. */
typedef struct pair {
    double high, low;
} pair;

/* a + b, exactly; |a| >= |b|, or a = 0. */
static pair add_smaller(double a, double b) {
    double sum = a + b;
    return (pair){sum, (a - sum) + b};
}

/* a + b, exactly. */
static pair add(double a, double b) {
    double sum = a + b, rest = sum - a;
    return (pair){sum, (a - (sum - rest)) + (b - rest)};
}

/* The upper 26 bits; |x| < 2^995. */
static double upper(double x) {
    double scaled = 0x1.0000002p27 * x;
    return scaled - (scaled - x);
}

/* a * b, exactly while neither overflows nor underflows. */
static pair multiply(double a, double b) {
    double product = a * b, ah = upper(a), al = a - ah, bh = upper(b), bl = b - bh;
    return (pair){product, ((ah * bh - product) + ah * bl + al * bh) + al * bl};
}

/* a * b to about 2^-102. */
static pair multiply_pairs(pair a, pair b) {
    pair product = multiply(a.high, b.high);
    return add_smaller(product.high, product.low + (a.high * b.low + a.low * b.high));
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^k; -1022 <= k <= 1023. */
static double power_of_two(int k) {
    return from_bits((uint64_t)(k + 1023) << 52);
}

/* x * 2^k, rounded once; 0.5 < x < 2, -1085 <= k <= 1025. */
static double scale(double x, int k) {
    if (k > 1023)
        return x * 0x1p1023 * power_of_two(k - 1023);
    return k < -1022 ? x * power_of_two(k + 64) * 0x1p-64 : x * power_of_two(k);
}

/* The nearest whole number, the even one of two; |x| < 2^51. */
static double nearest(double x) {
    return (x + 0x1.8p52) - 0x1.8p52;
}

/* c[0] + c[1] x + c[2] x^2 + ... */
static inline double polynomial(const double *c, int count, double x) {
    double sum = c[count - 1];
    for (int i = count - 2; i >= 0; i--)
        sum = sum * x + c[i];
    return sum;
}

/* ---- exponential function ---- */

/* e^x = 2^k (1 + r + tail), |r| <= log(2) / 2. */
typedef struct exponential {
    int k;
    double r, tail;
} exponential;

/* Of x.high + x.low; |x.high| < 800, and x.low is small beside x.high or beside 1. */
static exponential reduce_exp(pair x) {
    static const double series[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                                    1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                                    1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    double k = nearest(x.high * 0x1.71547652b82fep+0);
    pair r = add(x.high - k * ln2_high, x.low - k * ln2_low);
    double tail = r.high * r.high * polynomial(series, COUNT(series), r.high);
    return (exponential){(int)k, r.high, tail + (r.low + r.low * r.high)};
}

/* e^(high + low), for any high that is a number. */
static double exp_pair(double high, double low) {
    if (high > 710)
        return (double)INFINITY;
    if (high < -746)
        return 0;
    exponential e = reduce_exp((pair){high, low});
    pair sum = add_smaller(1, e.r);
    return scale(sum.high + (sum.low + e.tail), e.k);
}

double sc_exp64(double x) {
    return isnan(x) ? x : exp_pair(x, 0);
}

/* e^x - 1; 0 <= x < 700. */
static pair exp_minus_one(double x) {
    exponential e = reduce_exp((pair){x, 0});
    double two_k = power_of_two(e.k);
    pair sum = add(two_k - 1, two_k * e.r);
    return add_smaller(sum.high, sum.low + two_k * e.tail);
}

/* a / b, rounded about once. */
static double divide_pairs(pair a, pair b) {
    double quotient = a.high / b.high;
    pair product = multiply(quotient, b.high);
    return quotient + (((a.high - product.high) - product.low) + (a.low - quotient * b.low)) / b.high;
}

/* With e = e^2x - 1: tanh x = e / (e + 2). */
double sc_tanh64(double x) {
    double magnitude = fabs(x);
    if (isnan(x) || magnitude < 0x1p-28)
        return x;
    if (magnitude > 20)
        return copysign(1, x);
    pair e = exp_minus_one(2 * magnitude), divisor = add(e.high, 2);
    divisor.low += e.low;
    return copysign(divide_pairs(e, divisor), x);
}

/* ---- logarithm and powers ---- */

/* x = 2^k m, sqrt(1/2) <= m <= sqrt(2); returns k. x > 0, finite. */
static int split(double x, double *m) {
    int k = -1023;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k -= 54;
    }
    uint64_t bits = bits_of(x);
    k += (int)(bits >> 52);
    *m = from_bits((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    if (*m > 0x1.6a09e667f3bcdp+0) {
        *m /= 2;
        k++;
    }
    return k;
}

/* What log and pow do alike with numbers that have no finite logarithm. */
static bool is_ordinary(double x) {
    return x > 0 && x <= 0x1.fffffffffffffp+1023;
}

/* With f = m - 1 and s = f / (2 + f): log m = 2 artanh s = f - s (f - 2/3 s^2 - 2/5 s^4 - ...). */
double sc_log64(double x) {
    static const double series[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                    2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
    if (!is_ordinary(x))
        return x == 0 ? -(double)INFINITY : x < 0 ? (double)NAN : x;
    double m, k = split(x, &m);
    double f = m - 1, s = f / (2 + f), square = s * s;
    double rest = s * (f - square * polynomial(series, COUNT(series), square));
    if (k == 0)
        return f - rest;
    pair sum = add_smaller(k * ln2_high, f);
    return sum.high + (sum.low + (k * ln2_low - rest));
}

/* The logarithm to about 2^-64 of itself, in the same way, with the first two terms of the series in pairs. */
static pair log_pair(double x) {
    static const pair two_thirds = {0x1.5555555555555p-1, 0x1.5555555555555p-55};
    static const double series[] = {2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13, 2.0 / 15,
                                    2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23, 2.0 / 25};
    double m, k = split(x, &m);
    double f = m - 1;
    pair divisor = add(m, 1), s = {f / divisor.high, 0};
    pair product = multiply(s.high, divisor.high);
    s.low = (((f - product.high) - product.low) - s.high * divisor.low) / divisor.high;
    pair square = multiply_pairs(s, s), cube = multiply_pairs(square, s), third = multiply_pairs(cube, two_thirds);
    double rest = cube.high * square.high * polynomial(series, COUNT(series), square.high);
    pair sum = add_smaller(2 * s.high, third.high);
    sum = add_smaller(sum.high, sum.low + (2 * s.low + third.low + rest));
    pair whole = add(k * ln2_high, sum.high);
    return add_smaller(whole.high, whole.low + (sum.low + k * ln2_low));
}

/* x^y; x > 0 and finite. */
static double positive_power(double x, double y) {
    if (x == 1 || fabs(y) < 0x1p-70)
        return 1;
    if (fabs(y) > 0x1p70) /* |log x| >= 2^-53 */
        return (x > 1) == (y > 0) ? (double)INFINITY : 0;
    pair logarithm = log_pair(x), product = multiply(y, logarithm.high);
    return exp_pair(product.high, product.low + y * logarithm.low);
}

static bool is_odd(double y) {
    return fabs(y) < 0x1p53 && floor(y) == y && floor(y / 2) != y / 2;
}

double sc_pow64(double x, double y) {
    if (y == 0 || x == 1)
        return 1;
    if (isnan(x) || isnan(y))
        return x + y;
    double magnitude = fabs(x), power;
    bool finite = is_ordinary(magnitude) && fabs(y) <= 0x1.fffffffffffffp+1023;
    if (x < 0 && finite && floor(y) != y)
        return (double)NAN;
    if (finite)
        power = positive_power(magnitude, y);
    else if (magnitude == 1)
        power = 1;
    else
        power = (magnitude > 1) == (y > 0) ? (double)INFINITY : 0;
    return signbit(x) && is_odd(y) ? -power : power;
}

/* ---- sine and cosine ---- */

/* x = n pi/2 + the pair, which is at most pi/4 and little more; returns n modulo 4. |x| <= 2^20. pi/2 is in words of 33
 * bits, whose products with n are exact, and a last one. */
static int reduce_angle(double x, pair *out) {
    double n = nearest(x * 0x1.45f306dc9c883p-1);
    pair first = add(x - n * 0x1.921fb544p+0, -n * 0x1.0b4611a6p-34);
    pair second = add(first.high, -n * 0x1.3198a2ep-69);
    *out = add(second.high, first.low + (second.low - n * 0x1.b839a252049c1p-104));
    return (int)((int64_t)n & 3);
}

static double sine_of(pair r) {
    static const double series[] = {-1.0 / 6,        1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
                                    -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
    double square = r.high * r.high;
    double cube = r.high * square * polynomial(series, COUNT(series), square);
    return r.high + (cube + (r.low - r.low * square / 2));
}

static double cosine_of(pair r) {
    static const double series[] = {1.0 / 24,        -1.0 / 720,         1.0 / 40320,         -1.0 / 3628800,
                                    1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000};
    double square = r.high * r.high;
    pair sum = add_smaller(1, -square / 2);
    return sum.high + (sum.low + (square * square * polynomial(series, COUNT(series), square) - r.high * r.low));
}

/* The sine of x and so many quarters of a circle. */
static double sine_from(double x, int quarters) {
    pair r;
    if (!(fabs(x) <= SC_MAX_ANGLE))
        return (double)NAN;
    quarters += reduce_angle(x, &r);
    double result = quarters & 1 ? cosine_of(r) : sine_of(r);
    return quarters & 2 ? -result : result;
}

double sc_sin64(double x) {
    return fabs(x) < 0x1p-28 ? x : sine_from(x, 0);
}

double sc_cos64(double x) {
    return sine_from(x, 1);
}

/* ---- error function ---- */

/* The Chebyshev series of (1 + 2x) e^x^2 erfc x in 1.28 (x - 3.75) / (x + 3.75). */
static const double erfc_series[] = {
    0x1.3808176040d18p+0,   -0x1.efae1a482c22dp-5,  -0x1.aa1f2959c34e1p-6,  0x1.4640a1ae70f2fp-6,
    -0x1.0180545c70343p-7,  0x1.276badf515234p-9,   -0x1.05b24af0225d6p-11, 0x1.622db293d1e99p-14,
    -0x1.4fde47c48884bp-17, 0x1.29526bd8b4b41p-21,  0x1.04de46a9104aep-24,  -0x1.139661caed5b5p-26,
    0x1.b4466b35f2939p-31,  0x1.b2a01cc6f5d27p-33,  -0x1.0d6882b98522fp-35, -0x1.bacfee146fc36p-40,
    0x1.888d46e141489p-41,  -0x1.957e165ac72bep-50, -0x1.0b4208f2df197p-46, 0x1.0939b65ce9defp-51,
    0x1.7c95160581a6dp-52,  -0x1.0dffe486502f5p-56, -0x1.2614e6be526fbp-57, 0x1.8681f206b3b8cp-62,
    0x1.ebdac1a409fefp-63,
};

/* 0.47 <= x <= 28 */
static double erfc_tail(double x) {
    double u = 1.28 * ((x - 3.75) / (x + 3.75)), after = 0, last = 0;
    for (int i = COUNT(erfc_series) - 1; i > 0; i--) { /* Clenshaw's recurrence */
        double next = 2 * u * last - after + erfc_series[i];
        after = last;
        last = next;
    }
    pair square = multiply(x, x);
    return exp_pair(-square.high, -square.low) * ((erfc_series[0] + (u * last - after)) / (1 + 2 * x));
}

/* |x| < 0.5; 2 / sqrt(pi) x (1 - x^2 / 3 + x^4 / 10 - ...) */
static double erf_near_zero(double x) {
    static const double series[] = {-1.0 / 3,       1.0 / 10,       -1.0 / 42,        1.0 / 216,
                                    -1.0 / 1320,    1.0 / 9360,     -1.0 / 75600,     1.0 / 685440,
                                    -1.0 / 6894720, 1.0 / 76204800, -1.0 / 918086400, 1.0 / 11975040000};
    double square = x * x;
    return 0x1.20dd750429b6dp+0 * (x + x * square * polynomial(series, COUNT(series), square));
}

double sc_erfc64(double x) {
    double magnitude = fabs(x);
    if (isnan(x))
        return x;
    if (magnitude < 0.5)
        return 1 - erf_near_zero(x);
    double tail = magnitude > 28 ? 0 : erfc_tail(magnitude);
    return x < 0 ? 2 - tail : tail;
}
