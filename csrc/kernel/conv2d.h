/* 2-D convolution as products of the weights with the patch matrix of the images, which is packed piece by piece and
 * never made (patches.h). Layouts: x [n x c x h x w], w [o x c/g x kh x kw], y [n x o x oh x ow]. */
#ifndef SC_KERNEL_CONV2D_H
#define SC_KERNEL_CONV2D_H

#include "base/real.h"
#include "kernel/accuracy.h"
#include "kernel/epilogue.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct sc_conv2d_size {
    size_t c, h, w;   /* input channels, height, width */
    size_t o, oh, ow; /* output */
    size_t kh, kw;    /* kernel */
    size_t sh, sw;    /* stride */
    size_t ph, pw;    /* padding on each side */
    size_t dh, dw;    /* dilation */
    size_t groups;
    sc_accuracy accuracy; /* SC_ACCURACY_FAST: by Winograd's transform where it pays (winograd.h) */
} sc_conv2d_size;

/* Bytes of scratch that any of the functions below needs for a batch of n, with the threads now in force;
 * sc_conv2d_backward_weight only with `weights`. */
size_t sc_conv2d_scratch(const sc_conv2d_size *s, size_t n, bool weights);

/* Numbers of the weights in the order in which forward reads them; 0: it reads w alone. */
size_t sc_conv2d_packed_size(const sc_conv2d_size *s);

/* packed = w in that order. */
void sc_conv2d_pack(sc_real *packed, const sc_real *w, const sc_conv2d_size *s);

/* y = the epilogue of w * x; epilogue (its bias included) may be NULL, and packed, if there is none. */
void sc_conv2d_forward(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_real *packed,
                       const sc_epilogue *epilogue, const sc_conv2d_size *s, size_t n);

/* dx = the transposed convolution of dy, or with `add` dx +=. */
void sc_conv2d_backward_input(sc_real *dx, void *scratch, const sc_real *dy, const sc_real *w, const sc_conv2d_size *s,
                              size_t n, bool add);

/* dw += the correlation of dy with x. */
void sc_conv2d_backward_weight(sc_real *dw, void *scratch, const sc_real *dy, const sc_real *x, const sc_conv2d_size *s,
                               size_t n);

#endif
