#include "kernel/gemm.h"

#include <cblas.h>
#include <string.h>

void sc_gemm(sc_transposition transpose_a, sc_transposition transpose_b, size_t m, size_t n, size_t k, sc_real alpha,
             const sc_real *a, size_t lda, const sc_real *b, size_t ldb, sc_real beta, sc_real *c, size_t ldc) {
    if (m == 0 || n == 0)
        return;
    CBLAS_TRANSPOSE ta = transpose_a == SC_TRANSPOSED ? CblasTrans : CblasNoTrans;
    CBLAS_TRANSPOSE tb = transpose_b == SC_TRANSPOSED ? CblasTrans : CblasNoTrans;
#ifdef SC_REAL_IS_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#endif
}

void sc_rows_fill(sc_real *y, const sc_real *row, size_t rows, size_t columns) {
#pragma omp parallel for schedule(static) if (rows * columns > 65536)
    for (size_t r = 0; r < rows; r++)
        memcpy(y + r * columns, row, columns * sizeof *row);
}

static void columns_sum(sc_real *sum, const sc_real *x, size_t rows, size_t columns, size_t first, size_t last) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = first; c < last; c++)
            sum[c] += x[r * columns + c];
}

void sc_rows_sum(sc_real *sum, const sc_real *x, size_t rows, size_t columns) {
    const size_t block = 64; /* one thread per block of columns: no reduction, and the same bits whatever the threads */
#pragma omp parallel for schedule(static) if (rows * columns > 65536)
    for (size_t first = 0; first < columns; first += block)
        columns_sum(sum, x, rows, columns, first, first + block < columns ? first + block : columns);
}
