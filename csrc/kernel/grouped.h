/* 2-D convolutions of many groups with few channels each, depthwise ones above all: too few rows for the products of
 * conv2d.h. Images are copied with their borders, several positions are summed side by side in registers. The order of
 * sums, and so the bits, are those of the products. Layouts as in conv2d.h. */
#ifndef SC_KERNEL_GROUPED_H
#define SC_KERNEL_GROUPED_H

#include "kernel/conv2d.h"

/* Whether these are the faster ones. */
bool sc_grouped_suits(const sc_conv2d_size *s);

/* The same for gradients of the weights, where the numbers of a vector are those of different groups. */
bool sc_grouped_suits_weight(const sc_conv2d_size *s);

/* Bytes of scratch that any of the functions below needs, with the threads now in force. */
size_t sc_grouped_scratch(const sc_conv2d_size *s);

/* As sc_conv2d_forward, sc_conv2d_backward_input and sc_conv2d_backward_weight. */
void sc_grouped_forward(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_epilogue *epilogue,
                        const sc_conv2d_size *s, size_t n);
void sc_grouped_backward_input(sc_real *dx, void *scratch, const sc_real *dy, const sc_real *w, const sc_conv2d_size *s,
                               size_t n, bool add);
void sc_grouped_backward_weight(sc_real *dw, void *scratch, const sc_real *dy, const sc_real *x,
                                const sc_conv2d_size *s, size_t n);

/* Bytes of scratch of sc_grouped_backward_weight alone. */
size_t sc_grouped_weight_scratch(const sc_conv2d_size *s);

#endif
