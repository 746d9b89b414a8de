#include "kernel/blas.h"

#include <cblas.h>

void sc_blas_multiply(sc_real *c, const sc_real *a, const sc_real *b, size_t m, size_t n, size_t k) {
    int rows = (int)m, columns = (int)n, depth = (int)k;
    int lda = depth ? depth : 1;
#ifdef SC_REAL_IS_DOUBLE
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, columns, depth, 1, a, lda, b, columns, 0, c, columns);
#else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, columns, depth, 1, a, lda, b, columns, 0, c, columns);
#endif
}
