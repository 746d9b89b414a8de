#include "kernel/tile.h"

enum {
    VECTORS = SC_TILE_COLUMNS / SC_VECTOR,
    LINE = 64 / sizeof(sc_real), /* of the cache */
    AHEAD = 128, /* operands are asked for this many steps early: mostly they go on where a tile's part ends */
};

/* Unrolled as a whole, so that the sums stay in registers: `rows` is a constant wherever this is inlined. */
SC_SIMD void multiply(sc_real *c, size_t ldc, const sc_real *restrict a, const sc_real *restrict b, const size_t rows,
                      size_t depth, bool add) {
    sc_vector sum[SC_TILE_ROWS][VECTORS];
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++) /* outputs are written when the sums are done: until then they can come near */
        for (size_t j = 0; j < SC_TILE_COLUMNS; j += LINE)
            __builtin_prefetch(c + i * ldc + j);
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (size_t j = 0; j < VECTORS; j++)
            sum[i][j] = (sc_vector){0};
#pragma GCC unroll 2
    for (size_t k = 0; k < depth; k++) {
        sc_vector right[VECTORS];
#pragma GCC unroll 2
        for (size_t j = 0; j < VECTORS; j++)
            right[j] = sc_vector_load(b + j * SC_VECTOR);
#pragma GCC unroll 12
        for (size_t i = 0; i < rows; i++) {
            sc_vector left = sc_vector_all(a[i]);
#pragma GCC unroll 2
            for (size_t j = 0; j < VECTORS; j++)
                sum[i][j] = sc_vector_fma(left, right[j], sum[i][j]);
        }
        __builtin_prefetch(a + AHEAD * rows);
        for (size_t j = 0; j < SC_TILE_COLUMNS; j += LINE)
            __builtin_prefetch(b + AHEAD * SC_TILE_COLUMNS + j);
        a += rows;
        b += SC_TILE_COLUMNS;
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (size_t j = 0; j < VECTORS; j++) {
            sc_real *to = c + i * ldc + j * SC_VECTOR;
            sc_vector_store(to, add ? sc_vector_load(to) + sum[i][j] : sum[i][j]);
        }
}

void sc_tile_multiply(sc_real *c, size_t ldc, const sc_real *a, const sc_real *b, size_t rows, size_t depth, bool add) {
    if (rows == SC_TILE_ROWS)
        multiply(c, ldc, a, b, SC_TILE_ROWS, depth, add);
    else if (rows == 2 * SC_TILE_STEP)
        multiply(c, ldc, a, b, 2 * SC_TILE_STEP, depth, add);
    else
        multiply(c, ldc, a, b, SC_TILE_STEP, depth, add);
}
