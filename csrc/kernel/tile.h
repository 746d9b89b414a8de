/* The register tile of matrix products: the one place where products are summed.
 *
 * A sum over k is one chain of fused multiply-adds in ascending order, begun anew at every multiple of SC_CHAIN; the
 * chains are added in ascending order. That is the definition of every product in Secateur: bits do not depend on the
 * place of a number in its matrix, on blocking, threads or the width of vectors. */
#ifndef SC_KERNEL_TILE_H
#define SC_KERNEL_TILE_H

#include "base/real.h"
#include "kernel/simd.h"

#include <stdbool.h>
#include <stddef.h>

enum { SC_CHAIN = 256 };

/* Rows come in panels of SC_TILE_ROWS, the last one rounded up to a multiple of a third of that; columns in panels of
 * SC_TILE_COLUMNS, the last one of half as many where they suffice. The operands of a tile are packed: a[depth x rows],
 * b[depth x columns]. */
#if !defined SC_REAL_IS_DOUBLE && defined __AVX512F__
enum { SC_TILE_ROWS = 12 };
#else
enum { SC_TILE_ROWS = 6 };
#endif
enum { SC_TILE_STEP = SC_TILE_ROWS / 3, SC_TILE_COLUMNS = 2 * SC_VECTOR, SC_TILE_HALF = SC_VECTOR };

/* c[rows x columns] = a^T b, or with `add` c +=; rows is SC_TILE_STEP, twice or three times that, columns is
 * SC_TILE_COLUMNS or SC_TILE_HALF. */
void sc_tile_multiply(sc_real *c, size_t ldc, const sc_real *a, const sc_real *b, size_t rows, size_t columns,
                      size_t depth, bool add);

#endif
