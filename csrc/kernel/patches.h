/* The patch matrix of a convolution (im2col), which is never made: its columns are packed from the images when a
 * product wants them. One line per channel and tap of the kernel, [channels x taps down x taps across]; one column per
 * position of the output, image after image. A number beyond the edge of the image is zero. */
#ifndef SC_KERNEL_PATCHES_H
#define SC_KERNEL_PATCHES_H

#include "kernel/product.h"

/* One direction. Tap t of position p reads place p * stride + first + t * step of the image. */
typedef struct sc_patch_axis {
    size_t size, positions, taps, stride;
    ptrdiff_t first, step;
} sc_patch_axis;

typedef struct sc_patches {
    const sc_real *x;    /* the first channel of the first image */
    size_t image_stride; /* from image to image; from channel to channel it is down.size * across.size */
    sc_patch_axis down, across;
} sc_patches;

/* The backward pass to the inputs, in one direction: of the inputs phase, phase + stride, ... those taps that reach
 * them (first, first + step, ...), and what they read of the outputs. Input i = phase + p * stride is read by tap t at
 * output (i + padding - t * dilation) / stride, where that is whole. */
typedef struct sc_patch_phase {
    size_t phase, first, step;
    sc_patch_axis axis;
} sc_patch_phase;

/* That of one direction: inputs and outputs along it, and the convolution's numbers. */
sc_patch_phase sc_patch_phase_find(size_t size, size_t outputs, size_t kernel, size_t stride, size_t padding,
                                   size_t dilation, size_t phase);

/* to[count] = line k of the matrix, columns column .. column + count - 1. */
void sc_patches_line(sc_real *to, const sc_patches *p, size_t k, size_t column, size_t count);

/* Operands for sc_product: the matrix as columns whose sums run over channels and taps; or with its lines as columns,
 * whose sums run over positions. The description must outlive the operand. */
sc_operand sc_patches_columns(const sc_patches *p);
sc_operand sc_patches_lines(const sc_patches *p);

#endif
