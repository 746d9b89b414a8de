/* 3 x 3 convolutions of stride 1 by Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin and Gray 2016): a quarter of
 * the multiplications. Outputs come in tiles of 4 x 4; a tile's inputs, the filters and the products of both live in a
 * transformed space of 36 points, where the convolution is 36 matrix products over channels.
 *
 * The interpolation points are 0, 1, -1, 1/2, -2 and infinity instead of the usual 0, +-1, +-2: they nearly halve the
 * rounding error (Barabasz et al. 2020), to one and a half times that of a plain sum; and since 1 is among them, what
 * is even stays even: equal inputs give outputs that are equal to the bit, so that the first of tied maxima is the
 * first. The error is relative to the largest numbers of a tile, though, not to each, and tiles that are not alike
 * throughout round differently: where small sums beside large ones decide, as denominators do, or ties, convolutions
 * are to be plain (sc_accuracy). */
#ifndef SC_KERNEL_WINOGRAD_H
#define SC_KERNEL_WINOGRAD_H

#include "kernel/conv2d.h"

/* Whether it applies to a convolution, and pays. The batch does not matter, or bits would depend on it. */
bool sc_winograd_suits(const sc_conv2d_size *s);

/* Bytes of scratch that sc_winograd_forward and sc_winograd_backward_input need for n images or fewer, with the threads
 * now in force. */
size_t sc_winograd_scratch(const sc_conv2d_size *s, size_t n);

/* Filters in the transformed space, for the forward pass or the `backward` one: how many numbers they are, and u[that
 * many] from the weights w. */
size_t sc_winograd_filters_size(const sc_conv2d_size *s, bool backward);
void sc_winograd_transform_filters(sc_real *u, const sc_real *w, const sc_conv2d_size *s, bool backward);

/* The same for sc_winograd_backward_weight. */
size_t sc_winograd_weight_scratch(const sc_conv2d_size *s, size_t n);

/* As sc_conv2d_forward. u: filters from sc_winograd_transform_filters, and then w is not read; NULL: they are made. */
void sc_winograd_forward(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_real *u,
                         const sc_epilogue *epilogue, const sc_conv2d_size *s, size_t n);

/* As sc_conv2d_backward_input; u as above, for the backward pass. */
void sc_winograd_backward_input(sc_real *dx, void *scratch, const sc_real *dy, const sc_real *w, const sc_real *u,
                                const sc_conv2d_size *s, size_t n, bool add);

/* As sc_conv2d_backward_weight: at each point of the transformed space the products of inputs with gradients of
 * outputs, summed over all tiles in their order. */
void sc_winograd_backward_weight(sc_real *dw, void *scratch, const sc_real *dy, const sc_real *x,
                                 const sc_conv2d_size *s, size_t n);

#endif
