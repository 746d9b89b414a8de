/* Patches of images as columns of a matrix, and back. */
#ifndef SC_KERNEL_IM2COL_H
#define SC_KERNEL_IM2COL_H

#include "kernel/conv2d.h"

/* col[c kh kw x ld]: columns `at` .. `at + rows * ow - 1` = the patches of output rows row .. row + rows - 1 of one
 * image, channels c0 .. c0 + channels - 1. Padding reads as 0. */
void sc_im2col(sc_real *col, size_t ld, size_t at, const sc_real *x, const sc_conv2d_size *s, size_t c0,
               size_t channels, size_t row, size_t rows);

/* x += the columns put back where sc_im2col took them from. */
void sc_col2im(sc_real *x, const sc_real *col, size_t ld, size_t at, const sc_conv2d_size *s, size_t c0,
               size_t channels, size_t row, size_t rows);

#endif
