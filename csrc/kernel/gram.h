/* Sums of products in double precision, of numbers in sc_real: covariances and normal equations from many rows. */
#ifndef SC_KERNEL_GRAM_H
#define SC_KERNEL_GRAM_H

#include "base/real.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* sum[m x n] += a^T b, where a is [terms x m] and b [terms x n]; or with `across` += a b^T, where a is [m x terms] and
 * b [n x terms]: the kernel form, for more columns than rows. */
typedef struct sc_gram {
    size_t terms; /* of each sum */
    size_t m, n;
    const sc_real *a;
    size_t lda;       /* between the rows of a */
    const sc_real *b; /* NULL: a itself, n and ldb do not count, and sum [m x m] must be symmetric, as it stays */
    size_t ldb;
    bool across;
    double *sum;
    size_t ld; /* between the rows of sum */
} sc_gram;

/* Adds to the sums, on all threads. Products of SC_CHAIN terms at a time are those of kernel/tile.h, in sc_real; they
 * are added up in double, in ascending order. So bits depend on neither threads nor the level of instructions; they do
 * depend on how many terms a call gets: who adds in several calls gives each but the last a multiple of SC_CHAIN.
 * Errors: no memory, or the user's interrupt, which leaves sums half done. */
sc_status sc_gram_add(const sc_gram *g, sc_error *error);

#endif
