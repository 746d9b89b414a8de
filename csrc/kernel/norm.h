/* Batch and layer normalisation. Feature maps are [n x c x positions], rows are [rows x d]. Gradients are added to; one
 * that is NULL is not wanted. */
#ifndef SC_KERNEL_NORM_H
#define SC_KERNEL_NORM_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>

/* A normalisation of each channel, with given statistics: y = (x - mean) * rstd * weight + bias. */
typedef struct sc_channel_norm {
    const sc_real *mean, *rstd, *weight, *bias; /* [c] each */
    size_t n, c, positions;
} sc_channel_norm;

/* mean[c] and the biased var[c] of each channel over the batch and its positions. */
void sc_channel_statistics(sc_real *mean, sc_real *var, const sc_real *x, size_t n, size_t c, size_t positions);

/* y may be x. */
void sc_channel_norm_forward(sc_real *y, const sc_real *x, const sc_channel_norm *norm);

/* dx[n x c x positions] (written, or with `add` added to), dweight[c], dbias[c] (added to) from dy and, for dweight or
 * with `batch_statistics`, x. With `batch_statistics` the gradient also flows through mean and rstd. */
void sc_channel_norm_backward(sc_real *dx, sc_real *dweight, sc_real *dbias, const sc_real *x, const sc_real *dy,
                              bool batch_statistics, bool add, const sc_channel_norm *norm);

/* A normalisation of each row by its own statistics: y = (x - mean) * rstd * weight + bias. */
typedef struct sc_layer_norm {
    sc_real *mean, *rstd;         /* [rows] each: written by forward, read by the others */
    const sc_real *weight, *bias; /* [d] each */
    double eps;                   /* (forward) added to the variance */
    size_t rows, d;
} sc_layer_norm;

/* y may be x. */
void sc_layer_norm_forward(sc_real *y, const sc_real *x, const sc_layer_norm *norm);

/* Adds to dx[rows x d], dweight[d] and dbias[d], from dy and what forward had and wrote. */
void sc_layer_norm_backward(sc_real *dx, sc_real *dweight, sc_real *dbias, const sc_real *x, const sc_real *dy,
                            const sc_layer_norm *norm);

/* AttnLRP (Achtibat et al. 2024): rstd is held constant, and the affine map that is left gets the epsilon rule:
 * s = ry / stab(y) * weight * rstd, rx += x * (s - mean(s)). */
void sc_layer_norm_relevance(sc_real *rx, const sc_real *x, const sc_real *ry, double epsilon,
                             const sc_layer_norm *norm);

#endif
