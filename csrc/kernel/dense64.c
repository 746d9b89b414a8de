#include "kernel/dense64.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/size.h"
#include "kernel/simd.h"

#include <stdbool.h>
#include <string.h>

#if SC_VECTOR_BYTES == 64
enum { ROWS = 8 };
#else
enum { ROWS = 4 };
#endif
enum { LANES = SC_VECTOR_BYTES / 8, COLUMNS = 2 * LANES, BLOCK = 64 };

typedef double vector64 __attribute__((vector_size(SC_VECTOR_BYTES)));
typedef double vector64_unaligned __attribute__((vector_size(SC_VECTOR_BYTES), aligned(8), may_alias));

static inline vector64 load(const double *x) {
    return *(const vector64_unaligned *)x;
}

static inline void store(double *x, vector64 v) {
    *(vector64_unaligned *)x = v;
}

/* One register tile: x[depth x ROWS] and y[depth x COLUMNS] are packed. */
static void update_tile(double *a, size_t lda, const double *x, const double *y, size_t depth) {
    vector64 tile[ROWS][2];
    for (size_t i = 0; i < ROWS; i++) {
        tile[i][0] = load(a + i * lda);
        tile[i][1] = load(a + i * lda + LANES);
    }
    for (size_t t = 0; t < depth; t++) {
        const vector64 left = load(y + t * COLUMNS), right = load(y + t * COLUMNS + LANES);
#pragma GCC unroll 8
        for (size_t i = 0; i < ROWS; i++) {
            tile[i][0] -= x[t * ROWS + i] * left;
            tile[i][1] -= x[t * ROWS + i] * right;
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        store(a + i * lda, tile[i][0]);
        store(a + i * lda + LANES, tile[i][1]);
    }
}

/* The same at an edge of the matrix, where the tile has fewer rows or columns. */
static void update_edge(double *a, size_t lda, const double *x, const double *y, size_t depth, size_t rows,
                        size_t columns) {
    double tile[ROWS * COLUMNS] = {0};
    for (size_t i = 0; i < rows; i++)
        memcpy(tile + i * COLUMNS, a + i * lda, columns * sizeof *tile);
    update_tile(tile, COLUMNS, x, y, depth);
    for (size_t i = 0; i < rows; i++)
        memcpy(a + i * lda, tile + i * COLUMNS, columns * sizeof *tile);
}

/* Packs lines first .. first + count - 1 of from[depth x ...] as panels of `width` lines, the last filled with zeros.
 */
static void pack(double *to, const double *from, size_t ld, size_t first, size_t count, size_t width, size_t depth) {
    for (size_t panel = 0; panel < count; panel += width)
        for (size_t t = 0; t < depth; t++)
            for (size_t i = 0; i < width; i++)
                *to++ = panel + i < count ? from[t * ld + first + panel + i] : 0;
}

/* BLOCK rows of a. */
static void update_rows(const sc_update64 *u, size_t row) {
    double x[BLOCK * SC_DENSE64_DEPTH], y[COLUMNS * SC_DENSE64_DEPTH];
    size_t rows = sc_min(BLOCK, u->rows - row);
    pack(x, u->x, u->ldx, row, rows, ROWS, u->depth);
    for (size_t column = 0; column < u->columns; column += COLUMNS) {
        size_t columns = sc_min(COLUMNS, u->columns - column);
        pack(y, u->y, u->ldy, column, columns, COLUMNS, u->depth);
        for (size_t i = 0; i < rows; i += ROWS) {
            double *a = u->a + (row + i) * u->lda + column;
            if (columns == COLUMNS && rows - i >= ROWS)
                update_tile(a, u->lda, x + i * u->depth, y, u->depth);
            else
                update_edge(a, u->lda, x + i * u->depth, y, u->depth, sc_min(ROWS, rows - i), columns);
        }
    }
}

void sc_update64_run(const sc_update64 *update) {
#pragma omp parallel for schedule(static) if (update->rows * update->columns > 64 * 64)
    for (size_t row = 0; row < update->rows; row += BLOCK)
        update_rows(update, row);
}

/* ---- inverse ---- */

/* Inverts a small symmetric matrix d[n x n] by sweeps, one pivot after the other; false where one is not positive. */
static bool invert_small(double *d, size_t n) {
    for (size_t k = 0; k < n; k++) {
        double pivot = d[k * n + k];
        if (!(pivot > 0))
            return false;
        for (size_t i = 0; i < n; i++) {
            double factor = d[i * n + k] / pivot;
            for (size_t j = 0; i != k && j < n; j++)
                if (j != k)
                    d[i * n + j] -= factor * d[k * n + j];
        }
        for (size_t i = 0; i < n; i++)
            if (i != k)
                d[i * n + k] = d[k * n + i] = d[k * n + i] / pivot;
        d[k * n + k] = -1 / pivot;
    }
    for (size_t i = 0; i < n * n; i++)
        d[i] = -d[i];
    return true;
}

/* to[b x n] = d[b x b] from[b x n] */
static void multiply_small(double *to, const double *d, const double *from, size_t b, size_t n) {
#pragma omp parallel for schedule(static) if (b * n > 4096)
    for (size_t i = 0; i < b; i++) {
        memset(to + i * n, 0, n * sizeof *to);
        for (size_t t = 0; t < b; t++)
            for (size_t j = 0; j < n; j++)
                to[i * n + j] += d[i * b + t] * from[t * n + j];
    }
}

/* Sweeps pivots first .. first + b - 1. rows, swept: [b x n]; pivots: [b x b]. */
static bool sweep_block(double *a, size_t n, size_t first, size_t b, double *rows, double *swept, double *pivots) {
    memcpy(rows, a + first * n, b * n * sizeof *a);
    for (size_t i = 0; i < b; i++)
        memcpy(pivots + i * b, rows + i * n + first, b * sizeof *a);
    if (!invert_small(pivots, b))
        return false;
    multiply_small(swept, pivots, rows, b, n);
    sc_update64_run(&(sc_update64){
        .a = a, .lda = n, .x = rows, .ldx = n, .y = swept, .ldy = n, .rows = n, .columns = n, .depth = b});
    for (size_t i = 0; i < b; i++)
        for (size_t j = 0; j < n; j++)
            a[(first + i) * n + j] = a[j * n + first + i] = swept[i * n + j];
    for (size_t i = 0; i < b; i++)
        for (size_t j = 0; j < b; j++)
            a[(first + i) * n + first + j] = -pivots[i * b + j];
    return true;
}

sc_status sc_inverse64(double *a, size_t n, sc_error *error) {
    void *memory;
    size_t numbers;
    if (!sc_size_multiply(&numbers, 2 * BLOCK, n) || !sc_size_add(&numbers, numbers, BLOCK * BLOCK))
        return sc_error_set(error, SC_ERROR_MEMORY, "inverse: a matrix of %zu rows is too large", n);
    SC_TRY(sc_memory_alloc(&memory, numbers, sizeof(double), error));
    double *rows = memory, *swept = rows + BLOCK * n, *pivots = swept + BLOCK * n;
    sc_status status = SC_OK;
    for (size_t first = 0; first < n && status == SC_OK; first += BLOCK) {
        if (!sweep_block(a, n, first, sc_min(BLOCK, n - first), rows, swept, pivots))
            status = sc_error_set(error, SC_ERROR_NUMERIC, "inverse: the matrix is not positive definite");
        else
            status = sc_interrupt_check(error);
    }
    for (size_t i = 0; i < n * n; i++)
        a[i] = -a[i];
    sc_memory_free(memory);
    return status;
}
