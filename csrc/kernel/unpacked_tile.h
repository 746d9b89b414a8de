/* A register tile of a product whose operands are not packed: worth its shuffles where rows are so few that each number
 * of the columns is used once or twice. Order of sums: see tile.h. */
#ifndef SC_KERNEL_UNPACKED_TILE_H
#define SC_KERNEL_UNPACKED_TILE_H

#include "kernel/tile.h"

enum { SC_UNPACKED_TILE_ROWS = 4 };

/* c[rows x SC_TILE_COLUMNS] = the sums over k of a[i * lda + k] b[j * ldb + k], or with `add` c +=; rows is 1 ..
 * SC_UNPACKED_TILE_ROWS, columns 1 .. SC_TILE_COLUMNS. What comes beyond `columns` in c is anything. */
void sc_unpacked_tile_multiply(sc_real *c, const sc_real *a, size_t lda, size_t rows, const sc_real *b, size_t ldb,
                               size_t columns, size_t depth, bool add);

#endif
