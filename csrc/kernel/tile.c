#include "kernel/tile.h"

enum {
    MAX_VECTORS = SC_TILE_COLUMNS / SC_VECTOR,
    LINE = 64 / sizeof(sc_real), /* of the cache */
    AHEAD = 128,                 /* steps of prefetching: mostly operands go on where a tile's part ends */
};

/* Unrolled as a whole, so that the sums stay in registers: `rows` and `vectors` are constants wherever this is inlined.
 */
SC_INLINE void multiply(sc_real *c, size_t ldc, const sc_real *restrict a, const sc_real *restrict b, const size_t rows,
                        const size_t vectors, size_t depth, bool add) {
    sc_vector sum[SC_TILE_ROWS][MAX_VECTORS];
    const size_t columns = vectors * SC_VECTOR;
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++) /* outputs are written when the sums are done: until then they can come near */
        for (size_t j = 0; j < columns; j += LINE)
            __builtin_prefetch(c + i * ldc + j);
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (size_t j = 0; j < vectors; j++)
            sum[i][j] = (sc_vector){0};
#pragma GCC unroll 2
    for (size_t k = 0; k < depth; k++) {
        sc_vector right[MAX_VECTORS];
#pragma GCC unroll 2
        for (size_t j = 0; j < vectors; j++)
            right[j] = sc_vector_load(b + j * SC_VECTOR);
#pragma GCC unroll 12
        for (size_t i = 0; i < rows; i++) {
            sc_vector left = sc_vector_all(a[i]);
#pragma GCC unroll 2
            for (size_t j = 0; j < vectors; j++)
                sum[i][j] = sc_vector_fma(left, right[j], sum[i][j]);
        }
        __builtin_prefetch(a + AHEAD * rows);
        for (size_t j = 0; j < columns; j += LINE)
            __builtin_prefetch(b + AHEAD * columns + j);
        a += rows;
        b += columns;
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (size_t j = 0; j < vectors; j++) {
            sc_real *to = c + i * ldc + j * SC_VECTOR;
            sc_vector_store(to, add ? sc_vector_load(to) + sum[i][j] : sum[i][j]);
        }
}

void sc_tile_multiply(sc_real *c, size_t ldc, const sc_real *a, const sc_real *b, size_t rows, size_t columns,
                      size_t depth, bool add) {
    const size_t three = SC_TILE_ROWS, two = 2 * SC_TILE_STEP, one = SC_TILE_STEP;
    if (columns == SC_TILE_COLUMNS && rows == three)
        multiply(c, ldc, a, b, three, 2, depth, add);
    else if (columns == SC_TILE_COLUMNS && rows == two)
        multiply(c, ldc, a, b, two, 2, depth, add);
    else if (columns == SC_TILE_COLUMNS)
        multiply(c, ldc, a, b, one, 2, depth, add);
    else if (rows == three)
        multiply(c, ldc, a, b, three, 1, depth, add);
    else if (rows == two)
        multiply(c, ldc, a, b, two, 1, depth, add);
    else
        multiply(c, ldc, a, b, one, 1, depth, add);
}
