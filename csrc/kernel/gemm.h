/* Products of matrices in memory. Matrices are row-major; ld is the distance between rows. Inside a parallel region a
 * product runs on the calling thread, outside it on all. Order of sums: see tile.h. */
#ifndef SC_KERNEL_GEMM_H
#define SC_KERNEL_GEMM_H

#include "kernel/product.h"

typedef enum sc_transposition { SC_PLAIN, SC_TRANSPOSED } sc_transposition;

/* op(x), the matrix x or its transpose; described so that rows or columns can be packed from it. */
typedef struct sc_matrix {
    const sc_real *x;
    size_t ld;
    sc_real scale; /* numbers are multiplied by it as they are packed; 1: as they are */
    bool along;    /* the numbers of one sum lie side by side; else those of its neighbours do */
} sc_matrix;

/* Operands for sc_product: rows of op(a)[m x k], columns of op(b)[k x n]. The matrix must outlive the operand. */
sc_matrix sc_matrix_rows(sc_transposition transpose, const sc_real *a, size_t lda);
sc_matrix sc_matrix_columns(sc_transposition transpose, const sc_real *b, size_t ldb);
sc_operand sc_rows_operand(const sc_matrix *a);
sc_operand sc_columns_operand(const sc_matrix *b);

/* Lines in pieces of `length` numbers, as those of a batch of planes: number k of line i is at x + k / length * step +
 * i * ld + k % length. */
typedef struct sc_pieces {
    const sc_real *x;
    size_t ld, length, step;
} sc_pieces;

/* Operands as above. The description must outlive them. */
sc_operand sc_pieces_rows(const sc_pieces *p);
sc_operand sc_pieces_columns(const sc_pieces *p);

/* op(x) in memory. */
typedef struct sc_gemm_operand {
    const sc_real *x;
    size_t ld;
    sc_transposition transpose;
} sc_gemm_operand;

/* c[m x n] = (scale * op(a)[m x k]) * op(b)[k x n], or with `add` c +=. */
typedef struct sc_gemm {
    size_t m, n, k;
    sc_real scale; /* 0 means 1 */
    sc_gemm_operand a, b;
    sc_real *c;
    size_t ldc;
    bool add;
    void
        *scratch; /* sc_product_scratch() bytes; inside a parallel region sc_product_thread_scratch() of the thread's */
} sc_gemm;

/* Computes c. */
void sc_gemm_run(const sc_gemm *g);

/* Every row of y[rows x columns] = row[columns]. */
void sc_rows_fill(sc_real *y, const sc_real *row, size_t rows, size_t columns);

#endif
