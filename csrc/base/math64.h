/* Elementary functions in double precision whose results are the same bits on every machine. Those of a C library are
 * not: glibc alone picks variants with and without fused multiplication at run time, and they differ in the last bit.
 * Made of +, -, *, / and bits alone, rounded to nearest and never contracted (-ffp-contract=off). NaN, infinities,
 * zeros and subnormals are treated as by C's Annex F, without exception flags. The mathematics: argument reduction with
 * constants of several words (Cody and Waite, 1980), Taylor's series of what is left, and where one word is not enough
 * pairs of them (Dekker, 1971). */
#ifndef SC_BASE_MATH64_H
#define SC_BASE_MATH64_H

/* e^x, within 1 ulp. */
double sc_exp64(double x);

/* The natural logarithm, within 1 ulp. */
double sc_log64(double x);

/* x^y, within 1 ulp. */
double sc_pow64(double x, double y);

#define SC_MAX_ANGLE 0x1p20

/* Sine and cosine, within 1 ulp, of |x| <= SC_MAX_ANGLE; NaN beyond. */
double sc_sin64(double x);
double sc_cos64(double x);

/* Hyperbolic tangent, within 1 ulp. */
double sc_tanh64(double x);

/* 1 - erf(x), within 4 ulp: Taylor's series of erf near zero, else e^-x^2 / (1 + 2x) times a Chebyshev series in
 * (x - 3.75) / (x + 3.75) (the form of Shepherd and Laframboise, 1981). */
double sc_erfc64(double x);

#endif
