/* Matrix products y[m x n] = a[m x k] b[k x n] from operands that are packed piece by piece: whoever packs decides
 * where an operand comes from (a matrix, its transpose, the patches of an image, a transform), and whoever describes
 * the output where it goes. Order of sums: see tile.h. */
#ifndef SC_KERNEL_PRODUCT_H
#define SC_KERNEL_PRODUCT_H

#include "kernel/epilogue.h"
#include "kernel/panels.h"

/* Writes lines first .. first + count - 1 (rows of a, or columns of b), numbers k .. k + depth - 1 of each, as panels:
 * see sc_pack_lines. `first` is a multiple of the panel's width; no line is left out but those of the last panel. */
typedef void sc_pack(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth);

typedef struct sc_operand {
    const sc_real *packed; /* the whole operand, from sc_product_pack_*; else NULL, and packed as it is needed: */
    sc_pack *pack;
    const void *context;
    const sc_real *lines; /* number k of line i at lines + i * line_stride + k, where it is so; else NULL */
    size_t line_stride;
} sc_operand;

/* Columns that lie side by side in the output, `count` from the place `at` on, counted from that of column 0. */
typedef struct sc_run {
    size_t at, count;
} sc_run;

typedef struct sc_output {
    sc_real *y;
    size_t first; /* the place of row 0, column 0 in y; offsets of the epilogue are counted from y */
    size_t row_stride;
    /* Runs of the columns column .. column + count - 1, a panel or a block of panels, and their number; two runs that
     * follow each other in the output are one. NULL: one run. */
    size_t (*runs)(sc_run *out, const void *context, size_t column, size_t count);
    const void *context;
    size_t step;                 /* between the columns of a run; 0 means 1 */
    bool add;                    /* to what is there */
    const sc_epilogue *epilogue; /* NULL: none */
    bool columns_are_units;      /* of the epilogue; else rows are */
    size_t first_unit;           /* the unit of row (column) 0 */
} sc_output;

typedef struct sc_product {
    size_t m, n, k;
    sc_operand rows, columns; /* a and b */
    sc_output out;
    sc_real *scratch; /* sc_product_scratch() bytes, one part per thread */
} sc_product;

/* Bytes of scratch that one thread needs; of all threads now in force. A multiple of a cache line. */
size_t sc_product_thread_scratch(void);
size_t sc_product_scratch(void);

/* Threads that work here: all, or inside a parallel region the calling one. */
size_t sc_product_threads(void);

/* On all threads; inside a parallel region on the calling one, with the scratch of one. */
void sc_product_run(const sc_product *p);

/* Numbers of a whole packed operand. */
size_t sc_packed_rows_size(size_t m, size_t k);
size_t sc_packed_columns_size(size_t n, size_t k);

/* Packs a whole operand, on all threads. */
void sc_pack_rows(sc_real *to, const sc_operand *rows, size_t m, size_t k);
void sc_pack_columns(sc_real *to, const sc_operand *columns, size_t n, size_t k);

#endif
