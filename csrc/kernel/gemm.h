/* Matrix products (OpenBLAS) and the row operations around them. Matrices are row-major; ld is the distance between
 * rows. Inside a parallel region a product runs on the calling thread, outside it on all. */
#ifndef SC_KERNEL_GEMM_H
#define SC_KERNEL_GEMM_H

#include "base/real.h"

#include <stddef.h>

typedef enum sc_transposition { SC_PLAIN, SC_TRANSPOSED } sc_transposition;

/* c[m x n] = alpha * op(a)[m x k] * op(b)[k x n] + beta * c; c is not read when beta is 0. Sizes and distances must fit
 * an int (shapes are judged when nodes are built). */
void sc_gemm(sc_transposition transpose_a, sc_transposition transpose_b, size_t m, size_t n, size_t k, sc_real alpha,
             const sc_real *a, size_t lda, const sc_real *b, size_t ldb, sc_real beta, sc_real *c, size_t ldc);

/* Every row of y[rows x columns] = row[columns]. */
void sc_rows_fill(sc_real *y, const sc_real *row, size_t rows, size_t columns);

/* sum[columns] += the sum of the rows of x[rows x columns]. */
void sc_rows_sum(sc_real *sum, const sc_real *x, size_t rows, size_t columns);

#endif
