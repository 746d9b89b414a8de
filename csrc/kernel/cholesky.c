#include "kernel/cholesky.h"

#include "base/inline.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/size.h"

#include <float.h>
#include <math.h>

/* The lowering of vectors that are wider than the processor's is up to the compiler. */
typedef double vector __attribute__((vector_size(64)));
typedef double vector_unaligned __attribute__((vector_size(64), aligned(sizeof(double)), may_alias));

enum {
    BLOCK = 64, /* columns that are factored, or rows that are solved, before the rest is brought up to date */
    ROWS = 4,   /* of a tile, whose sums stay in registers */
    VECTOR = 8,
#if defined __AVX512F__
    VECTORS = 2,
#else
    VECTORS = 1,
#endif
    COLUMNS = VECTOR * VECTORS,
    STRIPE = 64, /* columns of right-hand sides that one thread takes */
};

/* c[ROWS x COLUMNS] -= a[ROWS x depth] b[depth x COLUMNS] */
SC_INLINE void subtract_tile(double *c, size_t ldc, const double *a, size_t lda, const double *b, size_t ldb,
                             size_t depth) {
    vector sum[ROWS][VECTORS];
#pragma GCC unroll 4
    for (size_t i = 0; i < ROWS; i++)
#pragma GCC unroll 2
        for (size_t j = 0; j < VECTORS; j++)
            sum[i][j] = (vector){0};
    for (size_t k = 0; k < depth; k++) {
        vector right[VECTORS];
#pragma GCC unroll 2
        for (size_t j = 0; j < VECTORS; j++)
            right[j] = *(const vector_unaligned *)(b + k * ldb + j * VECTOR);
#pragma GCC unroll 4
        for (size_t i = 0; i < ROWS; i++)
#pragma GCC unroll 2
            for (size_t j = 0; j < VECTORS; j++)
                sum[i][j] += a[i * lda + k] * right[j];
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < ROWS; i++)
#pragma GCC unroll 2
        for (size_t j = 0; j < VECTORS; j++)
            *(vector_unaligned *)(c + i * ldc + j * VECTOR) -= sum[i][j];
}

/* The same for any size, in the same order. */
static void subtract_rest(double *c, size_t ldc, const double *a, size_t lda, const double *b, size_t ldb, size_t rows,
                          size_t columns, size_t depth) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            double sum = 0;
            for (size_t k = 0; k < depth; k++)
                sum += a[i * lda + k] * b[k * ldb + j];
            c[i * ldc + j] -= sum;
        }
}

static void subtract_product(double *c, size_t ldc, const double *a, size_t lda, const double *b, size_t ldb,
                             size_t rows, size_t columns, size_t depth) {
    for (size_t j = 0; j < columns; j += COLUMNS) {
        size_t width = sc_min(COLUMNS, columns - j);
        for (size_t i = 0; i < rows; i += ROWS)
            if (width == COLUMNS && i + ROWS <= rows)
                subtract_tile(c + i * ldc + j, ldc, a + i * lda, lda, b + j, ldb, depth);
            else
                subtract_rest(c + i * ldc + j, ldc, a + i * lda, lda, b + j, ldb, sc_min(ROWS, rows - i), width, depth);
    }
}

/* ---- the factor ---- */

/* Factors a[count x count] at the diagonal, without blocks. */
static sc_status factor_diagonal(double *a, size_t lda, size_t count, size_t first, sc_error *error) {
    for (size_t j = 0; j < count; j++) {
        double pivot = a[j * lda + j];
        for (size_t k = 0; k < j; k++)
            pivot -= a[j * lda + k] * a[j * lda + k];
        if (!(pivot > 0 && pivot <= DBL_MAX))
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "cholesky: expected a positive definite matrix, pivot %zu is %g", first + j + 1, pivot);
        a[j * lda + j] = sqrt(pivot);
        for (size_t i = j + 1; i < count; i++) {
            double sum = a[i * lda + j];
            for (size_t k = 0; k < j; k++)
                sum -= a[i * lda + k] * a[j * lda + k];
            a[i * lda + j] = sum / a[j * lda + j];
        }
    }
    return SC_OK;
}

/* row[count] = row L^-T with the factor of a diagonal block. */
static void solve_row(double *row, const double *l, size_t ldl, size_t count) {
    for (size_t j = 0; j < count; j++) {
        double sum = row[j];
        for (size_t k = 0; k < j; k++)
            sum -= row[k] * l[j * ldl + k];
        row[j] = sum / l[j * ldl + j];
    }
}

/* Brings what is below and right of columns first .. first + count - 1 up to date. The panel is transposed for it. */
static void update_trailing(double *a, size_t n, size_t first, size_t count, double *panel) {
    size_t below = first + count, blocks = sc_divide_up(n - below, BLOCK);
#pragma omp parallel for schedule(static)
    for (size_t i = below; i < n; i++)
        for (size_t k = 0; k < count; k++)
            panel[k * n + i] = a[i * n + first + k];
#pragma omp parallel for schedule(static, 1) /* rows of the triangle differ in length: dealt out in turn */
    for (size_t block = 0; block < blocks; block++) {
        size_t i = below + block * BLOCK, rows = sc_min(BLOCK, n - i);
        subtract_product(a + i * n + below, n, a + i * n + first, n, panel + below, n, rows, i + rows - below, count);
    }
}

sc_status sc_cholesky_factor(double *a, size_t n, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, n + 1, BLOCK * sizeof(double), error));
    double *panel = memory;
    sc_status status = SC_OK;
    for (size_t first = 0; first < n && status == SC_OK; first += BLOCK) {
        size_t count = sc_min(BLOCK, n - first);
        status = factor_diagonal(a + first * n + first, n, count, first, error);
        if (status == SC_OK)
            status = sc_interrupt_check(error);
        if (status != SC_OK)
            break;
#pragma omp parallel for schedule(static)
        for (size_t i = first + count; i < n; i++)
            solve_row(a + i * n + first, a + first * n + first, n, count);
        update_trailing(a, n, first, count, panel);
    }
    sc_memory_free(memory);
    return status;
}

/* ---- solutions ---- */

/* Rows first .. first + count - 1 of L y = b, once the rows before them are solved. */
static void solve_forward(const double *l, size_t n, double *b, size_t ldb, size_t columns, size_t first,
                          size_t count) {
    subtract_product(b + first * ldb, ldb, l + first * n, n, b, ldb, count, columns, first);
    for (size_t i = first; i < first + count; i++) {
        for (size_t k = first; k < i; k++)
            for (size_t j = 0; j < columns; j++)
                b[i * ldb + j] -= l[i * n + k] * b[k * ldb + j];
        for (size_t j = 0; j < columns; j++)
            b[i * ldb + j] /= l[i * n + i];
    }
}

/* The same of L^T x = y, from the last rows; `below` has the rows of L^T right of the diagonal block, [count x n]. */
static void solve_backward(const double *l, size_t n, const double *below, double *b, size_t ldb, size_t columns,
                           size_t first, size_t count) {
    size_t next = first + count;
    subtract_product(b + first * ldb, ldb, below + next, n, b + next * ldb, ldb, count, columns, n - next);
    for (size_t i = next; i-- > first;) {
        for (size_t k = i + 1; k < next; k++)
            for (size_t j = 0; j < columns; j++)
                b[i * ldb + j] -= l[k * n + i] * b[k * ldb + j];
        for (size_t j = 0; j < columns; j++)
            b[i * ldb + j] /= l[i * n + i];
    }
}

static void transpose_below(double *below, const double *l, size_t n, size_t first, size_t count) {
#pragma omp parallel for schedule(static)
    for (size_t k = first + count; k < n; k++)
        for (size_t i = 0; i < count; i++)
            below[i * n + k] = l[k * n + first + i];
}

sc_status sc_cholesky_solve(const double *l, size_t n, double *b, size_t columns, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, n + 1, BLOCK * sizeof(double), error));
    double *below = memory;
    size_t stripes = sc_divide_up(columns, STRIPE), blocks = sc_divide_up(n, BLOCK);
    sc_status status = SC_OK;
    for (size_t block = 0; block < blocks && status == SC_OK; block++) {
        size_t first = block * BLOCK, count = sc_min(BLOCK, n - first);
#pragma omp parallel for schedule(static)
        for (size_t s = 0; s < stripes; s++)
            solve_forward(l, n, b + s * STRIPE, columns, sc_min(STRIPE, columns - s * STRIPE), first, count);
        status = sc_interrupt_check(error);
    }
    for (size_t block = blocks; block-- > 0 && status == SC_OK;) {
        size_t first = block * BLOCK, count = sc_min(BLOCK, n - first);
        transpose_below(below, l, n, first, count);
#pragma omp parallel for schedule(static)
        for (size_t s = 0; s < stripes; s++)
            solve_backward(l, n, below, b + s * STRIPE, columns, sc_min(STRIPE, columns - s * STRIPE), first, count);
        status = sc_interrupt_check(error);
    }
    sc_memory_free(memory);
    return status;
}
