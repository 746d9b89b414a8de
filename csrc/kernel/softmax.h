/* Softmax of rows[rows x d]. */
#ifndef SC_KERNEL_SOFTMAX_H
#define SC_KERNEL_SOFTMAX_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>

/* p = exp(x - max) / sum exp(x - max) along each row; p may be x. A row without a finite element gives NaN. */
void sc_softmax_forward(sc_real *p, const sc_real *x, size_t rows, size_t d);

/* The same in place, on the calling thread, of rows that lie ld apart. */
void sc_softmax_rows(sc_real *x, size_t ld, size_t rows, size_t d);

/* dx += p * (dp - sum_j p_j dp_j), or without `add` dx =; dx may then be dp. */
void sc_softmax_backward(sc_real *dx, const sc_real *p, const sc_real *dp, size_t rows, size_t d, bool add);

/* ---- in double, element after element: for losses and for the probabilities that users see ---- */

/* p_k = exp(z_k - max) / sum. */
typedef struct sc_softmax64 {
    double max, sum; /* sum = sum_k exp(z_k - max) */
} sc_softmax64;

/* Of the row z[d]; where an element is NaN, max is. */
sc_softmax64 sc_softmax64_of(const sc_real *z, size_t d);

/* The probability of an element of that row. */
double sc_softmax64_probability(const sc_softmax64 *s, sc_real z);

/* Minus the logarithm of its probability. */
double sc_softmax64_loss(const sc_softmax64 *s, sc_real z);

/* p = the probabilities of rows z. */
void sc_softmax64_forward(sc_real *p, const sc_real *z, size_t rows, size_t d);

/* ---- relevance ---- */

/* rx += x * (rp - p * sum_j rp_j) (AttnLRP, Achtibat et al. 2024) */
void sc_softmax_relevance(sc_real *rx, const sc_real *x, const sc_real *p, const sc_real *rp, size_t rows, size_t d);

#endif
