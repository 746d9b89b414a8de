/* Batch and layer normalisation. Maps are [n x c x positions], rows are [rows x d]. The way back adds; a gradient that
 * is NULL is not wanted. */
#ifndef SC_KERNEL_NORM_H
#define SC_KERNEL_NORM_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>

/* mean[c] and the biased var[c] of each channel over the batch and its positions. */
void sc_channel_statistics(sc_real *mean, sc_real *var, const sc_real *x, size_t n, size_t c, size_t positions);

/* y = (x - mean) * rstd * weight + bias, all per channel; y may be x. */
void sc_channel_norm_forward(sc_real *y, const sc_real *x, const sc_real *mean, const sc_real *rstd,
                             const sc_real *weight, const sc_real *bias, size_t n, size_t c, size_t positions);

/* dx[n x c x positions] (written, or with `add` added to), dweight[c], dbias[c] (added to) from dy and, for dweight or
 * when the statistics are those of the batch, x. With `through` the gradient also flows through mean and rstd. */
void sc_channel_norm_backward(sc_real *dx, sc_real *dweight, sc_real *dbias, const sc_real *x, const sc_real *dy,
                              const sc_real *mean, const sc_real *rstd, const sc_real *weight, bool through, bool add,
                              size_t n, size_t c, size_t positions);

/* y = (x - mean) * rstd * weight + bias with mean[rows], rstd[rows] those of the row, which are written too. */
void sc_layer_norm_forward(sc_real *y, sc_real *mean, sc_real *rstd, const sc_real *x, const sc_real *weight,
                           const sc_real *bias, double eps, size_t rows, size_t d);

/* Adds to dx[rows x d], dweight[d] and dbias[d], from dy and what the way forth had and wrote. */
void sc_layer_norm_backward(sc_real *dx, sc_real *dweight, sc_real *dbias, const sc_real *x, const sc_real *dy,
                            const sc_real *mean, const sc_real *rstd, const sc_real *weight, size_t rows, size_t d);

/* AttnLRP (Achtibat et al. 2024): rstd is held constant, and the affine map that is left gets the epsilon rule:
 * s = ry / stab(y) * weight * rstd, rx += x * (s - mean(s)). */
void sc_layer_norm_relevance(sc_real *rx, const sc_real *x, const sc_real *ry, const sc_real *mean, const sc_real *rstd,
                             const sc_real *weight, const sc_real *bias, double epsilon, size_t rows, size_t d);

#endif
