/* Which units others can stand in for: backward elimination by least squares.
 *
 * A removed unit j is predicted from the units that are kept, a_j = sum over kept v of B_jv a_v (all centred), and the
 * loss of a set of removed units is the weighted sum of the residual variances of these predictions. Units go one at a
 * time, each time the one whose removal adds least to the loss. */
#ifndef SC_PRUNE_REDUNDANCY_H
#define SC_PRUNE_REDUNDANCY_H

#include "base/status.h"

#include <stddef.h>

/* In the order of removal. */
typedef struct sc_redundancy {
    size_t *order; /* [units]: which unit goes */
    double *cost;  /* [units]: what its removal adds to the loss */
} sc_redundancy;

/* h[units x units]: the covariance matrix, which is overwritten; weight[units]: the loss per residual variance of each
 * unit, not negative; ridge: this share of the mean of h's diagonal is added to the diagonal. With G the inverse of h,
 * the cost of unit u is (weight_u + sum over removed j of weight_j B_ju^2) / G_uu, as in optimal brain surgery (Hassibi
 * and Stork 1993); equal costs go by the lower index. O(units^3). Errors: h is not positive definite, no memory, the
 * user's interrupt. */
sc_status sc_redundancy_find(sc_redundancy *out, double *h, const double *weight, size_t units, double ridge,
                             sc_error *error);

#endif
