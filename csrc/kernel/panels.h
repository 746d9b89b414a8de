/* Panels, in which the operands of products are packed: see tile.h. */
#ifndef SC_KERNEL_PANELS_H
#define SC_KERNEL_PANELS_H

#include "kernel/tile.h"

/* The width of the panel that begins with this row, of m, or with this column, of n. */
size_t sc_panel_rows(size_t row, size_t m);
size_t sc_panel_columns(size_t column, size_t n);

/* Rows, and columns, with those that fill up the last panel. */
size_t sc_padded_rows(size_t m);
size_t sc_padded_columns(size_t n);

/* A panel of the given width from `count` lines: to[depth x width] = the numbers at line + i * line_stride + k. Missing
 * lines are zero. */
void sc_pack_lines(sc_real *to, size_t width, const sc_real *line, size_t line_stride, size_t count, size_t depth);

/* The same from numbers at line + i + k * k_stride. */
void sc_pack_across(sc_real *to, size_t width, const sc_real *line, size_t k_stride, size_t count, size_t depth);

#endif
