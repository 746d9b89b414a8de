#include "kernel/unpacked_tile.h"

#include "base/size.h"
#include "kernel/lanes.h"

enum {
    GROUPS = SC_TILE_COLUMNS / SC_LANES,
    LINE = 64 / sizeof(sc_real), /* of the cache */
    AHEAD = 8 * LINE,            /* distance of prefetching in a line */
};

/* Lines of b by the places that they take: lane 4 q + r of a group comes from quad q of vector r. */
typedef struct places {
    size_t at[GROUPS][4][SC_QUADS];
} places;

static places find_places(size_t ldb, size_t columns) {
    places p;
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t r = 0; r < 4; r++)
            for (size_t q = 0; q < SC_QUADS; q++)
                p.at[g][r][q] = sc_min(g * SC_LANES + 4 * q + r, columns - 1) * ldb;
    return p;
}

/* The last numbers, fewer than four. */
static void read_rest(sc_lanes d[4], const sc_real *b, const size_t at[4][SC_QUADS], size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t l = 0; l < SC_LANES; l++)
            d[i][l] = b[at[l % 4][l / 4] + i];
}

/* `rows` is a constant wherever this is inlined. */
SC_INLINE void multiply(sc_real *c, const sc_real *a, size_t lda, const size_t rows, const sc_real *b, const places *p,
                        size_t depth, bool add) {
    sc_lanes sum[SC_UNPACKED_TILE_ROWS][GROUPS];
#pragma GCC unroll 4
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (size_t g = 0; g < GROUPS; g++)
            sum[i][g] = (sc_lanes){0};
    size_t k = 0;
    for (; k + 4 <= depth; k += 4) {
        if (k % LINE == 0)
            for (size_t i = 0; i < SC_TILE_COLUMNS; i++)
                __builtin_prefetch(b + k + AHEAD + p->at[i / SC_LANES][i % 4][i % SC_LANES / 4]);
#pragma GCC unroll 2
        for (size_t g = 0; g < GROUPS; g++) {
            sc_lanes d[4];
#pragma GCC unroll 4
            for (size_t r = 0; r < 4; r++)
                sc_lanes_gather(&d[r], b + k, p->at[g][r]);
            sc_lanes_transpose(d);
#pragma GCC unroll 4
            for (size_t j = 0; j < 4; j++)
#pragma GCC unroll 4
                for (size_t i = 0; i < rows; i++)
                    sc_lanes_fma(&sum[i][g], a[i * lda + k + j], &d[j], &sum[i][g]);
        }
    }
    for (size_t g = 0; g < GROUPS && k < depth; g++) {
        sc_lanes d[4];
        read_rest(d, b + k, p->at[g], depth - k);
        for (size_t j = 0; k + j < depth; j++)
            for (size_t i = 0; i < rows; i++)
                sc_lanes_fma(&sum[i][g], a[i * lda + k + j], &d[j], &sum[i][g]);
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t g = 0; g < GROUPS; g++) {
            sc_lanes_unaligned *to = (sc_lanes_unaligned *)(c + i * SC_TILE_COLUMNS + g * SC_LANES);
            if (add)
                sum[i][g] = *to + sum[i][g];
            *to = sum[i][g];
        }
}

void sc_unpacked_tile_multiply(sc_real *c, const sc_real *a, size_t lda, size_t rows, const sc_real *b, size_t ldb,
                               size_t columns, size_t depth, bool add) {
    places p = find_places(ldb, columns);
    if (rows == 1)
        multiply(c, a, lda, 1, b, &p, depth, add);
    else if (rows == 2)
        multiply(c, a, lda, 2, b, &p, depth, add);
    else if (rows == 3)
        multiply(c, a, lda, 3, b, &p, depth, add);
    else
        multiply(c, a, lda, 4, b, &p, depth, add);
}
