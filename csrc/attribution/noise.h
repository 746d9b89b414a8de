/* SmoothGrad (Smilkov et al. 2017): the mean of gradients at noisy copies of the input. */
#ifndef SC_ATTRIBUTION_NOISE_H
#define SC_ATTRIBUTION_NOISE_H

#include "attribution/gradient.h"

typedef struct sc_noise {
    const sc_real *x;           /* [n x input shape] */
    const sc_real *output_grad; /* [n x output shape] */
    size_t n, samples;          /* noisy copies of each sample */
    double noise_level;         /* standard deviation, in units of max x - min x of the sample */
    uint64_t seed;              /* noise is drawn from (seed, number of the sample, number of the copy) */
    uint64_t first; /* number of the first sample, so that noise does not depend on how samples are batched */
} sc_noise;

/* The quantity of `gradient`, averaged over the noisy inputs x + noise_level (max x - min x) e, with e standard normal.
 */
sc_status sc_noise_average(sc_gradient *gradient, const sc_gradient_sums *sums, const sc_noise *noise, sc_error *error);

#endif
